#include "telos/positional/compiler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "positional/compiler_parts.h"
#include "positional/model_parts.h"
#include "positional/program_syntax.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::positional {
namespace {

/// exp(−1000) is 0 in float32 and float64.
constexpr double kNever = -1000;
/// Heads hold at most the state: a column a variant of each channel.
constexpr std::size_t kMostHeadWidth = std::size_t{1} << 20;

struct Sizes {
  std::size_t heads = 1, head_width = 1;
  std::size_t width() const { return heads * head_width; }
};

std::size_t ceil_div(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}

/// Parameters of a model with these sizes, as a real number: sizes may be far too large.
double parameter_count(const ModelConfig& c, std::size_t layers) {
  const auto real = [](std::size_t v) { return static_cast<double>(v); };
  const double s = real(c.positions()), d = real(c.width), h = real(c.hidden);
  const double layer = 2 * s * real(c.heads) * (s + 1) + 2 * d * (d + 1) + h * (2 * d + 1) +
                       real(c.mlp_layers - 2) * h * (h + 1) + d * (h + 1);
  return real(layers) * layer + d * real(c.in_dim + 1) + real(c.out_dim) * (d + 1);
}

/// The head width with the fewest parameters among those that hold the state and every layer's fetches.
Sizes choose_sizes(const Draft& draft, const CompileOptions& options, ModelConfig config) {
  std::size_t widest = draft.width;
  for (const LayerDraft& layer : draft.layers)
    for (const Fetch& fetch : layer.fetches) widest = std::max(widest, fetch.slots.size());
  Sizes best;
  double least = std::numeric_limits<double>::infinity();
  const std::size_t first = options.head_width > 0 ? options.head_width : 1;
  const std::size_t last = options.head_width > 0 ? options.head_width : std::max<std::size_t>(widest, 1);
  for (std::size_t head_width = first; head_width <= last; ++head_width) {
    std::size_t heads = std::max<std::size_t>(1, ceil_div(draft.width, head_width));
    for (const LayerDraft& layer : draft.layers) {
      std::size_t used = 0;
      for (const Fetch& fetch : layer.fetches) used += ceil_div(fetch.slots.size(), head_width);
      heads = std::max(heads, used);
    }
    config.heads = heads;
    config.width = heads * head_width;
    const double count = parameter_count(config, draft.layers.size());
    if (count < least) {
      least = count;
      best = {heads, head_width};
    }
  }
  return best;
}

/// Writes the weights of a model whose sizes are fixed.
class Emitter {
 public:
  Emitter(const Program& program, const Draft& draft, const std::vector<Circuit::Layers>& circuits,
          Model& model, CompileReport& report)
      : p_(program), draft_(draft), circuits_(circuits), m_(model), report_(report) {}

  void run() {
    encoder();
    for (std::size_t l = 0; l < draft_.layers.size(); ++l) layer(l);
    decoder();
  }

 private:
  MatrixView<double> weights(const std::string& name) {
    return m_.layout.view(std::span<double>(m_.values), m_.layout.find(name));
  }

  void encoder() {
    const MatrixView<double> w = weights("encoding.weight");
    for (const ChannelState& state : draft_.start)
      for (std::size_t j = 0; j < p_.columns(); ++j)
        w(state.first_slot, j) = p_.channels[state.channel].start[j];
    report_.encoder = slots(draft_.start);
  }

  void decoder() {
    const MatrixView<double> w = weights("decoding.weight");
    for (const ChannelState& state : draft_.layers.back().state)
      for (std::size_t o = 0; o < p_.outputs.size(); ++o)
        w(o, state.first_slot) = p_.outputs[o].weights[state.channel];
  }

  void layer(std::size_t l) {
    const LayerDraft& draft = draft_.layers[l];
    const std::string prefix = "layers." + std::to_string(l) + ".";
    LayerInfo info{.name = draft.name, .heads = {}, .hidden_used = {}, .slots = slots(draft.state)};
    const std::vector<std::size_t> first_head = heads(prefix, draft, info);
    const MatrixView<double> o = weights(prefix + "o.weight");
    for (std::size_t k = 0; k < m_.config.width; ++k) o(k, k) = 1;
    mlp(prefix, l, first_head, info);
    report_.diagram.push_back(std::move(info));
  }

