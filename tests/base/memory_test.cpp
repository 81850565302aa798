#include "telos/base/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "telos/base/error.h"

namespace telos {
namespace {

TEST(Memory, WhatTheMachineHasIsGrantedAndNoMore) {
  ASSERT_TRUE(std::isfinite(machine_memory()));
  EXPECT_GT(machine_memory(), 1e8);
  EXPECT_NO_THROW(require_memory(machine_memory(), "here"));
  try {
    require_memory(2e18, "a set", "take less");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    EXPECT_EQ(error.where(), "a set");
    EXPECT_THAT(error.message(), testing::StartsWith("needs 2000000 TB of memory, this machine has "));
    EXPECT_EQ(error.hint(), "take less");
  }
  EXPECT_THROW(require_memory(NAN, "here"), Error);
}

}  // namespace
}  // namespace telos
