// bench_symmetry_corpus
//     tokens a second of one core that are counted in windows, CPU time, the best of several runs. All tokens
//     letters, and half of them, as in a running text.
// The bar: 20 Mtok/s at K = 64, L = 16.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <utility>
#include <vector>

#include "telos/base/philox.h"
#include "telos/symmetry/corpus.h"

namespace {

using namespace telos;

constexpr std::size_t kTokens = 4'000'000;

/// Letters below `letters` of falling frequency, and `rest` of the tokens none of them.
std::vector<std::uint16_t> draw_text(std::size_t letters, double rest) {
  Random random(1);
  std::vector<std::uint16_t> text(kTokens);
  for (std::uint16_t& token : text) {
    const double u = random.uniform();
    token = static_cast<std::uint16_t>(
        random.uniform() < rest ? letters : static_cast<std::size_t>(u * u * static_cast<double>(letters)));
  }
  return text;
}

double rate(const std::vector<std::uint16_t>& text, std::size_t letters, std::size_t length) {
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    symmetry::WindowCounts counts(letters, length);
    const std::clock_t start = std::clock();
    counts.add(text);
    best = std::max(best, kTokens / (static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC));
  }
  return 1e-6 * best;
}

}  // namespace

int main() {
  std::printf("| K | L | all letters, Mtok/s | half letters, Mtok/s |\n|--:|--:|--:|--:|\n");
  for (const auto& [letters, length] :
       {std::pair<std::size_t, std::size_t>{16, 8}, {64, 16}, {256, 16}, {64, 64}})
    std::printf("| %zu | %zu | %.0f | %.0f |\n", letters, length,
                rate(draw_text(letters, 0), letters, length), rate(draw_text(letters, 0.5), letters, length));
}
