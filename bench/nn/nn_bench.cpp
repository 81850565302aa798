// Speed of the training engine: each operation of a folded positional network alone on one micro-batch, some
// that it does not have, then the whole step. Rates count the operations of the graph (backward twice
// forward) against the multiply-add peak of one core, measured in the same run.
//
//   bench_nn [rows hidden samples micro-batch threads rounds]
//
// With `rounds` only the step is run, so often: for a profiler.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "linalg/peers.h"
#include "nn/folded_network.h"
#include "nn/graph_parts.h"
#include "telos/base/philox.h"
#include "telos/nn/executor.h"
#include "telos/nn/operations.h"

namespace telos::bench {
namespace {

// Time of this thread alone, which other programs on the machine do not stretch as they stretch the wall
// clock's; with several threads there is no such time.
double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of one call: the best of rounds that take some milliseconds each.
template <class F>
double best_time(const F& f, int rounds = 7, double (*now)() = thread_seconds) {
  f();
  const double once = now();
  f();
  const double first = now() - once;
  const int calls = static_cast<int>(std::clamp(0.004 / std::max(first, 1e-9), 1.0, 1e6));
  double best = first;
  for (int i = 0; i < rounds; ++i) {
    const double begin = now();
    for (int c = 0; c < calls; ++c) f();
    best = std::min(best, (now() - begin) / calls);
  }
  return best;
}

Matrix<float> random(std::size_t rows, std::size_t cols, Random& random) {
  Matrix<float> m(rows, cols);
  for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(random.normal() * 0.1);
  return m;
}

// Memory of one call of an operation.
struct Bench {
  const nn::Node& node;
  std::vector<Matrix<float>> values, gradients;
  Matrix<float> output, output_gradient, saved, scratch, prepared;
  std::vector<nn::Operand<float>> operands;
  nn::Call<float> call;

