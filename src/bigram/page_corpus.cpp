#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/limits.h"
#include "bigram/page_corpus_parts.h"
#include "telos/base/confidence.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

// The page of an estimate, and what the pages of a text share.

namespace telos::bigram {

bool is_above(const BlockMean& mean, double value) {
  return mean.value - value > sigmas(mean.blocks) * mean.error;
}

std::vector<std::string> shown_names(const Corpus& corpus, std::size_t most) {
  return {corpus.names.begin(),
          corpus.names.begin() + static_cast<std::ptrdiff_t>(std::min(most, corpus.vocabulary()))};
}

std::string shown_text(const Corpus& corpus, std::size_t most) {
  return corpus.vocabulary() <= most ? std::string()
                                     : fmt::format(" Shown: the {} most frequent tokens.", most);
}

std::vector<std::string> offset_names(std::size_t first, std::size_t last) {
  std::vector<std::string> names;
  for (std::size_t d = first; d <= last; ++d) names.push_back(std::to_string(d));
  return names;
}

std::vector<std::vector<double>> rows_of(ConstMatrixView<double> m, std::size_t rows, std::size_t cols) {
  std::vector<std::vector<double>> values(rows);
  for (std::size_t i = 0; i < rows; ++i) values[i].assign(m.row(i), m.row(i) + cols);
  return values;
}

Report begin_corpus_report(const Corpus& corpus, const PageContext& context, std::uint64_t train,
                           std::uint64_t validation, std::uint64_t held_out) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  const double rare = static_cast<double>(corpus.others) / static_cast<double>(corpus.tokens.size());
  const std::string rest = corpus.others == 0
                               ? std::string("all of them kept")
                               : fmt::format("{} ({}) are rarer and count as {}", format_count(corpus.others),
                                             rare < 0.01 ? "below 1 %" : percent(rare), kOther);
  report.facts.push_back(
      {"text",
       fmt::format("{} {}s · {} different · {} tokens", format_count(corpus.tokens.size()), corpus.unit,
                   format_count(corpus.distinct), format_count(corpus.vocabulary())),
       rest});
  report.facts.push_back(
      {"windows",
       validation == 0 ? fmt::format("{} fit · {} are predicted", format_count(train), format_count(held_out))
                       : fmt::format("{} fit · {} choose the smoothing · {} are predicted",
                                     format_count(train), format_count(validation), format_count(held_out)),
       "in the order of the text"});
  report.provenance = context.provenance;
  return report;
}

