#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/symmetry/corpus.h"

// What the tests of a text share.

namespace telos::symmetry {

using Text = std::vector<std::uint16_t>;

inline void expect_error(const std::function<void()>& body, ErrorKind kind, const std::string& part) {
  try {
    body();
    ADD_FAILURE() << "no error with \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.message(), ::testing::HasSubstr(part));
  }
}

/// Stays at its letter with probability `stay`, else draws one of `tokens` anew.
inline Text sticky_text(std::size_t length, std::uint32_t tokens, double stay, std::uint64_t seed) {
  Random random(seed, 61);
  Text text;
  for (std::size_t i = 0; i < length; ++i)
    text.push_back(i > 0 && random.uniform() < stay ? text.back()
                                                    : static_cast<std::uint16_t>(random.below(tokens)));
  return text;
}

/// Of all kinds, for comparing.
inline std::vector<double> numbers_of(const CorpusSymmetry& s) {
  std::vector<double> all = {s.p_value, s.markov_total, s.of_text.other, static_cast<double>(s.kept)};
  for (const BlockEstimate* e : {&s.text, &s.shuffled, &s.mixed}) {
    all.insert(all.end(), {e->total.value, e->total.error, e->total_share.value, e->other_share.error});
    for (const Estimate& lag : e->lags) all.insert(all.end(), {lag.value, lag.error});
  }
  for (const Estimate& f : s.text.fractions) all.insert(all.end(), {f.value, f.error});
  return all;
}

}  // namespace telos::symmetry
