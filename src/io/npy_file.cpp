#include "telos/io/npy_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "io/input_file.h"
#include "io/npy.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos {
namespace {

std::string part_name(const std::string& path) {
  return path + ".part";
}
std::string progress_name(const std::string& path) {
  return path + ".progress";
}

/// Refuses to replace what is there and does not look like a file of this class.
void refuse_foreign(const std::string& path, const auto& is_ours) {
  std::error_code ignored;
  const auto status = std::filesystem::symlink_status(path, ignored);
  if (!std::filesystem::exists(status)) return;
  if (std::filesystem::is_regular_file(status)) {
    const std::string head = InputFile(path).head(256);
    if (head.empty() || is_ours(head)) return;
  }
  throw Error(ErrorKind::kUsage, path, "is there already, and is not a matrix that may be replaced",
              "choose another name, or remove it first");
}

bool begins_as_npy(std::string_view head) {
  return head.starts_with("\x93NUMPY");
}

/// A fingerprint, and a number.
bool is_progress(std::string_view head) {
  const std::size_t line = head.find('\n');
  return line != std::string_view::npos && line + 1 < head.size() &&
         head.find_first_not_of("0123456789\n", line + 1) == std::string_view::npos;
}

/// Hours of another run are not thrown away without a word.
void refuse_unfinished(const std::string& path, const std::string& fingerprint) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(progress_name(path), ignored) ||
      !std::filesystem::is_regular_file(part_name(path), ignored))
    return;
  const std::string text = read_file(progress_name(path), 10'000);
  if (text.starts_with(fingerprint + "\n")) return;
  throw Error(ErrorKind::kUsage, path, "an unfinished matrix of other data or options is there",
              fmt::format("choose another name, or remove {} and {}", printable(part_name(path), 4096),
                          printable(progress_name(path), 4096)));
}

/// Number of marks of an earlier run with the same fingerprint; 0 where there is none.
std::uint64_t earlier_progress(const std::string& path, const std::string& fingerprint, std::uint64_t bytes) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(progress_name(path), ignored) ||
      std::filesystem::file_size(part_name(path), ignored) != bytes || ignored)
    return 0;
  const std::string text = read_file(progress_name(path), 10'000);
  if (!text.starts_with(fingerprint + "\n")) return 0;
  std::uint64_t done = 0;
  const char* const begin = text.data() + fingerprint.size() + 1;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), done);
  return error == std::errc{} && end != begin ? done : 0;
}

template <class Call>
bool transfer(std::size_t bytes, const Call& call) {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t moved = call(done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return false;
    done += static_cast<std::size_t>(moved);
  }
  return true;
}

}  // namespace

void NpyMatrixFile::fail(const char* what, int error_number) const {
  throw Error(ErrorKind::kIo, path_, fmt::format("{}: {}", what, system_message(error_number)),
              error_number == ENOSPC ? "free some space on that disk"
                                     : "check that the directory exists and can be written to");
}

NpyMatrixFile::NpyMatrixFile(std::string path, std::size_t rows, std::size_t cols,
                             const std::string& fingerprint, bool single)
    : path_(std::move(path)),
      fingerprint_(fingerprint),
      cols_(cols),
      single_(single),
      item_(single ? sizeof(float) : sizeof(double)) {
  const std::string header = npy_header(rows, cols, item_);
  begin_ = header.size();
  refuse_foreign(path_, begins_as_npy);
  refuse_foreign(part_name(path_), begins_as_npy);
  refuse_foreign(progress_name(path_), is_progress);
  refuse_unfinished(path_, fingerprint_);
  const std::uint64_t bytes = begin_ + std::uint64_t{rows} * cols * item_;
  resumed_ = earlier_progress(path_, fingerprint_, bytes);
  // An old mark would vouch for what is written from now on.
  if (resumed_ == 0 && ::unlink(progress_name(path_).c_str()) != 0 && errno != ENOENT)
    fail("cannot be written", errno);
  const int fresh = resumed_ == 0 ? O_TRUNC : 0;
  descriptor_ = ::open(part_name(path_).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | fresh, 0666);
  if (descriptor_ < 0) fail("cannot be written", errno);
  if (resumed_ > 0) return;
  if (const int error = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(bytes)); error != 0) {
    ::close(std::exchange(descriptor_, -1));
    ::unlink(part_name(path_).c_str());
    fail("there is no room for it", error);
  }
  if (!transfer(header.size(), [&](std::size_t done) {
        return ::pwrite(descriptor_, header.data() + done, header.size() - done, static_cast<off_t>(done));
      })) {
    const int error = errno;
    ::close(std::exchange(descriptor_, -1));
    fail("cannot be written", error);
  }
}

NpyMatrixFile::~NpyMatrixFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void NpyMatrixFile::write(std::size_t row, std::size_t col, ConstMatrixView<double> block) {
  std::vector<float> rounded(single_ ? block.cols() : 0);
  for (std::size_t i = 0; i < block.rows(); ++i) {
    const double* const values = block.row(i);
    for (std::size_t j = 0; j < rounded.size(); ++j) rounded[j] = static_cast<float>(values[j]);
    const auto* const data =
        single_ ? reinterpret_cast<const char*>(rounded.data()) : reinterpret_cast<const char*>(values);
    const std::size_t bytes = block.cols() * item_;
    const std::uint64_t at = begin_ + (std::uint64_t{row + i} * cols_ + col) * item_;
    if (!transfer(bytes, [&](std::size_t done) {
          return ::pwrite(descriptor_, data + done, bytes - done, static_cast<off_t>(at + done));
        }))
      fail("cannot be written", errno);
  }
}

void NpyMatrixFile::mark(std::uint64_t done) {
  if (::fdatasync(descriptor_) != 0) fail("cannot be flushed to the disk", errno);
  write_file_atomically(progress_name(path_), fmt::format("{}\n{}\n", fingerprint_, done));
}

void NpyMatrixFile::read_row(std::size_t row, std::span<double> out) const {
  const std::size_t count = std::min(out.size(), cols_), bytes = count * item_;
  std::vector<float> rounded(single_ ? count : 0);
  auto* const data = single_ ? reinterpret_cast<char*>(rounded.data()) : reinterpret_cast<char*>(out.data());
  const std::uint64_t at = begin_ + std::uint64_t{row} * cols_ * item_;
  if (!transfer(bytes, [&](std::size_t done) {
        return ::pread(descriptor_, data + done, bytes - done, static_cast<off_t>(at + done));
      }))
    fail("cannot be read", errno);
  std::copy(rounded.begin(), rounded.end(), out.begin());
}

void NpyMatrixFile::finish() {
  if (::fsync(descriptor_) != 0) fail("cannot be flushed to the disk", errno);
  if (std::rename(part_name(path_).c_str(), path_.c_str()) != 0) fail("cannot be put in place", errno);
  ::unlink(progress_name(path_).c_str());
}

}  // namespace telos
