// bench_symmetry_kernel [large]
//     nanoseconds a transformed element; the products of strips, beside the multiply-add rate
//     of the machine: both of one core; and Gram matrices on all cores, seconds and CPU
//     microseconds a pair, in double and in single precision:
//       S1  256 sequences of 32 tokens, one block, read at the last token and by the mean;
//       S2  1,000 of 64, one block, mean;
//       S3  1,000 of 64, four blocks, last: about 1 TFLOP of products;
//       S5  10,000 of 64, one block, last;
//     without `large` of S2 and S3 the first 128 sequences, of S5 the first 2,000.
// The bar: 1.5 ns an element of relu in double precision, 60 % of the peak in products, S5 in 3 s on two
// cores.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "linalg/peers.h"
#include "telos/base/philox.h"
#include "telos/base/stopwatch.h"
#include "telos/linalg/gemm.h"
#include "telos/symmetry/gram.h"
#include "telos/symmetry/nonlinearity.h"

namespace {

using namespace telos;
using namespace telos::symmetry;

double nanoseconds(Nonlinearity phi, bool slopes) {
  constexpr std::size_t kElements = 512, kRounds = 16000;
  Random random(1);
  std::vector<double> b(kElements), c(kElements), inverse(kElements), values(kElements),
      slope(slopes ? kElements : 0);
  for (std::size_t i = 0; i < kElements; ++i) {
    b[i] = 0.5 + random.uniform();
    c[i] = (2 * random.uniform() - 1) * 0.5;
  }
  inverse_roots(phi, b, inverse);
  double best = 1e9;
  for (int run = 0; run < 3; ++run) {
    const std::clock_t start = std::clock();
    for (std::size_t round = 0; round < kRounds; ++round) {
      values = c;
      transform_row(phi, 0, 1, b, inverse, values, slope);
    }
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return 1e9 * best / static_cast<double>(kElements * kRounds);
}

/// Operations a second of `run`, which does `flops`: the best of many short runs.
template <class Run>
double rate(double flops, const Run& run) {
  double best = 0;
  for (int i = 0; i < 200; ++i) {
    const Stopwatch watch;
    for (int j = 0; j < 4; ++j) run();
    best = std::max(best, 4 * flops / watch.seconds());
  }
  return best;
}

/// The products of attention for one X and eight Y of 64 tokens: ζ_X [K_1 … K_8], then each by ζ_Yᵀ.
template <class T>
void time_products(const char* name) {
  constexpr std::size_t kLength = 64, kSequences = 8;
  const Arena alone(1);
  Random random(2);
  const auto filled = [&](std::size_t rows, std::size_t cols) {
    Matrix<T> m(rows, cols);
    for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] = static_cast<T>(random.uniform());
    return m;
  };
  const Matrix<T> zeta = filled(kLength, kLength), k = filled(kLength, kLength * kSequences);
  Matrix<T> half(kLength, k.cols()), out(kLength, k.cols());
  const PackedMatrix<T> right(Op::kTransposed, zeta);
  const double flops = 2.0 * kLength * kLength * static_cast<double>(k.cols()), peak = bench::fma_peak<T>();
  const double wide = rate(flops, [&] { gemm<T>(Op::kPlain, Op::kPlain, 1, zeta, k, 0, half, alone); });
  const double narrow = rate(flops, [&] {
    for (std::size_t j = 0; j < k.cols(); j += kLength)
      gemm_packed<T>(half.view().block(0, j, kLength, kLength), right, Epilogue<T>{},
                     out.view().block(0, j, kLength, kLength), alone);
  });
  std::printf("| %s | %.0f | %.0f (%.0f %%) | %.0f (%.0f %%) |\n", name, peak / 1e9, wide / 1e9,
              100 * wide / peak, narrow / 1e9, 100 * narrow / peak);
}

void time_gram(const char* name, const char* architecture, Readout readout, std::size_t n, std::size_t length,
               bool ntk, Precision precision, const Arena& arena) {
  Architecture a = preset(architecture);
  a.readout = readout;
  const Kernel kernel(a, 64, {.ntk = ntk, .precision = precision});
  const Sequences s = draw_sequences(n, length, 64, 1);
  const Stopwatch watch;
  const std::clock_t start = std::clock();
  const Gram g = gram(kernel, s, {.ntk = ntk}, arena);
  const double cpu = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const double pairs = static_cast<double>(n) * static_cast<double>(n + 1) / 2;
  std::printf("| %s | %zu | %zu | %s | %s | %s | %.3f | %.2f |\n", name, n, length,
              std::string(to_string(readout)).c_str(), ntk ? "NTK" : "NNGP",
              precision == Precision::kSingle ? "f32" : "f64", watch.seconds(), 1e6 * cpu / pairs);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool large = argc > 1 && std::string(argv[1]) == "large";
  std::printf("| nonlinearity | ns a value | ns with slope |\n|:--|--:|--:|\n");
  for (const Nonlinearity phi : {Nonlinearity::kRelu, Nonlinearity::kErf, Nonlinearity::kGelu})
    std::printf("| %s | %.2f | %.2f |\n", std::string(to_string(phi)).c_str(), nanoseconds(phi, false),
                nanoseconds(phi, true));
  std::printf("\n| products | multiply-adds, GF/s | ζ [K …], GF/s | by ζᵀ, GF/s |\n|:--|--:|--:|--:|\n");
  time_products<double>("f64");
  time_products<float>("f32");
  const Arena arena;
  std::printf(
      "\n%d threads\n| case | n | L | readout | kernel | precision | s | µs a pair, CPU "
      "|\n|:--|--:|--:|:--|:--|:--|--:|--:|\n",
      arena.threads());
  const auto time_case = [&](const char* name, const char* architecture, Readout readout, std::size_t n,
                             std::size_t length) {
    time_gram(name, architecture, readout, n, length, false, Precision::kDouble, arena);
    if (preset(architecture).blocks.size() > 1 || readout == Readout::kMean)
      time_gram(name, architecture, readout, n, length, false, Precision::kSingle, arena);
    if (readout == Readout::kMean)
      time_gram(name, architecture, readout, n, length, true, Precision::kDouble, arena);
  };
  time_case("S1", "pre-ln-relu", Readout::kLast, 256, 32);
  time_case("S1", "pre-ln-relu", Readout::kMean, 256, 32);
  time_case("S2", "pre-ln-relu", Readout::kMean, large ? 1000 : 256, 64);
  time_case("S3", "deep", Readout::kLast, large ? 1000 : 128, 64);
  time_case("S5", "pre-ln-relu", Readout::kLast, large ? 10000 : 2000, 64);
}
