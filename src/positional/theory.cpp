#include "telos/positional/theory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <utility>

#include "positional/model_parts.h"
#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos::positional {
namespace {

using View = ConstMatrixView<double>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double norm(std::span<const double> x) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  return std::sqrt(squares);
}

double largest_row(View x) {
  double largest = 0;
  for (std::size_t i = 0; i < x.rows(); ++i) largest = std::max(largest, norm({x.row(i), x.cols()}));
  return largest;
}

/// ‖[W | b]‖_{2,1}: the sum of the 2-norms of the rows; b may be empty.
double norm_21(View w, std::span<const double> bias = {}) {
  double sum = 0;
  for (std::size_t i = 0; i < w.rows(); ++i)
    sum += std::hypot(norm({w.row(i), w.cols()}), bias.empty() ? 0 : bias[i]);
  return sum;
}

Matrix<double> product(Op op_a, View a, View b) {
  const Arena serial(1);
  Matrix<double> c(op_a == Op::kPlain ? a.rows() : a.cols(), b.cols());
  gemm<double>(op_a, Op::kPlain, 1.0, a, b, 0.0, c, serial);
  return c;
}

/// [W | b]: the constant input that carries the bias as a last column.
Matrix<double> with_bias(View w, std::span<const double> bias) {
  Matrix<double> wide(w.rows(), w.cols() + 1);
  for (std::size_t i = 0; i < w.rows(); ++i) {
    std::copy_n(w.row(i), w.cols(), wide.row(i));
    wide(i, w.cols()) = bias[i];
  }
  return wide;
}

/// A map of the model, by the name that it has in PyTorch.
struct Map {
  View weight{};
  std::span<const double> bias{};
};

class Maps {
 public:
  explicit Maps(const Model& model) : model_(model) {}
  View matrix(const std::string& name) const {
    return model_.layout.view(std::span<const double>(model_.values), model_.layout.find(name));
  }
  Map map(const std::string& name) const {
    const View bias = matrix(name + ".bias");
    return {matrix(name + ".weight"), {bias.row(0), bias.cols()}};
  }

 private:
  const Model& model_;
};

/// A layer with what its cover terms need beside the report.
struct LayerBounds {
  CapacityLayer report{};
  std::vector<double> score_21{};    ///< of head h, b of its scores' class
  double score_input = 0;            ///< r of that class
  double value_norms = 0;            ///< √(Σ_h (s(W_v,h)·R + ‖b_v,h‖)²)
  double o_norm = 0;                 ///< s(W_o)
  double v_21 = 0, o_21 = 0;         ///< with biases
  std::vector<double> mlp_inputs{};  ///< r of each map of the MLP
  std::vector<double> mlp_21{};      ///< with biases
  double mlp_norm = 1;               ///< Π s(W_k)
  double own_weight = 0;             ///< |1 + ε| of a GIN, a map of one number
};

/// One head's queries and keys.
struct Scores {
  double qk = 0;  ///< s(W_QᵀW_K)/√d_k
  double key_slope =
      0;  ///< ‖W_Kᵀ b_Q‖/√d_k: how the scores of a row follow the keys through the query's bias
  double norm_21 = 0;  ///< of [W_Q | b_Q]ᵀ[W_K | b_K]/√d_k
};

