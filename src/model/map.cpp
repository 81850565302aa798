#include "model/map.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/json.h"
#include "model/config.h"
#include "model/names.h"
#include "telos/base/error.h"

namespace telos::model {
namespace {

constexpr std::size_t kMaxPattern = 1000;
// std::regex recurses once a character: longer names would cost too much stack.
constexpr std::size_t kMaxName = 512;

constexpr std::array kKeys = {"v",    "v_layout",    "o",         "o_layout", "heads", "kv_heads",
                              "norm", "output_norm", "norm_kind", "block",    "causal"};

constexpr std::array<std::pair<const char*, BlockKind>, 5> kBlocks = {{{"pre", BlockKind::kPre},
                                                                       {"post", BlockKind::kPost},
                                                                       {"sandwich", BlockKind::kSandwich},
                                                                       {"output", BlockKind::kOutput},
                                                                       {"parallel", BlockKind::kParallel}}};

std::string without_weight(const std::string& name) {
  constexpr std::string_view ending = ".weight";
  return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : name;
}

NormKind default_kind(const Checkpoint& checkpoint, const std::string& norm) {
  return find_bias(checkpoint, norm) != nullptr ? NormKind::kLayerNorm : NormKind::kRmsNorm;
}

}  // namespace

TensorMap::TensorMap(const std::string& text, std::string where) : where_(std::move(where)) {
  const Config config(text, where_);
  const auto json = parse_json(text, where_);
  for (const auto& [key, value] : json.items())
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
      throw Error(ErrorKind::kBadFormat, where_, "unknown key \"" + printable(key) + "\"",
                  "the keys are v, v_layout, o, o_layout, heads, kv_heads, norm, output_norm, norm_kind, "
                  "block, causal");
  value_ = compile("v", config.word("v"));
  output_ = compile("o", config.word("o"));
  if (const std::string norm = config.word("norm"); !norm.empty()) norm_ = compile("norm", norm);
  if (const std::string norm = config.word("output_norm"); !norm.empty())
    output_norm_ = compile("output_norm", norm);
  set_value_layout(config.word("v_layout"));

  const std::string output_layout = config.word("o_layout");
  output_in_out_ = output_layout == "in_out";
  if (!output_layout.empty() && !output_in_out_ && output_layout != "out_in")
    throw Error(ErrorKind::kBadFormat, where_, "o_layout is \"" + printable(output_layout) + "\"",
                "use out_in or in_out");
  heads = config.count({"heads"});
  kv_heads = config.count({"kv_heads"});
  causal = config.flag({"causal"}).value_or(false);

  const std::string kind = config.word("norm_kind");
  if (kind == "layer_norm") norm_kind = NormKind::kLayerNorm;
  if (kind == "rms_norm") norm_kind = NormKind::kRmsNorm;
  if (!kind.empty() && !norm_kind)
    throw Error(ErrorKind::kBadFormat, where_, "norm_kind is \"" + printable(kind) + "\"",
                "use layer_norm or rms_norm");

  const std::string name = config.word("block");
  if (name.empty()) return;
  for (const auto& [known, value] : kBlocks) {
    if (name != known) continue;
    block = value;
    return;
  }
  throw Error(ErrorKind::kBadFormat, where_, "block is \"" + printable(name) + "\"",
              "use pre, post, sandwich, output or parallel");
}

void TensorMap::set_value_layout(const std::string& layout) {
  if (layout.empty() || layout == "out_in") return;
  if (layout == "in_out") {
    value_in_out_ = true;
  } else if (layout == "neox" || layout == "falcon") {
    packing_ = Packing::kGrouped;
  } else if (layout.starts_with("concat")) {
    const std::size_t colon = layout.find(':');
    const std::string kind = layout.substr(0, colon);
    std::size_t row = 0;
    const char* end = layout.data() + layout.size();
    const char* begin = colon == std::string::npos ? end : layout.data() + colon + 1;
    const auto parsed = std::from_chars(begin, end, row);
    if ((kind != "concat" && kind != "concat_in_out") || parsed.ec != std::errc() || parsed.ptr != end)
      throw Error(ErrorKind::kBadFormat, where_, "v_layout is \"" + printable(layout) + "\"",
                  "write concat:OFF or concat_in_out:OFF with the first row (or column) of the value part");
    packing_ = Packing::kConcatenated;
    value_in_out_ = kind == "concat_in_out";
    value_row_ = row;
  } else {
    throw Error(ErrorKind::kBadFormat, where_, "v_layout is \"" + printable(layout) + "\"",
                "use out_in, in_out, neox, falcon, concat:OFF or concat_in_out:OFF");
  }
}

TensorMap::Pattern TensorMap::compile(const std::string& key, const std::string& text) const {
  constexpr std::string_view hole = "{layer}";
  const std::size_t at = text.find(hole);
  if (at == std::string::npos || text.find(hole, at + 1) != std::string::npos || text.size() > kMaxPattern)
    throw Error(
        ErrorKind::kBadFormat, where_,
        fmt::format("\"{}\" must be an expression of up to {} bytes with {{layer}} in it once, found \"{}\"",
                    key, kMaxPattern, printable(text)),
        "for example \"blk\\\\.{layer}\\\\.attn_v\\\\.weight\"");
  // The layer's number must be the first group that counts, whatever groups the user wrote before it.
  std::string expression = text.substr(0, at);
  for (std::size_t open = expression.find('('); open != std::string::npos;
       open = expression.find('(', open + 1))
    if ((open == 0 || expression[open - 1] != '\\') && expression.compare(open, 2, "(?") != 0)
      expression.insert(open + 1, "?:");
  expression += "([0-9]{1,6})" + text.substr(at + hole.size());
  try {
    // Without backtracking: "(a*)*b" would take 2^n steps on a name of n letters. A GNU extension; it knows
    // no back-references.
    return {key, text, std::regex(expression, std::regex::ECMAScript | std::regex_constants::__polynomial)};
  } catch (const std::regex_error& error) {
    throw Error(ErrorKind::kBadFormat, where_,
                fmt::format("\"{}\" is not a regular expression: {}", key, error.what()),
                "the syntax is ECMAScript's; a plain dot is written \\\\.");
  }
}

std::map<std::size_t, const TensorInfo*> TensorMap::matches(const Checkpoint& checkpoint,
                                                            const Pattern& pattern) const {
  std::map<std::size_t, const TensorInfo*> found;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    std::smatch match;
    if (tensor.name.size() > kMaxName || !std::regex_match(tensor.name, match, pattern.expression)) continue;
    const auto [at, added] = found.insert({std::stoul(match[1].str()), &tensor});
    if (!added)
      throw Error(ErrorKind::kBadFormat, where_,
                  fmt::format("\"{}\" matches two tensors of layer {}: {} and {}", pattern.key, at->first,
                              printable(at->second->name), printable(tensor.name)),
                  "make the expression match one tensor a layer");
  }
  return found;
}

