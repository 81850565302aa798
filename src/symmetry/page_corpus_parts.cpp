// What is symmetric of a text, and what is order.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/page_corpus.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::symmetry {
namespace {

double dimension_of(Part part, double l) {
  switch (part) {
    case Part::kTrivial:
      return 1;
    case Part::kStandard:
    case Part::kOrderedStandard:
      return l - 1;
    case Part::kPair:
      return l * (l - 3) / 2;
    case Part::kOrderedPair:
      return (l - 1) * (l - 2) / 2;
  }
  return 0;
}

std::string part_meaning(Part part) {
  switch (part) {
    case Part::kTrivial:
      return "all pairs alike";
    case Part::kStandard:
      return "by position";
    case Part::kPair:
      return "by pair: distance";
    case Part::kOrderedStandard:
      return "order, by position";
    case Part::kOrderedPair:
      return "order, by pair";
  }
  return {};
}

Table parts_table(const CorpusSymmetry& s) {
  Table t{.id = "parts",
          .title = "What the positions of a window tell of each other, by irreducible representation",
          .columns = {{"part", "", "see definitions"},
                      {"dimension", "", "of the irrep", 7},
                      {"what differs", "", "see definitions: parts"},
                      {"text", "", "cross-fitted fraction of the energy", 3},
                      {"±", "", error_words(s.options.errors), 2},
                      {"shuffled", "", "tokens of each window in random order", 3},
                      {"± ", "", error_words(s.options.errors), 2},
                      {"chain", "", "first-order chain of the same text, exact", 3}},
          .in_terminal = true};
  for (std::size_t r = 0; r < kParts; ++r) {
    const Part part = static_cast<Part>(r);
    std::vector<Cell> row = {part_name(part), dimension_of(part, static_cast<double>(s.options.length)),
                             part_meaning(part)};
    append(row, s.text.fractions[r]);
    append(row, s.shuffled.fractions[r]);
    row.push_back(number_cell(s.markov[r]));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table energies_table(const CorpusSymmetry& s) {
  Table t{.id = "energies",
          .title = "How strong the dependence is",
          .columns = {{"text", "", ""},
                      {"energy", "", "cross-fitted, all parts together"},
                      {"±", "", error_words(s.options.errors), 2},
                      {"share of D and O", "", "see definitions"},
                      {"± ", "", error_words(s.options.errors), 2},
                      {"share of O", "", "see definitions"},
                      {"±  ", "", error_words(s.options.errors), 2}},
          .rows = {}};
  const auto add = [&](const std::string& name, const BlockEstimate& e) {
    std::vector<Cell> row = {name};
    for (const Estimate* x : {&e.total, &e.total_share, &e.other_share}) append(row, *x);
    t.rows.push_back(std::move(row));
  };
  add("as it is", s.text);
  add("windows shuffled", s.shuffled);
  add("all shuffled", s.mixed);
  t.rows.push_back(
      {std::string("first-order chain"), s.markov_total, {}, {}, {}, number_cell(s.markov[0]), {}});
  return t;
}

Table moments_table(const Moments& m) {
  return {.id = "moments",
          .title = "Sums over the covariance C of the windows",
          .columns = {{"tr C", "", "", 12},
                      {"|C|²", "", "", 12},
                      {"|D|²", "", "D = mean of C_bb", 12},
                      {"|O|²", "", "O = mean of C_bc over b ≠ c", 12},
                      {"Σ|C_bc|²", "", "over b ≠ c", 12}},
          .rows = {{m.trace, m.squared, m.diagonal_mean, m.other_mean, m.other}}};
}

}  // namespace

Figure parts_figure(const CorpusSymmetry& s) {
  std::vector<Bar> bars;
  const auto add = [&](std::size_t r, const std::string& group, double value, double error) {
    if (std::isfinite(value))
      bars.push_back({.label = part_name(static_cast<Part>(r)) + " " + group,
                      .group = group,
                      .key = {},
                      .value = value,
                      .error = std::isfinite(error) ? error : 0});
  };
  for (std::size_t r = 0; r < kParts; ++r) {
    add(r, "text", s.text.fractions[r].value, s.text.fractions[r].error);
    add(r, "shuffled", s.shuffled.fractions[r].value, s.shuffled.fractions[r].error);
    add(r, "chain", s.markov[r], 0);
  }
  return bar_chart(
      {.id = "fractions",
       .title = fmt::format("{} of the energy between positions is permutation symmetric",
                            percent(trivial_of(s.text).value)),
       .caption =
           "Cross-fitted fractions by irreducible representation of S_L, ± standard error; "
           "shuffled: tokens of each window in random order; chain: the first-order chain of the text.",
       .alt = "Fraction of energy by irrep, of the text and of two nulls",
       .x_label = "fraction of energy",
       .y_label = "irrep"},
      bars);
}

Section parts_section(const CorpusSymmetry& s) {
  return {.id = "parts",
          .title = "What is symmetric, and what is order",
          .tables = {parts_table(s), energies_table(s), moments_table(s.of_text)}};
}

}  // namespace telos::symmetry
