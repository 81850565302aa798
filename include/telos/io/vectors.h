#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "telos/base/matrix.h"

namespace telos {

/// Vectors with names: embeddings of words, tokens of a system.
struct Vectors {
  Matrix<double> values{};            ///< n × d, all finite
  std::vector<std::string> labels{};  ///< n names, or empty
  std::string format{};               ///< "npy", "csv", "tsv", "safetensors", "word vectors"
  std::string tensor{};               ///< safetensors: the name of the tensor
};

struct VectorOptions {
  std::string tensor{};       ///< safetensors: which one; empty: the only one of numbers with two dimensions
  std::string labels_path{};  ///< a name a line; empty: the file's own, if it has any
  std::size_t max_rows = 0;   ///< the first so many; 0: all
};

/// Reads vectors, told apart by content; text may be compressed with gzip:
/// - npy (files.h);
/// - safetensors, F64, F32, F16 or BF16, a file or a directory (checkpoint.h);
/// - csv and tsv, with or without column labels; a first column of names is found (table.h, `row_names`);
/// - word vectors: a name and d numbers a line, divided by blanks, as GloVe and fastText write them, or with
///   word2vec's line "n d" before them. The last d numbers of a line are the vector: names may hold blanks.
///   Lines of numbers alone (numpy.savetxt) have no names.
/// Throws kMissingFile, kBadFormat with line and column (ragged rows, no numbers), kNotFinite likewise,
/// kTruncated, kShape (labels of another number than rows; no rows; no columns), kUnsupported, kUsage (an
/// unknown tensor: which there are), kLimit.
Vectors read_vectors(const std::string& path, const VectorOptions& options = {});

}  // namespace telos
