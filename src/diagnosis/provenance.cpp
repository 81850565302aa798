#include "diagnosis/provenance.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/base/version.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos {

std::string subject_of(const std::string& path) {
  namespace fs = std::filesystem;
  fs::path p = fs::path(path).lexically_normal();
  if (!p.has_filename()) p = p.parent_path();
  if (p == "." || p == "..") p = fs::weakly_canonical(p);
  // A file called model.safetensors says nothing; its directory does.
  if (p.extension() == ".safetensors" && p.stem() == "model" && p.has_parent_path()) p = p.parent_path();
  return printable(p.filename().string());
}

std::string file_remark(const Checkpoint& checkpoint) {
  std::map<std::string, std::uint64_t> bytes_by_type;
  for (const TensorInfo& tensor : checkpoint.tensors())
    bytes_by_type[std::string(to_string(tensor.dtype))] += tensor.bytes;
  std::string types;
  for (const auto& [type, bytes] : bytes_by_type)
    if (bytes * 100 >= checkpoint.file_bytes())
      types += (types.empty() ? "" : "+") + type;  // at least one per cent
  const std::string name = checkpoint.files().size() == 1
                               ? printable(std::filesystem::path(checkpoint.files()[0]).filename().string())
                               : fmt::format("{} shards", checkpoint.files().size());
  // Hashing runs at one to two gigabytes a second; above 2 GB it would dominate the run.
  const std::string hash =
      checkpoint.file_bytes() <= 2'000'000'000 ? "  " + checkpoint.sha256_prefix().substr(0, 8) + "…" : "";
  return fmt::format("{}  {} {}{}", name, format_bytes(static_cast<double>(checkpoint.file_bytes())), types,
                     hash);
}

std::vector<std::pair<std::string, std::string>> provenance(const std::string& command_line,
                                                            const Arena& arena) {
  return {{"command", command_line},
          {"telos", fmt::format("{} ({})", version(), build_info())},
          {"kernels", kernel_target()},
          {"LAPACK", lapack_vendor()},
          {"threads", fmt::format("{} (results do not depend on it)", arena.threads())}};
}

}  // namespace telos
