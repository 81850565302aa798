#include "telos/clustering/explain.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <unordered_map>
#include <utility>

#include "clustering/explain_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::clustering {

Matrix<double> tokens_of(const SentimentModel& model, const WordBag& bag) {
  require_memory(static_cast<double>(bag.length) * static_cast<double>(model.config.dim) * sizeof(double),
                 "text", "a model that reads fewer words of a text needs less");
  Matrix<double> tokens(bag.length, model.config.dim);
  std::size_t behind = bag.ids.size();
  for (std::size_t w = 0; w < bag.ids.size(); ++w) {
    const float* row = model.embedding.row(static_cast<std::size_t>(bag.ids[w]));
    std::copy(row, row + model.config.dim, tokens.row(w));
    for (std::uint32_t copy = 1; copy < bag.counts[w]; ++copy)
      std::copy(row, row + model.config.dim, tokens.row(behind++));
  }
  return tokens;
}

namespace {

HardmaxRun run_text(const SentimentModel& model, const WordBag& bag, std::size_t layers, bool history,
                    const Arena& arena) {
  HardmaxOptions options;
  options.alpha = model.alpha;
  options.layers = layers;
  options.history = history;
  return run_hardmax(tokens_of(model, bag), options, arena);
}

double share(const WordBag& bag, std::size_t word) {
  return static_cast<double>(bag.counts[word]) / static_cast<double>(bag.length);
}

double probability_of(double logit) {
  return 1 / (1 + std::exp(-logit));
}

}  // namespace

ResolvedText resolve(const SentimentModel& model, const WordBag& bag, const Arena& arena) {
  ResolvedText text;
  text.logit = model.bias;
  if (bag.length == 0) return text;
  const std::size_t words = bag.ids.size();
  text.says.resize(words);
  text.leader.assign(words, kNone);
  const HardmaxRun run = run_text(model, bag, model.config.layers, false, arena);
  for (std::size_t w = 0; w < words; ++w) {
    text.says[w] = share(bag, w) * decode(model, run.limits.row(w));
    text.logit += text.says[w];
    text.leader[w] = run.fates[w].leader;
  }
  for (const Leader& leader : run.leaders) text.leaders.push_back({leader.token, leader.emergence});
  if (model.config.layers != 0) return text;
  text.leaders.clear();
  for (std::size_t w = 0; w < words; ++w) {
    text.leaders.push_back({w, 0});
    text.leader[w] = w;
  }
  return text;
}