Scores score_bounds(const ModelConfig& config, const Maps& maps, std::size_t l, std::size_t head) {
  const std::string name = layer_prefix(l);
  if (config.direct_logits) {
    const View all = maps.matrix(name + "logits");
    const View logits = all.block(head * all.cols(), 0, all.cols(), all.cols());
    return {spectral_norm(logits), 0, norm_21(logits)};
  }
  const Map qk = maps.map(name + "qk");
  const std::size_t width = config.key_width(), cols = qk.weight.cols();
  const View wq = qk.weight.block(2 * head * width, 0, width, cols);
  const View wk = qk.weight.block((2 * head + 1) * width, 0, width, cols);
  const auto bq = qk.bias.subspan(2 * head * width, width),
             bk = qk.bias.subspan((2 * head + 1) * width, width);
  const double root = std::sqrt(static_cast<double>(width));
  const Matrix<double> q = with_bias(wq, bq), k = with_bias(wk, bk);
  if (config.rope == ModelConfig::Rope::kTrue) {
    // Row i of W_Qᵀ·(turn)·W_K is at most ‖W_Q[:, i]‖·s(W_K) long; each of the 2S − 1 offsets has its turn.
    Matrix<double> columns(q.cols(), q.rows());
    for (std::size_t i = 0; i < q.rows(); ++i)
      for (std::size_t j = 0; j < q.cols(); ++j) columns(j, i) = q(i, j);
    const double turns = std::sqrt(2 * static_cast<double>(config.positions()) - 1);
    return {spectral_norm(wq) * spectral_norm(wk) / root, spectral_norm(wk) * norm(bq) / root,
            turns * norm_21(columns) * spectral_norm(k) / root};
  }
  const View bias_row(bq.data(), 1, width);
  return {spectral_norm(product(Op::kTransposed, wq, wk)) / root,
          norm_21(product(Op::kPlain, bias_row, wk)) / root, norm_21(product(Op::kTransposed, q, k)) / root};
}

/// Largest 2-norm of what queries and keys are made of, given R of the features.
double score_source_norm(const ModelConfig& config, double positions, double r) {
  switch (config.source) {
    case ModelConfig::Source::kFeatures:
      return r;
    case ModelConfig::Source::kPositions:
      return positions;
    case ModelConfig::Source::kBoth:
      return std::hypot(r, positions);
  }
  return r;
}

/// Fills a_l and what the sublayer adds to the norms; returns the norm of the MLP's input [X ‖ O].
double attention_bounds(const ModelConfig& config, const Maps& maps, std::size_t l, double positions,
                        LayerBounds& layer) {
  CapacityLayer& report = layer.report;
  const double r = report.input_norm;
  const Map v = maps.map(layer_prefix(l) + "v"), o = maps.map(layer_prefix(l) + "o");
  const std::size_t d = config.width, width = d / config.heads;
  const double source = score_source_norm(config, positions, r);
  double vo_sum = 0, values = 0;
  for (std::size_t h = 0; h < config.heads; ++h) {
    const View v_h = v.weight.block(h * width, 0, width, d);
    const double vo = spectral_norm(product(Op::kPlain, o.weight.block(0, h * width, d, width), v_h));
    const Scores scores = score_bounds(config, maps, l, h);
    report.vo.push_back(vo);
    report.qk.push_back(scores.qk);
    layer.score_21.push_back(scores.norm_21);
    vo_sum += vo;
    values += std::pow(spectral_norm(v_h) * r + norm(v.bias.subspan(h * width, width)), 2);
    if (config.source == ModelConfig::Source::kPositions)
      report.attention += vo;
    else if (config.hard)
      report.attention = kInfinity;
    else
      // ‖Δp‖₁ ≤ max_j |Δs_j|, and adding a constant to a row of scores changes nothing: so W_Qᵀb_K drops out,
      // and 2RZ·qk + R·‖W_Kᵀb_Q‖ is enough. 4RZ·qk is the coarser ‖Δp‖₁ ≤ 2 max|Δs| that the literature uses.
      report.attention +=
          vo * (1 + std::max(4 * r * source * scores.qk, r * (2 * source * scores.qk + scores.key_slope)));
  }
  layer.score_input = config.direct_logits ? 1 : source * source + 1;
  layer.value_norms = std::sqrt(values);
  layer.o_norm = spectral_norm(o.weight);
  report.v_21 = norm_21(v.weight);
  report.o_21 = norm_21(o.weight);
  layer.v_21 = norm_21(v.weight, v.bias);
  layer.o_21 = norm_21(o.weight, o.bias);

  const View bias_column(v.bias.data(), d, 1);
  Matrix<double> constant = product(Op::kPlain, o.weight, bias_column);
  for (std::size_t i = 0; i < d; ++i) constant(i, 0) += o.bias[i];
  return std::hypot(r, vo_sum * r + norm({constant.data(), d}));
}

