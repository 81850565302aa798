#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "clustering/page_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kExcerpt = 60;  ///< bytes of a text in the table
constexpr std::size_t kBins = 10;

/// What texts are said to be, right or wrong.
struct Counts {
  std::size_t positive = 0, alike = 0, empty = 0;
  Evaluation hard, soft;
};

Counts count(const std::vector<Prediction>& hard, const std::vector<Prediction>& soft,
             const std::vector<std::uint8_t>& labels) {
  Counts out;
  for (std::size_t i = 0; i < hard.size(); ++i) {
    out.positive += hard[i].positive ? 1 : 0;
    out.empty += hard[i].words == 0 ? 1 : 0;
    if (!soft.empty()) out.alike += hard[i].positive == soft[i].positive ? 1 : 0;
  }
  if (labels.empty()) return out;
  out.hard = evaluate(hard, labels);
  if (!soft.empty()) out.soft = evaluate(soft, labels);
  return out;
}

std::string share_words(double share) {
  return fmt::format("{:.2f} %", 100 * share);
}

std::string sentence_of(const std::vector<Prediction>& hard, const Counts& c, const SentimentModel& model,
                        bool labelled) {
  if (hard.size() == 1) return fmt::format("{}.", class_sentence(model, hard[0].probability));
  const std::string classes = fmt::format("{} of {} texts are {}", format_count(c.positive),
                                          format_count(hard.size()), model.positive);
  return labelled ? fmt::format("{}; {} are classified right.", classes, share_words(c.hard.accuracy))
                  : classes + ".";
}

Table texts_table(const std::vector<Prediction>& hard, const std::vector<Prediction>& soft,
                  const LabelledText& texts, const SentimentModel& model) {
  Table t{.id = "texts",
          .title = "Texts",
          .caption = "",
          .columns = {{"text", "", "from 0, in the order of the input"},
                      {"class", "", ""},
                      {"p", "", "of the positive class, hard attention"},
                      {"logit", "", ""},
                      {"soft p", "", "of the positive class, softmax attention"},
                      {"label", "", "as given"},
                      {"words", "", "read, those that the vocabulary has"},
                      {"unknown", "", "words that it has not"},
                      {"begins", "", ""}},
          .rows = {},
          .in_terminal = true};
  const auto name = [&model](bool positive) { return positive ? model.positive : model.negative; };
  const auto label = [&](std::size_t i) {
    if (texts.labels.empty()) return std::string();
    const std::string& given = texts.labels[i] != 0 ? texts.positive : texts.negative;
    return given.empty() ? name(texts.labels[i] != 0) : given;
  };
  for (std::size_t i = 0; i < hard.size(); ++i) {
    const Prediction& p = hard[i];
    t.rows.push_back({whole_cell(texts.rows.empty() ? i : texts.rows[i]), name(p.positive), p.probability,
                      p.logit, soft.empty() ? Cell{} : Cell{soft[i].probability}, label(i),
                      whole_cell(p.words), whole_cell(p.unknown), excerpt(texts.texts[i], kExcerpt)});
  }
  return t;
}

Figure histogram_figure(const std::vector<Prediction>& hard) {
  std::array<std::size_t, kBins> bins{};
  for (const Prediction& p : hard)
    if (std::isfinite(p.probability))
      ++bins[std::min(kBins - 1, static_cast<std::size_t>(p.probability * static_cast<double>(kBins)))];
  std::vector<Bar> bars;
  for (std::size_t b = 0; b < kBins; ++b)
    bars.push_back({.label = fmt::format("{:.1f} to {:.1f}", static_cast<double>(b) / kBins,
                                         static_cast<double>(b + 1) / kBins),
                    .group = "texts",
                    .key = {},
                    .value = static_cast<double>(bins[b])});
  const double sure = static_cast<double>(bins.front() + bins.back()) / static_cast<double>(hard.size());
  return bar_chart({.id = "probabilities",
                    .title = fmt::format("{} of the texts lie below 0.1 or above 0.9", percent(sure)),
                    .caption = "Probability of the positive class, hard attention.",
                    .alt = "Texts by probability",
                    .x_label = "texts",
                    .y_label = "probability"},
                   bars);
}

void add_keys(Report& report, const std::vector<Prediction>& hard, const std::vector<Prediction>& soft,
              const Counts& c, bool labelled) {
  if (hard.size() == 1) {
    report.keys.push_back({"logit", format_number(hard[0].logit), "(hard attention)", ""});
    if (!soft.empty()) report.keys.push_back({"soft attention", format_number(soft[0].logit), "(logit)", ""});
    return;
  }
  if (labelled) {
    report.keys.push_back({"accuracy", share_words(c.hard.accuracy),
                           fmt::format("(of positive texts {}, of negative texts {})",
                                       share_words(c.hard.true_positive), share_words(c.hard.true_negative)),
                           ""});
    report.keys.push_back({"loss", format_number(c.hard.loss), "(mean cross-entropy)", ""});
    if (!soft.empty())
      report.keys.push_back({"soft attention", share_words(c.soft.accuracy),
                             fmt::format("(loss {})", format_number(c.soft.loss)), ""});
  }
  if (!soft.empty())
    report.keys.push_back({"agreement",
                           share_words(static_cast<double>(c.alike) / static_cast<double>(hard.size())),
                           "(texts that soft and hard attention classify alike)", ""});
}

void check_sizes(const LabelledText& read, std::size_t hard, std::size_t soft) {
  const std::size_t texts = read.texts.size(), labels = read.labels.size(), rows = read.rows.size();
  if (texts == 0) throw Error(ErrorKind::kUsage, "predictions", "there are no texts to report");
  if (hard != texts || (soft != 0 && soft != texts) || (labels != 0 && labels != texts) ||
      (rows != 0 && rows != texts))
    throw Error(ErrorKind::kShape, "predictions",
                fmt::format("{} texts, but {} hard and {} soft predictions, {} labels and {} row numbers",
                            texts, hard, soft, labels, rows));
}

}  // namespace

Report prediction_report(const std::vector<Prediction>& hard, const std::vector<Prediction>& soft,
                         const LabelledText& texts, const SentimentModel& model, const PageContext& context) {
  check_sizes(texts, hard.size(), soft.size());
  const bool labelled = !texts.labels.empty();
  const Counts counts = count(hard, soft, texts.labels);
  Report report = begin_report(
      context, sentiment_definitions({"logit", "soft, hard", "padding", "agreement", "accuracy"}));
  report.facts.push_back({"model", model_line(model), model.origin});
  report.verdict = {sentence_of(hard, counts, model, labelled), "hard attention", {}};
  add_keys(report, hard, soft, counts, labelled);
  if (hard.size() > 1) report.lead.push_back(histogram_figure(hard));
  Section section{.id = "texts", .title = "What the model says of each text"};
  section.tables.push_back(texts_table(hard, soft, texts, model));
  report.sections.push_back(std::move(section));
  if (counts.empty != 0)
    report.not_measured.push_back(fmt::format("{} no word that the model knows: it says what {} alone says",
                                              count_of(counts.empty, "text has", "texts have"),
                                              model.config.mask_padding ? "b" : "padding"));
  report.not_measured.insert(report.not_measured.end(), texts.notes.begin(), texts.notes.end());
  return report;
}

}  // namespace telos::clustering
