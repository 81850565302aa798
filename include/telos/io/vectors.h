#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "telos/base/matrix.h"

namespace telos {

/// Vectors with names: embeddings of words, tokens of a system.
struct Vectors {
  Matrix<double> values{};            ///< n × d
  std::vector<std::string> labels{};  ///< n names, or empty
  std::string format{};               ///< "npy", "csv", "safetensors", "word vectors"
  std::string tensor{};               ///< safetensors: the name of the tensor
};

struct VectorOptions {
  std::string tensor{};       ///< safetensors: which one; empty: the only one with two dimensions
  std::string labels_path{};  ///< a name a line; empty: the file's own, if it has any
  std::size_t max_rows = 0;   ///< the first so many; 0: all
};

/// Reads npy, csv, tsv (a first column that is no number holds the labels), safetensors (F64, F32, F16,
/// BF16), or a word-vector text file (word2vec with its header line, or GloVe without), told apart by
/// content. Throws kMissingFile, kBadFormat with line and column (ragged rows, no numbers), kNotFinite
/// likewise, kShape (labels of another number than rows; no rows; no columns), kUnsupported, kUsage (an
/// unknown tensor: which there are), kLimit.
Vectors read_vectors(const std::string& path, const VectorOptions& options = {});

}  // namespace telos
