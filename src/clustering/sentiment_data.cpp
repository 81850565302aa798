// From labelled texts to bags of words in three sets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "clustering/sentiment_lab_parts.h"
#include "io/sha256.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/io/table.h"

namespace telos::clustering {
namespace {

constexpr std::uint32_t kTestStream = 0x0310, kValidationStream = 0x0311;

using Words = std::vector<std::vector<std::string>>;

void check_texts(const LabelledText& text, const char* name) {
  if (text.texts.size() != text.labels.size())
    throw Error(ErrorKind::kShape, name,
                fmt::format("{} texts with {} labels", text.texts.size(), text.labels.size()));
  const auto wrong = std::ranges::find_if(text.labels, [](std::uint8_t label) { return label > 1; });
  if (wrong != text.labels.end())
    throw Error(ErrorKind::kUsage, name,
                fmt::format("label {} is {}, expected 0 or 1", wrong - text.labels.begin(), *wrong));
  if (text.texts.size() > 0xFFFF'FFFF)
    throw Error(ErrorKind::kLimit, name, fmt::format("{} texts, expected below 2^32", text.texts.size()));
}

Words words_of(const LabelledText& text, const Preprocessor& preprocessor, const Arena& arena) {
  Words out(text.texts.size());
  arena.parallel_for(out.size(), [&](std::size_t i) {
    if (i % 64 == 0) check_interrupt();
    out[i] = preprocessor.words(text.texts[i]);
  });
  return out;
}

/// Moves a random share of `from` to the end of `to`; both keep their order.
void draw_share(double share, std::uint64_t seed, std::uint32_t stream, std::vector<std::uint32_t>& from,
                std::vector<std::uint32_t>& to) {
  const std::size_t n = from.size();
  const std::size_t count = static_cast<std::size_t>(std::llround(share * static_cast<double>(n)));
  std::vector<bool> drawn(n);
  const std::vector<std::uint32_t> order = shuffled(n, seed, stream);
  for (std::size_t i = 0; i < count; ++i) drawn[order[i]] = true;
  std::vector<std::uint32_t> rest;
  for (std::size_t i = 0; i < n; ++i) (drawn[i] ? to : rest).push_back(from[i]);
  from = std::move(rest);
}

BagSet pack(const SentimentModel& model, const Words& words, const std::vector<std::uint8_t>& labels,
            const std::vector<std::uint32_t>& which, const Arena& arena) {
  BagSet out;
  out.bags.resize(which.size());
  arena.parallel_for(which.size(), [&](std::size_t i) { out.bags[i] = word_bag(model, words[which[i]]); });
  for (const std::uint32_t i : which) out.labels.push_back(labels[i]);
  return out;
}

std::string fingerprint(const SentimentData& data) {
  Sha256 hash;
  const auto add = [&](const auto& values) {
    const std::uint64_t size = values.size();
    hash.update(&size, sizeof size);
    hash.update(values.data(), values.size() * sizeof values[0]);
  };
  for (const std::string& word : data.vocabulary.words()) add(word);
  for (const BagSet* set : {&data.train, &data.validation, &data.test}) {
    add(set->labels);
    for (const WordBag& bag : set->bags) {
      add(bag.ids);
      add(bag.counts);
    }
  }
  return hash.hex();
}

void check_sets(const SentimentData& data, std::uint64_t min_count) {
  if (data.vocabulary.size() < 2)
    throw Error(ErrorKind::kUsage, "vocabulary",
                fmt::format("no word occurs {} times or more in the texts", min_count), "lower min_count");
  const std::size_t positive =
      static_cast<std::size_t>(std::count(data.train.labels.begin(), data.train.labels.end(), 1));
  if (positive == 0 || positive == data.train.size())
    throw Error(ErrorKind::kUsage, "training texts",
                fmt::format("{} of {} texts are positive, expected texts of both classes", positive,
                            data.train.size()),
                "a classifier needs examples of both");
  if (data.test.size() == 0)
    throw Error(ErrorKind::kUsage, "test texts", "there are none",
                "name a test file, or let test_share take some of the training texts");
}

/// Names of the classes: labels of the file, unless they are numbers of which the larger is positive, as
/// anybody would take them: "positive" says more than "1".
void name_classes(const LabelledText& text, SentimentData& data) {
  double negative = 0, positive = 0;
  const bool numbers = parse_number(text.negative, negative) && parse_number(text.positive, positive);
  const bool known = !text.negative.empty() && !text.positive.empty() && !(numbers && positive > negative);
  data.negative = known ? text.negative : "negative";
  data.positive = known ? text.positive : "positive";
}

}  // namespace

std::vector<std::uint32_t> shuffled(std::size_t n, std::uint64_t seed, std::uint32_t stream,
                                    std::uint64_t sample) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed, stream, sample);
  for (std::size_t i = n; i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  return order;
}

SentimentData prepare_data(const TrainingSpec& spec, const LabelledText& train, const LabelledText& test,
                           const Arena& arena) {
  check_texts(train, "training texts");
  check_texts(test, "test texts");
  const Preprocessor preprocessor(spec.preprocess);
  const Words words = words_of(train, preprocessor, arena), test_words = words_of(test, preprocessor, arena);
  const std::uint64_t seed = spec.seeds[0];
  std::vector<std::uint32_t> of_train(words.size()), of_validation, of_test(test_words.size());
  std::iota(of_train.begin(), of_train.end(), 0u);
  std::iota(of_test.begin(), of_test.end(), 0u);
  const bool drawn = test.texts.empty();
  if (drawn) draw_share(spec.test_share, seed, kTestStream, of_train, of_test);
  Words counted;
  if (spec.vocabulary_of_all || !drawn) {
    counted = words;
    if (spec.vocabulary_of_all) counted.insert(counted.end(), test_words.begin(), test_words.end());
  } else {
    for (const std::uint32_t i : of_train) counted.push_back(words[i]);
  }
  draw_share(spec.validation_share, seed, kValidationStream, of_train, of_validation);

  SentimentModel model;
  model.config = spec.model;
  model.vocabulary = Vocabulary::count(counted, spec.min_count);
  SentimentData data;
  data.train = pack(model, words, train.labels, of_train, arena);
  data.validation = pack(model, words, train.labels, of_validation, arena);
  data.test = drawn ? pack(model, words, train.labels, of_test, arena)
                    : pack(model, test_words, test.labels, of_test, arena);
  data.vocabulary = std::move(model.vocabulary);
  name_classes(train, data);
  check_sets(data, spec.min_count);
  if (spec.patience > 0 && data.validation.size() == 0)
    throw Error(ErrorKind::kUsage, "training, validation_share",
                fmt::format("{} of the {} training texts is none, and they say when to stop",
                            spec.validation_share, of_train.size()),
                "take a larger share, or no patience");
  data.fingerprint = fingerprint(data);
  return data;
}

}  // namespace telos::clustering
