#include "model/names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "telos/base/error.h"

namespace telos::model {
namespace {

/// A layer pattern cut at its "{}": "a.{}.b.{}." → {"a.", ".b.", "."}.
std::vector<std::string_view> pieces_of(std::string_view pattern) {
  std::vector<std::string_view> pieces;
  for (std::size_t hole = pattern.find("{}"); hole != std::string_view::npos; hole = pattern.find("{}")) {
    pieces.push_back(pattern.substr(0, hole));
    pattern.remove_prefix(hole + 2);
  }
  pieces.push_back(pattern);
  return pieces;
}

/// Cuts a number without leading zeros from the end of `text`.
std::optional<std::size_t> cut_number(std::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && digits < 7 && text[text.size() - 1 - digits] >= '0' &&
         text[text.size() - 1 - digits] <= '9')
    ++digits;
  if (digits == 0 || digits == 7) return std::nullopt;
  std::size_t value = 0;
  for (char c : text.substr(text.size() - digits)) value = 10 * value + static_cast<std::size_t>(c - '0');
  if (digits > 1 && text[text.size() - digits] == '0') return std::nullopt;
  text.remove_suffix(digits);
  return value;
}

/// The layer and the prefix of a name `prefix + layer pattern + tail`, read from the end.
std::optional<std::pair<std::string, LayerPlace>> match(std::string_view name,
                                                        const std::vector<std::string_view>& pieces,
                                                        std::string_view tail) {
  if (!name.ends_with(tail)) return std::nullopt;
  const std::string_view head = name.substr(0, name.size() - tail.size());
  std::string_view rest = head;
  std::array<std::size_t, 2> number{};
  for (std::size_t i = pieces.size(); i-- > 0;) {
    if (!rest.ends_with(pieces[i])) return std::nullopt;
    rest.remove_suffix(pieces[i].size());
    if (i == 0) break;
    const auto value = cut_number(rest);
    if (!value) return std::nullopt;
    number[i - 1] = *value;
  }
  if (!rest.empty() && rest.back() != '.') return std::nullopt;
  return std::pair{std::string(rest), LayerPlace{number[0], number[1], std::string(head)}};
}

bool exists(const Checkpoint& checkpoint, const std::string& prefix, const LayerPlace& place,
            const std::string& name) {
  const std::string full = name.starts_with('/') ? prefix + name.substr(1) : place.tensors + name;
  if (checkpoint.find(full) != nullptr) return true;
  return full.ends_with(".weight") && find_weight(checkpoint, full.substr(0, full.size() - 7)) != nullptr;
}

/// The first layer that has an output weight beside its value weight; null if none has.
const LayerPlace* first_whole_layer(const Checkpoint& checkpoint, const Stack& stack,
                                    const std::vector<LayerPlace>& places) {
  for (const LayerPlace& place : places)
    if (find_weight(checkpoint, place.tensors + stack.output) != nullptr) return &place;
  return nullptr;
}

/// Whether the layers under `prefix` carry all marks of the family.
bool fits(const Checkpoint& checkpoint, const Family& family, const Stack& stack, const std::string& prefix,
          const LayerPlace& place) {
  const auto there = [&](const std::string& name) { return exists(checkpoint, prefix, place, name); };
  if (!std::all_of(family.has.begin(), family.has.end(), there)) return false;
  if (std::any_of(family.lacks.begin(), family.lacks.end(), there)) return false;
  return family.fits == nullptr ||
         family.fits(checkpoint, prefix, *find_weight(checkpoint, place.tensors + stack.value));
}

}  // namespace

const TensorInfo* find_weight(const Checkpoint& checkpoint, const std::string& base) {
  for (const char* ending : {".weight", ".qweight", ""})
    if (const TensorInfo* tensor = checkpoint.find(base + ending)) return tensor;
  return nullptr;
}

const TensorInfo* find_bias(const Checkpoint& checkpoint, const std::string& base) {
  const TensorInfo* bias = checkpoint.find(base + ".bias");
  return bias != nullptr ? bias : checkpoint.find(base + ".beta");
}

const TensorInfo* find_gain(const Checkpoint& checkpoint, const std::string& base) {
  const TensorInfo* gain = checkpoint.find(base + ".weight");
  return gain != nullptr ? gain : checkpoint.find(base + ".gamma");
}

std::map<std::string, std::vector<LayerPlace>> find_layers(const Checkpoint& checkpoint, const Stack& stack) {
  std::map<std::string, std::vector<LayerPlace>> found;
  if (stack.value.empty()) return found;
  const auto pieces = pieces_of(stack.layer);
  const std::array tails = {stack.value + ".weight", stack.value + ".qweight"};
  for (const TensorInfo& tensor : checkpoint.tensors())
    for (const std::string& tail : tails)
      if (auto hit = match(tensor.name, pieces, tail)) found[hit->first].push_back(std::move(hit->second));
  for (auto& [prefix, places] : found) {
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
  }
  return found;
}

std::optional<std::string> find_prefix(const Checkpoint& checkpoint, const Family& family) {
  std::set<std::string> prefixes;
  for (const Stack& stack : family.stacks)
    for (const auto& [prefix, places] : find_layers(checkpoint, stack))
      if (first_whole_layer(checkpoint, stack, places) != nullptr) prefixes.insert(prefix);
  if (prefixes.empty()) return std::nullopt;
  if (prefixes.size() == 1) return *prefixes.begin();
  for (const std::string& preferred : family.preferred_prefixes)
    if (prefixes.count(preferred) != 0) return preferred;
  std::vector<std::string> shown;
  for (const std::string& prefix : prefixes)
    if (shown.size() < 8) shown.push_back(fmt::format("\"{}\"", printable(prefix, 60)));
  throw Error(ErrorKind::kUnsupported, checkpoint.path(),
              fmt::format("it holds {} models of family {}, under the prefixes {}{}", prefixes.size(),
                          family.name, fmt::join(shown, ", "), shown.size() < prefixes.size() ? ", …" : ""),
              "name the tensors of one of them with --map");
}

std::vector<Candidate> families_by_names(const Checkpoint& checkpoint) {
  std::vector<Candidate> candidates;
  for (const Family& family : families()) {
    std::set<std::string> prefixes;
    for (const Stack& stack : family.stacks)
      for (const auto& [prefix, places] : find_layers(checkpoint, stack))
        if (const LayerPlace* place = first_whole_layer(checkpoint, stack, places))
          if (fits(checkpoint, family, stack, prefix, *place)) prefixes.insert(prefix);
    if (prefixes.empty()) continue;
    const auto prefix = find_prefix(checkpoint, family);
    if (prefix && prefixes.count(*prefix) != 0) candidates.push_back({&family, *prefix});
  }
  return candidates;
}

}  // namespace telos::model
