#include "telos/symmetry/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "symmetry/architecture_parts.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::symmetry {
namespace {

template <class Enum>
std::string_view name_in(std::span<const std::string_view> names, Enum value) {
  return names[static_cast<std::size_t>(value)];
}

// ---- Presets

Architecture reference_block(Nonlinearity phi, double weight) {
  Architecture a;
  a.blocks.push_back({.norm = NormPlace::kPre,
                      .residual = true,
                      .attention = AttentionLayer{},
                      .mlp = MlpLayer{.phi = phi, .weight = weight, .bias = 0.1}});
  return a;
}

Architecture build_preset(std::string_view name) {
  if (name == "simplified") {
    Architecture a;
    a.simplified = SimplifiedBlock{.query = true};
    return a;
  }
  if (name == "pre-ln-gelu") return reference_block(Nonlinearity::kGelu, 1);
  if (name == "pre-ln-erf") return reference_block(Nonlinearity::kErf, 1);
  Architecture a = reference_block(Nonlinearity::kRelu, 2);
  AttentionLayer& attention = *a.blocks[0].attention;
  if (name == "relu-attention") {
    attention.map = AttentionMap::kRelu;
    attention.scale = AttentionScale::kRoot;
    attention.average = AttentionAverage::kRoot;
  } else if (name == "sqrt-softmax") {
    attention.scale = AttentionScale::kRoot;
  } else if (name == "deep") {
    a.blocks.resize(4, a.blocks[0]);
  } else if (name == "causal") {
    attention.causal = true;
    a.blocks.resize(2, a.blocks[0]);
  }
  return a;
}

// ---- Ranges

class RangeCheck {
 public:
  explicit RangeCheck(std::string where) : where_(std::move(where)) {}

  void variance(const char* name, double value) const {
    if (!(value >= 0 && value <= kMostVariance))
      refuse(name, fmt::format("expected 0 to {}, found {}", kMostVariance, value));
  }
  void even(const char* name, std::size_t value) const {
    if (value < 2 || value > 65536 || value % 2 != 0)
      refuse(name, fmt::format("expected an even number of 2 to 65536, found {}", value));
  }
  [[noreturn]] void refuse(const char* name, const std::string& message, std::string hint = {}) const {
    throw Error(ErrorKind::kUsage, where_ + ", field " + name, message, std::move(hint));
  }

 private:
  static constexpr double kMostVariance = 1e6;
  std::string where_;
};

void require_attention(const AttentionLayer& m, const RangeCheck& check) {
  check.variance("attn.qk", m.logit);
  check.variance("attn.ov2", m.value);
  check.variance("attn.b2", m.bias);
  check.variance("attn.sp2", m.position);
  check.variance("attn.alibi", m.alibi);
  if (m.rope) {
    check.even("attn.rope.dimension", m.rope->dimension);
    if (!(m.rope->base >= 1 && m.rope->base <= 1e12))
      check.refuse("attn.rope.base", fmt::format("expected 1 to 1e12, found {}", m.rope->base));
  }
  if (m.alibi > 0 && m.scale == AttentionScale::kRoot && m.map != AttentionMap::kSoftmax)
    check.refuse(
        "attn.alibi",
        fmt::format("{} attention at 1/sqrt(d) has no closed form with added biases", to_string(m.map)),
        "take scale 1/d, or softmax");
}

void require_mlp(const MlpLayer& m, const RangeCheck& check) {
  check.variance("mlp.w2", m.weight);
  check.variance("mlp.b2", m.bias);
  check.variance("mlp.out_w2", m.out_weight);
  check.variance("mlp.out_b2", m.out_bias);
  if (!(std::abs(m.slope) <= 1000))
    check.refuse("mlp.slope", fmt::format("expected −1000 to 1000, found {}", m.slope));
}

// ---- Symmetry

bool depends_on_distance(Positions p, double variance) {
  return variance > 0 && (p == Positions::kSinusoidal || p == Positions::kDecay);
}

/// The first position, which is read, sees no other.
bool reads_itself_alone(const Architecture& a) {
  return a.readout == Readout::kCls && std::all_of(a.blocks.begin(), a.blocks.end(), [](const auto& block) {
           return !block.attention || block.attention->causal;
         });
}

}  // namespace

std::string_view to_string(Positions p) {
  return name_in(kPositionNames, p);
}
std::string_view to_string(Nonlinearity phi) {
  return name_in(kNonlinearityNames, phi);
}
std::string_view to_string(AttentionMap m) {
  return name_in(kAttentionMapNames, m);
}
std::string_view to_string(AttentionScale s) {
  return name_in(kAttentionScaleNames, s);
}
std::string_view to_string(AttentionAverage a) {
  return name_in(kAttentionAverageNames, a);
}
std::string_view to_string(NormPlace p) {
  return name_in(kNormPlaceNames, p);
}
std::string_view to_string(Readout r) {
  return name_in(kReadoutNames, r);
}

