#include "clustering/torch_zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "io/input_file.h"
#include "telos/base/error.h"

// The format: PKWARE's APPNOTE 6.3, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its
// end record). All sizes come from the central directory and are checked against the file.
namespace telos::clustering {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kMostComment = 65535;
constexpr std::uint64_t kMostDirectory = 1 << 24;
constexpr std::uint32_t kElsewhere = 0xFFFFFFFF;  // the true size lies in a zip64 field

std::uint32_t number(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t out = 0;
  for (std::size_t i = size; i-- > 0;) out = out << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return out;
}

[[noreturn]] void refuse(const std::string& path, const std::string& message) {
  throw Error(ErrorKind::kBadFormat, path, message, "expected a file that torch.save wrote");
}

std::string read(const InputFile& file, std::uint64_t offset, std::uint64_t bytes, const char* what) {
  if (offset > file.size() || bytes > file.size() - offset)
    throw Error(
        ErrorKind::kTruncated, file.path(),
        fmt::format("{} at byte {} takes {} bytes, the file has {}", what, offset, bytes, file.size()));
  std::string out(bytes, '\0');
  file.read_exactly(offset, out.data(), out.size(), file.path());
  return out;
}

struct Directory {
  std::string bytes;
  std::size_t entries = 0;
};

Directory read_directory(const InputFile& file) {
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(file.size(), kEndBytes + kMostComment);
  const std::string tail = read(file, file.size() - tail_bytes, tail_bytes, "the end");
  const std::size_t at = tail.rfind("PK\x05\x06");
  if (at == std::string::npos || tail.size() - at < kEndBytes || number(tail, at, 4) != kEnd)
    refuse(file.path(), "this is not a zip file: it has no central directory");
  const std::uint32_t bytes = number(tail, at + 12, 4), offset = number(tail, at + 16, 4);
  if (bytes > kMostDirectory)
    throw Error(ErrorKind::kLimit, file.path(),
                fmt::format("its directory takes {} bytes, expected at most {}", bytes, kMostDirectory));
  return {read(file, offset, bytes, "the directory"), number(tail, at + 10, 2)};
}

/// The content of an entry begins after its local header, whose name and extra field have their own lengths.
ZipEntry locate(const InputFile& file, std::string name, std::uint32_t header, std::uint32_t bytes) {
  const std::string local = read(file, header, kLocalBytes, "the header of an entry");
  if (number(local, 0, 4) != kLocal)
    refuse(file.path(), fmt::format("there is no header at byte {}, where the directory has {}", header,
                                    printable(name, 60)));
  const std::uint64_t offset =
      std::uint64_t{header} + kLocalBytes + number(local, 26, 2) + number(local, 28, 2);
  if (offset > file.size() || bytes > file.size() - offset)
    throw Error(ErrorKind::kTruncated, file.path(),
                fmt::format("{} takes {} bytes from byte {}, the file has {}", printable(name, 60), bytes,
                            offset, file.size()));
  return {std::move(name), offset, bytes};
}

}  // namespace

std::vector<ZipEntry> stored_entries(const std::string& path) {
  const InputFile file(path);
  const Directory directory = read_directory(file);
  const std::string_view bytes = directory.bytes;
  std::vector<ZipEntry> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < directory.entries; ++i) {
    if (bytes.size() - at < kCentralBytes || number(bytes, at, 4) != kCentral)
      refuse(path, fmt::format("entry {} of its directory is broken", i));
    const std::uint32_t flags = number(bytes, at + 8, 2), method = number(bytes, at + 10, 2);
    const std::uint32_t packed = number(bytes, at + 20, 4), plain = number(bytes, at + 24, 4);
    const std::size_t name = number(bytes, at + 28, 2);
    const std::size_t rest = name + number(bytes, at + 30, 2) + number(bytes, at + 32, 2);
    if (bytes.size() - at - kCentralBytes < rest)
      refuse(path, fmt::format("entry {} of its directory is cut", i));
    const bool encrypted = (flags & 1) != 0;
    if (method == 0 && !encrypted && packed == plain && packed != kElsewhere)
      out.push_back(locate(file, std::string(bytes.substr(at + kCentralBytes, name)),
                           number(bytes, at + 42, 4), packed));
    at += kCentralBytes + rest;
  }
  return out;
}

}  // namespace telos::clustering
