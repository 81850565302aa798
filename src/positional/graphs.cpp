// A model as a graph of the training engine.
#include <fmt/format.h>

#include <algorithm>

#include "positional/graph_builder.h"
#include "positional/model_parts.h"
#include "telos/base/error.h"
#include "telos/positional/model.h"

namespace telos::positional {
namespace {

std::vector<LayerPlan> checked_plans(const ModelConfig& config, const GraphOptions& options,
                                     std::size_t length) {
  if (options.plans.empty()) return cheapest_plans(config, length, options.batch);
  if (options.plans.size() != config.depth())
    throw Error(ErrorKind::kUsage, "layer plans",
                fmt::format("{} for {} layers", options.plans.size(), config.depth()));
  const std::vector<LayerPlan> possible = plans_for(config);
  for (const LayerPlan plan : options.plans)
    if (std::find(possible.begin(), possible.end(), plan) == possible.end())
      throw Error(
          ErrorKind::kUsage, "layer plans",
          config.mixer == ModelConfig::Mixer::kAttention
              ? "F2 folds attention that all samples share; this model's attention depends on the input"
              : "graph baselines have nothing to fold: expected plain");
  return options.plans;
}

void add_loss(nn::Graph& graph, nn::Value y, const GraphOptions& options, std::size_t length) {
  const nn::Shape shape = graph.shape(y);
  const std::size_t rows = options.loss_rows == 0 ? length : options.loss_rows;
  if (rows > shape.rows)
    throw Error(ErrorKind::kUsage, "loss_rows",
                fmt::format("is {}, but a sample has {} rows", rows, shape.rows));
  if (options.loss == GraphOptions::Loss::kMse)
    graph.loss(nn::mean_squared_error(graph, y, graph.input("target", shape.rows, shape.cols), rows));
  if (options.loss == GraphOptions::Loss::kCrossEntropy)
    graph.loss(nn::cross_entropy(graph, y, graph.index_input("target", shape.rows), rows));
}

}  // namespace

nn::Graph build_graph(const ModelConfig& config, const nn::ParameterLayout& layout,
                      const GraphOptions& options) {
  check(config);
  const std::size_t length = checked_length(config, options.length);
  const std::vector<LayerPlan> plans = checked_plans(config, options, length);
  nn::Graph graph(layout);
  GraphBuilder builder(graph, config, length);
  State state = builder.encode();
  for (std::size_t l = 0; l < config.depth(); ++l) state = builder.layer(l, state, plans[l]);
  const nn::Value y = builder.decode(state, plans.back() != LayerPlan::kPlain);
  graph.output("y", y);
  add_loss(graph, y, options, length);
  return graph;
}

}  // namespace telos::positional
