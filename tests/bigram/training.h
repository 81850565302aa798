#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "telos/base/error.h"
#include "telos/bigram/train.h"

namespace telos::bigram {

inline Instance random_instance(std::size_t tokens, std::size_t length, std::size_t sparsity,
                                std::uint64_t seed) {
  GenerateOptions options;
  options.tokens = tokens;
  options.length = length;
  options.sparsity = sparsity;
  options.seed = seed;
  return generate(options);
}

inline bool all_exact(const TrainResult& result) {
  return std::ranges::all_of(result.columns, [](const Column& column) { return column.exact; });
}

inline double loss_above_least(const Instance& instance, const Model& model) {
  return population_loss(instance, model) - constants(instance).loss_least;
}

inline void expect_error(ErrorKind kind, const std::string& text, const std::function<void()>& body) {
  try {
    body();
    ADD_FAILURE() << "no error; expected " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), ::testing::HasSubstr(text));
  }
}

}  // namespace telos::bigram
