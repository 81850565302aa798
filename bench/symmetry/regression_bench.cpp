// bench_symmetry_regression [N]
//     pairs a second of the simplified block's Gram matrix, and the seconds of an exact regression on N
//     samples (default 4000), wall clock, on all cores; then learning curves beside the self-consistent
//     theory (uniform letters, V = 4, L = 8, e = 1, s = 1/2, r = noise = 0.01).
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "telos/symmetry/gpr.h"
#include "telos/symmetry/learning_simulation.h"

namespace {

using namespace telos;
using namespace telos::symmetry;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void gram_rates(const Arena& arena) {
  std::printf("| L | V | Mpair/s |\n|--:|--:|--:|\n");
  for (const auto& [length, letters] :
       {std::pair<std::size_t, std::uint32_t>{8, 4}, {64, 16}, {128, 64}, {512, 64}}) {
    const std::size_t n = 4000;
    const Matrix<std::uint32_t> x = Law::iid(letters).draw(n, length, 1, 0, 0, arena);
    double best = 0;
    for (int run = 0; run < 3; ++run) {
      const auto start = std::chrono::steady_clock::now();
      const Matrix<double> gram = simplified_gram({}, x, letters, arena);
      best = std::max(best, static_cast<double>(n * (n + 1) / 2) / seconds_since(start));
    }
    std::printf("| %zu | %u | %.0f |\n", length, letters, 1e-6 * best);
  }
}

void regression(std::size_t n, const Arena& arena) {
  const Matrix<std::uint32_t> x = Law::iid(16).draw(n, 64, 1, 0, 0, arena);
  const Matrix<double> y(n, 1);
  Matrix<double> gram = simplified_gram({}, x, 16, arena);
  const auto start = std::chrono::steady_clock::now();
  const GaussianProcess process(std::move(gram), 0.01, arena);
  process.weights(y, arena);
  std::printf("\n%zu samples: %.2f s\n\n", n, seconds_since(start));
}

/// Energy 1 in (L), 0.5 in (L−1,1).
SequenceTarget target(std::size_t length) {
  std::vector<LinearFunction> f;
  f.push_back({0, Matrix<double>(length, 4)});
  for (std::size_t v = 0; v < 4; ++v) {
    const double psi = v < 2 ? 1 : -1;
    for (std::size_t b = 0; b < length; ++b)
      f[0].table(b, v) = psi / std::sqrt(static_cast<double>(length)) + (b == 0   ? 0.5
                                                                         : b == 1 ? -0.5
                                                                                  : 0) *
                                                                            psi;
  }
  return SequenceTarget::linear("two irreps", std::move(f));
}

void curves(const Arena& arena) {
  SimulationOptions o;
  o.draws = 400;
  std::printf("| P | E_g | E_train | (L) | (L−1,1) |\n|--:|--:|--:|--:|--:|\n");
  for (const SimulatedPoint& p : simulate_learning(Law::iid(4), target(8), nullptr, o, arena).points)
    std::printf("| %zu | %.5f ± %.5f | %.5f ± %.5f | %.4f ± %.4f | %.4f ± %.4f |\n", p.samples, p.error.value,
                p.error.error, p.train_error.value, p.train_error.error, p.learnability[0].value,
                p.learnability[0].error, p.learnability[1].value, p.learnability[1].error);
}

}  // namespace

int main(int argc, char** argv) {
  const Arena arena;
  gram_rates(arena);
  regression(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 4000, arena);
  curves(arena);
}
