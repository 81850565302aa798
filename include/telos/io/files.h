#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"

namespace telos {

/// The whole of a file as bytes. Throws kMissingFile, kIo, kLimit (larger than max_bytes).
std::string read_file(const std::string& path, std::uint64_t max_bytes = std::uint64_t{1} << 32);
/// read_file, then: a gzip file is expanded (to at most max_bytes), a UTF-8 byte order mark is dropped,
/// UTF-16 with a mark is converted, and text that is not UTF-8 is an Error{kBadFormat} naming the offset of
/// the first bad byte.
std::string read_text(const std::string& path, std::uint64_t max_bytes = std::uint64_t{1} << 32);

/// Writes a file so that a reader sees the old content or the new, never a part: temporary name in the same
/// directory, write, fsync, rename, fsync of the directory. Throws kIo.
void write_file_atomically(const std::string& path, std::string_view content);

/// Removes a file, or a folder with all that is in it; nothing there is no error. Throws kIo.
void remove_path(const std::string& path);

/// NumPy .npy, versions 1 to 3, dtypes <f2 <f4 <f8 <i4 <i8 (also big-endian and Fortran order on reading),
/// one or two dimensions; a vector is one row. Throws kBadFormat, kTruncated, kUnsupported, kLimit.
Matrix<double> read_npy(const std::string& path);
void write_npy(const std::string& path, ConstMatrixView<double> matrix);
void write_npy(const std::string& path, ConstMatrixView<float> matrix);

/// The directory that a run leaves. Files appear in it complete or not at all; run.json is written last, by
/// finish(), so that a directory with run.json holds a finished run. Throws kIo; kUsage if the directory
/// holds something that is not a telos run.
class RunFolder {
 public:
  /// Throws what the constructor throws for a directory that cannot be taken; changes nothing.
  static void require_usable(const std::string& path);
  /// Makes the directory (and parents), or takes over an earlier run in it: run.json goes, the other files
  /// stay until finish(). `start` is when the run began.
  explicit RunFolder(std::string path, std::time_t start = std::time(nullptr));
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;
  const std::string& path() const { return path_; }
  /// Writes `path()/relative`, making folders as needed. kUsage for a name that leads out of the folder.
  void write(const std::string& relative, std::string_view content);
  /// Removes what an earlier finished run wrote with write() and this one did not, except what the command
  /// line names, so that no table of another command stays beside this one's; then writes run.json: command
  /// line, versions, host facts, start and end time, peak memory, and the caller's fields (a JSON object as
  /// text, or empty).
  void finish(const std::string& fields_json);

 private:
  void remove_stale_files() const;
  std::string path_;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Peak resident memory of this process in bytes.
std::uint64_t peak_memory_bytes();

}  // namespace telos
