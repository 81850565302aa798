#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace telos {

/// A file that appears under its name complete or not at all. Bytes go to a temporary file `.telos-*.tmp` in
/// the same directory; commit() flushes it to the disk, renames it and flushes the directory. Without
/// commit() the temporary file is removed and the name keeps what it had. Only a process that is killed can
/// leave a temporary file behind. Throws kIo.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void append(const void* data, std::size_t bytes);
  void append(std::string_view text) { append(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void fail(std::string_view what, int error_number) const;

  std::string path_, directory_, temporary_;
  int descriptor_ = -1;
};

}  // namespace telos
