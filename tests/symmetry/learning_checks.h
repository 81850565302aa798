#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "reference/symmetry_learning.h"
#include "telos/base/error.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"

// What the tests of regression share.

namespace telos::symmetry::checks {

inline void expect_error(const std::function<void()>& body, ErrorKind kind, const std::string& part) {
  try {
    body();
    ADD_FAILURE() << "no error with \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what() + (" " + error.hint()), ::testing::HasSubstr(part));
  }
}

inline Matrix<std::uint32_t> random_sequences(std::size_t n, std::size_t length, std::uint32_t letters,
                                              std::uint64_t seed) {
  Random random(seed, 71);
  Matrix<std::uint32_t> x(n, length);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = random.below(letters);
  return x;
}

inline Matrix<double> random_normals(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Random random(seed, 72);
  Matrix<double> m(rows, cols);
  for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] = random.normal();
  return m;
}

inline reference::symmetry::Sequence sequence_of(const Matrix<std::uint32_t>& x, std::size_t i) {
  return {x.row(i), x.row(i) + x.cols()};
}

}  // namespace telos::symmetry::checks
