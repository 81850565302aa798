#include "telos/clustering/sentiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "nn/ops/hardmax_kernel.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kMostPositions = 1 << 16, kMostDimensions = 1 << 12, kMostLayers = 100'000;

[[noreturn]] void refuse(ErrorKind kind, const std::string& where, const std::string& message) {
  throw Error(kind, where, message);
}

void check_range(const std::string& where, const char* what, std::size_t value, std::size_t low,
                 std::size_t high) {
  if (value < low || value > high)
    refuse(ErrorKind::kUsage, where, fmt::format("{} is {}, expected {} to {}", what, value, low, high));
}

void check_finite(const std::string& where, const char* what, std::span<const float> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      refuse(ErrorKind::kNotFinite, where, fmt::format("element {} of {} is {}", i, what, values[i]));
}

nn::HardmaxProblem<double> problem_of(const SentimentModel& model, LayerMode mode, std::size_t rows) {
  nn::HardmaxProblem<double> p;
  p.rows = rows;
  p.cols = model.config.dim;
  p.layers = 1;
  p.mode = mode == LayerMode::kSoft ? nn::HardmaxOptions::Mode::kSoft : nn::HardmaxOptions::Mode::kHard;
  p.temperature = model.config.temperature;
  p.cut = 40;  // e^−40 is below the precision of double
  p.alpha = model.alpha;
  return p;
}

/// Σ w_i z_i / Σ w_i, summed over the words in order; 0 for an empty bag.
std::vector<double> mean_token(const Matrix<double>& tokens, const WordBag& bag, std::size_t dim) {
  std::vector<double> mean(dim);
  for (std::size_t i = 0; i < tokens.rows(); ++i)
    for (std::size_t k = 0; k < dim; ++k) mean[k] += static_cast<double>(bag.counts[i]) * tokens(i, k);
  for (double& x : mean) x /= static_cast<double>(std::max<std::size_t>(1, bag.length));
  return mean;
}

Prediction predict_one(const SentimentModel& model, const WordBag& bag, LayerMode mode) {
  const std::vector<double> mean = mean_token(final_tokens(model, bag, mode), bag, model.config.dim);
  Prediction out;
  out.logit = model.bias;
  for (std::size_t k = 0; k < mean.size(); ++k) out.logit += double{model.v[k]} * mean[k];
  out.probability = 1 / (1 + std::exp(-out.logit));
  out.positive = out.logit >= 0;
  for (std::size_t i = 0; i < bag.ids.size(); ++i)
    if (bag.ids[i] != Vocabulary::kPadding) out.words += bag.counts[i];
  out.unknown = bag.unknown;
  return out;
}

}  // namespace

void SentimentModel::check(const std::string& where) const {
  check_range(where, "the dimension", config.dim, 1, kMostDimensions);
  check_range(where, "the number of layers", config.layers, 0, kMostLayers);
  check_range(where, "the length of texts", config.max_length, 1, kMostPositions);
  if (!(config.temperature > 0) || !std::isfinite(config.temperature))
    refuse(ErrorKind::kUsage, where,
           fmt::format("the temperature is {}, expected a finite number above 0", config.temperature));
  if (!std::isfinite(alpha)) refuse(ErrorKind::kNotFinite, where, fmt::format("alpha is {}", alpha));
  if (!(alpha > 0))
    refuse(ErrorKind::kUsage, where, fmt::format("alpha is {}, expected a number above 0", alpha));
  if (embedding.rows() != vocabulary.size() || embedding.cols() != config.dim)
    refuse(ErrorKind::kShape, where,
           fmt::format("the embedding is {}x{}, expected {}x{}: a row for each word and the padding, {} "
                       "columns",
                       embedding.rows(), embedding.cols(), vocabulary.size(), config.dim, config.dim));
  if (v.size() != config.dim)
    refuse(ErrorKind::kShape, where,
           fmt::format("the decoder has {} weights, expected {}", v.size(), config.dim));
  check_finite(where, "the embedding", {embedding.data(), embedding.size()});
  check_finite(where, "the decoder", v);
  if (!std::isfinite(bias)) refuse(ErrorKind::kNotFinite, where, fmt::format("the bias is {}", bias));
}

