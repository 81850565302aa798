// bench_hardmax [--large] [--threads T] [--repeats R]
//     complete hardmax runs of many tokens (K = ∞) as a Markdown table; --large adds those that take long
// bench_hardmax --tokens FILE.npy --alpha A --layers K --threads T --out FILE.npy
//     one run for bench/peers/hardmax_peer.py: writes the positions at layer K, prints {"ms": …, "cpu_ms": …}
// The bars on two cores: 2 s for n = 10^6, d = 2 and for n = 10^5, d = 64 anisotropic; 60 s for n = 4·10^5, d
// = 300.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/base/stopwatch.h"
#include "telos/clustering/hardmax.h"
#include "telos/io/files.h"

namespace {

using namespace telos;
using clustering::HardmaxOptions;
using clustering::HardmaxRun;
using clustering::run_hardmax;

enum class Cloud { kIsotropic, kAnisotropic, kShifted, kDisk, kLattice };

struct Case {
  const char* name;
  Cloud cloud;
  std::size_t n, d;
  double alpha;
  bool history = false, large = false;
};

constexpr Case kCases[] = {
    {"Gaussian", Cloud::kIsotropic, 1'000'000, 2, 1},
    {"Gaussian", Cloud::kIsotropic, 1'000'000, 2, 0.5},
    {"Gaussian, history kept", Cloud::kIsotropic, 1'000'000, 2, 0.5, true},
    {"Gaussian", Cloud::kIsotropic, 1'000'000, 2, 0.05},
    {"Gaussian around (5, 5)", Cloud::kShifted, 1'000'000, 2, 0.5},
    {"uniform in a disk", Cloud::kDisk, 1'000'000, 2, 0.5},
    {"lattice 2001 x 2001", Cloud::kLattice, 1'000'000, 2, 0.5},
    {"Gaussian", Cloud::kIsotropic, 10'000'000, 2, 1, false, true},
    {"anisotropic", Cloud::kAnisotropic, 100'000, 64, 1},
    {"isotropic, the worst case", Cloud::kIsotropic, 100'000, 64, 1},
    {"anisotropic", Cloud::kAnisotropic, 400'000, 300, 1, false, true},
};

/// Anisotropic: coordinate c has standard deviation 1/(1 + c), about the spectrum of word vectors.
Matrix<double> make_tokens(const Case& what) {
  Matrix<double> x(what.n, what.d);
  Random random(1);
  for (std::size_t i = 0; i < what.n; ++i)
    for (std::size_t c = 0; c < what.d; ++c) switch (what.cloud) {
        case Cloud::kIsotropic:
          x(i, c) = random.normal();
          break;
        case Cloud::kAnisotropic:
          x(i, c) = random.normal() / static_cast<double>(1 + c);
          break;
        case Cloud::kShifted:
          x(i, c) = random.normal() + 5;
          break;
        case Cloud::kLattice:
          x(i, c) = static_cast<double>(random.below(2001)) - 1000;
          break;
        case Cloud::kDisk:
          do {
            x(i, 0) = 2 * random.uniform() - 1;
            x(i, 1) = 2 * random.uniform() - 1;
          } while (x(i, 0) * x(i, 0) + x(i, 1) * x(i, 1) > 1);
          c = what.d;
          break;
      }
  return x;
}

/// Peak of resident memory since the last call, in MB, where the system tells.
double peak_memory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  double peak = 0;
  while (status >> word)
    if (word == "VmHWM:") status >> peak;
  std::ofstream("/proc/self/clear_refs") << "5";
  return peak / 1e3;
}

/// Of all threads.
double milliseconds_since(std::clock_t start) {
  return 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

void measure(const Case& what, int repeats, const Arena& arena) {
  const Matrix<double> tokens = make_tokens(what);
  HardmaxOptions options;
  options.alpha = what.alpha;
  options.history = what.history;
  std::vector<double> seconds, cpu;
  HardmaxRun run;
  peak_memory();
  for (int r = 0; r < repeats; ++r) {
    run = {};
    const Stopwatch watch;
    const std::clock_t start = std::clock();
    run = run_hardmax(tokens, options, arena);
    seconds.push_back(watch.seconds());
    cpu.push_back(milliseconds_since(start) / 1e3);
  }
  const double peak = peak_memory();
  std::ranges::sort(seconds);
  std::ranges::sort(cpu);
  double scores = 0;
  for (const clustering::LayerCounts& layer : run.per_layer) scores += static_cast<double>(layer.scores);
  const double n = static_cast<double>(what.n);
  std::printf("| %s | %zu | %zu | %g | %.2f | %.2f | %zu | %zu | %.2e | %.2e | %.0f |\n", what.name, what.n,
              what.d, what.alpha, seconds.front(), cpu.front(), run.layers, run.leaders.size(), scores / n,
              scores / n / n, peak);
  std::fflush(stdout);
}

void run_file(std::map<std::string, std::string>& words, const Arena& arena) {
  const Matrix<double> tokens = read_npy(words.at("--tokens"));
  HardmaxOptions options;
  options.alpha = std::stod(words.at("--alpha"));
  options.layers = std::stoul(words.at("--layers"));
  options.history = false;
  run_hardmax(tokens, options, arena);  // the first touch of memory, sleeping threads
  const Stopwatch watch;
  const std::clock_t cpu = std::clock();
  const HardmaxRun run = run_hardmax(tokens, options, arena);
  std::printf("{\"ms\": %.4f, \"cpu_ms\": %.4f}\n", 1e3 * watch.seconds(), milliseconds_since(cpu));
  write_npy(words.at("--out"), run.limits.view());
}

}  // namespace

int main(int argc, char** argv) try {
  std::map<std::string, std::string> words;
  bool large = false;
  for (int i = 1; i < argc; ++i)
    if (std::string(argv[i]) == "--large")
      large = true;
    else if (i + 1 < argc) {
      words[argv[i]] = argv[i + 1];
      ++i;
    } else
      throw std::runtime_error(std::string(argv[i]) + " wants a value");
  const Arena arena(words.contains("--threads") ? std::stoi(words["--threads"]) : 2);
  if (words.contains("--tokens")) {
    run_file(words, arena);
    return 0;
  }
  const int repeats = words.contains("--repeats") ? std::max(1, std::stoi(words["--repeats"])) : 3;
  std::printf(
      "| tokens | n | d | α | s | CPU s | layers | leaders | scores/n | scores/n² | peak MB |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const Case& what : kCases)
    if (large || !what.large) measure(what, what.large ? 1 : repeats, arena);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
