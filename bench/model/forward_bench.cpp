// Times forward passes on request, so that bench/peers/forward_peer.py can interleave them with those of a
// peer.
//
//   bench_forward MODEL THREADS
//
// prints "peak GFLOPS" (fused multiply-adds of one thread) once, then reads lines "SEQUENCES TOKENS PASSES"
// and answers each with the wall and CPU milliseconds of each pass and, last, the norm of the last hidden
// state, by which the caller checks that both sides computed the same. Token i of a batch is (7919 i + 13)
// mod V. Hidden states and attention are recorded.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iostream>
#include <string>

#include "linalg/peers.h"
#include "telos/io/checkpoint.h"
#include "telos/model/transformer.h"

namespace {

telos::TokenBatch make_batch(std::size_t sequences, std::size_t tokens, std::size_t vocabulary) {
  telos::TokenBatch batch{sequences, tokens, {}, {}, {}};
  for (std::size_t i = 0; i < sequences * tokens; ++i)
    batch.ids.push_back(static_cast<std::int32_t>((7919 * i + 13) % vocabulary));
  return batch;
}

double norm(const telos::Matrix<float>& matrix) {
  double sum = 0;
  for (std::size_t i = 0; i < matrix.size(); ++i) sum += std::pow(static_cast<double>(matrix.data()[i]), 2);
  return std::sqrt(sum);
}

void serve(const char* path, int threads) {
  using Clock = std::chrono::steady_clock;
  const telos::Arena arena(threads);
  const telos::Checkpoint checkpoint = telos::Checkpoint::open(path);
  const telos::Transformer model = telos::Transformer::load(checkpoint, telos::identify(checkpoint), arena);
  std::printf("%.1f\n", telos::bench::fma_peak() * 1e-9);
  std::fflush(stdout);
  std::size_t sequences = 0, tokens = 0, passes = 0;
  while (std::cin >> sequences >> tokens >> passes) {
    const telos::TokenBatch batch = make_batch(sequences, tokens, model.architecture().vocabulary);
    double last = 0;
    for (std::size_t i = 0; i < passes; ++i) {
      const std::clock_t cpu = std::clock();
      const auto begin = Clock::now();
      const telos::Trace trace = model.forward(batch, {}, arena);
      const double wall = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
      std::printf("%.4f %.4f ", wall, 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
      last = norm(trace.final_hidden.empty() ? trace.hidden.back() : trace.final_hidden);
    }
    std::printf("%.6f\n", last);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_forward MODEL THREADS\n");
    return 2;
  }
  try {
    serve(argv[1], std::atoi(argv[2]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
