#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <string>

#include "telos/base/matrix.h"
#include "telos/base/philox.h"
#include "telos/linalg/gemm.h"

namespace telos::test {

/// Calls f() once for each instruction set of this machine that the kernels are compiled for, the scalar one
/// last.
template <class F>
void for_each_target(F f) {
  std::set<std::string> seen;  // a set that was not compiled leaves the choice to another
  for (const std::int64_t target :
       {std::int64_t{HWY_AVX3}, std::int64_t{HWY_AVX2}, std::int64_t{HWY_SCALAR}}) {
    hwy::SetSupportedTargetsForTest(0);
    const std::int64_t usable = target == HWY_SCALAR ? target : hwy::SupportedTargets() & target;
    if (usable == 0) continue;
    hwy::SetSupportedTargetsForTest(usable);
    hwy::GetChosenTarget().Update(usable);
    if (seen.insert(kernel_target()).second) {
      SCOPED_TRACE("target " + std::string(kernel_target()));
      f();
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

template <class T>
Matrix<T> random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix<T> m(rows, cols);
  Random random(seed);
  for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] = static_cast<T>(random.normal());
  return m;
}

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

}  // namespace telos::test