  /// Gives each fetch as many heads as its slots need; returns the first of them, by fetch.
  std::vector<std::size_t> heads(const std::string& prefix, const LayerDraft& draft, LayerInfo& info) {
    const std::size_t head_width = m_.config.width / m_.config.heads;
    const MatrixView<double> qk = weights(prefix + "qk.weight"), v = weights(prefix + "v.weight");
    const std::vector<std::vector<Source>> to_sink(p_.n);
    std::vector<std::size_t> first;
    std::size_t head = 0;
    for (const Fetch& fetch : draft.fetches) {
      first.push_back(head);
      for (std::size_t k = 0; k < fetch.slots.size(); k += head_width, ++head) {
        score_table(qk, head, fetch.table);
        HeadInfo used{};
        used.head = head;
        used.source = fetch.source;
        used.row = fetch.table;
        for (std::size_t e = k; e < std::min(k + head_width, fetch.slots.size()); ++e) {
          v(head * head_width + (e - k), fetch.slots[e]) = 1;
          used.slots.push_back(fetch.slots[e]);
          used.channels.push_back(fetch.channels[e]);
          used.roles.push_back(fetch.roles[e]);
        }
        info.heads.push_back(std::move(used));
      }
    }
    for (; head < m_.config.heads; ++head) score_table(qk, head, to_sink);
    return first;
  }

  /// K = I and Q = √d_k·scores, so that QKᵀ/√d_k are the scores: log(weight) on sources, kNever elsewhere.
  void score_table(MatrixView<double> qk, std::size_t head, const std::vector<std::vector<Source>>& table) {
    const std::size_t s = m_.config.positions(), key = m_.config.key_width();
    const double scale = std::sqrt(static_cast<double>(key));
    const std::size_t query_row = 2 * head * key, key_row = query_row + key;
    for (std::size_t j = 0; j < s; ++j) qk(key_row + j, j) = 1;
    for (std::size_t i = 0; i < s; ++i) {
      for (std::size_t j = 0; j < s; ++j) qk(query_row + j, i) = kNever * scale;
      const std::vector<Source> row = i < p_.n ? table[i] : std::vector<Source>{};
      double rest = 1;
      for (const Source& source : row) {
        qk(query_row + source.node, i) = std::log(source.weight) * scale;
        rest -= source.weight;
      }
      if (rest > weight_slack(row.size())) qk(query_row + p_.n, i) = std::log(rest) * scale;
    }
  }

  void mlp(const std::string& prefix, std::size_t l, const std::vector<std::size_t>& first_head,
           LayerInfo& info) {
    const Circuit::Layers& circuit = circuits_[l];
    for (std::size_t t = 0; t < circuit.hidden.size(); ++t) {
      const MatrixView<double> w = weights(prefix + "mlp." + std::to_string(2 * t) + ".weight");
      info.hidden_used.push_back(circuit.hidden[t].size());
      for (std::size_t u = 0; u < circuit.hidden[t].size(); ++u)
        for (const auto& [index, weight] : circuit.hidden[t][u])
          if (t == 0)
            read_symbol(draft_.layers[l].symbols[index], first_head, w.row(u), weight);
          else
            w(u, index) += weight;
    }
    const MatrixView<double> last =
        weights(prefix + "mlp." + std::to_string(2 * circuit.hidden.size()) + ".weight");
    for (std::size_t slot = 0; slot < circuit.outputs.size(); ++slot)
      for (const auto& [index, weight] : circuit.outputs[slot]) last(slot, index) += weight;
  }

  /// Columns of the MLP's input [X ‖ attention].
  void read_symbol(const SymbolPlace& place, const std::vector<std::size_t>& first_head, double* row,
                   double weight) const {
    if (place.in_state) row[place.slot] += weight;
    const std::size_t head_width = m_.config.width / m_.config.heads;
    for (const auto& [fetch, index] : place.fetched)
      row[m_.config.width + first_head[fetch] * head_width + index] += weight;
  }

  std::vector<SlotInfo> slots(const StateLayout& state) const {
    std::vector<SlotInfo> out;
    for (const ChannelState& channel : state)
      for (std::size_t v = 0; v < channel.variants(); ++v)
        out.push_back({.slot = channel.first_slot + v,
                       .channel = p_.channels[channel.channel].name,
                       .roles = channel.roles[v],
                       .formula = channel.formulas[v]});
    return out;
  }