void require_valid(const Architecture& a, const std::string& where) {
  const RangeCheck top(where);
  top.variance("embed.se2", a.embedding.token);
  top.variance("embed.sp2", a.embedding.position);
  top.even("embed.dimension", a.embedding.dimension);
  top.variance("w2", a.weight);
  top.variance("epsilon", a.epsilon);
  if (a.simplified) {
    top.variance("embed.se2", a.simplified->token);
    top.variance("embed.sp2", a.simplified->position);
    if (a.simplified->token == 0 && a.simplified->position == 0)
      top.refuse("embed", "neither tokens nor positions have a variance above 0: the kernel is 0");
    return;
  }
  const bool positions = a.embedding.positions != Positions::kNone && a.embedding.position > 0;
  if (a.embedding.token == 0 && !positions)
    top.refuse("embed", "neither tokens nor positions have a variance above 0: the kernel is 0");
  if (a.blocks.size() > kMostBlocksDeep)
    top.refuse("blocks", fmt::format("expected at most {}, found {}", kMostBlocksDeep, a.blocks.size()));
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    const RangeCheck check(fmt::format("{}, blocks[{}]", where, i));
    if (a.blocks[i].attention) require_attention(*a.blocks[i].attention, check);
    if (a.blocks[i].mlp) require_mlp(*a.blocks[i].mlp, check);
  }
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> list = {
      {"simplified", "one layer of linear attention, query and context, nothing else"},
      {"pre-ln-relu", "one pre-LayerNorm block: softmax attention at 1/d, relu; read at the last token"},
      {"pre-ln-gelu", "the same with gelu"},
      {"pre-ln-erf", "the same with erf"},
      {"relu-attention", "pre-ln-relu with relu attention at 1/√d, W_Q and W_K independent"},
      {"sqrt-softmax", "pre-ln-relu with softmax at 1/√d: by Monte Carlo"},
      {"deep", "four blocks of pre-ln-relu"},
      {"causal", "two blocks of pre-ln-relu with a causal mask"}};
  return list;
}

Architecture preset(std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) names.emplace_back(p.name);
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw Error(ErrorKind::kUsage, "--arch",
                fmt::format("no architecture is called \"{}\", and no file", printable(name, 60)),
                nearest_hint(std::string(name), names));
  Architecture a = build_preset(name);
  a.name = name;
  return a;
}

std::vector<std::string> symmetry_breaks(const Architecture& a) {
  std::vector<std::string> reasons;
  if (a.simplified || reads_itself_alone(a)) return reasons;
  const auto positions = [&](const std::string& place, Positions p, double variance) {
    if (depends_on_distance(p, variance))
      reasons.push_back(fmt::format("{}: \"{}\" positions depend on distance", place, to_string(p)));
  };
  positions("embedding", a.embedding.positions, a.embedding.position);
  std::size_t last = 0;
  for (std::size_t i = 0; i < a.blocks.size(); ++i)
    if (a.blocks[i].attention) last = i;
  for (std::size_t i = 0; i < a.blocks.size(); ++i) {
    if (!a.blocks[i].attention) continue;
    const AttentionLayer& m = *a.blocks[i].attention;
    const std::string place = fmt::format("block {}", i);
    positions(place, m.positions, m.position);
    if (m.rope && m.logit != 0) reasons.push_back(place + ": rotary embeddings depend on distance");
    if (m.alibi > 0) reasons.push_back(place + ": ALiBi biases depend on distance");
    if (!m.causal) continue;
    if (i != last)
      reasons.push_back(place + ": a causal mask below another attention layer");
    else if (a.readout == Readout::kMean || a.readout == Readout::kFlatten)
      reasons.push_back(
          fmt::format("{}: a causal mask under the readout \"{}\"", place, to_string(a.readout)));
  }
  return reasons;
}

bool ignores_order(const Architecture& a) {
  if (a.simplified) return a.simplified->position == 0;
  const auto none = [](Positions p, double variance) { return p == Positions::kNone || variance == 0; };
  return symmetry_breaks(a).empty() && a.readout != Readout::kFlatten &&
         none(a.embedding.positions, a.embedding.position) &&
         std::all_of(a.blocks.begin(), a.blocks.end(), [&](const TransformerBlock& b) {
           return !b.attention || none(b.attention->positions, b.attention->position);
         });
}

std::optional<std::size_t> fixed_position(const Architecture& a, std::size_t length) {
  if (a.simplified ? a.simplified->query : a.readout == Readout::kLast) return length - 1;
  if (!a.simplified && a.readout == Readout::kCls) return 0;
  return std::nullopt;
}

namespace {

/// "pre-LayerNorm · causal softmax attention, mup · relu"; empty for a block without parts.
std::string parts_of(const TransformerBlock& b) {
  std::vector<std::string> parts;
  if (b.norm != NormPlace::kNone) parts.push_back(fmt::format("{}-LayerNorm", to_string(b.norm)));
  if (b.attention)
    parts.push_back(fmt::format("{}{} attention, {}", b.attention->causal ? "causal " : "",
                                to_string(b.attention->map), to_string(b.attention->scale)));
  if (b.mlp) parts.push_back(fmt::format("{}", to_string(b.mlp->phi)));
  return fmt::format("{}", fmt::join(parts, " · "));
}

}  // namespace

std::string describe(const Architecture& a) {
  const std::string padding = a.padding ? fmt::format(" · padding {}", *a.padding) : "";
  if (a.simplified)
    return fmt::format("linear attention, simplified{} · token {} · position {} · norm {}{}",
                       a.simplified->query ? "" : ", without query", a.simplified->token,
                       a.simplified->position, to_string(a.simplified->average), padding);
  const std::string positions = fmt::format("positions {}{}", to_string(a.embedding.positions), padding);
  std::string text = fmt::format("{} block{}", a.blocks.size(), a.blocks.size() == 1 ? "" : "s");
  std::vector<std::string> parts;
  for (const TransformerBlock& b : a.blocks) parts.push_back(parts_of(b));
  if (std::adjacent_find(parts.begin(), parts.end(), std::not_equal_to<>()) == parts.end()) {
    if (!parts.empty() && !parts.front().empty()) text += " · " + parts.front();
  } else {
    for (std::size_t i = 0; i < parts.size(); ++i)
      text += fmt::format(" · block {}: {}", i, parts[i].empty() ? "nothing" : parts[i]);
  }
  return text + fmt::format(" · {} · readout {}", positions, to_string(a.readout));
}

}  // namespace telos::symmetry
