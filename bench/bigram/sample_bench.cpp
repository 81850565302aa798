// bench_bigram_samples [--length T] [--threads N]
//     tokens a second and core of: random words alone; drawn tokens; samples with their gradients; the same
//     gradients from dense one-hot matrices, by single-precision products of telos with the tokens given, and
//     by the reference, which draws its samples. CPU time of all threads, the best of several runs.
// The bars at T = 5000: 0.4 Gtok/s for N ≤ 8, 0.25 for N = 64, and 30 times the dense reference.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

#include "bigram/sample_kernel.h"
#include "reference/bigram_sample.h"
#include "telos/base/arena.h"
#include "telos/base/philox.h"
#include "telos/bigram/instance.h"
#include "telos/bigram/sample.h"
#include "telos/linalg/gemm.h"

namespace {

using namespace telos;
using namespace telos::bigram;
namespace oracle = reference::bigram;

constexpr std::size_t kBatch = 256, kDenseBatch = 16, kReferenceBatch = 2;

/// Gtok/s of CPU time; f() works on `tokens` of them.
template <class F>
double rate(double tokens, const F& f) {
  double best = 0;
  for (int run = 0; run < 7; ++run) {
    const std::clock_t start = std::clock();
    f();
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    best = std::max(best, 1e-9 * tokens / seconds);
  }
  return best;
}

struct Drawn {
  std::vector<std::uint16_t> tokens, last, output;
};

Drawn draw(const Sampler& sampler, std::size_t samples) {
  Drawn result;
  for (std::size_t s = 0; s < samples; ++s) {
    const Sample sample = sampler.draw(Stream::kTrain, s);
    result.tokens.insert(result.tokens.end(), sample.tokens.begin(), sample.tokens.end());
    result.last.push_back(sample.last);
    result.output.push_back(sample.output);
  }
  return result;
}

/// Σ r hᵀ and Σ w[x_t] by the products of a general library: h = X a_k, f = V h, w = Vᵀ r, da_k = Xᵀ w.
void dense_gradient(const Drawn& drawn, ConstMatrixView<float> v, const Attention& a, Matrix<float>& dv,
                    Matrix<float>& da, const Arena& arena) {
  const std::size_t n = v.rows(), length = a.cols();
  Matrix<float> h(n, 1), r(n, 1), w(n, 1), column(length, 1);
  for (std::size_t s = 0; s < drawn.last.size(); ++s) {
    Matrix<float> x(n, length);
    for (std::size_t t = 0; t < length; ++t) x(drawn.tokens[s * length + t], t) = 1;
    const std::size_t k = drawn.last[s];
    gemm<float>(Op::kPlain, Op::kPlain, 1, x, {a.row(k), length, 1}, 0, h, arena);
    gemm<float>(Op::kPlain, Op::kPlain, 1, v, h, 0, r, arena);
    r(drawn.output[s], 0) -= 1;
    gemm<float>(Op::kPlain, Op::kTransposed, 1, r, h, 1, dv, arena);
    gemm<float>(Op::kTransposed, Op::kPlain, 1, v, r, 0, w, arena);
    gemm<float>(Op::kTransposed, Op::kPlain, 1, x, w, 1, {da.row(k), length, 1}, arena);
  }
}

template <class T>
oracle::Rows to_rows(const Matrix<T>& m) {
  oracle::Rows rows;
  for (std::size_t i = 0; i < m.rows(); ++i) rows.emplace_back(m.row(i), m.row(i) + m.cols());
  return rows;
}

oracle::SampledTask reference_task(const Instance& instance) {
  oracle::SampledTask task{to_rows(instance.p), instance.mu, {}, instance.length};
  for (const SparseColumn& column : instance.q) {
    task.q.emplace_back();
    for (std::size_t i = 0; i < column.positions.size(); ++i)
      task.q.back().emplace_back(column.positions[i], column.weights[i]);
  }
  return task;
}

void measure(std::size_t n, std::size_t length, const Arena& arena) {
  GenerateOptions options;
  options.tokens = n;
  options.length = length;
  const Instance instance = generate(options);
  const Sampler sampler(instance, 1);
  Matrix<double> v(n, n);
  Matrix<float> v_single(n, n);
  Attention a(n, length);
  Random random(1);
  for (std::size_t i = 0; i < v.size(); ++i)
    v_single.data()[i] = static_cast<float>(v.data()[i] = .1 * random.normal());
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = static_cast<float>(.01 * random.normal());

  const double tokens = static_cast<double>(kBatch * length);
  const std::size_t blocks = (length + kernel::kBlock - 1) / kernel::kBlock;
  std::vector<std::uint32_t> words(blocks * kernel::kBlock);
  const double generator = rate(tokens, [&] {
    for (std::size_t s = 0; s < kBatch; ++s) kernel::random_words({1, 1, s}, 0, blocks, words.data());
  });
  std::vector<std::uint16_t> drawn_tokens(length);
  const double drawing = rate(tokens, [&] {
    for (std::size_t s = 0; s < kBatch; ++s) sampler.draw_tokens(Stream::kTrain, s, drawn_tokens);
  });
  BatchSums sums;
  BatchGradient gradient(sampler, kBatch, arena);
  const double fused = rate(tokens, [&] { gradient.run(Stream::kTrain, 0, v, a, sums); });

  const Drawn drawn = draw(sampler, kDenseBatch);
  gradient.run(drawn.tokens, drawn.last, drawn.output, v, a, sums);
  Matrix<float> dv(n, n), da(n, length);
  dense_gradient(drawn, v_single, a, dv, da, arena);
  for (std::size_t i = 0; i < da.size(); ++i)
    if (std::abs(da.data()[i] - sums.a.data()[i]) > 1e-4f)
      throw std::runtime_error("the dense gradient is another one");
  const double dense = rate(static_cast<double>(kDenseBatch * length),
                            [&] { dense_gradient(drawn, v_single, a, dv, da, arena); });
  const oracle::SampledTask task = reference_task(instance);
  const oracle::Rows v_rows = to_rows(v), a_rows = to_rows(a);
  const double reference = rate(static_cast<double>(kReferenceBatch * length), [&] {
    std::vector<oracle::DrawnSample> samples;
    for (std::size_t s = 0; s < kReferenceBatch; ++s) samples.push_back(oracle::draw(task, 1, 1, s));
    oracle::gradient(samples, v_rows, a_rows);
  });
  std::printf("| %zu | %zu | %.3f | %.3f | %.3f | %.0f %% | %.4f | %.0f | %.5f | %.0f |\n", n, length,
              generator, drawing, fused, 100 * fused / generator, dense, fused / dense, reference,
              fused / reference);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  std::size_t length = 5000;
  int threads = 1;
  for (int i = 1; i + 1 < argc; i += 2)
    if (std::string(argv[i]) == "--length")
      length = std::stoul(argv[i + 1]);
    else if (std::string(argv[i]) == "--threads")
      threads = std::stoi(argv[i + 1]);
    else
      throw std::runtime_error(std::string("unknown option ") + argv[i]);
  const Arena arena(threads);
  std::printf("Gtok/s a core, %s\n\n", kernel_target());
  std::printf(
      "| N | T | random words | tokens | with gradients | of the words | dense one-hot | ratio | reference | "
      "ratio |\n");
  std::printf("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const std::size_t n : {2, 3, 5, 8, 16, 64, 256}) measure(n, length, arena);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
