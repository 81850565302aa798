#include "io/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "io/counting_iterator.h"
#include "telos/base/error.h"

namespace telos {
namespace {

using Json = nlohmann::ordered_json;

/// Builds the tree. nlohmann's own builder keeps the last of two equal keys silently, knows no limits, and
/// looks each new key up in an ordered object by a linear search, which makes large objects quadratic.
class TreeHandler {
 public:
  TreeHandler(std::string_view text, const std::string& where, JsonLimits limits)
      : text_(text), where_(where), limits_(limits), furthest_(text.data()) {}

  Json parse() {
    const CountingIterator begin(text_.data(), &furthest_), end(text_.data() + text_.size(), &furthest_);
    Json::sax_parse(begin, end, this);
    return std::move(root_);
  }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { fail(ErrorKind::kBadFormat, "binary data is not JSON"); }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }

  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }

  bool end_object() {
    refuse_duplicate_keys();
    stack_.pop_back();
    return true;
  }

  bool end_array() {
    stack_.pop_back();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", where_, position),
                "not valid JSON: " + json_complaint(error.what()), "the file is damaged, or not JSON at all");
  }

 private:
  [[noreturn]] void fail(ErrorKind kind, const std::string& message) const {
    throw Error(kind, fmt::format("{}, byte {}", where_, furthest_ - text_.data()), message,
                "the file is damaged or hostile; fetch it again from a source that you trust");
  }

  template <class Value>
  bool add(Value&& value) {
    place(Json(std::forward<Value>(value)));
    return true;
  }

  bool open(Json container) {
    if (stack_.size() == limits_.max_depth)
      fail(ErrorKind::kLimit, fmt::format("nested more than {} levels deep", limits_.max_depth));
    stack_.push_back(place(std::move(container)));
    return true;
  }

  /// Puts a value where the text stands. A container's address stays valid while it is open: nothing is added
  /// to the one around it meanwhile.
  Json* place(Json value) {
    if (++values_ > limits_.max_values)
      fail(ErrorKind::kLimit, fmt::format("more than {} values", limits_.max_values));
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      auto& items = parent.get_ref<Json::array_t&>();
      items.push_back(std::move(value));
      return &items.back();
    }
    auto& members = parent.get_ref<Json::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }

  void refuse_duplicate_keys() const {
    const auto& members = stack_.back()->get_ref<const Json::object_t&>();
    if (members.size() < 2) return;
    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const auto& member : members) keys.emplace_back(member.first);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end())
      fail(ErrorKind::kBadFormat,
           fmt::format("the key \"{}\" appears twice in the object that ends here", printable(*twice)));
  }

  std::string_view text_;
  const std::string& where_;
  JsonLimits limits_;
  const char* furthest_;
  Json root_;
  std::vector<Json*> stack_;
  std::string key_;
  std::size_t values_ = 0;
};

}  // namespace

std::string json_complaint(std::string_view what) {
  // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while parsing value -
  // invalid literal; last read: '{"a": x'; expected …"
  if (const auto dash = what.find(" - "); dash != std::string_view::npos) {
    what.remove_prefix(dash + 3);
  } else if (const auto bracket = what.find("] "); bracket != std::string_view::npos) {
    what.remove_prefix(bracket + 2);
  }
  std::string out(what.substr(0, what.find("; last read: ")));
  if (const auto expected = what.rfind("; expected ");
      expected != std::string_view::npos && expected >= out.size())
    out += what.substr(expected);
  std::replace(out.begin(), out.end(), '\n', ' ');
  std::string shown = printable(out, 160);
  return shown;
}

void refuse_nul(std::string_view text, const std::string& where, std::uint64_t offset) {
  const std::size_t at = text.find('\0');
  if (at != std::string_view::npos)
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", where, offset + at),
                "a NUL byte in JSON text", "the file is damaged; fetch it again");
}

nlohmann::ordered_json parse_json(std::string_view text, const std::string& where, JsonLimits limits) {
  if (text.size() > limits.max_bytes)
    throw Error(ErrorKind::kLimit, where,
                fmt::format("{} bytes of JSON, above the limit of {}", text.size(), limits.max_bytes));
  refuse_nul(text, where, 0);
  return TreeHandler(text, where, limits).parse();
}

}  // namespace telos
