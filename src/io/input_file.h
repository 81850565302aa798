#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace telos {

/// A regular file that is open for reading at any offset, from any number of threads.
///
/// Reads go through pread into the caller's buffer and not through a mapping: a mapped file that another
/// process cuts short kills the reader by SIGBUS, pages of a mapping count as memory of this process until
/// they are given back, and for chunks that fit the cache pread is the faster of the two (no page faults).
class InputFile {
 public:
  /// Throws kMissingFile, kIo, kUnsupported (not a regular file).
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;

  const std::string& path() const { return path_; }
  /// At the time of opening.
  std::uint64_t size() const { return size_; }
  /// Reads `bytes` bytes from `offset`, fewer only if the file ends there; returns how many. Throws kIo.
  std::size_t read_some(std::uint64_t offset, void* out, std::size_t bytes) const;
  /// Reads exactly `bytes` bytes. `where` names the reader's place in an Error{kTruncated} if the file ends
  /// earlier, which after the checks at opening means that it shrank.
  void read_exactly(std::uint64_t offset, void* out, std::size_t bytes, std::string_view where) const;
  /// The first `bytes` bytes, fewer if the file is shorter.
  std::string head(std::size_t bytes) const;

 private:
  std::string path_;
  std::uint64_t size_ = 0;
  int descriptor_ = -1;
};

/// "No such file or directory" for an errno value.
std::string system_message(int error_number);

}  // namespace telos
