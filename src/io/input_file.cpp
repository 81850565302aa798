#include "io/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "telos/base/error.h"

namespace telos {

std::string system_message(int error_number) {
  return std::error_code(error_number, std::generic_category()).message();
}

InputFile::InputFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  do descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) {
    const int error_number = errno;
    if (error_number == ENOENT || error_number == ENOTDIR)
      throw Error(ErrorKind::kMissingFile, path, "there is no such file", "check the path");
    throw Error(
        ErrorKind::kIo, path, "cannot be opened: " + system_message(error_number),
        error_number == EMFILE ? "raise the limit on open files (ulimit -n)" : "check its permissions");
  }
  struct stat status {};
  const bool failed = ::fstat(descriptor_, &status) != 0;
  const int error_number = errno;
  if (failed || !S_ISREG(status.st_mode)) {
    ::close(std::exchange(descriptor_, -1));
    if (failed) throw Error(ErrorKind::kIo, path, "cannot be examined: " + system_message(error_number));
    if (S_ISDIR(status.st_mode))
      throw Error(ErrorKind::kUnsupported, path, "expected a file, found a directory");
    throw Error(ErrorKind::kUnsupported, path, "expected a regular file, found a pipe or device",
                "write the bytes to a file first");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), size_(other.size_), descriptor_(std::exchange(other.descriptor_, -1)) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(size_, other.size_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::size_t InputFile::read_some(std::uint64_t offset, void* out, std::size_t bytes) const {
  // Linux moves at most 2^31 − 4096 bytes a call.
  constexpr std::size_t kMostPerCall = std::size_t{1} << 30;
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(descriptor_, static_cast<char*>(out) + done,
                                std::min(bytes - done, kMostPerCall), static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      throw Error(ErrorKind::kIo, fmt::format("{}, byte {}", path_, offset + done),
                  "cannot be read: " + system_message(errno));
    }
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void InputFile::read_exactly(std::uint64_t offset, void* out, std::size_t bytes,
                             std::string_view where) const {
  const std::size_t got = read_some(offset, out, bytes);
  if (got != bytes)
    throw Error(ErrorKind::kTruncated, std::string(where),
                fmt::format("the file shrank while it was read: expected {} bytes at byte {}, found {}",
                            bytes, offset, got),
                "let the program that writes it finish, then run again");
}

std::string InputFile::head(std::size_t bytes) const {
  std::string out(bytes, '\0');
  out.resize(read_some(0, out.data(), bytes));
  return out;
}

}  // namespace telos
