// Times training steps of the sentiment model on request, so that bench/peers/sentiment_torch.py can
// interleave them with those of a peer.
//
//   bench_sentiment TEXTS WEIGHTS ALPHA BATCH THREADS
//
// TEXTS is an .npy matrix, one text a row: its word numbers, 0 for padding, then its label. WEIGHTS is an
// .npy matrix: a row for each word, then the weights of the decoder, whose bias starts at 0. Step i takes the
// batch (i mod number of batches). Answers lines
//
//   time STEPS      wall and CPU milliseconds of each step, then the last loss
//   losses STEPS    the loss before each step, from WEIGHTS on
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "clustering/sentiment_lab_parts.h"
#include "telos/io/files.h"

namespace {

using namespace telos;
using clustering::TrainingSpec;

/// Batches of texts whose equal words are merged.
class Batches {
 public:
  Batches(const Matrix<double>& texts, std::size_t batch) : size_(batch), count_(texts.rows() / batch) {
    const std::size_t positions = texts.cols() - 1;
    if (count_ == 0) throw std::runtime_error("there are fewer texts than a batch");
    std::vector<std::map<std::int32_t, float>> bags(count_ * batch);
    for (std::size_t i = 0; i < bags.size(); ++i) {
      for (std::size_t p = 0; p < positions; ++p) bags[i][static_cast<std::int32_t>(texts(i, p))] += 1;
      rows_ = std::max(rows_, bags[i].size());
      targets_.push_back(static_cast<float>(texts(i, positions)));
    }
    ids_.resize(bags.size() * rows_);
    counts_.resize(bags.size() * rows_);
    for (std::size_t i = 0; i < bags.size(); ++i) {
      std::size_t at = i * rows_;
      for (const auto& [id, count] : bags[i]) {
        ids_[at] = id;
        counts_[at++] = count;
      }
    }
  }
  nn::Batch<float> operator[](std::size_t step) const {
    const std::size_t first = step % count_ * size_;
    return {.samples = size_,
            .real = {{counts_.data() + first * rows_, size_ * rows_, 1}, {targets_.data() + first, size_, 1}},
            .index = {std::span(ids_).subspan(first * rows_, size_ * rows_)}};
  }
  std::size_t rows() const { return rows_; }

 private:
  std::size_t size_, count_, rows_ = 1;
  std::vector<std::int32_t> ids_{};
  std::vector<float> counts_{}, targets_{};
};

class Bench {
 public:
  Bench(const Matrix<double>& texts, const Matrix<double>& weights, double alpha, std::size_t batch,
        int threads)
      : batches_(texts, batch),
        spec_(spec_of(weights, alpha)),
        network_(spec_, weights.rows() - 1, batches_.rows(), alpha),
        executor_(*network_.graph, {.micro_batch = 8, .lanes = 4}),
        initial_(clustering::initial_values(spec_, weights.rows() - 1, 0).parameters),
        arena_(threads) {
    std::copy_n(weights.data(), weights.size(), initial_.data());
    initial_[weights.size()] = 0;
    restart();
  }

  void time(std::size_t steps) {
    using Clock = std::chrono::steady_clock;
    double loss = 0;
    for (std::size_t i = 0; i < steps; ++i) {
      const std::clock_t cpu = std::clock();
      const auto begin = Clock::now();
      loss = trainer_->step(executor_, batches_[trainer_->steps()], spec_.learning_rate, arena_);
      const double wall = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
      std::printf("%.4f %.4f ", wall, 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
    }
    std::printf("%.9g\n", loss);
  }

  void losses(std::size_t steps) {
    restart();
    for (std::size_t i = 0; i < steps; ++i)
      std::printf("%.9g ", trainer_->step(executor_, batches_[i], spec_.learning_rate, arena_));
    std::printf("\n");
    restart();
  }

 private:
  static TrainingSpec spec_of(const Matrix<double>& weights, double alpha) {
    TrainingSpec spec;
    spec.model.dim = weights.cols();
    spec.alpha_init = alpha;
    return spec;
  }
  void restart() {
    nn::OptimizerOptions options;
    options.clip_norm = spec_.clip_norm;
    trainer_ = std::make_unique<nn::Trainer>(network_.layout, initial_, options);
  }

  Batches batches_;
  TrainingSpec spec_;
  clustering::SentimentNetwork network_;
  nn::Executor<float> executor_;
  std::vector<float> initial_;
  Arena arena_;
  std::unique_ptr<nn::Trainer> trainer_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: bench_sentiment TEXTS WEIGHTS ALPHA BATCH THREADS\n");
    return 2;
  }
  try {
    Bench bench(read_npy(argv[1]), read_npy(argv[2]), std::atof(argv[3]),
                static_cast<std::size_t>(std::atoll(argv[4])), std::atoi(argv[5]));
    std::string command;
    std::size_t steps = 0;
    while (std::cin >> command >> steps) {
      if (command == "time") bench.time(steps);
      if (command == "losses") bench.losses(steps);
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
