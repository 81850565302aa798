#include "telos/base/quantity.h"

#include <gtest/gtest.h>

namespace telos {
namespace {

TEST(Quantity, Bytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(980), "980 B");
  EXPECT_EQ(format_bytes(1000), "1 kB");
  EXPECT_EQ(format_bytes(90868376), "90.9 MB");
  EXPECT_EQ(format_bytes(1.25e9), "1.25 GB");
  EXPECT_EQ(format_bytes(3e15), "3000 TB");
}

TEST(Quantity, Seconds) {
  EXPECT_EQ(format_seconds(0.31), "310 ms");
  EXPECT_EQ(format_seconds(0.84), "840 ms");
  EXPECT_EQ(format_seconds(0.000085), "85 µs");
  EXPECT_EQ(format_seconds(0), "0 ms");
  EXPECT_EQ(format_seconds(1), "1.0 s");
  EXPECT_EQ(format_seconds(12.4), "12 s");
  EXPECT_EQ(format_seconds(125), "2 min 5 s");
}

TEST(Quantity, Count) {
  EXPECT_EQ(format_count(7), "7");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1204), "1,204");
  EXPECT_EQ(format_count(22713216), "22,713,216");
}

}  // namespace
}  // namespace telos
