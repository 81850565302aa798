#include "telos/io/files.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <array>
#include <filesystem>

#include "io/input_file.h"
#include "io/safetensors.h"
#include "telos/base/error.h"

namespace telos {

std::string read_file(const std::string& path, std::uint64_t max_bytes) {
  const InputFile file(path);
  const auto refuse = [&](std::uint64_t size) {
    throw Error(ErrorKind::kLimit, path,
                fmt::format("the file holds {} bytes or more, above the limit of {}", grouped(size),
                            grouped(max_bytes)));
  };
  if (file.size() > max_bytes) refuse(file.size());
  std::string out(static_cast<std::size_t>(file.size()), '\0');
  out.resize(file.read_some(0, out.data(), out.size()));
  // Files of /proc say that they are empty, and any file may have grown since: read on until it ends.
  std::array<char, 4096> more;
  while (const std::size_t got = file.read_some(out.size(), more.data(), more.size())) {
    out.append(more.data(), got);
    if (out.size() > max_bytes) refuse(out.size());
  }
  return out;
}

void remove_path(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    throw Error(ErrorKind::kIo, path, "it cannot be removed: " + error.message(), "check its permissions");
}

std::uint64_t peak_memory_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace telos
