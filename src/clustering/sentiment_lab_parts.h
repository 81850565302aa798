#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "telos/base/log.h"
#include "telos/clustering/sentiment_lab.h"
#include "telos/nn/executor.h"
#include "telos/nn/trainer.h"

// What the files of the training share.
namespace telos::clustering {

/// Bags of words with their labels.
struct BagSet {
  std::vector<WordBag> bags{};
  std::vector<std::uint8_t> labels{};
  std::size_t size() const { return bags.size(); }
};
struct SentimentData {
  Vocabulary vocabulary{};
  BagSet train{}, validation{}, test{};
  std::string negative{}, positive{};
  std::string fingerprint{};  ///< SHA-256 of all of it
};
/// Preprocesses, splits (from the first seed), counts words and packs them. Throws kUsage.
SentimentData prepare_data(const TrainingSpec& spec, const LabelledText& train, const LabelledText& test,
                           const Arena& arena);

/// 0 … n−1 in the order that (seed, stream, sample) draws.
std::vector<std::uint32_t> shuffled(std::size_t n, std::uint64_t seed, std::uint32_t stream,
                                    std::uint64_t sample = 0);

/// The step α of the last parameter of a network that trains it.
double alpha_of(double a);
inline bool trains_alpha(const TrainingSpec& spec) {
  return spec.model.layers > 0 && !spec.alpha_fixed;
}

/// The model as a graph: bags of at most `rows` words in, logit and loss out.
struct SentimentNetwork {
  SentimentNetwork(const TrainingSpec& spec, std::size_t vocabulary, std::size_t rows, double alpha);
  nn::ParameterLayout layout;
  std::unique_ptr<nn::Graph> graph;  ///< inputs: ids; counts, target
};
/// The published initial values: E ~ N(0, 1), α ~ U(0, 1) unless the spec sets it, v, b ~ U(±1/√d).
struct InitialValues {
  std::vector<float> parameters;
  double alpha = 0;
};
InitialValues initial_values(const TrainingSpec& spec, std::size_t vocabulary, std::uint64_t seed);

/// One run, from its seed. Its state is the trainer's, the epochs so far, and the sums of the epoch under
/// way; batches follow from the step number.
class SentimentRun {
 public:
  /// `data` must outlive the run. With `directory`, which is made, checkpoints and metrics go there.
  SentimentRun(const TrainingSpec& spec, const SentimentData& data, std::uint64_t seed,
               std::string directory);
  ~SentimentRun();
  /// Goes on from the directory's checkpoint, if there is one. Throws kUsage for one of another spec or of
  /// other texts.
  void resume();
  /// Until the run is over, or after `most_steps` more, or (after a checkpoint) until kInterrupted.
  /// `progress` counts epochs.
  void train(const Arena& arena, std::uint64_t most_steps = ~std::uint64_t{0}, Progress* progress = nullptr);
  void save() const;  ///< a checkpoint; nothing without a directory
  bool done() const;
  /// The run so far, its model tested.
  TrainingRun result(const Arena& arena) const;
  std::span<const float> parameters() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos::clustering