/// The graph baselines on the complete graph of S nodes: a mean does not enlarge ‖X‖_{2,∞}, and a sum of the
/// node, 1 + ε times, and of its S − 1 neighbours does so |1 + ε| + S − 1 times at most.
double graph_bounds(const ModelConfig& config, const Maps& maps, std::size_t l, LayerBounds& layer) {
  CapacityLayer& report = layer.report;
  if (config.mixer == ModelConfig::Mixer::kGcn) {
    report.attention = 1;
  } else {
    const double epsilon = maps.matrix(layer_prefix(l) + "eps")(0, 0);
    layer.own_weight = std::abs(1 + epsilon);
    report.attention = layer.own_weight + static_cast<double>(config.positions() - 1);
  }
  return report.attention * report.input_norm;
}

/// Names of the linear maps behind the mixing, in order.
std::vector<std::string> mlp_names(const ModelConfig& config, std::size_t l) {
  if (config.mixer == ModelConfig::Mixer::kGcn) return {layer_prefix(l) + "w"};
  std::vector<std::string> names;
  for (std::size_t k = 0; k < config.mlp_layers; ++k)
    names.push_back(layer_prefix(l) + "mlp." + std::to_string(2 * k));
  return names;
}

LayerBounds bound_layer(const ModelConfig& config, const Maps& maps, std::size_t l, double positions,
                        double input_norm) {
  LayerBounds layer;
  CapacityLayer& report = layer.report;
  report.input_norm = input_norm;
  const bool attends = config.mixer == ModelConfig::Mixer::kAttention;
  double r =
      attends ? attention_bounds(config, maps, l, positions, layer) : graph_bounds(config, maps, l, layer);
  for (const std::string& name : mlp_names(config, l)) {
    const Map map = maps.map(name);
    const double s = spectral_norm(map.weight);
    report.mlp.push_back(s);
    report.mlp_21.push_back(norm_21(map.weight));
    layer.mlp_inputs.push_back(r);
    layer.mlp_21.push_back(norm_21(map.weight, map.bias));
    layer.mlp_norm *= s;
    r = s * r + norm(map.bias);
  }
  report.output_norm = r;
  // The MLP reads [X ‖ O], the baselines' maps read the mixed nodes alone.
  report.lambda = layer.mlp_norm * (attends ? std::hypot(1, report.attention) : report.attention);
  report.log10_lambda = std::log10(report.lambda);
  return layer;
}

/// The linear map in front of the layers, or tables of tokens and positions, which are maps of one-hot rows.
struct Encoder {
  double slope = 1;   ///< s(W_enc); 1 for tables, whose inputs are not perturbed
  double output = 0;  ///< R_1
  std::vector<CoverTerm> terms{};
};

/// A term of a table of rows: input norm 1, b the sum over its columns.
CoverTerm table_term(const char* name, View table) {
  Matrix<double> columns(table.cols(), table.rows());
  for (std::size_t i = 0; i < table.rows(); ++i)
    for (std::size_t j = 0; j < table.cols(); ++j) columns(j, i) = table(i, j);
  return {name, 0, 1, norm_21(columns), 0};
}

Encoder bound_encoder(const ModelConfig& config, const Maps& maps, double positions, double input_norm) {
  Encoder encoder;
  if (config.vocabulary > 0) {
    const View tokens = maps.matrix("encoding.weight");
    encoder.output = largest_row(tokens);
    encoder.terms.push_back(table_term("token table", tokens));
    if (!config.input_positions) return encoder;
    const View table = maps.matrix("positions.weight");
    encoder.output += largest_row(table);
    encoder.terms.push_back(table_term("position table", table));
    return encoder;
  }
  const Map map = maps.map("encoding");
  const double norm_in = config.input_positions ? std::hypot(input_norm, positions) : input_norm;
  encoder.slope = spectral_norm(map.weight);
  encoder.output = encoder.slope * norm_in + norm(map.bias);
  encoder.terms.push_back({"encoder", 0, std::hypot(norm_in, 1), norm_21(map.weight, map.bias), 0});
  return encoder;
}