namespace {

struct Counterfactual {
  double logit = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::string> taken_over_by;
};

/// The bag of a text without one of its words. `read`: the text's words, also those beyond max_length.
WordBag bag_without(const SentimentModel& model, const std::vector<std::string>& read, const WordBag& bag,
                    std::int32_t id) {
  if (id == Vocabulary::kPadding) {
    WordBag rest = bag;
    rest.length -= rest.counts.back();
    rest.ids.pop_back();
    rest.counts.pop_back();
    rest.first.pop_back();
    return rest;
  }
  std::vector<std::string> kept;
  std::copy_if(read.begin(), read.end(), std::back_inserter(kept),
               [&](const std::string& word) { return model.vocabulary.id(word) != id; });
  return word_bag(model, kept);
}

/// Names of the leaders in `then` of the words that followed `leader`, most positions first.
std::vector<std::string> heirs(const SentimentModel& model, const WordBag& bag, const ResolvedText& whole,
                               std::size_t leader, const WordBag& rest, const ResolvedText& then) {
  std::unordered_map<std::int32_t, std::size_t> index;
  for (std::size_t w = 0; w < rest.ids.size(); ++w) index.emplace(rest.ids[w], w);
  std::vector<std::pair<std::size_t, std::size_t>> gained(then.leaders.size());  // positions, leader
  for (std::size_t l = 0; l < gained.size(); ++l) gained[l].second = l;
  for (std::size_t w = 0; w < bag.ids.size(); ++w) {
    const auto at = index.find(bag.ids[w]);
    if (whole.leader[w] != leader || at == index.end() || then.leader[at->second] == kNone) continue;
    gained[then.leader[at->second]].first += bag.counts[w];
  }
  std::stable_sort(gained.begin(), gained.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> names;
  for (const auto& [positions, l] : gained)
    if (positions != 0) names.push_back(model.vocabulary.word(rest.ids[then.leaders[l].word]));
  return names;
}

Counterfactual counterfactual(const SentimentModel& model, const std::vector<std::string>& read,
                              const WordBag& bag, const ResolvedText& whole, std::size_t leader,
                              const Arena& arena) {
  check_interrupt();
  const WordBag rest = bag_without(model, read, bag, bag.ids[whole.leaders[leader].word]);
  const ResolvedText then = resolve(model, rest, arena);
  return {then.logit, heirs(model, bag, whole, leader, rest, then)};
}

/// `indices` by falling |value|, equal ones as they are.
template <class Value>
void sort_by_size(std::vector<std::size_t>& indices, const Value& value) {
  std::stable_sort(indices.begin(), indices.end(),
                   [&](std::size_t a, std::size_t b) { return std::fabs(value(a)) > std::fabs(value(b)); });
}

ExplainedLeader describe(const SentimentModel& model, const WordBag& bag, const ResolvedText& whole,
                         std::size_t leader) {
  ExplainedLeader out;
  out.index = whole.leaders[leader].word;
  out.id = bag.ids[out.index];
  out.word = model.vocabulary.word(out.id);
  out.emergence = whole.leaders[leader].emergence;
  out.padding = out.id == Vocabulary::kPadding;
  out.stop_word = is_stop_word(out.word);
  const double says = decode_word(model, out.id);
  out.side = says + model.bias;
  for (std::size_t w = 0; w < bag.ids.size(); ++w) {
    if (whole.leader[w] != leader) continue;
    out.words.push_back(w);
    out.mass += bag.counts[w];
    out.contribution += whole.says[w];
  }
  out.limit_contribution = says * static_cast<double>(out.mass) / static_cast<double>(bag.length);
  sort_by_size(out.words, [&](std::size_t w) { return whole.says[w]; });
  return out;
}

void add_leaders(Explanation& e, const SentimentModel& model, const std::vector<std::string>& read,
                 const WordBag& bag, const ResolvedText& whole, const Arena& arena) {
  std::vector<ExplainedLeader> leaders;
  std::vector<std::size_t> order;
  for (std::size_t l = 0; l < whole.leaders.size(); ++l) {
    leaders.push_back(describe(model, bag, whole, l));
    order.push_back(l);
  }
  sort_by_size(order, [&](std::size_t l) { return leaders[l].contribution; });
  std::vector<Counterfactual> without(order.size());
  arena.parallel_for(std::min(order.size(), kCounterfactuals), [&](std::size_t i) {
    without[i] = counterfactual(model, read, bag, whole, order[i], arena);
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    ExplainedLeader& leader = leaders[order[i]];
    leader.logit_without = without[i].logit;
    leader.taken_over_by = std::move(without[i].taken_over_by);
    for (const std::size_t w : leader.words) e.words[w].leader = i;
    e.leaders.push_back(std::move(leader));
  }
}

void add_words(Explanation& e, const SentimentModel& model, const WordBag& bag, const ResolvedText& whole) {
  e.direct_logit = model.bias;
  for (std::size_t w = 0; w < bag.ids.size(); ++w) {
    ExplainedWord word;
    word.id = bag.ids[w];
    word.word = model.vocabulary.word(word.id);
    word.copies = bag.counts[w];
    word.contribution = whole.says[w];
    word.direct = share(bag, w) * decode_word(model, word.id);
    e.direct_logit += word.direct;
    if (whole.leader[w] == kNone) e.undecided += word.contribution;
    e.words.push_back(std::move(word));
  }
}

}  // namespace

Explanation explain(const SentimentModel& model, std::string_view text, const Arena& arena) {
  model.check("model");
  const std::vector<std::string> read = Preprocessor(model.preprocess).words(text);
  const WordBag bag = word_bag(model, read);
  if (bag.length == 0)
    throw Error(ErrorKind::kUsage, "text",
                bag.unknown == 0
                    ? "no word is left of it after preprocessing"
                    : "none of its " + std::to_string(bag.unknown) + " words is in the vocabulary",
                "there is nothing to explain: the model says b, whatever the text");
  const ResolvedText whole = resolve(model, bag, arena);

  Explanation e;
  e.text = text;
  e.length = bag.length;
  e.unknown = bag.unknown;
  e.cut = bag.cut;
  e.bias = model.bias;
  e.logit = whole.logit;
  e.probability = probability_of(e.logit);
  add_words(e, model, bag, whole);
  add_leaders(e, model, read, bag, whole, arena);
  double sum = e.bias + e.undecided;
  for (const ExplainedLeader& leader : e.leaders) sum += leader.contribution;
  e.residual = e.logit - sum;

  const Prediction soft = predict(model, std::span(&bag, 1), LayerMode::kSoft, arena).front();
  e.soft_logit = soft.logit;
  e.soft_probability = soft.probability;
  e.run = run_text(model, bag, model.config.layers == 0 ? 0 : kAllLayers, true, arena);
  e.limit_logit = e.bias;
  for (std::size_t w = 0; w < bag.ids.size(); ++w)
    e.limit_logit += share(bag, w) * decode(model, e.run.limits.row(w));
  return e;
}

}  // namespace telos::clustering
