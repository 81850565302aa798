#include "telos/base/arena.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "tests/repeats.h"

namespace telos {
namespace {

TEST(Arena, CallsEachIndexOnce) {
  for (const int threads : {1, 2, 7}) {
    const Arena arena(threads);
    EXPECT_EQ(arena.threads(), threads);
    for (const std::size_t n : {0u, 1u, 2u, 13u, 1000u}) {
      std::vector<int> calls(n);
      arena.parallel_for(n, [&](std::size_t i) { ++calls[i]; });
      for (const int c : calls) EXPECT_EQ(c, 1);
    }
  }
}

TEST(Arena, TakesTheMachinesCoresByDefault) {
  EXPECT_GE(Arena().threads(), 1);
}

TEST(Arena, RefusesMoreThreadsThanItCanHave) {
  try {
    const Arena arena(1'000'000);
    FAIL() << arena.threads() << " threads were started";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    EXPECT_EQ(error.where(), "threads");
  }
}

#ifndef TELOS_SANITIZED  // which need address space of their own
TEST(Arena, SaysHowManyThreadsTheSystemWouldStart) {
  std::size_t pages = 0;  // this process's address space
  std::ifstream("/proc/self/statm") >> pages;
  if (pages == 0) GTEST_SKIP() << "no /proc";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  const rlimit few{pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{64} << 20),
                   before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &few), 0);
  std::string message;
  try {
    const Arena arena(Arena::kMostThreads);
  } catch (const Error& error) {
    message = error.message();
  }
  ::setrlimit(RLIMIT_AS, &before);
  EXPECT_THAT(message, ::testing::MatchesRegex("1024 asked for, [0-9]+ could start .*"));
  EXPECT_EQ(Arena(3).threads(), 3);
}
#endif

// What a body wrote is visible to the caller, and what the caller wrote to the bodies: ThreadSanitizer
// watches.
TEST(Arena, OrdersMemoryAndGivesTheSameBitsForAnyThreadCount) {
  std::vector<double> first;
  for (const int threads : {1, 2, 7}) {
    const Arena arena(threads);
    std::vector<double> x(4096);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = Random(3, 0, i).normal();
    std::vector<double> partial(64);
    arena.parallel_for(partial.size(), [&](std::size_t block) {
      for (std::size_t i = 0; i < 64; ++i) partial[block] += std::sin(x[block * 64 + i]);
    });
    double sum = 0;
    for (const double p : partial) sum += p;
    first.push_back(sum);
  }
  EXPECT_EQ(first[0], first[1]);
  EXPECT_EQ(first[0], first[2]);
}

TEST(Arena, RethrowsAnExceptionOfABodyAndStaysUsable) {
  for (const int threads : {1, 2, 7}) {
    const Arena arena(threads);
    EXPECT_THROW(arena.parallel_for(100,
                                    [](std::size_t i) {
                                      if (i == 57) throw std::runtime_error("57");
                                    }),
                 std::runtime_error);
    std::atomic<int> calls{0};
    arena.parallel_for(100, [&](std::size_t) { ++calls; });
    EXPECT_EQ(calls, 100);
  }
}

TEST(Arena, NestedLoopsFinish) {
  const Arena arena(2);
  std::vector<int> cells(8 * 16);
  arena.parallel_for(8, [&](std::size_t i) {
    arena.parallel_for(16, [&](std::size_t j) { cells[i * 16 + j] = static_cast<int>(i + j); });
  });
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 16; ++j) EXPECT_EQ(cells[i * 16 + j], static_cast<int>(i + j));
}

TEST(Arena, TwoArenasAtOnce) {
  const Arena outer(2), inner(7);
  std::atomic<int> calls{0};
  outer.parallel_for(4, [&](std::size_t) { inner.parallel_for(25, [&](std::size_t) { ++calls; }); });
  EXPECT_EQ(calls, 100);
}

// Many short loops in a row: helpers that wake late must neither miss a loop nor enter one that is over.
TEST(Arena, SurvivesManyShortLoopsAndTwoCallers) {
  for (const int threads : {2, 7}) {
    const Arena arena(threads);
    const auto caller = [&arena] {
      std::size_t total = 0;
      for (std::size_t round = 0; round < 3000; ++round) {
        std::vector<std::size_t> cells(3);
        arena.parallel_for(cells.size(), [&](std::size_t i) { cells[i] = round + i; });
        total += cells[0] + cells[1] + cells[2];
      }
      EXPECT_EQ(total, 3u * 2999 * 3000 / 2 + 3u * 3000);
    };
    std::thread second(caller);
    caller();
    second.join();
  }
}

}  // namespace
}  // namespace telos
