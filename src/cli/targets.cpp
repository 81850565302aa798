#include "cli/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>

#include "io/input_file.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

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

/// The words of the command that left a folder, without the program; empty if run.json does not say.
std::vector<std::string> command_of(const std::string& folder) {
  const std::string path = folder + "/run.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  try {
    const nlohmann::ordered_json run = parse_json(read_text(path), path);
    std::vector<std::string> words = run.at("command").get<std::vector<std::string>>();
    if (!words.empty()) words.erase(words.begin());
    return words;
  } catch (const std::exception&) {  // not ours, or damaged: then whose it is cannot be told
    return {};
  }
}

}  // namespace

void require_own_results(const std::string& folder, const std::vector<std::string>& command,
                         const std::vector<std::string>& names) {
  if (folder.empty()) return;
  std::error_code ignored;
  for (const std::string& name : names) {
    if (!fs::exists(folder + "/" + name, ignored)) continue;
    const std::vector<std::string> words = command_of(folder);
    if (words.size() >= command.size() && std::equal(command.begin(), command.end(), words.begin())) continue;
    throw Error(ErrorKind::kUsage, folder,
                fmt::format("another command left {} in it, which would be replaced", name),
                "choose another directory");
  }
}

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
