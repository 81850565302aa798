// Dependence by distance, and fractions by length.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/page_corpus.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::symmetry {
namespace {

Table distances_table(const CorpusSymmetry& s) {
  Table t{.id = "lags",
          .title = "Energy by distance",
          .columns = {{"distance", "tokens", ""},
                      {"energy", "", "mean over b of |C_{b,b+τ}|², cross-fitted"},
                      {"±", "", error_words(s.options.errors), 2},
                      {"of the first", "", "energy over that of distance 1", 3},
                      {"shuffled", "", "tokens of each window in random order"},
                      {"chain", "", "first-order chain, exact"}}};
  for (std::size_t i = 0; i < s.text.lags.size(); ++i) {
    std::vector<Cell> row = {static_cast<std::int64_t>(i + 1)};
    append(row, s.text.lags[i]);
    row.push_back(number_cell(s.text.lags[i].value / s.text.lags[0].value));
    row.push_back(number_cell(s.shuffled.lags[i].value));
    row.push_back(s.markov_lags[i]);
    t.rows.push_back(std::move(row));
  }
  return t;
}

/// How far apart positions tell at most half as much of each other as neighbours do.
std::string distances_title(const CorpusSymmetry& s) {
  const double half = s.text.lags.front().value / 2;
  const auto at =
      std::find_if(s.text.lags.begin(), s.text.lags.end(), [&](const Estimate& e) { return e.value < half; });
  if (half <= 0 || !s.text.dependent) return "Dependence by distance";
  if (at == s.text.lags.end())
    return "Positions far apart tell half as much of each other as neighbours, or more";
  return fmt::format("{} tokens apart, positions tell less than half as much of each other as neighbours",
                     at - s.text.lags.begin() + 1);
}

Figure distances_figure(const CorpusSymmetry& s) {
  Series text{.name = "text", .x = {}, .y = {}, .low = {}, .high = {}};
  Series chain{.name = "first-order chain", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (std::size_t i = 0; i < s.text.lags.size(); ++i) {
    const Estimate& lag = s.text.lags[i];
    for (Series* series : {&text, &chain}) series->x.push_back(static_cast<double>(i + 1));
    text.y.push_back(lag.value);
    text.low.push_back(lag.value - lag.error);
    text.high.push_back(lag.value + lag.error);
    chain.y.push_back(s.markov_lags[i]);
  }
  return line_chart(
      {.id = "distance",
       .title = "Energy by distance, beside the first-order chain",
       .caption = "Mean of |C_{b,b+τ}|², cross-fitted, with ± one standard error; an exchangeable "
                  "text has a level line.",
       .alt = "Energy by distance",
       .x_label = "distance τ (tokens)",
       .y_label = "energy"},
      {text, chain});
}

Table lengths_table(std::span<const LengthEstimate> lengths, const std::string& errors) {
  Table t{.id = "lengths",
          .title = "Fractions by length of the windows, which begin at every token",
          .columns = {{"length", "tokens", ""},
                      {"energy", "", "cross-fitted, all parts together"},
                      {"±", "", errors, 2}}};
  for (std::size_t r = 0; r < kParts; ++r) {
    t.columns.push_back({part_name(static_cast<Part>(r)), "", "cross-fitted fraction of the energy", 3});
    t.columns.push_back({"± of " + part_name(static_cast<Part>(r)), "", errors, 2});
  }
  for (const LengthEstimate& e : lengths) {
    std::vector<Cell> row = {static_cast<std::int64_t>(e.length)};
    append(row, e.total);
    for (const Estimate& f : e.fractions) append(row, f);
    t.rows.push_back(std::move(row));
  }
  return t;
}

}  // namespace

Section distance_section(const CorpusSymmetry& s) {
  return {.id = "distance",
          .title = distances_title(s),
          .figures = {distances_figure(s)},
          .tables = {distances_table(s)}};
}

Section lengths_section(std::span<const LengthEstimate> lengths, const ErrorOptions& errors) {
  std::vector<Series> series;
  for (std::size_t r = 0; r < kParts; ++r) {
    Series one{.name = part_name(static_cast<Part>(r)), .x = {}, .y = {}, .low = {}, .high = {}};
    for (const LengthEstimate& e : lengths) {
      if (!e.dependent) continue;
      one.x.push_back(static_cast<double>(e.length));
      one.y.push_back(e.fractions[r].value);
      one.low.push_back(e.fractions[r].value - e.fractions[r].error);
      one.high.push_back(e.fractions[r].value + e.fractions[r].error);
    }
    series.push_back(std::move(one));
  }
  const auto measured =
      std::find_if(lengths.rbegin(), lengths.rend(), [](const LengthEstimate& e) { return e.dependent; });
  Section section{.id = "lengths",
                  .title = "Fractions by length of the windows",
                  .tables = {lengths_table(lengths, error_words(errors))}};
  if (measured == lengths.rend()) return section;
  section.title = fmt::format("Of windows of {} tokens, {} of the energy is symmetric", measured->length,
                              percent(measured->fractions[0].value));
  section.figures.push_back(line_chart(
      {.id = "fractions-by-length",
       .title = "Fractions by length of the windows",
       .caption =
           "Cross-fitted fractions with ± one standard error, from pairs of tokens by distance: the text "
           "taken as stationary, windows at every token.",
       .alt = "Fraction of energy by irrep and length",
       .x_label = "length L (tokens)",
       .y_label = "fraction of energy",
       .log_x = true},
      series));
  return section;
}

}  // namespace telos::symmetry
