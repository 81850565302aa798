#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "clustering/explain_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::clustering {
namespace {

/// Texts that are taken at once; their leaders are then added up in the order of the texts.
constexpr std::size_t kCensusBlock = 512;

struct Lead {
  std::int32_t id = 0;
  double mass = 0, contribution = 0;  ///< share of positions; to the logit
  bool initial = false;
};
struct CountedText {
  std::vector<Lead> leads;
  std::size_t unique = 0;
  double logit = 0;
};

CountedText count_text(const SentimentModel& model, const WordBag& bag, bool skip_padding,
                       const Arena& arena) {
  const ResolvedText text = resolve(model, bag, arena);
  CountedText out;
  out.unique = bag.ids.size();
  out.logit = text.logit;
  for (const ResolvedText::Lead& lead : text.leaders)
    out.leads.push_back(
        {.id = bag.ids[lead.word], .mass = 0, .contribution = 0, .initial = lead.emergence == 0});
  for (std::size_t w = 0; w < bag.ids.size(); ++w) {
    if (text.leader[w] == kNone) continue;
    Lead& lead = out.leads[text.leader[w]];
    lead.mass += static_cast<double>(bag.counts[w]) / static_cast<double>(bag.length);
    lead.contribution += text.says[w];
  }
  if (skip_padding)
    std::erase_if(out.leads, [](const Lead& lead) { return lead.id == Vocabulary::kPadding; });
  return out;
}

class Census {
 public:
  Census(const SentimentModel& model, const CensusOptions& options)
      : model_(model), options_(options), words_(model.vocabulary.size()) {
    for (std::size_t id = 0; id < words_.size(); ++id) {
      words_[id].id = static_cast<std::int32_t>(id);
      words_[id].side = decode_word(model, words_[id].id) + model.bias;
    }
  }

  /// `label`: 0, 1, or negative where it is not known.
  void add(const CountedText& text, int label) {
    const std::size_t count = text.leads.size();
    ++result_.texts;
    unique_ += text.unique;
    leaders_ += count;
    squares_ += count * count;
    if (count >= result_.histogram.size()) result_.histogram.resize(count + 1);
    ++result_.histogram[count];
    for (const Lead& lead : text.leads) initial_ += lead.initial ? 1 : 0;
    const bool right = label < 0 || (text.logit >= 0) == (label == 1);
    right_ += right ? 1 : 0;
    if (!counted(text.logit, right)) return;
    ++result_.used;
    for (const Lead& lead : text.leads) {
      LeaderWord& word = words_[static_cast<std::size_t>(lead.id)];
      if (options_.far > 0 && std::fabs(word.side) <= options_.far) continue;
      ++word.texts;
      word.mean_mass += lead.mass;
      word.contribution += lead.contribution;
    }
  }

  LeaderCensus finish(bool labelled) {
    LeaderCensus& r = result_;
    r.confidence = options_.confidence;
    r.far = options_.far;
    const auto texts = static_cast<double>(r.texts), leaders = static_cast<double>(leaders_);
    r.mean = leaders / texts;
    r.deviation = std::sqrt(std::max(0.0, static_cast<double>(squares_) / texts - r.mean * r.mean));
    r.least = static_cast<std::size_t>(
        std::find_if(r.histogram.begin(), r.histogram.end(), [](std::size_t n) { return n != 0; }) -
        r.histogram.begin());
    r.most = r.histogram.size() - 1;
    r.initial_share =
        leaders_ == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(initial_) / leaders;
    r.unique_mean = static_cast<double>(unique_) / texts;
    r.accuracy = labelled ? static_cast<double>(right_) / texts : std::numeric_limits<double>::quiet_NaN();
    std::erase_if(words_, [](const LeaderWord& word) { return word.texts == 0; });
    for (LeaderWord& word : words_) {
      word.word = model_.vocabulary.word(word.id);
      word.mean_mass /= static_cast<double>(word.texts);
      word.contribution /= static_cast<double>(word.texts);
    }
    std::stable_sort(words_.begin(), words_.end(),
                     [](const LeaderWord& a, const LeaderWord& b) { return a.texts > b.texts; });
    r.words = std::move(words_);
    return std::move(result_);
  }

 private:
  /// Whether the filter keeps a text: p > c or p < 1 − c, that is |logit| > log(c/(1 − c)), and right.
  bool counted(double logit, bool right) const {
    const double c = options_.confidence;
    return c == 0 || (right && std::fabs(logit) > std::log(c / (1 - c)));
  }

  const SentimentModel& model_;
  const CensusOptions& options_;
  std::vector<LeaderWord> words_;  ///< by id
  std::size_t leaders_ = 0, squares_ = 0, initial_ = 0, unique_ = 0, right_ = 0;
  LeaderCensus result_;
};

void check_request(std::span<const std::string> texts, std::span<const std::uint8_t> labels,
                   const CensusOptions& options) {
  const auto refuse = [](const std::string& message) {
    throw Error(ErrorKind::kUsage, "leader census", message);
  };
  if (texts.empty()) refuse("there are no texts");
  if (!labels.empty() && labels.size() != texts.size())
    refuse(std::to_string(texts.size()) + " texts, but " + std::to_string(labels.size()) + " labels");
  if (std::ranges::any_of(labels, [](std::uint8_t label) { return label > 1; }))
    refuse("a label is neither 0 nor 1");
  if (options.confidence != 0 && !(options.confidence >= 0.5 && options.confidence < 1))
    refuse("the confidence must be 0 (all texts) or from 0.5 to below 1, and is " +
           std::to_string(options.confidence));
  if (!(options.far >= 0))
    refuse("the distance `far` must not be negative, and is " + std::to_string(options.far));
}

}  // namespace

LeaderCensus leader_census(const SentimentModel& model, std::span<const std::string> texts,
                           std::span<const std::uint8_t> labels, const CensusOptions& options,
                           const Arena& arena) {
  check_request(texts, labels, options);
  model.check("model");
  const Preprocessor preprocess(model.preprocess);
  Census census(model, options);
  Progress progress("leaders", "text", static_cast<double>(texts.size()));
  std::vector<CountedText> block(std::min(kCensusBlock, texts.size()));
  for (std::size_t begin = 0; begin < texts.size(); begin += kCensusBlock) {
    const std::size_t size = std::min(kCensusBlock, texts.size() - begin);
    arena.parallel_for(size, [&](std::size_t i) {
      check_interrupt();
      const WordBag bag = word_bag(model, preprocess.words(texts[begin + i]));
      block[i] = count_text(model, bag, options.skip_padding, arena);
    });
    for (std::size_t i = 0; i < size; ++i)
      census.add(block[i], labels.empty() ? -1 : static_cast<int>(labels[begin + i]));
    progress.advance(static_cast<double>(size));
  }
  return census.finish(!labels.empty());
}

}  // namespace telos::clustering