std::map<std::size_t, const TensorInfo*> TensorMap::value_tensors(const Checkpoint& checkpoint) const {
  auto found = matches(checkpoint, value_);
  if (found.empty())
    throw Error(ErrorKind::kBadFormat, where_, "no tensor matches \"v\": " + printable(value_.text),
                "the whole name must match; telos inspect lists the names");
  return found;
}

Recipe TensorMap::recipe(const Checkpoint& checkpoint, std::size_t layer) const {
  const auto name = [&](const Pattern& pattern) {
    const auto found = matches(checkpoint, pattern);
    const auto at = found.find(layer);
    return at == found.end() ? pattern.text + fmt::format(" (layer {})", layer)
                             : without_weight(at->second->name);
  };
  Recipe recipe;
  recipe.value = name(value_);
  recipe.output = name(output_);
  recipe.packing = packing_;
  recipe.value_in_out = value_in_out_;
  recipe.output_in_out = output_in_out_;
  recipe.value_row = value_row_;
  if (norm_) recipe.norm = name(*norm_);
  if (output_norm_) recipe.output_norm = name(*output_norm_);
  const std::string& any = norm_ ? recipe.norm : recipe.output_norm;
  if (!any.empty()) recipe.norm_kind = norm_kind.value_or(default_kind(checkpoint, any));
  return recipe;
}

}  // namespace telos::model
