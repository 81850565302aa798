#include "cli/targets.h"

#include <filesystem>

#include "io/input_file.h"
#include "io/safetensors.h"
#include "telos/base/error.h"

namespace telos::cli {
namespace {

namespace fs = std::filesystem;

/// One file, by device and inode.
bool same_file(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored);
}

/// An empty file is nobody's work.
bool is_model_file(const std::string& path) {
  try {
    const InputFile file(path);
    if (file.size() > 0) safetensors_header_bytes(file.head(9), file.size(), path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void require_no_input(const std::string& option, const std::string& path,
                      const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs)
    if (same_file(path, input))
      throw Error(ErrorKind::kUsage, option, printable(path) + " is a file that the command reads",
                  "choose another file");
}

void require_model_target(const std::string& option, const std::string& path,
                          const std::vector<std::string>& inputs) {
  require_no_input(option, path, inputs);
  std::error_code ignored;
  if (fs::exists(path, ignored) && !is_model_file(path))
    throw Error(ErrorKind::kUsage, option,
                printable(path) + " is there already, and is not a model (.safetensors)",
                "choose another file, or remove it first");
}

void require_inputs_stay(const std::string& folder, const std::vector<std::string>& names,
                         const std::vector<std::string>& inputs) {
  if (folder.empty()) return;
  for (const std::string& name : names)
    for (const std::string& input : inputs)
      if (same_file(folder + "/" + name, input))
        throw Error(ErrorKind::kUsage, "--out",
                    printable(input) + " is a file that the command reads, and would be replaced",
                    "choose another directory");
}

}  // namespace telos::cli
