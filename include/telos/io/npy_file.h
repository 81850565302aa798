#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "telos/base/matrix.h"

namespace telos {

/// A matrix of doubles, kept as such or as floats, that is too large for memory, written to an .npy file
/// block by block in any order, and resumed where it was interrupted. Until finish() it lies under `path` +
/// ".part", and how far it has come in `path` + ".progress", so that `path` itself is whole or absent. Blocks
/// may be written from several threads at once. Throws kIo; kUsage where these names hold something else.
class NpyMatrixFile {
 public:
  /// Takes over what an earlier run left if its `fingerprint` (one line, of all that decides the content) and
  /// shape are the same; else starts anew.
  /// `single`: elements are <f4, else <f8.
  NpyMatrixFile(std::string path, std::size_t rows, std::size_t cols, const std::string& fingerprint,
                bool single = false);
  ~NpyMatrixFile();
  NpyMatrixFile(const NpyMatrixFile&) = delete;
  NpyMatrixFile& operator=(const NpyMatrixFile&) = delete;

  /// What the last mark() of the earlier run said; 0 at the beginning.
  std::uint64_t resumed() const { return resumed_; }
  void write(std::size_t row, std::size_t col, ConstMatrixView<double> block);
  /// All that was written so far reaches the disk; after it, resumed() is `done`.
  void mark(std::uint64_t done);
  void read_row(std::size_t row, std::span<double> out) const;
  /// Gives the file its name. read_row() still works.
  void finish();

 private:
  [[noreturn]] void fail(const char* what, int error_number) const;

  std::string path_, fingerprint_;
  std::size_t cols_;
  bool single_;
  std::size_t item_;                       ///< bytes of an element
  std::uint64_t begin_ = 0, resumed_ = 0;  ///< of the data
  int descriptor_ = -1;
};

}  // namespace telos
