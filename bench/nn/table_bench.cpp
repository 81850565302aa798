// Speed of every operation in the table that the tests run through (tests/nn/operation_table.cpp): each
// example as a network with a loss, forward alone and with gradients, in float on one thread. A new line in
// the table is a new line here. Rates count the graph's multiplications and additions, backward twice; the
// loss that an example is given, and its parameters' sums, are in the time.
//
//   bench_operations [SAMPLES [NAME-PREFIX]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "telos/nn/executor.h"
#include "tests/nn/example_graph.h"
#include "tests/nn/operation_table.h"

namespace {

using namespace telos;

/// Seconds of a call: the least of rounds of a few milliseconds.
template <class Call>
double least_seconds(const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto timed = [&](int calls) {
    const auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    return std::chrono::duration<double>(Clock::now() - begin).count() / calls;
  };
  call();
  const int calls = static_cast<int>(std::clamp(2e-3 / std::max(timed(1), 1e-9), 1.0, 1e5));
  double least = timed(calls);
  for (int round = 0; round < 5; ++round) least = std::min(least, timed(calls));
  return least;
}

void bench(const nn::table::Example& example, std::size_t samples) {
  const nn::table::ExampleGraph network(example, samples, 1);
  std::vector<Matrix<float>> storage;
  const nn::Batch<float> batch = network.samples_in<float>(storage);
  const std::vector<float> parameters = network.parameters<float>();
  std::vector<float> gradient(parameters.size());
  nn::Executor<float> executor(*network.graph);
  const Arena arena(1);
  const double forward = least_seconds([&] { executor.loss(parameters, batch, arena); });
  const double both = least_seconds([&] { executor.gradient(parameters, batch, gradient, arena); });
  const double flops =
      network.graph->flops_per_step() + static_cast<double>(samples) * network.graph->flops_per_sample();
  std::printf("| %s | %.2f | %.2f | %.1f | %.1f |\n", example.name.c_str(), 1e6 * forward, 1e6 * both,
              1e-9 * flops / forward, 3e-9 * flops / both);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t samples = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 256;
  const std::string prefix = argc > 2 ? argv[2] : "";
  std::printf(
      "%zu samples\n\n| example | forward us | with gradients us | GFLOP/s | GFLOP/s "
      "|\n|---|---|---|---|---|\n",
      samples);
  for (const nn::table::Example& example : nn::table::operations())
    if (example.name.starts_with(prefix)) bench(example, samples);
}
