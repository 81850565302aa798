#pragma once

#include <cstddef>
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
/// the file has them as rows, transposes in cache-sized strips where not. Throws as Checkpoint::read, and
/// kNotFinite with the number of bad values and the index of the first.
void read_out_as_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, Orientation stored,
                      const Runs& runs, MatrixView<float> out);
/// The same with in features as rows: out is in × Σ count.
void read_in_as_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, Orientation stored,
                     const Runs& runs, MatrixView<float> out);

/// Elements `runs` of a tensor with one dimension (or one row). Throws as above.
std::vector<float> read_vector(const Checkpoint& checkpoint, const TensorInfo& tensor, const Runs& runs);

/// out(j, i) = in(i, j). Cost: about one cycle an element when `in` fits the second-level cache.
void transpose(ConstMatrixView<float> in, MatrixView<float> out);

}  // namespace telos::model
