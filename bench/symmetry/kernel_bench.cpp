// bench_symmetry_kernel [large]
//     nanoseconds a transformed element, of one core; and Gram matrices on all cores, seconds
//     and CPU microseconds a pair:
//       S1  256 sequences of 32 tokens, one block, read at the last token and by the mean;
//       S2  1,000 of 64, one block, mean;
//       S3  1,000 of 64, four blocks, last: about 1 TFLOP of products;
//       S5  10,000 of 64, one block, last;
//     without `large` of S2 and S3 the first 128 sequences, of S5 the first 2,000.
// The bar: 1.5 ns an element in double precision, S5 in 3 s on two cores.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "telos/base/philox.h"
#include "telos/base/stopwatch.h"
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

void time_gram(const char* name, const char* architecture, Readout readout, std::size_t n, std::size_t length,
               bool ntk, const Arena& arena) {
  Architecture a = preset(architecture);
  a.readout = readout;
  const Kernel kernel(a, 64, {.ntk = ntk});
  const Sequences s = draw_sequences(n, length, 64, 1);
  const Stopwatch watch;
  const std::clock_t start = std::clock();
  const Gram g = gram(kernel, s, {.ntk = ntk}, arena);
  const double cpu = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const double pairs = static_cast<double>(n) * static_cast<double>(n + 1) / 2;
  std::printf("| %s | %zu | %zu | %s | %s | %.3f | %.2f |\n", name, n, length,
              std::string(to_string(readout)).c_str(), ntk ? "NTK" : "NNGP", watch.seconds(),
              1e6 * cpu / pairs);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool large = argc > 1 && std::string(argv[1]) == "large";
  std::printf("| nonlinearity | ns a value | ns with slope |\n|:--|--:|--:|\n");
  for (const Nonlinearity phi : {Nonlinearity::kRelu, Nonlinearity::kErf, Nonlinearity::kGelu})
    std::printf("| %s | %.2f | %.2f |\n", std::string(to_string(phi)).c_str(), nanoseconds(phi, false),
                nanoseconds(phi, true));
  const Arena arena;
  std::printf(
      "\n%d threads\n| case | n | L | readout | kernel | s | µs a pair, CPU "
      "|\n|:--|--:|--:|:--|:--|--:|--:|\n",
      arena.threads());
  for (const bool ntk : {false, true}) {
    time_gram("S1", "pre-ln-relu", Readout::kLast, 256, 32, ntk, arena);
    time_gram("S1", "pre-ln-relu", Readout::kMean, 256, 32, ntk, arena);
  }
  time_gram("S2", "pre-ln-relu", Readout::kMean, large ? 1000 : 128, 64, false, arena);
  time_gram("S3", "deep", Readout::kLast, large ? 1000 : 128, 64, false, arena);
  time_gram("S5", "pre-ln-relu", Readout::kLast, large ? 10000 : 2000, 64, false, arena);
}
