#pragma once

#include <cstddef>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telos/io/checkpoint.h"

namespace telos::model {

/// config.json of a model directory, or nothing. Families spell the same fact in many ways; a question lists
/// the spellings, and the first one that is there and not null answers it.
class Config {
 public:
  using Keys = std::initializer_list<const char*>;

  Config() = default;
  Config(std::string text, std::string where);
  /// Reads the file beside the checkpoint; an empty Config if there is none. Throws kBadFormat, kIo, kLimit.
  static Config beside(const Checkpoint& checkpoint);

  bool present() const { return !where_.empty(); }
  const std::string& text() const { return text_; }
  const std::string& where() const { return where_; }

  /// A count in 1 … 2^31. Throws kBadFormat if the entry is something else.
  std::optional<std::size_t> count(Keys keys) const;
  std::optional<double> number(Keys keys) const;
  std::optional<bool> flag(Keys keys) const;
  std::string word(const char* key) const;  ///< a string, or "" if it is not there

  /// This config with the entries of the sub-object `key` in front, if there is one.
  Config section(std::string_view key) const;

 private:
  const nlohmann::ordered_json* find(Keys keys, std::string* key) const;

  nlohmann::ordered_json json_;
  std::string text_, where_;
};

}  // namespace telos::model