  Bench(const nn::Node& n, std::size_t samples, Random& r) : node(n) {
    const std::size_t own = node.shape.batch ? samples : 1;
    for (const nn::Shape& shape : node.input_shapes) {
      values.push_back(random((shape.batch ? samples : 1) * shape.rows, shape.cols, r));
      gradients.push_back(random((shape.batch ? samples : 1) * shape.rows, shape.cols, r));
    }
    output = random(own * node.shape.rows, node.shape.cols, r);
    output_gradient = random(own * node.shape.rows, node.shape.cols, r);
    saved = Matrix<float>(1, node.operation->saved_elements(node.input_shapes, own));
    scratch = Matrix<float>(1, node.operation->scratch_elements(node.input_shapes, own));
    prepared = Matrix<float>(1, node.operation->prepared_elements(node.input_shapes));
    for (std::size_t i = 0; i < values.size(); ++i) {
      nn::Operand<float> operand;
      operand.value = values[i];
      operand.gradient = gradients[i];
      operand.fresh = node.input_shapes[i].batch && node.operation->stores_fresh_gradients();
      operands.push_back(operand);
    }
    call = {.samples = own,
            .inputs = operands,
            .output = output,
            .output_gradient = output_gradient,
            .saved = {saved.data(), saved.size()},
            .scratch = {scratch.data(), scratch.size()},
            .prepared = {prepared.data(), prepared.size()}};
    node.operation->prepare(call);
  }
};

std::string shapes(const nn::Node& node) {
  std::string text;
  for (const nn::Shape& shape : node.input_shapes)
    text += (text.empty() ? "" : " ") + std::to_string(shape.rows) + "x" + std::to_string(shape.cols);
  return text + " -> " + std::to_string(node.shape.rows) + "x" + std::to_string(node.shape.cols);
}

// Times each operation; returns the seconds that a step of `samples` would take at these speeds.
double bench_operations(const nn::Graph& graph, std::size_t micro_batch, std::size_t samples, double peak) {
  Random r(1);
  double total = 0, prelude = 0;
  for (const nn::Node& node : graph.impl().nodes) {
    if (node.kind != nn::Node::Kind::kOperation) continue;
    Bench bench(node, micro_batch, r);
    const double forward = best_time([&] { node.operation->forward(bench.call); });
    const double backward = best_time([&] { node.operation->backward(bench.call); });
    if (!node.shape.batch) {
      prelude += forward + backward;
      continue;
    }
    total += (forward + backward) * static_cast<double>(samples) / static_cast<double>(micro_batch);
    const double flops = node.operation->flops(node.input_shapes) * static_cast<double>(micro_batch);
    std::printf("%-20s %-30s forward %8.2f us %6.1f GF/s %5.1f %%  backward %8.2f us %6.1f GF/s %5.1f %%\n",
                std::string(node.operation->name()).c_str(), shapes(node).c_str(), forward * 1e6,
                flops / forward * 1e-9, 100 * flops / forward / peak, backward * 1e6,
                2 * flops / backward * 1e-9, 200 * flops / backward / peak);
  }
  if (prelude > 0) std::printf("operations without batch: %.0f us a step\n", prelude * 1e6);
  return total + prelude;
}

// Operations that the folded network does not have, with the sizes of its plain form and of its rivals.
nn::Graph other_operations(const nn::ParameterLayout& layout, const NetworkSizes& n) {
  nn::Graph g(layout);
  const auto p = [&](const char* name) { return g.parameter(name); };
  const nn::Value x = g.input("x", n.rows, n.width), y = g.input("y", n.rows, n.width);
  const nn::Value qk = g.input("qk", n.rows, 2 * n.heads * n.width);
  const nn::Value a = p("attention"), square = p("square"), bias = p("bias");
  linear(g, {x}, square, bias);
  linear(g, {x, y}, p("two"), bias, Activation::kRelu);
  linear(g, {x}, square, bias, Activation::kGeluErf);
  matmul(g, Op::kPlain, x, Op::kTransposed, square);
  mix(g, a, x, nn::MixForm::kSplit);
  mix(g, a, x, nn::MixForm::kShared);
  attention(g, qk, x, {.heads = n.heads});
  layer_norm(g, x, bias, bias);
  rms_norm(g, x, bias);
  add(g, x, y);
  scale(g, x, 0.5);
  activate(g, x, Activation::kGeluErf);
  append_columns(g, x, p("positions"));
  slice(g, x, 0, 0, n.rows - 1, n.width);
  mean_pool(g, x);
  mean_squared_error(g, x, y);
  return g;
}

nn::ParameterLayout other_layout(const NetworkSizes& n) {
  nn::ParameterLayout layout;
  layout.add("attention", n.heads * n.rows, n.rows);
  layout.add("square", n.width, n.width);
  layout.add("two", n.width, 2 * n.width);
  layout.add_vector("bias", n.width);
  layout.add("positions", n.rows, 4);
  return layout;
}

void bench_step(const nn::Graph& graph, std::size_t samples, std::size_t micro_batch, int threads,
                double peak, int rounds) {
  nn::Executor<float> executor(graph, {.micro_batch = micro_batch});
  const Arena arena(threads);
  Random r(2);
  const nn::ParameterLayout& layout = graph.layout();
  Matrix<float> parameters = random(1, layout.size(), r), gradient(1, layout.size());
  const std::size_t rows = graph.impl().nodes[0].shape.rows;
  const Matrix<float> x = random(samples * rows, 1, r), target = random(samples * rows, 1, r);
  const nn::Batch<float> batch{.samples = samples, .real = {x, target}};
  const double seconds = best_time(
      [&] {
        executor.gradient({parameters.data(), parameters.size()}, batch, {gradient.data(), gradient.size()},
                          arena);
      },
      rounds, threads == 1 ? thread_seconds : wall_seconds);
  const double flops = 3 * (graph.flops_per_step() + graph.flops_per_sample() * static_cast<double>(samples));
  std::printf(
      "step: %zu samples, micro-batch %zu, %d threads: %.2f ms, %.3f GFLOP, %.1f GF/s, %.1f %% of %d "
      "cores' peak, %.1f MB\n",
      samples, executor.micro_batch(), threads, seconds * 1e3, flops * 1e-9, flops / seconds * 1e-9,
      100 * flops / seconds / peak / threads, threads, static_cast<double>(executor.memory_bytes()) * 1e-6);
}

int run(int argc, char** argv) {
  const auto argument = [&](int i, std::size_t otherwise) {
    return i < argc ? static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 10)) : otherwise;
  };
  NetworkSizes sizes;
  sizes.rows = argument(1, 9);
  sizes.hidden = argument(2, 64);
  const std::size_t samples = argument(3, 1000), micro_batch = argument(4, 0);
  const int threads = static_cast<int>(argument(5, 1));
  const double peak = fma_peak();
  std::printf("kernels: %s, peak %.1f GF/s\n", kernel_target(), peak * 1e-9);
  const nn::ParameterLayout layout = network_layout(sizes);
  const nn::Graph graph = folded_network(layout, sizes);
  const int rounds = static_cast<int>(argument(6, 0));
  if (rounds == 0) {
    const std::size_t chosen = nn::Executor<float>(graph, {.micro_batch = micro_batch}).micro_batch();
    const double sum = bench_operations(graph, chosen, samples, peak);
    std::printf("sum of the operations: %.2f ms a step\n", sum * 1e3);
    bench_operations(other_operations(other_layout(sizes), sizes), chosen, samples, peak);
  }
  bench_step(graph, samples, micro_batch, threads, peak, rounds == 0 ? 20 : rounds);
  return 0;
}

}  // namespace
}  // namespace telos::bench

int main(int argc, char** argv) {
  return telos::bench::run(argc, argv);
}
