#include "model/unknown.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

namespace telos::model {
namespace {

constexpr std::size_t kShown = 20;
constexpr std::size_t kLongest = 80;  // of a name, so that the message stays readable

/// A name with the number of its layer taken out, and one tensor that has it.
struct Pattern {
  std::string name;  ///< "blk.{layer}.attn_v.weight"; as it is where no number is in it
  std::string shape;
  std::size_t layers = 0;
  int score = 0;  ///< how much it looks like a projection of attention
};

/// Replaces the first whole number between separators by {layer}.
std::string without_layer(std::string_view name) {
  const auto is_digit = [&](std::size_t i) {
    return i < name.size() && std::isdigit(static_cast<unsigned char>(name[i]));
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (!is_digit(i) || (i > 0 && std::string_view("._/-").find(name[i - 1]) == std::string_view::npos))
      continue;
    std::size_t end = i;
    while (is_digit(end)) ++end;
    if (end == name.size() || std::string_view("._/-").find(name[end]) != std::string_view::npos)
      return std::string(name.substr(0, i)) + "{layer}" + std::string(name.substr(end));
    i = end;
  }
  return std::string(name);
}

bool mentions(std::string_view name, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

int score_of(const std::string& name) {
  int score = 0;
  if (name.find("{layer}") != std::string::npos) score += 2;
  if (mentions(name, {"attn", "attention", "Attention", "mixer"})) score += 4;
  if (mentions(name, {"v_proj", "value", "qkv", "_v.", ".v.", "wv", "query_key_value", "o_proj", "out", ".wo",
                      "proj"}))
    score += 2;
  if (mentions(name, {"mlp", "ffn", "embed", "norm", "ln_", "head", "fc"})) score -= 4;
  return score;
}

std::vector<Pattern> candidates(const Checkpoint& checkpoint) {
  std::map<std::string, Pattern> by_name;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (tensor.shape.size() != 2) continue;
    Pattern& pattern = by_name[without_layer(tensor.name)];
    pattern.shape = tensor.shape_text();
    ++pattern.layers;
  }
  std::vector<Pattern> found;
  for (auto& [name, pattern] : by_name) {
    pattern.name = name;
    pattern.score = score_of(name);
    found.push_back(std::move(pattern));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Pattern& a, const Pattern& b) { return a.score > b.score; });
  return found;
}

/// The name as a regular expression; {layer} stays.
std::string escaped(const std::string& name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.compare(i, 7, "{layer}") == 0) {
      out += "{layer}";
      i += 6;
      continue;
    }
    if (std::string_view("\\.[]{}()*+?^$|").find(name[i]) != std::string_view::npos) out += '\\';
    out += name[i];
  }
  return out;
}

std::string guess(const std::vector<Pattern>& found, std::initializer_list<std::string_view> words,
                  std::initializer_list<std::string_view> not_words, const char* otherwise) {
  for (const Pattern& pattern : found)
    if (pattern.score > 4 && pattern.name.size() < kLongest && mentions(pattern.name, words) &&
        !mentions(pattern.name, not_words))
      return escaped(pattern.name);
  return otherwise;
}

std::string map_template(const std::vector<Pattern>& found) {
  nlohmann::ordered_json map;
  map["v"] = guess(found, {"v_proj", "value", "attn_v", ".v.", "wv", "qkv"}, {"out"},
                   "regular expression of the value weight, with {layer}");
  map["v_layout"] = "out_in";
  map["o"] = guess(found, {"o_proj", "out", ".o.", ".wo", "dense", ".proj"}, {"v_proj", "value"},
                   "regular expression of the output weight, with {layer}");
  map["o_layout"] = "out_in";
  map["heads"] = 12;
  return map.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

Error unknown_family(const Checkpoint& checkpoint, const std::string& reason) {
  if (checkpoint.find("hidden.0") != nullptr)
    return Error(
        ErrorKind::kUnsupported, checkpoint.path(),
        "is a recorded trace (tensors hidden.0, hidden.1, …), not a model",
        "name the model here; `telos diagnose`, `telos smoothing trace` and the commands `heads` read "
        "traces");
  if (!checkpoint.problems().empty())
    return Error(ErrorKind::kUnsupported, checkpoint.path(),
                 reason + "; of a file that is not whole: " + checkpoint.problems().front(),
                 "fetch what is missing");
  const std::vector<Pattern> found = candidates(checkpoint);
  std::string list;
  for (std::size_t i = 0; i < std::min(kShown, found.size()); ++i)
    list += fmt::format("{}{} {}{}", i == 0 ? "" : ", ", printable(found[i].name, kLongest), found[i].shape,
                        found[i].layers > 1 ? fmt::format(" × {}", found[i].layers) : "");
  if (found.size() > kShown) list += fmt::format(", … ({} more)", found.size() - kShown);
  if (list.empty()) list = "none (no two-dimensional tensor is in the file)";
  return Error(ErrorKind::kUnsupported, checkpoint.path(), reason + "; candidate tensors: " + list,
               "name the value and output weights in a file and pass it with --map: " + map_template(found));
}

}  // namespace telos::model
