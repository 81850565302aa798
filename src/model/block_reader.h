#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/io/checkpoint.h"

namespace telos::model {

/// Runs of consecutive features: {first, count}.
using Runs = std::vector<std::pair<std::size_t, std::size_t>>;

/// How a file stores a weight y = x W: [out, in] (PyTorch's Linear) or [in, out] (Conv1D).
enum class Orientation { kOutIn, kInOut };

/// Reads the out features in `runs` of a two-dimensional weight as rows: out is Σ count × in. Copies where
/// the file has them as rows, transposes in cache-sized strips where not. Throws as Checkpoint::read.
///
/// NaN and infinity among the values read: with `not_finite` they are kept, and one line with the tensor, the
/// number of its bad values and the index of the first is appended there; without, kNotFinite says the same.
void read_out_as_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, Orientation stored,
                      const Runs& runs, MatrixView<float> out,
                      std::vector<std::string>* not_finite = nullptr);
/// The same with in features as rows: out is in × Σ count.
void read_in_as_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, Orientation stored,
                     const Runs& runs, MatrixView<float> out, std::vector<std::string>* not_finite = nullptr);

/// Elements `runs` of a tensor with one dimension (or one row). `not_finite` and errors as above.
std::vector<float> read_vector(const Checkpoint& checkpoint, const TensorInfo& tensor, const Runs& runs,
                               std::vector<std::string>* not_finite = nullptr);

/// out(j, i) = in(i, j). Cost: about one cycle an element when `in` fits the second-level cache.
void transpose(ConstMatrixView<float> in, MatrixView<float> out);

}  // namespace telos::model
