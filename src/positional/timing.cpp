#include "telos/positional/timing.h"

#include <algorithm>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"
#include "telos/base/stopwatch.h"
#include "telos/nn/trainer.h"

namespace telos::positional {
namespace {

Matrix<float> random_rows(std::size_t rows, std::size_t cols, std::uint32_t stream) {
  Random random(1, stream);
  Matrix<float> out(rows, cols);
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = static_cast<float>(random.normal());
  return out;
}

double flops_of(const nn::Graph& graph, std::size_t batch) {
  // Backward takes twice the work of forward.
  return 3 * (graph.flops_per_step() + static_cast<double>(batch) * graph.flops_per_sample());
}

}  // namespace

StepTiming time_step(const ModelConfig& config, std::size_t batch, double seconds, const Arena& arena) {
  check(config);
  if (config.vocabulary > 0 || batch == 0)
    throw Error(ErrorKind::kUsage, "timing",
                "expected a model that reads numbers, and a batch of at least 1");
  if (!(seconds >= 0))
    throw Error(ErrorKind::kUsage, "timing", "the seconds are no number, expected at least 0");
  require_memory(sizeof(float) * static_cast<double>(batch) * static_cast<double>(config.positions()) *
                     static_cast<double>(config.in_dim + config.out_dim),
                 "timing", "take a smaller batch");
  const Model model = initial_model(config, 1);
  const GraphOptions options{.batch = batch, .loss = GraphOptions::Loss::kMse};
  const nn::Graph graph = build_graph(config, model.layout, options);
  StepTiming out{.config = config,
                 .parameters = model.layout.size(),
                 .batch = batch,
                 .threads = arena.threads(),
                 .flops = flops_of(graph, batch),
                 .plans = explain_plans(config, 0, batch)};
  GraphOptions plain = options;
  plain.plans.assign(config.depth(), LayerPlan::kPlain);
  out.plain_flops = flops_of(build_graph(config, model.layout, plain), batch);

  nn::Executor<float> executor(graph);
  nn::Trainer trainer(model.layout, std::vector<float>(model.values.begin(), model.values.end()), {});
  const std::size_t rows = batch * config.positions();
  const Matrix<float> x = random_rows(rows, config.in_dim, 1), y = random_rows(rows, config.out_dim, 2);
  const nn::Batch<float> data{.samples = batch, .real = {x.view(), y.view()}};
  constexpr std::size_t kWarmUp = 3, kLeastSteps = 5;
  std::vector<double> times;
  const Stopwatch total;
  for (std::size_t i = 0; i < kWarmUp + kLeastSteps || total.seconds() < seconds; ++i) {
    check_interrupt();
    const Stopwatch step;
    trainer.step(executor, data, 1e-4, arena);
    if (i >= kWarmUp) times.push_back(step.seconds());
  }
  out.steps = times.size();
  std::sort(times.begin(), times.end());
  out.least_seconds = times.front();
  out.median_seconds = times[times.size() / 2];
  return out;
}

}  // namespace telos::positional
