#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/clustering/sentiment.h"
#include "telos/io/labelled_text.h"

// Training of the sentiment model, and its baselines.

namespace telos::clustering {

struct TrainingSpec {
  SentimentConfig model{};
  PreprocessOptions preprocess{};
  LayerMode mode = LayerMode::kSoft;
  double ste_temperature = 0.1;  ///< T_b of kSte
  std::size_t epochs = 30, batch = 64;
  double learning_rate = 1e-3;  ///< Adam (0.9, 0.999, 1e-8)
  double clip_norm = 5;         ///< of the whole gradient
  /// α = log(1 + e^{10a})/10 keeps it positive and learns as the published plain number does from α ≈ 0.3 on.
  /// alpha_init 0: α ~ U(0, 1) from the seed.
  double alpha_init = 0;
  bool alpha_fixed = false;
  std::size_t patience = 0;     ///< stop after so many epochs without a better validation accuracy; 0: never
  double test_share = 0.3;      ///< of the texts where no test file is given, drawn from the seed
  double validation_share = 0;  ///< of the training texts, for patience and the choice of the epoch
  std::uint64_t min_count = 1;  ///< words rarer in the training texts are unknown
  bool vocabulary_of_all = true;  ///< words of the test texts get (untrained) ids too, as published
  std::vector<std::uint64_t> seeds{0};
  bool baselines = true;             ///< K = 0 at the same settings, and logistic regression on bags of words
  std::size_t checkpoint_every = 1;  ///< epochs
  bool operator==(const TrainingSpec&) const = default;
};
std::string to_json(const TrainingSpec& spec);
TrainingSpec training_spec_from_json(const std::string& text, const std::string& where);

struct Epoch {
  std::size_t epoch = 0;                      ///< from 0
  double train_loss = 0, train_accuracy = 0;  ///< over the epoch, as the weights change
  double test_loss = 0, test_accuracy = 0, validation_accuracy = 0;
  double alpha = 0;
  double seconds = 0;  ///< of training; the test pass apart
};
struct TrainingRun {
  std::uint64_t seed = 0;
  std::vector<Epoch> epochs;
  std::size_t best_epoch = 0;  ///< by validation accuracy, or the last
  SentimentModel model;        ///< of that epoch
  Evaluation soft, hard;       ///< of `model` on the test texts
  double agreement = 0;        ///< share of test texts that soft and hard classify alike
  bool finished = true;        ///< false: interrupted; resume goes on
  std::string failed;          ///< a message, if the run failed
};
struct Baseline {
  std::string name;              ///< "K = 0, seed 1", "logistic regression on bags of words"
  std::vector<double> accuracy;  ///< test, by seed
  std::vector<Epoch> epochs;     ///< of the first seed
};
struct TrainingResult {
  TrainingSpec spec;
  std::size_t train_texts = 0, validation_texts = 0, test_texts = 0, vocabulary = 0;
  double mean_unique = 0;  ///< unique words of a text
  double short_share = 0;  ///< texts shorter than max_length
  std::vector<TrainingRun> runs;
  std::vector<Baseline> baselines;
  std::vector<std::string> notes;
};

/// Throws kUsage naming the field, its value and what is allowed.
void check_spec(const TrainingSpec& spec);

/// Trains one run a seed; `test` may be empty (a share of `train` is drawn then, by the first seed for all
/// runs). With `directory`, leaves checkpoint.safetensors and metrics.jsonl of each seed in seed-S, of the
/// baseline without layers in no-layers-S, and, with `resume`, goes on from them, bit-identically; epochs and
/// seeds may be more than before. An interrupt saves a checkpoint first. Seeds run at once on different cores
/// when there are several, else one run uses all cores; bits do not depend on which. Throws kUsage for a spec
/// that makes no sense, one class only, and a directory of other settings or texts; kNotFinite, kIo,
/// kInterrupted. An epoch of 35,000 texts, 8 layers: docs/benchmarks.md.
TrainingResult train_sentiment(const TrainingSpec& spec, const LabelledText& train, const LabelledText& test,
                               const std::string& directory, bool resume, const Arena& arena);

/// L2-regularised logistic regression on word counts (bags of words, rows scaled to length 1), L-BFGS or
/// Newton to convergence; returns test accuracy.
struct BagRegression {
  double train_accuracy = 0, test_accuracy = 0, penalty = 0;
  std::size_t iterations = 0;
};
BagRegression bag_regression(std::span<const WordBag> train, std::span<const std::uint8_t> train_labels,
                             std::span<const WordBag> test, std::span<const std::uint8_t> test_labels,
                             std::size_t vocabulary, double penalty, const Arena& arena);

}  // namespace telos::clustering
