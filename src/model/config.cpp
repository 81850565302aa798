#include "model/config.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "io/json.h"
#include "io/json_fields.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos::model {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 16'000'000;
constexpr double kMaxCount = 2147483648.0;

Error bad_entry(const std::string& where, const std::string& key, const char* expected,
                const nlohmann::ordered_json& found) {
  return Error(ErrorKind::kBadFormat, where,
               fmt::format("\"{}\" must be {}, found {}", key, expected, JsonFieldReader::shown(found)));
}

}  // namespace

Config::Config(std::string text, std::string where) : text_(std::move(text)), where_(std::move(where)) {
  json_ = parse_json(text_, where_, {.max_bytes = kMaxConfigBytes});
  if (!json_.is_object()) throw Error(ErrorKind::kBadFormat, where_, "expected a JSON object");
}

Config Config::beside(const Checkpoint& checkpoint) {
  const std::filesystem::path path = std::filesystem::path(checkpoint.directory()) / "config.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  return Config(read_text(path.string(), kMaxConfigBytes), path.string());
}

const nlohmann::ordered_json* Config::find(Keys keys, std::string* key) const {
  if (!json_.is_object()) return nullptr;
  for (const char* name : keys) {
    const auto entry = json_.find(name);
    if (entry == json_.end() || entry->is_null()) continue;
    *key = name;
    return &*entry;
  }
  return nullptr;
}

std::optional<std::size_t> Config::count(Keys keys) const {
  std::string key;
  const auto* entry = find(keys, &key);
  if (entry == nullptr) return std::nullopt;
  const double value = entry->is_number() ? entry->get<double>() : 0;
  if (!(value >= 1 && value <= kMaxCount) || value != std::floor(value))
    throw bad_entry(where_, key, "a whole number from 1 to 2^31", *entry);
  return static_cast<std::size_t>(value);
}

std::optional<double> Config::number(Keys keys) const {
  std::string key;
  const auto* entry = find(keys, &key);
  if (entry == nullptr) return std::nullopt;
  if (!entry->is_number() || !std::isfinite(entry->get<double>()))
    throw bad_entry(where_, key, "a number", *entry);
  return entry->get<double>();
}

std::optional<bool> Config::flag(Keys keys) const {
  std::string key;
  const auto* entry = find(keys, &key);
  if (entry == nullptr) return std::nullopt;
  if (!entry->is_boolean()) throw bad_entry(where_, key, "true or false", *entry);
  return entry->get<bool>();
}

std::string Config::word(const char* key) const {
  std::string name;
  const auto* entry = find({key}, &name);
  if (entry == nullptr) return "";
  if (!entry->is_string()) throw bad_entry(where_, name, "a string", *entry);
  return entry->get<std::string>();
}

Config Config::section(std::string_view key) const {
  if (!json_.is_object()) return *this;
  const auto entry = json_.find(std::string(key));
  if (entry == json_.end() || !entry->is_object()) return *this;
  Config merged = *this;
  for (const auto& [name, value] : entry->items()) merged.json_[name] = value;
  return merged;
}

}  // namespace telos::model
