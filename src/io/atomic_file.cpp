#include "io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "io/input_file.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos {

void AtomicFile::fail(std::string_view what, int error_number) const {
  throw Error(ErrorKind::kIo, path_, fmt::format("{}: {}", what, system_message(error_number)),
              error_number == ENOSPC   ? "free some space on that disk"
              : error_number == ENOENT ? "make the directory first"
                                       : "check that the directory exists and can be written to");
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  const std::size_t slash = path_.rfind('/');
  directory_ = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const std::string base = slash == std::string::npos ? "" : directory_;
  static std::atomic<unsigned> counter{0};
  // A process that was killed may have left a file of this name when it had this process's number.
  do {
    temporary_ = fmt::format("{}.telos-{}-{}.tmp", base, ::getpid(), counter.fetch_add(1));
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && (errno == EEXIST || errno == EINTR));
  if (descriptor_ < 0) fail("cannot be written", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::append(const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t put = ::write(descriptor_, next, std::min(bytes, std::size_t{1} << 30));
    if (put < 0) {
      if (errno == EINTR) continue;
      fail("cannot be written", errno);
    }
    next += put;
    bytes -= static_cast<std::size_t>(put);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("cannot be flushed to the disk", errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("cannot be closed", errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be put in place", errno);
  temporary_.clear();
  // The new name itself reaches the disk with its directory. Some file systems refuse to flush one: then
  // there is nothing more to do, and the content is still whole.
  const int directory = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  const int result = ::fsync(directory);
  const int error_number = errno;
  ::close(directory);
  if (result != 0 && error_number == EIO) fail("its directory cannot be flushed to the disk", error_number);
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.append(content);
  file.commit();
}

}  // namespace telos
