#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "telos/base/error.h"
#include "telos/base/nearest.h"

// One list of fields serves writing and reading: fields(visitor, object) calls visitor("name", object.member)
// for each, and a visitor puts the member into JSON or takes it out.

namespace telos {

/// Writes members into an object. Numbers that are not finite become null.
class JsonFieldWriter {
 public:
  template <class T>
  void operator()(const char* name, const T& value) {
    if constexpr (std::is_same_v<T, double>)
      object_[name] = number(value);
    else if constexpr (std::is_same_v<T, std::vector<double>>)
      for (object_[name] = nlohmann::ordered_json::array(); const double v : value)
        object_[name].push_back(number(v));
    else
      object_[name] = value;
  }
  nlohmann::ordered_json& object() { return object_; }

 private:
  static nlohmann::ordered_json number(double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  }
  nlohmann::ordered_json object_ = nlohmann::ordered_json::object();
};

/// Reads members out of an object; a member whose name is missing keeps its value. Errors name file and
/// field.
class JsonFieldReader {
 public:
  /// `nullable`: null is a number that is not finite.
  JsonFieldReader(const nlohmann::ordered_json& object, std::string where, ErrorKind kind, bool nullable)
      : object_(object), where_(std::move(where)), kind_(kind), nullable_(nullable) {
    if (!object.is_object()) refuse("", "expected an object", {});
  }

  template <class T>
  void operator()(const char* name, T& value) {
    if (const nlohmann::ordered_json* found = find(name)) read(name, *found, value);
  }

  /// The member, which counts as known from now on; null if it is missing.
  const nlohmann::ordered_json* find(const char* name) {
    known_.emplace_back(name);
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }

  std::string place(const std::string& name) const {
    return name.empty() ? where_ : where_ + ", field " + name;
  }

  /// Throws for a name that nobody asked for.
  void refuse_unknown() const {
    for (const auto& [name, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      refuse("", fmt::format("unknown field \"{}\"", printable(name)), nearest_hint(name, known_));
    }
  }

  [[noreturn]] void refuse(const std::string& name, const std::string& message, std::string hint = {}) const {
    throw Error(kind_, place(name), message, std::move(hint));
  }
  [[noreturn]] void refuse_type(const std::string& name, const char* expected,
                                const nlohmann::ordered_json& found) const {
    refuse(name, fmt::format("expected {}, found {}", expected, shown(found)));
  }
  static std::string shown(const nlohmann::ordered_json& value) {
    if (value.is_string()) return fmt::format("\"{}\"", printable(value.get_ref<const std::string&>(), 60));
    if (value.is_structured()) return value.is_array() ? "a list" : "an object";
    return value.dump();
  }

 private:
  void read(const char* name, const nlohmann::ordered_json& json, std::string& value) const {
    if (!json.is_string()) refuse_type(name, "a text", json);
    value = json.get<std::string>();
  }
  void read(const char* name, const nlohmann::ordered_json& json, bool& value) const {
    if (!json.is_boolean()) refuse_type(name, "true or false", json);
    value = json.get<bool>();
  }
  void read(const char* name, const nlohmann::ordered_json& json, std::uint64_t& value) const {
    if (!json.is_number_unsigned()) refuse_type(name, "a whole number of at least 0", json);
    value = json.get<std::uint64_t>();
  }
  void read(const char* name, const nlohmann::ordered_json& json, double& value) const {
    if (json.is_null() && nullable_) {
      value = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    if (!json.is_number()) refuse_type(name, "a number", json);
    value = json.get<double>();
  }
  template <class Number>
  void read(const char* name, const nlohmann::ordered_json& json, std::vector<Number>& value) const {
    if (!json.is_array()) refuse_type(name, "a list of numbers", json);
    value.assign(json.size(), 0);
    for (std::size_t i = 0; i < json.size(); ++i) read(name, json[i], value[i]);
  }

  const nlohmann::ordered_json& object_;
  std::string where_;
  ErrorKind kind_;
  bool nullable_;
  std::vector<std::string> known_;
};

}  // namespace telos
