#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "positional/studies/parts.h"
#include "tests/positional/complaint.h"

namespace telos::positional::test_studies {

using studies::View;

inline Matrix<double> matrix(const std::vector<std::vector<double>>& rows) {
  Matrix<double> m(rows.size(), rows[0].size());
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), m.row(i));
  return m;
}

/// The four tokens that all oracles share.
inline const Matrix<double> kQ = matrix({{.3, -.2}, {.7, .5}, {-.4, .9}, {.2, -.6}});
inline const Matrix<double> kK = matrix({{.1, .4}, {-.5, .3}, {.6, -.1}, {.25, .8}});
inline const Matrix<double> kV = matrix({{1, 0}, {0, 1}, {2, -1}, {-1.5, .5}});

inline void expect_rows(View got, const std::vector<std::vector<double>>& expected, double tolerance = 1e-9) {
  ASSERT_LE(expected.size(), got.rows());
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (std::size_t j = 0; j < expected[i].size(); ++j)
      EXPECT_NEAR(got(i, j), expected[i][j], tolerance) << i << "," << j;
}

using test::expect_error;

}  // namespace telos::positional::test_studies
