// Times training steps on request, so that bench/peers/positional_peer.py can interleave them with those of a
// peer.
//
//   bench_positional MODEL SAMPLES BATCH THREADS [plain|f1|f2]
//
// MODEL is a model file; SAMPLES an .npy matrix, one sample a row: the S numbers of x (in_dim 1), then the S
// numbers of the target. Step i takes the batch (i mod number of batches). Prints
//
//   plan of each layer, multiply-add peak of a core in GFLOP/s, operations of a step in GFLOP
//
// once, then answers lines
//
//   time STEPS         wall and CPU milliseconds of each step, then the last loss
//   losses STEPS       the loss before each step, from MODEL's weights on, in single precision
//   reference STEPS    the same in double precision with plain plans
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "linalg/peers.h"
#include "telos/io/files.h"
#include "telos/nn/trainer.h"
#include "telos/positional/model.h"

namespace {

using namespace telos;
using positional::LayerPlan;

constexpr double kRate = 5e-4;

/// Batches of the samples, in T.
template <class T>
class Batches {
 public:
  Batches(const Matrix<double>& samples, std::size_t positions, std::size_t batch)
      : x_(samples.rows() * positions, 1),
        target_(samples.rows() * positions, 1),
        positions_(positions),
        size_(batch) {
    if (samples.cols() != 2 * positions || samples.rows() < batch)
      throw std::runtime_error("the samples do not fit the model or are fewer than a batch");
    for (std::size_t i = 0; i < samples.rows(); ++i)
      for (std::size_t j = 0; j < positions; ++j) {
        x_(i * positions + j, 0) = static_cast<T>(samples(i, j));
        target_(i * positions + j, 0) = static_cast<T>(samples(i, positions + j));
      }
  }
  nn::Batch<T> operator[](std::size_t step) const {
    const std::size_t rows = size_ * positions_, first = step % (x_.rows() / rows) * rows;
    return {.samples = size_,
            .real = {x_.view().block(first, 0, rows, 1), target_.view().block(first, 0, rows, 1)},
            .index = {}};
  }

 private:
  Matrix<T> x_, target_;
  std::size_t positions_, size_;
};

struct Setup {
  positional::Model model;
  Matrix<double> samples;
  std::size_t batch;
  positional::GraphOptions options;

  std::size_t positions() const { return model.config.positions(); }
};

class Bench {
 public:
  Bench(const Setup& setup, int threads)
      : setup_(setup),
        graph_(positional::build_graph(setup.model.config, setup.model.layout, setup.options)),
        executor_(graph_),
        batches_(setup.samples, setup.positions(), setup.batch),
        trainer_(new_trainer()),
        arena_(threads) {}

  double step_gflop() const {
    return 3e-9 * (graph_.flops_per_step() + static_cast<double>(setup_.batch) * graph_.flops_per_sample());
  }

  void time(std::size_t steps) {
    using Clock = std::chrono::steady_clock;
    double loss = 0;
    for (std::size_t i = 0; i < steps; ++i) {
      const std::clock_t cpu = std::clock();
      const auto begin = Clock::now();
      loss = trainer_.step(executor_, batches_[trainer_.steps()], kRate, arena_);
      const double wall = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
      std::printf("%.4f %.4f ", wall, 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
    }
    std::printf("%.9g\n", loss);
  }

  void losses(std::size_t steps) {
    nn::Trainer trainer = new_trainer();
    for (std::size_t i = 0; i < steps; ++i)
      std::printf("%.9g ", trainer.step(executor_, batches_[i], kRate, arena_));
    std::printf("\n");
  }

  void reference(std::size_t steps) const {
    positional::GraphOptions options = setup_.options;
    options.plans.assign(setup_.model.config.depth(), LayerPlan::kPlain);
    const nn::Graph graph = positional::build_graph(setup_.model.config, setup_.model.layout, options);
    nn::Executor<double> executor(graph);
    nn::Optimizer<double> adam(setup_.model.layout, {});
    const Batches<double> batches(setup_.samples, setup_.positions(), setup_.batch);
    std::vector<double> parameters = setup_.model.values, gradient(parameters.size());
    for (std::size_t i = 0; i < steps; ++i) {
      std::printf("%.12g ", executor.gradient(parameters, batches[i], gradient, arena_));
      adam.step(parameters, gradient, kRate);
    }
    std::printf("\n");
  }

 private:
  nn::Trainer new_trainer() const {
    const std::vector<double>& values = setup_.model.values;
    return {setup_.model.layout, std::vector<float>(values.begin(), values.end()), {}};
  }

  const Setup& setup_;
  nn::Graph graph_;
  nn::Executor<float> executor_;
  Batches<float> batches_;
  nn::Trainer trainer_;
  Arena arena_;
};

const char* word(LayerPlan plan) {
  return plan == LayerPlan::kPlain ? "plain" : plan == LayerPlan::kF1 ? "F1" : "F2";
}

Setup read_setup(char** argv, int argc) {
  Setup setup{.model = positional::load_model(argv[1]),
              .samples = read_npy(argv[2]),
              .batch = static_cast<std::size_t>(std::atoll(argv[3])),
              .options = {.loss = positional::GraphOptions::Loss::kMse}};
  setup.options.batch = setup.batch;
  const positional::ModelConfig& config = setup.model.config;
  setup.options.plans = positional::cheapest_plans(config, config.nodes, setup.batch);
  const std::string forced = argc > 5 ? argv[5] : "";
  if (forced == "plain") setup.options.plans.assign(config.depth(), LayerPlan::kPlain);
  if (forced == "f1") setup.options.plans.assign(config.depth(), LayerPlan::kF1);
  if (forced == "f2") setup.options.plans.assign(config.depth(), LayerPlan::kF2);
  return setup;
}

void serve(char** argv, int argc) {
  const Setup setup = read_setup(argv, argc);
  Bench bench(setup, std::atoi(argv[4]));
  for (const LayerPlan plan : setup.options.plans) std::printf("%s ", word(plan));
  std::printf("%.1f %.4f\n", bench::fma_peak() * 1e-9, bench.step_gflop());
  std::fflush(stdout);
  std::string command;
  std::size_t steps = 0;
  while (std::cin >> command >> steps) {
    if (command == "time") bench.time(steps);
    if (command == "losses") bench.losses(steps);
    if (command == "reference") bench.reference(steps);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || argc > 6) {
    std::fprintf(stderr, "usage: bench_positional MODEL SAMPLES BATCH THREADS [plain|f1|f2]\n");
    return 2;
  }
  try {
    serve(argv, argc);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
