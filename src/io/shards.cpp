#include "io/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "io/foreign.h"
#include "io/input_file.h"
#include "io/json.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/files.h"

namespace telos {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxShards = 4096;

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string join(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator it(directory, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error))
    names.push_back(it->path().filename().string());
  if (error)
    throw Error(ErrorKind::kIo, directory, "the directory cannot be listed: " + error.message(),
                "check its permissions");
  std::sort(names.begin(), names.end());
  return names;
}

/// "model-00002-of-00003.safetensors": one of several files that an index belongs to.
bool is_shard_name(std::string_view name) {
  const std::size_t at = name.find("-of-");
  if (at == std::string_view::npos || !name.ends_with(".safetensors")) return false;
  const auto digit = [&](std::size_t i) { return i < name.size() && name[i] >= '0' && name[i] <= '9'; };
  return at > 0 && digit(at - 1) && digit(at + 4) && name.substr(at + 4) != "00001.safetensors";
}

WeightFiles read_index(const std::string& path) {
  const std::string text = read_file(path, JsonLimits{}.max_bytes);
  if (text.empty() || text.starts_with("version "))
    if (const auto foreign = recognise_foreign(std::string_view(text).substr(0, 64), path))
      throw Error(foreign->kind, path, foreign->message, foreign->hint);
  return parse_index(text, path, parent_directory(path));
}

[[noreturn]] void refuse_directory(const std::string& directory, const std::vector<std::string>& names) {
  std::vector<std::string> weights;
  for (const std::string& name : names)
    if (name.ends_with(".safetensors")) weights.push_back(printable(name));
  const std::size_t count = weights.size();
  if (count > 5) {
    weights.resize(5);
    weights.emplace_back("…");
  }
  const std::string listed = fmt::format("{}", fmt::join(weights, ", "));
  if (std::any_of(names.begin(), names.end(), is_shard_name))
    throw Error(ErrorKind::kMissingFile, directory,
                fmt::format("shards without their index model.safetensors.index.json: {}", listed),
                "fetch the index too: it says which tensor lies where");
  if (count > 1)
    throw Error(ErrorKind::kMissingFile, directory,
                fmt::format("no model.safetensors, but {} other files: {}", count, listed),
                "name one of them instead of the directory");
  for (const std::string& name : names) {
    // training_args.bin, optimizer.pt and the like are no weights.
    if (name.starts_with("training_args") || name.starts_with("optimizer") || name.starts_with("scheduler"))
      continue;
    if (const auto foreign = recognise_foreign_name(name))
      throw Error(foreign->kind, join(directory, printable(name)), foreign->message, foreign->hint);
  }
  throw Error(ErrorKind::kMissingFile, directory,
              "the directory holds no weights; expected model.safetensors",
              "check the path, or download the model's .safetensors files");
}

WeightFiles find_in_directory(const std::string& directory) {
  const std::string single = join(directory, "model.safetensors");
  if (is_file(single)) return {.index = "", .files = {single}, .placed = {}, .directory = directory};
  const std::string index = join(directory, "model.safetensors.index.json");
  if (is_file(index)) {
    WeightFiles found = read_index(index);
    found.directory = directory;
    return found;
  }
  const std::vector<std::string> names = names_in(directory);
  const auto is_weights = [](const std::string& name) { return name.ends_with(".safetensors"); };
  const auto only = std::find_if(names.begin(), names.end(), is_weights);
  if (std::count_if(names.begin(), names.end(), is_weights) != 1 || is_shard_name(*only))
    refuse_directory(directory, names);
  return {.index = "", .files = {join(directory, *only)}, .placed = {}, .directory = directory};
}

void check_shard_name(const std::string& name, const std::string& index) {
  const bool plain =
      !name.empty() && name.find_first_of("/\\") == std::string::npos && name.find('\0') == std::string::npos;
  if (!plain)
    throw Error(
        ErrorKind::kBadFormat, index,
        fmt::format("the shard \"{}\" is not a plain file name; an index cannot point outside its directory",
                    printable(name)),
        "the index is damaged or hostile; fetch it again from a source that you trust");
  if (name.ends_with(".safetensors")) return;
  if (const auto foreign = recognise_foreign_name(name))
    throw Error(foreign->kind, fmt::format("{}, shard \"{}\"", index, printable(name)), foreign->message,
                foreign->hint);
  throw Error(ErrorKind::kUnsupported, index,
              fmt::format("the shard \"{}\" is not a .safetensors file", printable(name)));
}

}  // namespace

WeightFiles parse_index(std::string_view json, const std::string& path, const std::string& directory) {
  const nlohmann::ordered_json root = parse_json(json, path);
  const auto refuse = [&](const std::string& message) {
    throw Error(ErrorKind::kBadFormat, path, message, "expected {\"weight_map\": {tensor: file, …}}");
  };
  if (!root.is_object() || !root.contains("weight_map") || !root["weight_map"].is_object())
    refuse("the index has no object \"weight_map\"");
  WeightFiles found{.index = path, .files = {}, .placed = {}, .directory = directory};
  std::vector<std::pair<std::string, std::string>> entries;  // tensor, shard
  for (const auto& [tensor, shard] : root["weight_map"].items()) {
    if (!shard.is_string())
      refuse(fmt::format("the file of tensor \"{}\" is not a string", printable(tensor)));
    entries.emplace_back(tensor, shard.template get<std::string>());
  }
  if (entries.empty()) refuse("\"weight_map\" names no tensor");
  std::sort(entries.begin(), entries.end());
  for (const auto& entry : entries) found.files.push_back(entry.second);
  std::sort(found.files.begin(), found.files.end());
  found.files.erase(std::unique(found.files.begin(), found.files.end()), found.files.end());
  if (found.files.size() > kMaxShards)
    throw Error(ErrorKind::kLimit, path,
                fmt::format("{} shards, above the limit of {}", found.files.size(), kMaxShards));
  for (const std::string& name : found.files) check_shard_name(name, path);
  for (auto& [tensor, shard] : entries) {
    const auto at = std::lower_bound(found.files.begin(), found.files.end(), shard);
    found.placed.emplace_back(std::move(tensor), static_cast<std::size_t>(at - found.files.begin()));
  }
  for (std::string& name : found.files) name = join(directory, name);
  return found;
}

WeightFiles find_weights(const std::string& path) {
  if (path.empty())
    throw Error(ErrorKind::kUsage, "model", "no path is given",
                "name a .safetensors file or a model directory");
  if (path.find('\0') != std::string::npos)
    throw Error(ErrorKind::kUsage, printable(path), "a path cannot contain a NUL byte");
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return find_in_directory(path);
  if (path.ends_with(".safetensors.index.json")) return read_index(path);
  if (path.ends_with(".bin.index.json") && is_file(path)) {
    const auto foreign = recognise_foreign_name("pytorch_model.bin");
    throw Error(foreign->kind, path, foreign->message, foreign->hint);
  }
  if (is_shard_name(path.substr(path.rfind('/') + 1)))
    log(LogLevel::kWarning, path + " is one shard of several; the others are not read");
  return {.index = "", .files = {path}, .placed = {}, .directory = parent_directory(path)};
}

}  // namespace telos