/// Terms of the cover: what an error made at each map becomes at the output, times the map's input, times its
/// (2,1)-norm. `tail` is log10 of s(W_dec)·Π_{l' > l} Λ_{l'}.
void add_layer_terms(const ModelConfig& config, const LayerBounds& layer, std::size_t l, double tail,
                     std::vector<CoverTerm>& terms) {
  const std::string prefix = "layer " + std::to_string(l + 1) + ": ";
  const std::vector<double>& s = layer.report.mlp;
  double slope = tail;
  for (std::size_t k = s.size(); k-- > 0;) {
    terms.push_back({prefix + "W" + std::to_string(k + 1), slope, std::hypot(layer.mlp_inputs[k], 1),
                     layer.mlp_21[k], 0});
    slope += std::log10(s[k]);
  }
  const double r = layer.report.input_norm;
  if (config.mixer == ModelConfig::Mixer::kGin)
    terms.push_back({prefix + "1 + epsilon", slope, r, layer.own_weight, 0});
  if (config.mixer != ModelConfig::Mixer::kAttention) return;
  terms.push_back({prefix + "W_o", slope, std::hypot(layer.value_norms, 1), layer.o_21, 0});
  // Each head may read its own row, so the errors of the heads' values add as a vector of H rows.
  const double heads = std::sqrt(static_cast<double>(config.heads));
  terms.push_back(
      {prefix + "W_v", slope + std::log10(layer.o_norm * heads), std::hypot(r, 1), layer.v_21, 0});
  if (config.hard) return;
  for (std::size_t h = 0; h < config.heads; ++h)
    terms.push_back({prefix + "scores of head " + std::to_string(h),
                     slope + std::log10(2 * layer.report.vo[h] * r), layer.score_input, layer.score_21[h],
                     0});
}

/// log10(10^a + 10^b).
double log10_sum(double a, double b) {
  const double high = std::max(a, b), low = std::min(a, b);
  return std::isinf(high) || std::isinf(low) ? high : high + std::log10(1 + std::pow(10, low - high));
}

/// Fills the terms' shares, K and the bounds.
void bound_risk(CapacityReport& report) {
  std::vector<double> logs;  // log10 of (s r b)^(2/3)
  double largest = -kInfinity;
  for (const CoverTerm& term : report.terms) {
    logs.push_back((term.log10_slope + std::log10(term.input_norm) + std::log10(term.norm_21)) * 2 / 3);
    largest = std::max(largest, logs.back());
  }
  const CapacityOptions& options = report.options;
  const double m = static_cast<double>(options.samples);
  double sum = 0;
  for (const double value : logs) sum += std::pow(10, value - largest);
  if (std::isinf(largest)) {  // an infinite term, or only maps that are 0
    report.log10_k = largest;
  } else {
    for (std::size_t k = 0; k < logs.size(); ++k)
      report.terms[k].share = std::pow(10, logs[k] - largest) / sum;
    report.log10_k = 3 * (largest + std::log10(sum)) + std::log10(report.log_factor);
  }
  const double root = (report.log10_k - std::log10(m)) / 2;  // of √(K/m)
  const double ratio = std::log(options.loss_range) - root * std::numbers::ln10;
  report.log10_rademacher = log10_sum(root + std::log10(4 + 12 * std::max(1.0, ratio)),
                                      std::log10(12 * options.loss_range * std::sqrt(report.log_tables / m)));
  if (report.log10_k == -kInfinity)
    report.log10_rademacher = std::log10(12 * options.loss_range * std::sqrt(report.log_tables / m));
  report.log10_gap =
      log10_sum(std::log10(2 * options.loss_lipschitz) + report.log10_rademacher,
                std::log10(3 * options.loss_range * std::sqrt(std::log(2 / options.delta) / (2 * m))));
}

