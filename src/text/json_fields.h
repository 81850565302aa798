#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "telos/base/error.h"

namespace telos::text {

using Json = nlohmann::ordered_json;

/// Typed access to the members of one JSON object, with errors that name the file and the member.
class Fields {
 public:
  /// Throws kBadFormat if `json` is not an object. `where` is the file and the path to the object.
  Fields(const Json& json, std::string where);
  Fields(Json&&, std::string) = delete;  ///< the object must outlive this view of it

  const std::string& where() const { return where_; }
  /// nullptr if the member is missing or null.
  const Json* find(const char* name) const;
  const Json& need(const char* name) const;
  std::string text(const char* name) const;
  std::string text_or(const char* name, std::string otherwise) const;
  bool flag(const char* name, bool otherwise) const;
  std::optional<bool> maybe_flag(const char* name) const;
  std::uint64_t count(const char* name, std::uint64_t otherwise) const;
  const Json& array(const char* name) const;
  /// All members, as {key, value} pairs.
  auto members() const { return json_.items(); }
  std::string at(const char* name) const { return where_ + ", " + name; }

 private:
  const Json& json_;
  std::string where_;
};

[[noreturn]] void bad_format(const std::string& where, const std::string& message);
/// An id from JSON, not yet compared with anything. Throws kBadFormat if it is not an integer.
std::int64_t integer(const Json& json, const std::string& where);

}  // namespace telos::text