WordBag word_bag(const SentimentModel& model, std::span<const std::string> words) {
  WordBag bag;
  std::unordered_map<std::int32_t, std::size_t> place;
  for (const std::string& word : words) {
    const std::int32_t id = model.vocabulary.id(word);
    if (id <= Vocabulary::kPadding) {
      ++bag.unknown;
      continue;
    }
    if (bag.length == model.config.max_length) {
      ++bag.cut;
      continue;
    }
    const auto [found, added] = place.emplace(id, bag.ids.size());
    if (added) {
      bag.ids.push_back(id);
      bag.counts.push_back(0);
      bag.first.push_back(static_cast<std::uint32_t>(bag.length));
    }
    ++bag.counts[found->second];
    ++bag.length;
  }
  if (!model.config.mask_padding && bag.length < model.config.max_length) {
    bag.ids.push_back(Vocabulary::kPadding);
    bag.counts.push_back(static_cast<std::uint32_t>(model.config.max_length - bag.length));
    bag.first.push_back(static_cast<std::uint32_t>(bag.length));
    bag.length = model.config.max_length;
  }
  return bag;
}

Matrix<double> final_tokens(const SentimentModel& model, const WordBag& bag, LayerMode mode) {
  const std::size_t rows = bag.ids.size(), dim = model.config.dim;
  if (bag.counts.size() != rows)
    refuse(ErrorKind::kShape, "bag of words",
           fmt::format("there are {} counts, expected one for each of {} words", bag.counts.size(), rows));
  Matrix<double> tokens(rows, dim);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::int32_t id = bag.ids[i];
    if (id < 0 || static_cast<std::size_t>(id) >= model.embedding.rows() || bag.counts[i] == 0)
      refuse(ErrorKind::kUsage, "bag of words",
             fmt::format("word {} has the number {} and the count {}, expected a number below {} and a count "
                         "above 0",
                         i, id, bag.counts[i], model.embedding.rows()));
    std::copy_n(model.embedding.row(static_cast<std::size_t>(id)), dim, tokens.row(i));
  }
  if (rows == 0) return tokens;
  nn::HardmaxProblem<double> p = problem_of(model, mode, rows);
  const std::vector<double> weights(bag.counts.begin(), bag.counts.end());
  std::vector<double> saved(p.saved_elements()), scratch(p.scratch_elements());
  p.weights = weights.data();
  p.saved = saved.data();
  p.scratch = scratch.data();
  p.x = p.y = tokens.data();
  p.x_row = p.y_row = dim;
  for (std::size_t layer = 0; layer < model.config.layers; ++layer) nn::hardmax_forward(p);
  return tokens;
}

std::vector<Prediction> predict(const SentimentModel& model, std::span<const WordBag> bags, LayerMode mode,
                                const Arena& arena) {
  model.check("sentiment model");
  std::vector<Prediction> out(bags.size());
  arena.parallel_for(bags.size(), [&](std::size_t i) {
    if (i % 64 == 0) check_interrupt();
    out[i] = predict_one(model, bags[i], mode);
  });
  return out;
}

std::vector<Prediction> predict(const SentimentModel& model, std::span<const std::string> texts,
                                LayerMode mode, const Arena& arena) {
  const Preprocessor preprocessor(model.preprocess);
  std::vector<WordBag> bags(texts.size());
  arena.parallel_for(texts.size(), [&](std::size_t i) {
    if (i % 64 == 0) check_interrupt();
    bags[i] = word_bag(model, preprocessor.words(texts[i]));
  });
  return predict(model, bags, mode, arena);
}

Evaluation evaluate(std::span<const Prediction> predictions, std::span<const std::uint8_t> labels) {
  if (predictions.size() != labels.size())
    refuse(ErrorKind::kShape, "evaluation",
           fmt::format("{} predictions for {} labels", predictions.size(), labels.size()));
  Evaluation out;
  out.texts = labels.size();
  std::size_t right[2] = {}, count[2] = {};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool positive = labels[i] != 0;
    const double margin = positive ? predictions[i].logit : -predictions[i].logit;
    out.loss += std::min(100.0, std::max(-margin, 0.0) + std::log1p(std::exp(-std::abs(margin))));
    ++count[positive];
    right[positive] += predictions[i].positive == positive;
  }
  const auto share = [](std::size_t part, std::size_t all) {
    return all == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(all);
  };
  out.loss /= static_cast<double>(std::max<std::size_t>(1, out.texts));
  out.accuracy = share(right[0] + right[1], out.texts);
  out.true_positive = share(right[1], count[1]);
  out.true_negative = share(right[0], count[0]);
  return out;
}

}  // namespace telos::clustering
