#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/clustering/preprocess.h"

// The sentiment model of the paper: word vectors, K shared pure-attention layers, mean, linear, sigmoid.

namespace telos::clustering {

/// How a layer is computed (and, when training, differentiated).
enum class LayerMode {
  kSoft,  ///< softmax at temperature T, and its gradient
  kHard,  ///< hardmax with equal weights on ties, and its gradient almost everywhere (P constant)
  kSte,   ///< hardmax forward, gradient of the softmax at `ste_temperature`
};
std::string_view to_string(LayerMode mode);

struct SentimentConfig {
  std::size_t dim = 2;           ///< d
  std::size_t layers = 8;        ///< K; 0: a bag of word vectors
  std::size_t max_length = 128;  ///< words of a text that are read
  double temperature = 1e-3;     ///< T of the softmax
  /// Texts shorter than max_length are filled with the padding word, which takes part in attention and mean,
  /// as in the published code; true: they are not filled.
  bool mask_padding = false;
  bool operator==(const SentimentConfig&) const = default;
};

struct SentimentModel {
  SentimentConfig config;
  PreprocessOptions preprocess;
  Vocabulary vocabulary;
  Matrix<float> embedding;                                   ///< |V| × d
  double alpha = 1;                                          ///< step α > 0
  std::vector<float> v;                                      ///< d
  double bias = 0;                                           ///< b
  std::string negative = "negative", positive = "positive";  ///< names of the classes
  std::string origin;                                        ///< how it came to be: "trained", "imported"

  /// Throws kShape, kNotFinite, kUsage for parts that do not fit together.
  void check(const std::string& where) const;
};

/// One safetensors file: embedding, alpha, decoder.weight, decoder.bias as tensors; configuration,
/// preprocessing, vocabulary (words and counts as U8 tensors) and the SHA-256 of all tensors in the metadata
/// (format "telos.clustering.sentiment", version 1). Throws kIo.
void save_sentiment(const SentimentModel& model, const std::string& path);
/// Throws kBadFormat (not such a file, another version, checksum), kShape, kNotFinite, kTruncated.
SentimentModel load_sentiment(const std::string& path);

/// The published weights, without running pickle: the four storages of a torch zip file (`.pth`), or a
/// safetensors file with the same four tensors; and a vocabulary file with a word a line (or tsv with columns
/// id and word), in the order of ids with <PAD> first or left out. Throws kBadFormat, kShape, kUnsupported.
SentimentModel import_published(const std::string& weights, const std::string& vocabulary);

/// A text as the model sees it: unique words with how often each occurs among the first max_length positions.
/// Words outside the vocabulary are dropped, take no position, and are counted.
struct WordBag {
  std::vector<std::int32_t> ids;      ///< by first position; padding, if any, last
  std::vector<std::uint32_t> counts;  ///< of each
  std::vector<std::uint32_t> first;   ///< position among the words read
  std::size_t length = 0;             ///< Σ counts
  std::size_t unknown = 0, cut = 0;   ///< words not in the vocabulary; words beyond max_length
};
WordBag word_bag(const SentimentModel& model, std::span<const std::string> words);

struct Prediction {
  double logit = 0, probability = 0;  ///< of the positive class
  bool positive = false;              ///< probability ≥ ½
  std::size_t words = 0, unknown = 0;
};
/// Words that are all unknown, or none, leave b + v·E[PAD] (b alone with mask_padding). Deterministic;
/// parallel over texts.
std::vector<Prediction> predict(const SentimentModel& model, std::span<const std::string> texts,
                                LayerMode mode, const Arena& arena);
std::vector<Prediction> predict(const SentimentModel& model, std::span<const WordBag> bags, LayerMode mode,
                                const Arena& arena);
/// Tokens after the model's K layers of one text, unique words × d, in double: soft or hard.
Matrix<double> final_tokens(const SentimentModel& model, const WordBag& bag, LayerMode mode);

struct Evaluation {
  std::size_t texts = 0;
  double accuracy = 0, loss = 0;                ///< share right, mean cross-entropy (logs clamped at −100)
  double true_positive = 0, true_negative = 0;  ///< rates by class
};
Evaluation evaluate(std::span<const Prediction> predictions, std::span<const std::uint8_t> labels);

}  // namespace telos::clustering