void check(const Model& model, const CapacityOptions& options) {
  const auto usage = [](const std::string& what) { throw Error(ErrorKind::kUsage, "capacity", what); };
  if (!(options.input_norm >= 0) || std::isinf(options.input_norm))
    usage(fmt::format("the input norm is {}", options.input_norm) + ", expected a number ≥ 0");
  if (options.samples == 0) usage("0 samples, expected at least 1");
  if (!(options.delta > 0 && options.delta < 1))
    usage(fmt::format("delta is {}", options.delta) + ", expected a number between 0 and 1");
  if (!(options.loss_range > 0) || !(options.loss_lipschitz > 0))
    usage("the loss's range and Lipschitz constant must be above 0");
  if (model.values.size() != model.layout.size())
    throw Error(ErrorKind::kShape, "capacity",
                "the layout has " + std::to_string(model.layout.size()) + " elements, the model " +
                    std::to_string(model.values.size()));
  if (!std::ranges::all_of(model.values, [](double value) { return std::isfinite(value); }))
    throw Error(ErrorKind::kNotFinite, "capacity", "the model has parameters that are not finite");
}

/// The largest side of a map, with the constant input.
std::size_t largest_side(const Model& model) {
  std::size_t largest = 1;
  for (const nn::ParameterInfo& p : model.layout.entries())
    if (!p.vector) largest = std::max({largest, p.rows, p.cols + 1});
  return largest;
}

void add_notes(const ModelConfig& config, CapacityReport& report) {
  report.notes.push_back(
      "explicit constants of this library, not of the paper, whose theorem hides them; as bounds the numbers "
      "are "
      "vacuous, they compare models");
  if (config.vocabulary > 0)
    report.notes.push_back("inputs are tokens: the Lipschitz constant is that in the embedded tokens");
  if (config.mixer == ModelConfig::Mixer::kAttention && config.hard)
    report.notes.push_back(
        report.positional
            ? "hard attention: each head is one of S^S index tables, their logarithm counts"
            : "hard attention over features is not continuous: no Lipschitz constant, no bound");
}

}  // namespace

CapacityReport capacity(const Model& model, const CapacityOptions& options) {
  check(model, options);
  const ModelConfig& config = model.config;
  const Maps maps(model);
  const double positions =
      largest_row(encoding_rows(config.encoding, config.positions(), config.encoding_dim));
  const bool attends = config.mixer == ModelConfig::Mixer::kAttention;

  CapacityReport report;
  report.kind = kind_of(config);
  report.origin = model.origin;
  report.attends = attends;
  report.positional = attends && config.source == ModelConfig::Source::kPositions;
  report.parameters = model.values.size();
  report.options = options;

  const Encoder encoder = bound_encoder(config, maps, positions, options.input_norm);
  std::vector<LayerBounds> layers;
  double r = encoder.output;
  for (std::size_t l = 0; l < config.depth(); ++l) {
    layers.push_back(bound_layer(config, maps, l, positions, r));
    CapacityLayer& layer = layers.back().report;
    report.log10_product += layer.log10_lambda;
    layer.log10_product = report.log10_product;
    r = layer.output_norm;
    report.layers.push_back(layer);
  }
  const Map decoder = maps.map("decoding");
  report.encoder = encoder.slope;
  report.decoder = spectral_norm(decoder.weight);
  report.output_norm = r;
  report.product = std::pow(10, report.log10_product);
  report.log10_lipschitz = std::log10(report.encoder) + report.log10_product + std::log10(report.decoder);
  report.lipschitz = std::pow(10, report.log10_lipschitz);

  double tail = std::log10(report.decoder);
  report.terms.push_back({"decoder", 0, std::hypot(r, 1), norm_21(decoder.weight, decoder.bias), 0});
  for (std::size_t l = layers.size(); l-- > 0;) {
    add_layer_terms(config, layers[l], l, tail, report.terms);
    tail += layers[l].report.log10_lambda;
  }
  for (CoverTerm term : encoder.terms) {
    term.log10_slope = tail;
    report.terms.push_back(std::move(term));
  }
  std::ranges::reverse(report.terms);

  const double s = static_cast<double>(config.positions());
  if (attends && config.hard)
    report.log_tables = s * static_cast<double>(config.depth() * config.heads) * std::log(s);
  report.log_factor =
      std::log(2 * static_cast<double>(largest_side(model)) * s * static_cast<double>(options.samples));
  bound_risk(report);
  add_notes(config, report);
  return report;
}

}  // namespace telos::positional
