#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "reference/hardmax.h"
#include "telos/base/philox.h"
#include "telos/clustering/hardmax.h"

// Systems for the tests of the hardmax engine.

namespace telos::clustering::test {

using Rows = reference::hardmax::Rows<double>;

inline Matrix<double> matrix(const Rows& rows) {
  Matrix<double> m(rows.size(), rows.empty() ? 0 : rows[0].size());
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t c = 0; c < m.cols(); ++c) m(i, c) = rows[i][c];
  return m;
}

/// x ← (1103515245 x + 12345) mod 2^31 from x = seed; numbers 2x/2^31 − 1.
inline Rows congruential(std::uint64_t seed, std::size_t n, std::size_t d) {
  Rows rows(n, std::vector<double>(d));
  std::uint64_t x = seed;
  for (auto& row : rows)
    for (double& value : row) {
      x = (1103515245 * x + 12345) % (std::uint64_t{1} << 31);
      value = 2 * static_cast<double>(x) / 0x1p31 - 1;
    }
  return rows;
}

enum class Cloud { kGauss, kCube, kShifted, kAnisotropic, kLattice, kTies };
inline constexpr Cloud kClouds[] = {Cloud::kGauss,       Cloud::kCube,    Cloud::kShifted,
                                    Cloud::kAnisotropic, Cloud::kLattice, Cloud::kTies};

/// Lattice: small integers. Ties: signs and zeros, with much on common faces.
inline Rows cloud(Cloud kind, std::size_t n, std::size_t d, Random& random) {
  Rows rows(n, std::vector<double>(d));
  for (auto& row : rows)
    for (std::size_t c = 0; c < d; ++c) switch (kind) {
        case Cloud::kGauss:
          row[c] = random.normal();
          break;
        case Cloud::kCube:
          row[c] = 2 * random.uniform() - 1;
          break;
        case Cloud::kShifted:
          row[c] = random.normal() + 2;
          break;
        case Cloud::kAnisotropic:
          row[c] = random.normal() / static_cast<double>(1 + c * c);
          break;
        case Cloud::kLattice:
          row[c] = static_cast<double>(random.below(9)) - 4;
          break;
        case Cloud::kTies:
          row[c] = static_cast<double>(random.below(3)) - 1;
          break;
      }
  return rows;
}

/// A random rotation: Gram–Schmidt on Gaussian rows.
inline Rows rotation(std::size_t d, Random& random) {
  Rows q = cloud(Cloud::kGauss, d, d, random);
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t pass = 0; pass < 2; ++pass)
      for (std::size_t j = 0; j < i; ++j) {
        double dot = 0;
        for (std::size_t c = 0; c < d; ++c) dot += q[i][c] * q[j][c];
        for (std::size_t c = 0; c < d; ++c) q[i][c] -= dot * q[j][c];
      }
    double square = 0;
    for (const double x : q[i]) square += x * x;
    for (double& x : q[i]) x /= std::sqrt(square);
  }
  return q;
}

/// Rows times mᵀ.
inline Rows transformed(const Rows& rows, const Rows& m) {
  Rows out(rows.size(), std::vector<double>(m.size()));
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t r = 0; r < m.size(); ++r)
      for (std::size_t c = 0; c < rows[i].size(); ++c) out[i][r] += m[r][c] * rows[i][c];
  return out;
}

}  // namespace telos::clustering::test
