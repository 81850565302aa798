#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/diagnosis/diagnose.h"

namespace telos::python {

/// While one lives in Python's main thread, Ctrl-C also makes the library's loops throw kInterrupted, unless
/// the program has a handler of its own.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  bool installed_ = false;
};

/// While one lives the library works: other Python threads run, and Ctrl-C stops it. No Python object may be
/// touched.
class Working {
  Interruptible interruptible_;
  nanobind::gil_scoped_release release_;
};

/// The threads that a caller asks for; 0 takes all cores. Throws ValueError: above 1,024, or below 0.
Arena arena_of(int threads);

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
