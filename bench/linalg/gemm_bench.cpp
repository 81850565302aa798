// Single-precision matrix products, one thread, telos beside OpenBLAS, BLIS and oneDNN in one run:
//   bench_gemm [--benchmark_min_time=0.1] [--benchmark_filter=...] [--benchmark_enable_random_interleaving]
// Prints Google Benchmark's lines to stderr and one Markdown table to stdout: GFLOP/s, the ratio to the best
// peer, and the fraction of the measured multiply-add peak.
#include <benchmark/benchmark.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <vector>

#include "linalg/peers.h"
#include "telos/base/philox.h"
#include "telos/linalg/gemm.h"

namespace telos::bench {
namespace {

const std::vector<Problem> kProblems = {
    // Squares, small and skinny products of training.
    {16, 16, 16},
    {32, 32, 32},
    {64, 64, 64},
    {128, 128, 128},
    {256, 256, 256},
    {1024, 1024, 1024},
    {8, 64, 64},
    {16, 16, 64},
    {8, 256, 1024},
    {32, 64, 256},
    {64, 128, 512},
    {128, 256, 1024},
    {256, 64, 4096},
    {512, 256, 256},
    {512, 256, 4096},
    {8, 16, 4096},
    {256, 32, 8},
    {4096, 64, 64},
    {4096, 64, 256},
    {4096, 16, 64},
    {128, 128, 128, true, false},
    {128, 128, 128, false, true},
    {256, 256, 256, true, false},
    {256, 256, 256, false, true},
    {1024, 1024, 1024, true, false},
    {1024, 1024, 1024, false, true},
    // Attention: scores (NT) and weighted values (NN) of one head; spectra k×d×k.
    {128, 128, 32, false, true},
    {128, 32, 128},
    {256, 256, 64, false, true},
    {256, 64, 256},
    {128, 128, 4096, true, false},
    {128, 128, 4096},
    // Forward passes: packed weights of d = 384 and d = 768.
    {128, 384, 384, false, false, true},
    {128, 1152, 384, false, false, true},
    {128, 1536, 384, false, false, true},
    {128, 384, 1536, false, false, true},
    {128, 768, 768, false, false, true},
    {128, 2304, 768, false, false, true},
    {128, 3072, 768, false, false, true},
    {128, 768, 3072, false, false, true},
    {1024, 768, 768, false, false, true},
    {1024, 3072, 768, false, false, true},
    {1024, 768, 3072, false, false, true},
};

std::function<void()> prepare_telos(const Problem& p, const float* a, const float* b, float* c) {
  static const Arena arena(1);
  const ConstMatrixView<float> left(a, p.transposed_a ? p.k : p.m, p.transposed_a ? p.m : p.k);
  const ConstMatrixView<float> right(b, p.transposed_b ? p.n : p.k, p.transposed_b ? p.k : p.n);
  const MatrixView<float> out(c, p.m, p.n);
  const Op op_a = p.transposed_a ? Op::kTransposed : Op::kPlain,
           op_b = p.transposed_b ? Op::kTransposed : Op::kPlain;
  if (!p.packed) return [=] { gemm<float>(op_a, op_b, 1, left, right, 0, out, arena); };
  const auto packed = std::make_shared<PackedMatrix<float>>(op_b, right);
  return [=] { gemm_packed<float>(left, *packed, {}, out, arena); };
}

std::shared_ptr<Matrix<float>> random_operand(std::size_t size, std::uint64_t seed) {
  const auto m = std::make_shared<Matrix<float>>(1, size);
  Random random(seed);
  for (std::size_t i = 0; i < size; ++i) m->data()[i] = static_cast<float>(random.normal());
  return m;
}

// Keeps the best rate of each (problem, library); runs are named "problem/library".
class TableReporter : public benchmark::ConsoleReporter {
 public:
  TableReporter() : ConsoleReporter(OO_Tabular) {
    SetOutputStream(&std::cerr);
    SetErrorStream(&std::cerr);
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs)
      if (const auto it = run.counters.find("flops");
          it != run.counters.end() && run.run_type == Run::RT_Iteration) {
        double& best = rates_[run.run_name.function_name];
        best = std::max(best, it->second.value);
      }
    ConsoleReporter::ReportRuns(runs);
  }
  void print_table(const std::vector<Peer>& libraries, double peak) const {
    std::printf("| m x n x k |");
    for (const Peer& library : libraries) std::printf(" %s |", library.name.c_str());
    std::printf(" telos / best peer | of FMA peak |\n|---|");
    for (std::size_t i = 0; i < libraries.size() + 2; ++i) std::printf("---|");
    std::printf("\n");
    for (const Problem& problem : kProblems) {
      std::vector<double> rates;
      for (const Peer& library : libraries) {
        const auto it = rates_.find(problem.name() + "/" + library.name);
        rates.push_back(it == rates_.end() ? 0 : it->second);
      }
      if (rates[0] == 0) continue;
      std::printf("| %s |", problem.name().c_str());
      for (const double rate : rates) std::printf(" %.1f |", rate * 1e-9);
      const double peer = *std::max_element(rates.begin() + 1, rates.end());
      std::printf(" %.2f | %.2f |\n", peer > 0 ? rates[0] / peer : 0.0, rates[0] / peak);
    }
  }

 private:
  std::map<std::string, double> rates_;
};

int run(int argc, char** argv) {
  // oneDNN starts OpenMP threads of its own unless it is told otherwise.
  if (const auto set_threads = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads")))
    set_threads(1);
  std::vector<Peer> libraries = find_peers();
  libraries.insert(libraries.begin(), {"telos", prepare_telos});
  benchmark::Initialize(&argc, argv);
  for (const Problem& problem : kProblems)
    for (const Peer& library : libraries)
      benchmark::RegisterBenchmark(
          (problem.name() + "/" + library.name).c_str(), [=](benchmark::State& state) {
            const auto a = random_operand(problem.m * problem.k, 1),
                       b = random_operand(problem.k * problem.n, 2);
            Matrix<float> c(problem.m, problem.n);
            const std::function<void()> product = library.prepare(problem, a->data(), b->data(), c.data());
            for (auto _ : state) product();
            state.counters["flops"] =
                benchmark::Counter(problem.flops(), benchmark::Counter::kIsIterationInvariantRate);
          });
  const double peak = fma_peak();
  TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  std::printf("\nGFLOP/s, one thread; kernels %s, measured multiply-add peak %.1f GFLOP/s.\n\n",
              kernel_target(), std::max(peak, fma_peak()) * 1e-9);
  reporter.print_table(libraries, std::max(peak, fma_peak()));
  return 0;
}

}  // namespace
}  // namespace telos::bench

int main(int argc, char** argv) {
  return telos::bench::run(argc, argv);
}
