#include "text/json_fields.h"

#include <limits>

namespace telos::text {

void bad_format(const std::string& where, const std::string& message) {
  throw Error(ErrorKind::kBadFormat, where, message,
              "the file is damaged, or not a tokenizer; fetch it again");
}

std::int64_t integer(const Json& json, const std::string& where) {
  if (!json.is_number_integer())
    bad_format(where, std::string("expected an integer, found ") + json.type_name());
  if (json.is_number_unsigned() &&
      json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return std::numeric_limits<std::int64_t>::max();
  return json.get<std::int64_t>();
}

Fields::Fields(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
  if (!json.is_object()) bad_format(where_, std::string("expected an object, found ") + json.type_name());
}

const Json* Fields::find(const char* name) const {
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

const Json& Fields::need(const char* name) const {
  const Json* json = find(name);
  if (json == nullptr) bad_format(where_, std::string("the member '") + name + "' is missing");
  return *json;
}

std::string Fields::text(const char* name) const {
  const Json& json = need(name);
  if (!json.is_string()) bad_format(at(name), std::string("expected a string, found ") + json.type_name());
  return json.get<std::string>();
}

std::string Fields::text_or(const char* name, std::string otherwise) const {
  return find(name) == nullptr ? otherwise : text(name);
}

std::optional<bool> Fields::maybe_flag(const char* name) const {
  const Json* json = find(name);
  if (json == nullptr) return std::nullopt;
  if (!json->is_boolean())
    bad_format(at(name), std::string("expected true or false, found ") + json->type_name());
  return json->get<bool>();
}

bool Fields::flag(const char* name, bool otherwise) const {
  return maybe_flag(name).value_or(otherwise);
}

std::uint64_t Fields::count(const char* name, std::uint64_t otherwise) const {
  const Json* json = find(name);
  if (json == nullptr) return otherwise;
  const std::int64_t value = integer(*json, at(name));
  if (value < 0) bad_format(at(name), "is negative");
  return static_cast<std::uint64_t>(value);
}

const Json& Fields::array(const char* name) const {
  const Json& json = need(name);
  if (!json.is_array()) bad_format(at(name), std::string("expected an array, found ") + json.type_name());
  return json;
}

}  // namespace telos::text
