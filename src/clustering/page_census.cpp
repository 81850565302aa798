#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "clustering/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kBars = 20;
constexpr std::size_t kShown = 15;  ///< in the terminal

std::string filter_words(const LeaderCensus& c) {
  std::string text;
  if (c.confidence > 0)
    text = fmt::format("{}p > {:.6g} or < {:.6g}", std::isnan(c.accuracy) ? "" : "right with ", c.confidence,
                       1 - c.confidence);
  if (c.far > 0)
    text += fmt::format("{}leaders with |side| > {}", text.empty() ? "" : "; ", format_number(c.far));
  return text.empty() ? "all texts and leaders" : text;
}

std::string sentence_of(const LeaderCensus& c) {
  const std::string counts = fmt::format("{} leaders a text (± {}, {} to {})", format_number(c.mean, 3),
                                         format_number(c.deviation, 3), c.least, c.most);
  // With most words leading nothing clusters.
  constexpr double kMostLead = 0.5;
  if (c.unique_mean > 0 && c.mean > kMostLead * c.unique_mean)
    return fmt::format("{} of {} unique words: most words lead, and little clusters.", counts,
                       format_number(c.unique_mean, 3));
  if (c.words.empty()) return counts + ".";
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, c.words.size()); ++i)
    names.push_back(word_name(c.words[i].word, c.words[i].id));
  return fmt::format("{}, most often {}.", counts, quoted_list(names));
}

Table words_table(const LeaderCensus& c, const SentimentModel& model) {
  Table t{.id = "leaders",
          .title = "Words that lead",
          .caption = filter_words(c) + ".",
          .columns = {{"word", "", ""},
                      {"texts", "", "that it leads in"},
                      {"share", "", "of the texts used"},
                      {"side", "", ""},
                      {"class", "", "whose half-space it stands in"},
                      {"followers", "", "mean share of positions that follow it, where it leads"},
                      {"contribution", "", "mean, where it leads"}},
          .rows = {}};
  for (const LeaderWord& w : c.words)
    t.rows.push_back({word_name(w.word, w.id), whole_cell(w.texts),
                      static_cast<double>(w.texts) / static_cast<double>(c.used), w.side,
                      w.side >= 0 ? model.positive : model.negative, w.mean_mass, w.contribution});
  return t;
}

/// The head of a table, for the terminal.
Table head_of(const Table& table, std::size_t rows) {
  Table t = table;
  t.id = "most";
  t.title = "Words that lead most often";
  t.in_terminal = true;
  if (t.rows.size() > rows) t.rows.resize(rows);
  return t;
}

Table counts_table(const LeaderCensus& c) {
  Table t{.id = "counts",
          .title = "Texts by their number of leaders",
          .caption = "All texts.",
          .columns = {{"leaders", "", "of a text"}, {"texts", "", ""}},
          .rows = {}};
  for (std::size_t k = 0; k < c.histogram.size(); ++k)
    if (c.histogram[k] != 0) t.rows.push_back({whole_cell(k), whole_cell(c.histogram[k])});
  return t;
}

Figure words_figure(const LeaderCensus& c, const SentimentModel& model) {
  std::vector<Bar> bars;
  for (std::size_t i = 0; i < std::min(kBars, c.words.size()); ++i) {
    const LeaderWord& w = c.words[i];
    bars.push_back({.label = word_name(w.word, w.id),
                    .group = (w.side >= 0 ? model.positive : model.negative) + " side",
                    .key = {},
                    .value = static_cast<double>(w.texts)});
  }
  const std::string title =
      c.words.empty() ? "No word leads"
                      : fmt::format("“{}” leads in {} of {} texts", word_name(c.words[0].word, c.words[0].id),
                                    format_count(c.words[0].texts), format_count(c.used));
  return bar_chart({.id = "leading-words",
                    .title = title,
                    .caption = filter_words(c) +
                               ". Colour: the half-space that the word stands in. After arXiv 2407.01602.",
                    .alt = "Texts in which each word leads",
                    .x_label = "texts",
                    .y_label = "leader"},
                   bars);
}

Figure counts_figure(const LeaderCensus& c) {
  Series series{.name = "texts", .x = {}, .y = {}, .low = {}, .high = {}};
  for (std::size_t k = c.least; k < c.histogram.size(); ++k) {
    series.x.push_back(static_cast<double>(k));
    series.y.push_back(static_cast<double>(c.histogram[k]));
  }
  return line_chart({.id = "leader-counts",
                     .title = fmt::format("A text has {} to {} leaders", c.least, c.most),
                     .caption = fmt::format("Of all texts; mean {} ± {}.", format_number(c.mean, 3),
                                            format_number(c.deviation, 3)),
                     .alt = "Texts by their number of leaders",
                     .x_label = "leaders of a text",
                     .y_label = "texts"},
                    {series});
}

}  // namespace

Report census_report(const LeaderCensus& census, const SentimentModel& model, const PageContext& context) {
  const LeaderCensus& c = census;
  Report report =
      begin_report(context, sentiment_definitions({"leader", "contribution", "side", "padding", "accuracy"}));
  report.facts.push_back({"model", model_line(model), model.origin});
  report.verdict = {
      sentence_of(c), fmt::format("measured on {} texts, hard attention", format_count(c.texts)), {}};
  report.verdict.evidence.push_back(
      fmt::format("counts: all texts; words: {} of them ({})", format_count(c.used), filter_words(c)));
  report.keys.push_back({"leaders a text",
                         fmt::format("{} ± {}", format_number(c.mean, 3), format_number(c.deviation, 3)),
                         fmt::format("(standard deviation over texts; {} to {}; {} unique words a text)",
                                     c.least, c.most, format_number(c.unique_mean, 3)),
                         ""});
  report.keys.push_back(
      {"lead from layer 0", fmt::format("{:.1f} %", 100 * c.initial_share), "(of all leaders)", ""});
  report.keys.push_back({"texts used", format_count(c.used),
                         fmt::format("(of {}: {})", format_count(c.texts), filter_words(c)), ""});
  if (std::isfinite(c.accuracy))
    report.keys.push_back({"accuracy", fmt::format("{:.2f} %", 100 * c.accuracy), "", ""});
  report.lead.push_back(words_figure(c, model));

  Section words{.id = "words", .title = "Which words lead, and for which class"};
  const Table all = words_table(c, model);
  words.tables = {head_of(all, kShown), all};
  report.sections.push_back(std::move(words));
  Section counts{.id = "counts", .title = "How many words lead a text"};
  counts.figures.push_back(counts_figure(c));
  counts.tables.push_back(counts_table(c));
  report.sections.push_back(std::move(counts));
  return report;
}

}  // namespace telos::clustering
