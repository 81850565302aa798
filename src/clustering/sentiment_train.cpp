// All runs of a training, and its baselines.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "clustering/sentiment_lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/quantity.h"

namespace telos::clustering {
namespace {

std::string folder(const std::string& directory, const char* kind, std::uint64_t seed) {
  return directory.empty() ? std::string() : fmt::format("{}/{}-{}", directory, kind, seed);
}

/// One run for each seed: side by side, each in one thread, if there are several.
std::vector<TrainingRun> train_all(const TrainingSpec& spec, const SentimentData& data,
                                   const std::string& directory, const char* kind, bool resume,
                                   const Arena& arena) {
  std::vector<TrainingRun> runs(spec.seeds.size());
  Progress progress("train", "epoch", static_cast<double>(spec.seeds.size() * spec.epochs));
  const auto train = [&](std::uint64_t seed, const Arena& its_arena) {
    SentimentRun run(spec, data, seed, folder(directory, kind, seed));
    if (resume) run.resume();
    run.train(its_arena, ~std::uint64_t{0}, &progress);
    const auto place = std::find(spec.seeds.begin(), spec.seeds.end(), seed) - spec.seeds.begin();
    runs[static_cast<std::size_t>(place)] = run.result(its_arena);
  };
  if (spec.seeds.size() == 1) {
    train(spec.seeds[0], arena);
    return runs;
  }
  const std::vector<nn::RunEnd> ends = nn::train_each(spec.seeds, arena, train);
  for (std::size_t i = 0; i < ends.size(); ++i)
    if (ends[i].failed) {
      runs[i].seed = spec.seeds[i];
      runs[i].finished = false;
      runs[i].failed = ends[i].message;
    }
  return runs;
}

Baseline without_layers(TrainingSpec spec, const SentimentData& data, const std::string& directory,
                        bool resume, const Arena& arena) {
  spec.model.layers = 0;
  Baseline out;
  out.name = "no layers (K = 0)";
  for (TrainingRun& run : train_all(spec, data, directory, "no-layers", resume, arena)) {
    if (!run.failed.empty()) continue;
    out.accuracy.push_back(run.soft.accuracy);
    if (out.epochs.empty()) out.epochs = std::move(run.epochs);
  }
  return out;
}

Baseline regression(const SentimentData& data, const Arena& arena) {
  const double penalty = 1 / static_cast<double>(data.train.size());
  const BagRegression fit = bag_regression(data.train.bags, data.train.labels, data.test.bags,
                                           data.test.labels, data.vocabulary.size(), penalty, arena);
  return {.name = "logistic regression on bags of words", .accuracy = {fit.test_accuracy}, .epochs = {}};
}

void describe(const SentimentData& data, const TrainingSpec& spec, TrainingResult& out) {
  out.train_texts = data.train.size();
  out.validation_texts = data.validation.size();
  out.test_texts = data.test.size();
  out.vocabulary = data.vocabulary.size();
  std::size_t unique = 0, short_texts = 0, texts = 0;
  for (const BagSet* set : {&data.train, &data.validation, &data.test})
    for (const WordBag& bag : set->bags) {
      ++texts;
      std::size_t words = 0;
      for (std::size_t i = 0; i < bag.ids.size(); ++i) {
        if (bag.ids[i] == Vocabulary::kPadding) continue;
        ++unique;
        words += bag.counts[i];
      }
      if (words < spec.model.max_length) ++short_texts;
    }
  out.mean_unique = static_cast<double>(unique) / static_cast<double>(texts);
  out.short_share = static_cast<double>(short_texts) / static_cast<double>(texts);
}

void add_notes(TrainingResult& out) {
  for (const TrainingRun& run : out.runs) {
    if (!run.failed.empty()) {
      out.notes.push_back(fmt::format("seed {} failed: {}", run.seed, run.failed));
      continue;
    }
    if (out.spec.model.layers > 0 && run.model.alpha < 0.1)
      out.notes.push_back(fmt::format(
          "seed {}: alpha is {:.3f}, so that the layers hardly move a word: nearly a bag of words", run.seed,
          run.model.alpha));
  }
}

/// A test on texts that were trained on says what was learned by heart.
void add_shared_texts(const LabelledText& train, const LabelledText& test, TrainingResult& out) {
  const std::set<std::string_view> known(train.texts.begin(), train.texts.end());
  const auto shared = static_cast<std::size_t>(std::count_if(
      test.texts.begin(), test.texts.end(), [&](const std::string& text) { return known.contains(text); }));
  if (shared == 0) return;
  out.notes.push_back(fmt::format(
      "{} of {} test texts are among the training texts too: the accuracy says little about new ones",
      format_count(shared), format_count(test.texts.size())));
  log(LogLevel::kWarning, out.notes.back());
}

}  // namespace

TrainingResult train_sentiment(const TrainingSpec& spec, const LabelledText& train, const LabelledText& test,
                               const std::string& directory, bool resume, const Arena& arena) {
  check_spec(spec);
  const SentimentData data = prepare_data(spec, train, test, arena);
  TrainingResult out;
  out.spec = spec;
  describe(data, spec, out);
  out.runs = train_all(spec, data, directory, "seed", resume, arena);
  if (spec.baselines) {
    if (spec.model.layers > 0) out.baselines.push_back(without_layers(spec, data, directory, resume, arena));
    out.baselines.push_back(regression(data, arena));
  }
  for (const LabelledText* read : {&train, &test})
    out.notes.insert(out.notes.end(), read->notes.begin(), read->notes.end());
  add_notes(out);
  add_shared_texts(train, test, out);
  return out;
}

}  // namespace telos::clustering
