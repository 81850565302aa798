#include "telos/base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace telos {
namespace {

const std::vector<std::string> kNames{"sum", "min", "max", "median", "sort"};

TEST(Nearest, SmallestEditDistanceWins) {
  EXPECT_EQ(nearest_name("medain", kNames), "median");
  EXPECT_EQ(nearest_name("MAX", kNames), "max");
  EXPECT_EQ(nearest_name("srot", kNames), "sort");
  EXPECT_EQ(nearest_name("mn", kNames), "min");
}

TEST(Nearest, OfEqualsTheFirst) {
  EXPECT_EQ(nearest_name("zzz", kNames), "sum");
}

TEST(Nearest, NoNames) {
  EXPECT_EQ(nearest_name("sum", {}), "");
  EXPECT_EQ(nearest_hint("sum", {}), "");
  EXPECT_EQ(nearest_hint("x", std::vector<std::string>{"a\x05"}), "did you mean \"a\\x05\"? known: a\\x05");
}

TEST(Nearest, HintListsFewNamesAndOmitsMany) {
  EXPECT_EQ(nearest_hint("som", kNames), "did you mean \"sum\"? known: sum, min, max, median, sort");
  std::vector<std::string> many;
  for (int i = 0; i < 30; ++i) many.push_back("name" + std::to_string(i));
  EXPECT_EQ(nearest_hint("name7x", many), "did you mean \"name7\"?");
}

TEST(Nearest, LongTextIsCut) {
  EXPECT_EQ(nearest_name(std::string(1 << 20, 's'), kNames), "sum");
}

}  // namespace
}  // namespace telos
