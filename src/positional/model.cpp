// What a positional model is: its kinds, what can be built, its parameters and their initial values.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "positional/model_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/base/nearest.h"
#include "telos/base/philox.h"
#include "telos/positional/model.h"

namespace telos::positional {
namespace {

using Mixer = ModelConfig::Mixer;
using ScoreSource = ModelConfig::Source;
using Rope = ModelConfig::Rope;

/// What a kind decides; everything else of a config is size or option.
struct NamedKind {
  const char* name;
  Mixer mixer = Mixer::kAttention;
  ScoreSource source = ScoreSource::kPositions;
  bool input_positions = false;
  Rope rope = Rope::kNone;
  bool direct_logits = false, hard = false;
};

constexpr NamedKind kKinds[] = {
    {.name = "positional"},
    {.name = "standard", .source = ScoreSource::kFeatures, .input_positions = true},
    {.name = "hybrid", .source = ScoreSource::kBoth},
    {.name = "m0", .source = ScoreSource::kFeatures, .input_positions = true},
    {.name = "m1", .input_positions = true},
    {.name = "m2", .source = ScoreSource::kFeatures},
    {.name = "m3", .source = ScoreSource::kBoth},
    {.name = "m4", .source = ScoreSource::kFeatures, .rope = Rope::kNoOp},
    {.name = "m5"},
    {.name = "rope", .source = ScoreSource::kFeatures, .rope = Rope::kTrue},
    {.name = "hard", .hard = true},
    {.name = "direct", .direct_logits = true},
    {.name = "gcn", .mixer = Mixer::kGcn, .input_positions = true},
    {.name = "gin", .mixer = Mixer::kGin, .input_positions = true},
};

/// Sizes above this are mistakes; products of two of them cannot overflow.
constexpr std::size_t kLargestSize = std::size_t{1} << 24;
constexpr double kMostParameters = 4e9;
/// Each attention matrix has positions × positions entries: here 2 GiB in double.
constexpr std::size_t kMostPositions = std::size_t{1} << 14;
/// First of the streams of initial values, one a parameter; far from those that samples are drawn from.
constexpr std::uint32_t kInitialStream = 0x4D4F4445;

[[noreturn]] void refuse(const char* field, const std::string& found, const std::string& expected,
                         std::string hint = {}) {
  throw Error(ErrorKind::kUsage, fmt::format("model: {}", field),
              fmt::format("is {}, expected {}", found, expected), std::move(hint));
}

void check_range(const char* field, std::size_t value, std::size_t least) {
  if (value < least || value > kLargestSize)
    refuse(field, std::to_string(value), fmt::format("{} to {}", least, kLargestSize));
}

void check_sizes(const ModelConfig& config) {
  check_range("nodes", config.nodes, 1);
  check_range("scratch", config.scratch, 0);
  check_range("in_dim", config.in_dim, 1);
  check_range("out_dim", config.out_dim, 1);
  check_range("width", config.width, 1);
  check_range("heads", config.heads, 1);
  check_range("hidden", config.hidden, 1);
  check_range("mlp_layers", config.mlp_layers, 1);
  check_range("layers", config.layers, 0);
  check_range("vocabulary", config.vocabulary, 0);
  check_range("encoding_dim", config.encoding_dim, 0);
  if (config.positions() > kMostPositions)
    refuse("nodes and scratch", std::to_string(config.positions()),
           fmt::format("at most {} positions, because attention is a matrix of positions x positions",
                       kMostPositions));
  const std::size_t maps = config.depth() * (config.mlp_layers + 3);
  if (config.layers > kMostLinearMaps || config.mlp_layers > kMostLinearMaps || maps > kMostLinearMaps)
    refuse(config.layers > kMostLinearMaps / 4 ? "layers" : "mlp_layers",
           std::to_string(config.layers > kMostLinearMaps / 4 ? config.layers : config.mlp_layers),
           fmt::format("at most {} linear maps in all layers, mlp_layers and three more in each",
                       kMostLinearMaps));
  if (config.encoding == Encoding::kSinusoidal && (config.encoding_dim == 0 || config.encoding_dim % 2 != 0))
    refuse("encoding_dim", std::to_string(config.encoding_dim),
           "a positive even number for sinusoidal encodings (sin and cos in turn)");
  if (config.vocabulary > 0 && config.in_dim != 1)
    refuse("in_dim", std::to_string(config.in_dim), "1: the input is one token id at each position");
}

void check_attention(const ModelConfig& config) {
  if (config.width % config.heads != 0)
    refuse("heads", std::to_string(config.heads),
           fmt::format("a divisor of the width {}: each head takes an equal share of it", config.width));
  if (config.direct_logits && config.source != ScoreSource::kPositions)
    refuse("direct_logits", "true", "false where attention reads features",
           "only attention from positions alone has one matrix for all samples");
  if (config.direct_logits && config.rope != Rope::kNone)
    refuse("rope", "set", "none with direct_logits: there are no queries and keys to turn");
  if (config.rope == Rope::kTrue && config.key_width() % 2 != 0)
    refuse("rope", "true",
           fmt::format("queries and keys of even length, but they have {} columns", config.key_width()),
           "with one-hot encodings d_k = nodes + scratch: change scratch, or use another encoding");
}

void check_graph_baseline(const ModelConfig& config) {
  const char* name = config.mixer == Mixer::kGcn ? "gcn" : "gin";
  if (config.direct_logits || config.hard || config.rope != Rope::kNone)
    refuse("mixer", name, "attention where direct_logits, hard or rope is set");
}

/// In double: sizes may be hostile.
double parameter_count(const ModelConfig& config) {
  const auto real = [](std::size_t n) { return static_cast<double>(n); };
  const double d = real(config.width), h = real(config.hidden), p = real(config.encoding_width());
  double layer = d * d;
  if (config.mixer != Mixer::kGcn) layer = 2 * d * std::max(h, d) + h * d + real(config.mlp_layers) * h * h;
  if (config.mixer == Mixer::kAttention) {
    const double key = config.source == ScoreSource::kPositions ? p : d + p;
    layer += 2 * d * d + 2 * key * key * real(config.heads);
  }
  return d * real(encoder_inputs(config) + config.vocabulary + config.out_dim) + real(config.depth()) * layer;
}

// ---- Layout

struct Entries {
  nn::ParameterLayout& layout;
  void affine(const std::string& name, std::size_t out, std::size_t in) {
    layout.add(name + ".weight", out, in);
    layout.add_vector(name + ".bias", out);
  }
};

void add_layer(const ModelConfig& config, const std::string& prefix, nn::ParameterLayout& layout) {
  Entries entries{layout};
  const std::size_t d = config.width, s = config.positions();
  if (config.mixer == Mixer::kGcn) return entries.affine(prefix + "w", d, d);
  if (config.mixer == Mixer::kGin) layout.add(prefix + "eps", 1, 1, false);
  if (config.mixer == Mixer::kAttention) {
    if (config.direct_logits)
      layout.add(prefix + "logits", config.heads * s, s);
    else
      entries.affine(prefix + "qk", 2 * config.key_width() * config.heads, config.key_width());
    entries.affine(prefix + "v", d, d);
    entries.affine(prefix + "o", d, d);
  }
  std::size_t in = config.mixer == Mixer::kAttention ? 2 * d : d;
  for (std::size_t k = 0; k < config.mlp_layers; ++k) {
    const std::size_t out = k + 1 < config.mlp_layers ? config.hidden : d;
    entries.affine(fmt::format("{}mlp.{}", prefix, 2 * k), out, in);
    in = out;
  }
}

// ---- Initial values

bool ends_with_any(const std::string& name, std::initializer_list<const char*> endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}

void fill_uniform(std::span<double> values, double bound, Random& rng) {
  for (double& x : values) x = bound * (2 * rng.uniform() - 1);
}

/// Initial values of one parameter, from a stream of its own, so that they do not depend on the others.
void initialise(const nn::ParameterInfo& p, std::size_t fan_in, std::span<double> values, Random rng) {
  const double xavier = std::sqrt(6.0 / static_cast<double>(p.rows + p.cols));
  const bool table = fan_in == 0;
  if (table)
    for (double& x : values) x = rng.normal();
  else if (ends_with_any(p.name, {".qk.weight", ".v.weight", ".o.weight", ".logits"}))
    fill_uniform(values, xavier, rng);
  else if (!ends_with_any(p.name, {".qk.bias", ".v.bias", ".o.bias", ".eps"}))
    fill_uniform(values, 1 / std::sqrt(static_cast<double>(fan_in)), rng);
  // Numbers that training in float32 starts from too.
  for (double& x : values) x = static_cast<double>(static_cast<float>(x));
}

bool is_untrained_bias(const ModelConfig& config, const std::string& name) {
  return !config.bias && name.ends_with(".bias") && !name.ends_with(".qk.bias");
}

}  // namespace

std::size_t ModelConfig::depth() const {
  return layers > 0 ? layers : static_cast<std::size_t>(std::bit_width(nodes));
}

std::size_t ModelConfig::encoding_width() const {
  if (encoding == Encoding::kSinusoidal) return encoding_dim;
  if (encoding == Encoding::kOneHot) return positions();
  return positions() < 2 ? 1 : static_cast<std::size_t>(std::bit_width(positions() - 1));
}

std::size_t ModelConfig::key_width() const {
  if (source == ScoreSource::kPositions) return encoding_width();
  return width + (source == ScoreSource::kBoth ? encoding_width() : 0);
}

std::vector<std::string> kinds() {
  std::vector<std::string> names;
  for (const NamedKind& kind : kKinds) names.push_back(kind.name);
  return names;
}

ModelConfig with_kind(ModelConfig config, std::string_view name) {
  for (const NamedKind& kind : kKinds) {
    if (name != kind.name) continue;
    config.mixer = kind.mixer;
    config.source = kind.source;
    config.input_positions = kind.input_positions;
    config.rope = kind.rope;
    config.direct_logits = kind.direct_logits;
    config.hard = kind.hard;
    return config;
  }
  throw Error(ErrorKind::kUsage, "model kind",
              fmt::format("\"{}\" is not a kind of model", printable(name, 40)), nearest_hint(name, kinds()));
}

std::string kind_of(const ModelConfig& config) {
  for (const NamedKind& kind : kKinds)
    if (config.mixer == kind.mixer && config.source == kind.source &&
        config.input_positions == kind.input_positions && config.rope == kind.rope &&
        config.direct_logits == kind.direct_logits && config.hard == kind.hard)
      return kind.name;
  return "custom";
}

std::size_t encoder_inputs(const ModelConfig& config) {
  return config.in_dim + (config.input_positions ? config.encoding_width() : 0);
}

std::string layer_prefix(std::size_t l) {
  return fmt::format("layers.{}.", l);
}

std::size_t checked_length(const ModelConfig& config, std::size_t length) {
  if (length > config.nodes)
    throw Error(ErrorKind::kUsage, "length",
                fmt::format("is {}, but the model has {} data positions", length, config.nodes));
  return length == 0 ? config.nodes : length;
}

Matrix<double> encoding_of(const ModelConfig& config, std::size_t length) {
  const Matrix<double> all = encoding_rows(config.encoding, config.positions(), config.encoding_dim);
  Matrix<double> rows(length + config.scratch, all.cols());
  for (std::size_t i = 0; i < rows.rows(); ++i)
    std::copy_n(all.row(original_position(config, length, i)), all.cols(), rows.row(i));
  return rows;
}

void check(const ModelConfig& config) {
  check_sizes(config);
  if (config.mixer == Mixer::kAttention)
    check_attention(config);
  else
    check_graph_baseline(config);
  if (const double count = parameter_count(config); count > kMostParameters)
    throw Error(
        ErrorKind::kUsage, "model",
        fmt::format("would have about {:.2g} parameters, expected at most {:.0g}", count, kMostParameters));
}

nn::ParameterLayout layout(const ModelConfig& config) {
  check(config);
  nn::ParameterLayout out;
  Entries entries{out};
  if (config.vocabulary > 0) {
    out.add("encoding.weight", config.vocabulary, config.width);
    if (config.input_positions) out.add("positions.weight", config.positions(), config.width);
  } else {
    entries.affine("encoding", config.width, encoder_inputs(config));
  }
  entries.affine("decoding", config.out_dim, config.width);
  for (std::size_t l = 0; l < config.depth(); ++l) add_layer(config, layer_prefix(l), out);
  return out;
}

Model initial_model(const ModelConfig& config, std::uint64_t seed) {
  Model model{.config = config,
              .layout = layout(config),
              .values = {},
              .origin = fmt::format("initial, seed {}", seed)};
  require_memory(sizeof(double) * static_cast<double>(model.layout.size()), "initial model");
  model.values.resize(model.layout.size());
  const std::vector<nn::ParameterInfo>& entries = model.layout.entries();
  std::size_t fan_in = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const nn::ParameterInfo& p = entries[i];
    const bool table = p.name == "positions.weight" || (p.name == "encoding.weight" && config.vocabulary > 0);
    if (!p.vector) fan_in = p.cols;  // a bias follows its weight
    if (is_untrained_bias(config, p.name)) continue;
    initialise(p, table ? 0 : fan_in, std::span(model.values).subspan(p.offset, p.size()),
               Random(seed, kInitialStream + static_cast<std::uint32_t>(i)));
  }
  return model;
}

}  // namespace telos::positional