namespace {

const HeldOut& model_named(const CorpusEstimate& e, std::string_view name) {
  return *std::find_if(e.models.begin(), e.models.end(), [&](const HeldOut& m) { return m.model == name; });
}

std::string nats(const BlockMean& mean, bool sign = false) {
  return plus_minus(mean.value, mean.error, sign);
}

std::string gain_sentence(const CorpusEstimate& e) {
  const BlockMean& gain = model_named(e, "q by last token").gain;
  const BlockMean loss{-gain.value, gain.error, gain.blocks};
  if (is_above(gain, 0))
    return fmt::format("Looking where the last token points explains {} nats a token beyond the bigram.",
                       nats(gain));
  if (is_above(loss, 0))
    return fmt::format(
        "Looking where the last token points loses {} nats a token to the bigram: what was "
        "fitted does not carry over.",
        nats(loss));
  return fmt::format(
      "Looking where the last token points explains nothing beyond the bigram: {} nats a token.",
      nats(gain, true));
}

/// By offset from 1: the information of all last tokens tested, each as often as it comes. What the token
/// there and the last one say together, of which a mixture of transitions holds only a part.
std::vector<double> information_given_last(const CorpusEstimate& e) {
  std::vector<double> sum(e.options.max_offset);
  for (const OffsetTest& test : e.tests)
    sum[test.offset - 1] +=
        static_cast<double>(test.dependence.pairs) * (test.dependence.information - test.dependence.chance);
  const double windows = static_cast<double>(e.train + e.validation + e.held_out);
  for (double& x : sum) x /= windows;
  return sum;
}

std::size_t further_tokens(const CorpusEstimate& e) {
  std::size_t count = 0;
  for (std::size_t k = 0; k < e.contextual.q.rows(); ++k)
    count += e.counts[k] > 0 && e.contextual.q(k, 0) < 1;
  return count;
}

std::vector<std::string> evidence_of(const Corpus& corpus, const CorpusEstimate& e) {
  const BlockMean& unigram = model_named(e, "unigram").gain;
  std::vector<std::string> lines = {
      fmt::format("the bigram explains {} nats beyond frequencies",
                  nats({-unigram.value, unigram.error, unigram.blocks})),
      fmt::format("{} of {} last tokens give weight to an earlier token", further_tokens(e),
                  corpus.vocabulary()),
      fmt::format(
          "tokens are not independent draws, which the theory takes them for: neighbours share {} nats "
          "(χ² {} on {} degrees of freedom), those {} apart {}",
          format_number(e.lags.front().information - e.lags.front().chance, 3),
          format_number(e.lags.front().chi_squared, 3), format_number(e.lags.front().degrees), e.lags.size(),
          format_number(e.lags.back().information - e.lags.back().chance, 2))};
  const std::vector<double> given_last = information_given_last(e);
  const auto most = std::max_element(given_last.begin(), given_last.end());
  lines.push_back(fmt::format(
      "the last token together with the one at offset {} says {} nats more than the last alone; a "
      "mixture adds up what single tokens say, and has one P for all offsets",
      most - given_last.begin() + 1, format_number(*most, 3)));
  lines.insert(lines.end(), e.notes.begin(), e.notes.end());
  return lines;
}

Figure losses_figure(const CorpusEstimate& e) {
  std::vector<Bar> bars;
  for (const HeldOut& m : e.models)
    bars.push_back({.label = m.model,
                    .group = "cross-entropy",
                    .key = {},
                    .value = m.nats.value,
                    .error = std::isfinite(m.nats.error) ? m.nats.error : 0});
  return bar_chart(
      {.id = "cross-entropy",
       .title = fmt::format("The bigram explains {} nats beyond frequencies, looking further back {}",
                            format_number(-e.models.front().gain.value, 3),
                            format_number(model_named(e, "q by last token").gain.value, 2)),
       .caption = "Nats a token on the part of the text that nothing was fitted to, ± standard error.",
       .alt = "Cross-entropy of each model",
       .x_label = "cross-entropy (nats a token)",
       .y_label = "model"},
      bars);
}

Table models_table(const CorpusEstimate& e) {
  Table t{.id = "models",
          .title = "What each model predicts of the text that it has not seen",
          .columns = {{"model", "", "see definitions"},
                      {"cross-entropy", "nats", "see definitions", 5},
                      {"±", "nats", "standard error"},
                      {"bits", "", "the same in bits", 5},
                      {"beyond the bigram", "nats", "bigram less this model, paired by blocks"},
                      {"± ", "nats", "its standard error"}},
          .in_terminal = true};
  for (const HeldOut& m : e.models)
    t.rows.push_back({m.model, m.nats.value, number_cell(m.nats.error), m.nats.value / std::numbers::ln2,
                      m.gain.value, number_cell(m.gain.error)});
  return t;
}

std::string weights_text(const double* q, std::size_t offsets) {
  std::string text;
  for (std::size_t d = 0; d < offsets; ++d)
    if (q[d] > 0) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", d, fixed(q[d], 3));
  return text;
}

/// Tests of one last token.
struct TokenTests {
  std::size_t significant = 0;
  const OffsetTest* most = nullptr;  ///< of most information
};
TokenTests tests_of(const CorpusEstimate& e, std::size_t last) {
  TokenTests own;
  const auto excess = [](const OffsetTest& t) { return t.dependence.information - t.dependence.chance; };
  auto test = std::lower_bound(e.tests.begin(), e.tests.end(), last,
                               [](const OffsetTest& t, std::size_t k) { return t.last < k; });
  for (; test != e.tests.end() && test->last == last; ++test) {
    own.significant += test->significant;
    if (own.most == nullptr || excess(*test) > excess(*own.most)) own.most = &*test;
  }
  return own;
}

Table last_tokens_table(const Corpus& corpus, const CorpusEstimate& e) {
  Table t{
      .id = "tokens",
      .title = "Where each last token looks",
      .caption = "Offset (weight); offset 0 is the last token itself.",
      .columns = {{"last token", "", ""},
                  {"count", "", "in the text"},
                  {"looks at", "", "q^(k), most likely"},
                  {"informed by", "", "offsets 1 and up whose token depends on the next one, given the last"},
                  {"most at", "", "offset of most information"},
                  {"information", "nats", "there, less its chance level", 3},
                  {"next", "", "most frequent after it"}},
      .in_terminal = true};
  for (std::size_t k = 0; k < corpus.vocabulary(); ++k) {
    const TokenTests own = tests_of(e, k);
    std::size_t best = 0;
    for (std::size_t o = 1; o < corpus.vocabulary(); ++o)
      if (e.p(o, k) > e.p(best, k)) best = o;
    std::vector<Cell> row = {corpus.names[k], whole_cell(e.counts[k]),
                             weights_text(e.contextual.q.row(k), e.contextual.q.cols())};
    if (own.most == nullptr) {
      row.emplace_back(std::string("too rare"));
      row.resize(row.size() + 2);
    } else {
      row.push_back(fmt::format("{} of {}", own.significant, e.options.max_offset));
      row.push_back(whole_cell(own.most->offset));
      row.push_back(own.most->dependence.information - own.most->dependence.chance);
    }
    row.push_back(fmt::format("{} ({})", corpus.names[best], percent(e.p(best, k))));
    t.rows.push_back(std::move(row));
  }
  return t;
}

std::vector<Cell> dependence_cells(const Dependence& d) {
  return {whole_cell(d.pairs),      d.chi_squared, d.degrees,     d.p_value,
          d.information - d.chance, d.error,       d.information, d.chance};
}

std::vector<telos::Column> dependence_columns() {
  return {{"pairs", "", ""},
          {"χ²", "", "see definitions", 5},
          {"degrees", "", "(rows − 1)(columns − 1) of the table of counts", 7},
          {"p", "", "see definitions: χ²", 3},
          {"information", "nats", "see definitions", 3},
          {"±", "nats", "standard error, pairs taken as independent", 2},
          {"counted", "nats", "information of the counts, chance included", 3},
          {"chance", "nats", "see definitions: information", 3}};
}

Table tests_table(const Corpus& corpus, const CorpusEstimate& e) {
  Table t{.id = "tests",
          .title = "Does the token at an offset inform of the next one, given the last token?",
          .columns = {{"last token", "", ""}, {"offset", "", "see definitions"}}};
  const auto columns = dependence_columns();
  t.columns.insert(t.columns.end(), columns.begin(), columns.end());
  t.columns.push_back({"p, all tests", "", "see definitions: χ²", 3});
  t.columns.push_back({"informs", "", "the corrected p is below the level"});
  for (const OffsetTest& test : e.tests) {
    std::vector<Cell> row = {corpus.names[test.last], whole_cell(test.offset)};
    const auto cells = dependence_cells(test.dependence);
    row.insert(row.end(), cells.begin(), cells.end());
    row.push_back(test.holm);
    row.push_back(std::string(test.significant ? "yes" : "no"));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table lags_table(const CorpusEstimate& e) {
  Table t{.id = "lags",
          .title = "How tokens depend on each other by distance",
          .columns = {{"distance", "tokens", ""}}};
  const auto columns = dependence_columns();
  t.columns.insert(t.columns.end(), columns.begin(), columns.end());
  for (std::size_t l = 0; l < e.lags.size(); ++l) {
    std::vector<Cell> row = {whole_cell(l + 1)};
    const auto cells = dependence_cells(e.lags[l]);
    row.insert(row.end(), cells.begin(), cells.end());
    t.rows.push_back(std::move(row));
  }
  return t;
}

/// Nothing but the entries above a thousandth, of few tokens: V² rows would be too many.
Table transitions_table(const Corpus& corpus, const CorpusEstimate& e) {
  Table t{.id = "transitions",
          .title = "Transitions of at least 1 in 1,000",
          .caption = "Of the 64 most frequent tokens.",
          .columns = {{"token", "", ""}, {"next", "", ""}, {"P", "", "P(next|token), smoothed"}},
          .rows = {}};
  for (std::size_t k = 0; k < std::min(kMostShown, corpus.vocabulary()); ++k)
    for (std::size_t o = 0; o < corpus.vocabulary(); ++o)
      if (e.p(o, k) >= 0.001) t.rows.push_back({corpus.names[k], corpus.names[o], e.p(o, k)});
  return t;
}

Section attention_section(const Corpus& corpus, const CorpusEstimate& e) {
  const std::vector<std::string> names = shown_names(corpus, kMostLast);
  const std::size_t offsets = std::min(kMostOffsets, e.options.max_offset);
  std::vector<std::vector<double>> information(names.size(), std::vector<double>(offsets, kNaN));
  std::size_t informed = 0;
  for (const OffsetTest& test : e.tests) {
    informed += test.significant;
    if (test.last < names.size() && test.offset <= offsets)
      information[test.last][test.offset - 1] = test.dependence.information - test.dependence.chance;
  }
  Section section{.id = "attention",
                  .title = fmt::format("{} of {} last tokens give weight to an earlier token",
                                       further_tokens(e), corpus.vocabulary())};
  section.figures.push_back(heat_map(
      {.id = "q",
       .title = "Where each last token looks",
       .caption = "q^(k) of the most likely sparse contextual bigram; offset 0 is the last token itself." +
                  shown_text(corpus, kMostLast),
       .alt = "Weight by last token and offset",
       .x_label = "offset",
       .y_label = "last token"},
      names, offset_names(0, offsets), rows_of(e.contextual.q, names.size(), offsets + 1), "weight", false));
  section.figures.push_back(heat_map(
      {.id = "information",
       .title = fmt::format("At {} of {} offsets the token informs of the next one", format_count(informed),
                            format_count(e.tests.size())),
       .caption =
           "Information between the token at an offset and the next one, given the last token, less its "
           "chance level. Hatched: too rare." +
           shown_text(corpus, kMostLast),
       .alt = "Information by last token and offset",
       .x_label = "offset",
       .y_label = "last token"},
      names, offset_names(1, offsets), information, "nats", false));
  section.tables = {last_tokens_table(corpus, e), tests_table(corpus, e)};
  return section;
}

Section distance_section(const CorpusEstimate& e) {
  std::vector<double> lag, information, low, high, chance;
  for (std::size_t l = 0; l < e.lags.size(); ++l) {
    const Dependence& d = e.lags[l];
    lag.push_back(static_cast<double>(l + 1));
    information.push_back(d.information);
    low.push_back(d.information - d.error);
    high.push_back(d.information + d.error);
    chance.push_back(d.chance);
  }
  Section section{.id = "distance",
                  .title = fmt::format("Tokens are not independent draws: neighbours share {} nats",
                                       format_number(e.lags.front().information - e.lags.front().chance, 3))};
  section.figures.push_back(
      line_chart({.id = "lags",
                  .title = "Information that two tokens share, by their distance",
                  .caption = "Of all pairs of the text; dashed: the same counts after the second tokens were "
                             "dealt anew, what chance alone gives.",
                  .alt = "Information against distance",
                  .x_label = "distance (tokens)",
                  .y_label = "information (nats)",
                  .log_y = true},
                 {{.name = "text", .x = lag, .y = information, .low = low, .high = high},
                  {.name = "chance", .x = lag, .y = chance, .low = {}, .high = {}, .dashed = true}}));
  section.tables = {lags_table(e)};
  return section;
}

Section transitions_section(const Corpus& corpus, const CorpusEstimate& e) {
  const std::vector<std::string> names = shown_names(corpus, kMostShown);
  Section section{.id = "transitions", .title = "Who follows whom"};
  section.figures.push_back(heat_map(
      {.id = "p",
       .title = "Transitions P, counted",
       .caption = fmt::format("Probability of the next token (row) by token (column), with {} pseudo-counts "
                              "a column.{}",
                              format_number(e.smooth), shown_text(corpus, kMostShown)),
       .alt = "Matrix of next token by token",
       .x_label = "token",
       .y_label = "next token"},
      names, names, rows_of(e.p, names.size(), names.size()), "probability", false));
  section.tables = {transitions_table(corpus, e)};
  return section;
}

}  // namespace

Report estimate_report(const Corpus& corpus, const CorpusEstimate& e, const PageContext& context) {
  Report report = begin_corpus_report(corpus, context, e.train, e.validation, e.held_out);
  report.definitions = definitions_named({"sparse contextual bigram", "offset", "most likely mixture",
                                          "models of a text", "cross-entropy", "χ²", "information"});
  report.facts.push_back({"model",
                          fmt::format("offsets 0 to {} · at most {} for a last token · α {}",
                                      e.options.max_offset, e.options.sparsity, format_number(e.smooth)),
                          e.options.smooth ? "α as asked for" : "α of the best bigram on the second part"});
  report.verdict = {gain_sentence(e),
                    fmt::format("measured on {} held-out windows in {}", format_count(e.held_out),
                                count_of(e.blocks, "block", "blocks")),
                    evidence_of(corpus, e)};
  const BlockMean &bigram = model_named(e, "bigram").nats, &mixture = model_named(e, "q by last token").nats,
                  &unigram = model_named(e, "unigram").nats;
  const auto informed = static_cast<std::size_t>(
      std::count_if(e.tests.begin(), e.tests.end(), [](const OffsetTest& t) { return t.significant; }));
  report.keys = {
      {"unigram", nats(unigram), "nats a token", "see definitions: cross-entropy"},
      {"bigram", nats(bigram), "nats a token", "see definitions: cross-entropy"},
      {"sparse contextual bigram", nats(mixture), "nats a token", "see definitions: cross-entropy"},
      {"beyond the bigram", nats(model_named(e, "q by last token").gain, true), "nats a token",
       "paired by blocks"},
      {"offsets that inform", format_count(informed),
       fmt::format("(of {}, at level {})", format_count(e.tests.size()), format_number(e.options.level)),
       "see definitions: χ²"}};
  report.lead.push_back(losses_figure(e));
  report.sections = {{.id = "prediction",
                      .title = "What each model predicts of the text that it has not seen",
                      .tables = {models_table(e)}},
                     attention_section(corpus, e),
                     transitions_section(corpus, e),
                     distance_section(e)};
  return report;
}

}  // namespace telos::bigram
