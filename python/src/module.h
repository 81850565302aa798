#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/diagnosis/diagnose.h"

namespace telos::python {

/// A new numpy array that owns a copy of the values: one-dimensional, or rows × cols.
template <class T>
nanobind::ndarray<nanobind::numpy, T> to_numpy(const std::vector<T>& values, std::size_t rows = 0,
                                               std::size_t cols = 0) {
  auto* copy = new std::vector<T>(values);
  nanobind::capsule owner(copy, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  if (cols == 0) return nanobind::ndarray<nanobind::numpy, T>(copy->data(), {copy->size()}, owner);
  return nanobind::ndarray<nanobind::numpy, T>(copy->data(), {rows, cols}, owner);
}

/// The same of a matrix.
inline nanobind::ndarray<nanobind::numpy, double> to_numpy(ConstMatrixView<double> m) {
  return to_numpy(std::vector<double>(m.data(), m.data() + m.rows() * m.cols()), m.rows(), m.cols());
}

/// Rows of an integer array of any kind, or lists of any lengths, none empty. Throws TypeError for what is no
/// whole number, ValueError for one out of range and for nothing, naming row and column of `name`.
std::vector<std::vector<std::uint32_t>> token_rows(nanobind::object rows, const std::string& name);

/// A text, or its token ids, as the library wants them.
DiagnoseOptions options_of(const std::optional<std::string>& text,
                           const std::optional<std::vector<std::int32_t>>& ids, std::size_t window,
                           std::size_t max_windows);

void bind_bigram(nanobind::module_& m);
void bind_bigram_text(nanobind::module_& m);
void bind_clustering(nanobind::module_& m);
void bind_positional(nanobind::module_& m);
void bind_smoothing(nanobind::module_& m);
void bind_symmetry(nanobind::module_& m);
void bind_symmetry_kernels(nanobind::module_& m);

}  // namespace telos::python
