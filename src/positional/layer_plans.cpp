// What each plan of a layer costs, by count of multiplications, mixing and folding included.
#include <algorithm>

#include "positional/model_parts.h"
#include "telos/positional/model.h"

namespace telos::positional {
namespace {

/// Multiplications of a forward pass.
struct Work {
  double per_token = 0, per_step = 0;
};

/// Sizes that the count of a layer needs.
struct LayerSizes {
  double s, d, heads, key;  ///< positions, width, heads, d_k
  double rows, mapped;   ///< columns of the rows that come in, and whether a map to d follows (1) or not (0)
  double first, hidden;  ///< outputs of the MLP's first map, and of its hidden layers
  double inner, last;  ///< maps between hidden layers, and whether one from there to d follows (1) or not (0)
  double out;          ///< of the decoder after the last layer, else 0
};

LayerSizes sizes_of(const ModelConfig& config, std::size_t length, std::size_t l) {
  const auto real = [](std::size_t n) { return static_cast<double>(n); };
  const bool deep = config.mixer != ModelConfig::Mixer::kGcn && config.mlp_layers > 1;
  LayerSizes z{.s = real(length + config.scratch),
               .d = real(config.width),
               .heads = real(config.heads),
               .key = real(config.key_width()),
               .rows = real(deep ? config.hidden : config.width),
               .mapped = deep ? 1.0 : 0.0,
               .first = real(deep ? config.hidden : config.width),
               .hidden = real(config.hidden),
               .inner = real(deep ? config.mlp_layers - 2 : 0),
               .last = deep ? 1.0 : 0.0,
               .out = l + 1 == config.depth() ? real(config.out_dim) : 0};
  if (l == 0) {
    z.mapped = config.vocabulary > 0 ? 0 : 1;
    z.rows = config.vocabulary > 0 ? z.d : real(encoder_inputs(config));
  }
  return z;
}

Work attention_work(const ModelConfig& config, const LayerSizes& z) {
  if (has_fixed_attention(config))
    return {.per_token = z.s * z.d, .per_step = 2 * z.s * z.heads * z.key * z.key};
  const double source = config.source == ModelConfig::Source::kBoth ? z.key : z.d;
  return {.per_token = source * 2 * z.key * z.heads + z.s * z.heads * z.key + z.s * z.d, .per_step = 0};
}

/// The last map of the last MLP, if it has more than one, and the decoder.
void add_decoder(const LayerSizes& z, bool fold, Work& work) {
  if (z.out == 0) return;
  work.per_token += fold ? z.first * z.out : z.last * z.first * z.d + z.d * z.out;
  if (fold) work.per_step += z.last * z.first * z.d * z.out;
}

/// GCN's map is an MLP of one.
Work graph_baseline_work(const LayerSizes& z) {
  Work work{.per_token = z.mapped * z.rows * z.d + z.s * z.d, .per_step = 0};
  work.per_token += z.d * z.first + z.inner * z.hidden * z.hidden;
  add_decoder(z, false, work);
  return work;
}

Work layer_work(const ModelConfig& config, const LayerSizes& z, LayerPlan plan) {
  if (config.mixer != ModelConfig::Mixer::kAttention) return graph_baseline_work(z);
  Work work = attention_work(config, z);
  const double fold_output = z.first * z.d * z.d;
  if (plan == LayerPlan::kF2) {
    work.per_token = (1 + z.heads) * z.rows * z.first + z.s * z.heads * z.rows;
    work.per_step += 2 * fold_output + z.mapped * (1 + z.heads) * z.first * z.d * z.rows;
  } else {
    work.per_token += z.mapped * z.rows * z.d + z.d * z.d + 2 * z.d * z.first;
    if (plan == LayerPlan::kPlain) work.per_token += z.d * z.d;
    if (plan == LayerPlan::kF1) work.per_step += fold_output;
  }
  work.per_token += z.inner * z.hidden * z.hidden;
  add_decoder(z, plan != LayerPlan::kPlain, work);
  return work;
}

}  // namespace

std::vector<LayerPlan> plans_for(const ModelConfig& config) {
  if (config.mixer != ModelConfig::Mixer::kAttention) return {LayerPlan::kPlain};
  if (!has_fixed_attention(config)) return {LayerPlan::kPlain, LayerPlan::kF1};
  return {LayerPlan::kPlain, LayerPlan::kF1, LayerPlan::kF2};
}

std::vector<PlanCost> explain_plans(const ModelConfig& config, std::size_t length, std::size_t batch) {
  check(config);
  length = checked_length(config, length);
  std::vector<PlanCost> costs;
  for (std::size_t l = 0; l < config.depth(); ++l) {
    const LayerSizes sizes = sizes_of(config, length, l);
    const std::size_t first = costs.size();
    for (const LayerPlan plan : plans_for(config)) {
      const Work work = layer_work(config, sizes, plan);
      // A multiplication comes with an addition; backward takes twice the work of forward.
      costs.push_back({l, plan, 6 * sizes.s * work.per_token, 6 * work.per_step, false});
    }
    const auto total = [batch](const PlanCost& c) {
      return c.per_sample * static_cast<double>(batch) + c.per_step;
    };
    std::min_element(costs.begin() + static_cast<std::ptrdiff_t>(first), costs.end(),
                     [&](const PlanCost& a, const PlanCost& b) { return total(a) < total(b); })
        ->chosen = true;
  }
  return costs;
}

std::vector<LayerPlan> cheapest_plans(const ModelConfig& config, std::size_t length, std::size_t batch) {
  std::vector<LayerPlan> plans;
  for (const PlanCost& cost : explain_plans(config, length, batch))
    if (cost.chosen) plans.push_back(cost.plan);
  return plans;
}

}  // namespace telos::positional
