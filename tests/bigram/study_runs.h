#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "telos/bigram/studies.h"
#include "tests/repeats.h"

namespace telos::bigram::test {

inline constexpr std::uint64_t kStudySeeds = repeats(3, 1);

/// The study holds with every check for kStudySeeds seeds, and says the same with three threads as with one.
/// Under a sanitizer, where `brief` names parameters that make it short, the latter alone.
inline void expect_holds(const std::string& name, std::map<std::string, double> parameters,
                         const std::map<std::string, double>& brief = {}) {
  const bool whole = !kSanitized || brief.empty();
  if (!whole)
    for (const auto& [key, value] : brief) parameters[key] = value;
  const Arena one(1), three(3);
  for (std::uint64_t seed = 1; seed <= kStudySeeds; ++seed) {
    const StudyResult result = run_study(name, parameters, seed, one);
    if (whole) {
      for (const StudyCheck& check : result.checks)
        EXPECT_TRUE(check.holds()) << name << " " << seed << ": " << check.what << " " << check.found;
      EXPECT_TRUE(result.holds) << name << " " << seed << ": " << result.measured;
    }
    if (seed != 1) continue;
    const StudyResult other = run_study(name, parameters, seed, three);
    EXPECT_EQ(result.measured, other.measured);
    EXPECT_EQ(result.figure.vega_lite, other.figure.vega_lite);
    ASSERT_EQ(result.checks.size(), other.checks.size());
    for (std::size_t i = 0; i < result.checks.size(); ++i)
      EXPECT_EQ(result.checks[i].found, other.checks[i].found) << result.checks[i].what;
  }
}

}  // namespace telos::bigram::test