  const Program& p_;
  const Draft& draft_;
  const std::vector<Circuit::Layers>& circuits_;
  Model& m_;
  CompileReport& report_;
};

ModelConfig configure(const Program& program, const Draft& draft,
                      const std::vector<Circuit::Layers>& circuits, const CompileOptions& options) {
  ModelConfig config;
  config.bias = false;
  config.nodes = program.n;
  config.scratch = options.scratch;
  config.in_dim = program.columns();
  config.out_dim = program.outputs.size();
  config.layers = draft.layers.size();
  config.mlp_layers = draft.hidden + 1;
  if (const std::size_t maps = config.layers * (config.mlp_layers + 3); maps > kMostLinearMaps)
    throw Error(ErrorKind::kLimit, printable(program.name),
                "its " + std::to_string(program.rounds.size()) + " rounds become " +
                    std::to_string(config.layers) + " layers with " + std::to_string(maps) +
                    " linear maps, expected at most " + std::to_string(kMostLinearMaps),
                "take fewer rounds");
  config.hidden = std::max<std::size_t>(options.hidden, 1);
  for (const Circuit::Layers& circuit : circuits)
    for (const auto& units : circuit.hidden) config.hidden = std::max(config.hidden, units.size());
  const Sizes sizes = choose_sizes(draft, options, config);
  config.heads = sizes.heads;
  config.width = sizes.width();
  const double count = parameter_count(config, config.layers);
  if (count > static_cast<double>(options.max_parameters))
    throw Error(ErrorKind::kLimit, printable(program.name),
                "the network would have " + std::to_string(static_cast<long long>(std::min(count, 1e18))) +
                    " parameters, expected at most " + std::to_string(options.max_parameters),
                "take a smaller n, or allow more parameters");
  require_memory(sizeof(double) * count, printable(program.name), "take a smaller n");
  return config;
}

void fill_report(const Program& program, const Draft& draft, const Model& model,
                 const std::vector<Circuit::Layers>& circuits, CompileReport& report) {
  const ModelConfig& config = model.config;
  report.layers = config.layers;
  report.width = config.width;
  report.heads = config.heads;
  report.hidden = config.hidden;
  report.mlp_layers = config.mlp_layers;
  report.parameters = model.layout.size();
  report.rounds = program.rounds.size();
  report.homogeneous = !program.has_constant() && program.bits.empty();
  Size largest = draft.largest, select;
  for (const Circuit::Layers& circuit : circuits) largest.cover(circuit.largest);
  for (const LayerDraft& layer : draft.layers) select.cover(layer.select_limit);
  report.growth = largest.growth;
  report.offset = largest.offset;
  report.fraction_bits = largest.bits;
  report.exact = largest.exact;
  report.largest_select = std::numeric_limits<double>::infinity();
  if (select.offset > program.bound)
    throw Error(ErrorKind::kUsage, printable(program.name),
                "select() may meet values of " + std::to_string(select.offset) +
                    " whatever the input, beyond the bound " + std::to_string(program.bound),
                "declare a larger bound");
  if (select.growth > 0) report.largest_select = (program.bound - select.offset) / select.growth;
  const auto largest_exact = [&](int mantissa) -> std::optional<double> {
    double x = std::ldexp(1.0, mantissa - largest.bits) - largest.offset;
    if (!largest.exact || x < 0) return std::nullopt;
    if (largest.growth > 0) x /= largest.growth;
    return std::floor(std::min(x, report.largest_select));
  };
  report.largest_exact_f32 = largest_exact(24);
  report.largest_exact_f64 = largest_exact(53);
}

}  // namespace

CompiledProgram compile(const Program& program, const CompileOptions& options) {
  require_sound(program);
  if (options.scratch < 1)
    throw Error(ErrorKind::kUsage, printable(program.name), "scratch is 0, expected at least 1",
                "receiving nothing means attending a position that holds zeros");
  if (options.head_width > kMostHeadWidth)
    throw Error(ErrorKind::kUsage, printable(program.name),
                "the head width is " + std::to_string(options.head_width) + ", expected at most " +
                    std::to_string(kMostHeadWidth));

  CompiledProgram out;
  out.program = without_dead_assignments(program);
  const Draft draft = draft_layers(out.program);
  std::vector<Circuit::Layers> circuits;
  for (const LayerDraft& layer : draft.layers) {
    check_interrupt();
    circuits.push_back(layer.circuit.arrange(layer.outputs, draft.hidden));
  }

  out.model.config = configure(out.program, draft, circuits, options);
  out.model.layout = layout(out.model.config);
  out.model.values.assign(out.model.layout.size(), 0.0);
  out.model.origin = "compiled: " + program.name;
  Emitter(out.program, draft, circuits, out.model, out.report).run();
  fill_report(out.program, draft, out.model, circuits, out.report);
  // The proof's reals are below 16 in size, and float32 has to hold their sums.
  if (const double sums = 16 * (out.report.growth + out.report.offset);
      !(sums <= static_cast<double>(std::numeric_limits<float>::max())))
    throw Error(ErrorKind::kLimit, printable(program.name), "its sums may grow beyond what float32 can hold",
                "take fewer rounds or a smaller n, or divide on the way");

  out.proof = prove(out, options);
  return out;
}

}  // namespace telos::positional
