#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "telos/base/philox.h"
#include "telos/bigram/population.h"

// The task and the model that the tests of this module share: N = 3, T = 4, Q = 2, a chain that is not
// reversible, μ = (16, 14, 11)/41.

namespace telos::bigram::test {

inline Matrix<double> matrix(std::initializer_list<std::initializer_list<double>> rows) {
  Matrix<double> m(rows.size(), rows.begin()->size());
  std::size_t i = 0;
  for (const auto& row : rows) std::copy(row.begin(), row.end(), m.row(i++));
  return m;
}

inline Matrix<double> oracle_transitions() {
  return matrix({{.6, .3, .2}, {.3, .5, .2}, {.1, .2, .6}});
}
inline std::vector<SparseColumn> oracle_columns() {
  return {{{0, 2}, {.75, .25}}, {{1, 3}, {.5, .5}}, {{2, 3}, {.4, .6}}};
}
inline Instance oracle() {
  return make_instance(oracle_transitions(), oracle_columns(), 4);
}

/// V₁ and A₁, which keep none of the constraints.
inline Model oracle_model() {
  return {matrix({{.5, .2, .1}, {.1, .7, .3}, {.2, .1, .4}}),
          matrix({{.4, .3, .1, .3}, {.1, .2, .6, .1}, {.2, -.1, .5, .2}})};
}

/// A random model, of entries within ±1/2; `constrained`: with 1ᵀa_k = 1, Vμ = μ and 1ᵀV = 1ᵀ.
inline Model random_model(const Instance& instance, std::uint64_t seed, bool constrained) {
  const std::size_t n = instance.tokens(), length = instance.length;
  Model model{Matrix<double>(n, n), Matrix<double>(n, length)};
  Random random(seed, 99);
  for (std::size_t e = 0; e < n * n; ++e) model.v.data()[e] = random.uniform() - 0.5;
  for (std::size_t e = 0; e < n * length; ++e) model.a.data()[e] = random.uniform() - 0.5;
  if (!constrained) return model;
  precondition(model, std::vector<double>(n, 1), false);  // leaves A without its means
  for (std::size_t e = 0; e < n * length; ++e) model.a.data()[e] += 1 / static_cast<double>(length);
  for (std::size_t j = 0; j < n; ++j) {
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += model.v(i, j) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) model.v(i, j) -= mean;
  }
  for (std::size_t i = 0; i < n; ++i) {
    double along = -instance.mu[i];
    for (std::size_t j = 0; j < n; ++j) along += model.v(i, j) * instance.mu[j];
    for (std::size_t j = 0; j < n; ++j) model.v(i, j) -= along;
  }
  return model;
}

}  // namespace telos::bigram::test
