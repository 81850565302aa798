// The page of a text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/corpus_page.h"

namespace telos::symmetry {
namespace {

constexpr std::size_t kShownComponents = 48;
constexpr double kNearIrrep = 0.1;  // so close to 0 or 1 a trivial share counts as that of an irrep

std::string estimate_text(const Estimate& e) {
  return plus_minus(e.value, e.error);
}

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

const Estimate& trivial_of(const BlockEstimate& e) {
  return e.fractions[static_cast<std::size_t>(Part::kTrivial)];
}

// ---- In words

Verdict verdict_of(const CorpusSymmetry& s) {
  const Estimate& trivial = trivial_of(s.text);
  const Estimate& order = s.text.fractions[static_cast<std::size_t>(Part::kOrderedPair)];
  Verdict v;
  v.basis = fmt::format("measured on {} windows", format_count(s.windows));
  if (!s.text.dependent)
    v.sentence =
        "The tokens of a window tell nothing of each other that could be measured: nothing to be symmetric.";
  else if (std::abs(trivial.value - 1) <= 2 * trivial.error)
    v.sentence = "The windows are exchangeable, as far as pairs of letters show it.";
  else
    v.sentence = fmt::format(
        "Of what the positions of a window tell of each other, {} is the same for all of them, and {} is "
        "word order.",
        percent(trivial.value), percent(order.value));
  if (s.text.dependent)
    v.evidence.push_back(fmt::format("trivial fraction {}; 1 under exchangeability", estimate_text(trivial)));
  if (s.shuffled.dependent)
    v.evidence.push_back(
        fmt::format("the same windows, each in random order: {}", estimate_text(trivial_of(s.shuffled))));
  v.evidence.push_back(
      s.mixed.dependent
          ? std::string("the whole text in random order still shows dependence: take more windows")
          : std::string("the whole text in random order shows no dependence, as it must"));
  v.evidence.insert(v.evidence.end(), s.notes.begin(), s.notes.end());
  return v;
}

std::size_t near_irreps(const Components& c, std::size_t shown) {
  return static_cast<std::size_t>(
      std::count_if(c.trivial.begin(), c.trivial.begin() + static_cast<std::ptrdiff_t>(shown),
                    [](double share) { return share < kNearIrrep || share > 1 - kNearIrrep; }));
}

std::size_t shown_components(const CorpusSymmetry& s) {
  return std::min(kShownComponents, s.principal.variances.size());
}

std::vector<KeyNumber> keys_of(const CorpusSymmetry& s) {
  std::vector<KeyNumber> keys;
  if (s.text.dependent)
    keys.push_back({"trivial fraction", estimate_text(trivial_of(s.text)),
                    s.shuffled.dependent
                        ? fmt::format("(windows shuffled {}; first-order chain {})",
                                      estimate_text(trivial_of(s.shuffled)), fixed(s.markov[0], 3))
                        : std::string()});
  keys.push_back({"share of O", estimate_text(s.text.other_share),
                  fmt::format("(windows shuffled {}{})", estimate_text(s.shuffled.other_share),
                              std::isnan(s.p_value) ? std::string()
                                                    : fmt::format("; p {}", format_number(s.p_value, 2)))});
  keys.push_back({"share of D and O", estimate_text(s.text.total_share),
                  fmt::format("(windows shuffled {}; near 1 for any text of weak dependence)",
                              estimate_text(s.shuffled.total_share))});
  if (const std::size_t shown = shown_components(s); shown > 0)
    keys.push_back({"components", fmt::format("{} of {}", near_irreps(s.principal, shown), shown),
                    "(the leading ones whose trivial share is below 0.1 or above 0.9)"});
  return keys;
}

// ---- Tables

std::vector<Cell> estimate_cells(const Estimate& e) {
  return {number_cell(e.value), number_cell(e.error)};
}

void append(std::vector<Cell>& row, const std::vector<Cell>& cells) {
  row.insert(row.end(), cells.begin(), cells.end());
}

Table parts_table(const CorpusSymmetry& s) {
  Table t{.id = "parts",
          .title = "What the positions of a window tell of each other, by irreducible representation",
          .columns = {{"part", "", "see definitions"},
                      {"dimension", "", "of the irrep", 7},
                      {"what differs", "", "see definitions: parts"},
                      {"text", "", "cross-fitted fraction of the energy", 3},
                      {"±", "", "jackknife over blocks", 2},
                      {"shuffled", "", "tokens of each window in random order", 3},
                      {"± ", "", "jackknife over blocks", 2},
                      {"chain", "", "first-order chain of the same text, exact", 3}},
          .in_terminal = true};
  for (std::size_t r = 0; r < kParts; ++r) {
    const Part part = static_cast<Part>(r);
    std::vector<Cell> row = {part_name(part), dimension_of(part, static_cast<double>(s.options.length)),
                             part_meaning(part)};
    append(row, estimate_cells(s.text.fractions[r]));
    append(row, estimate_cells(s.shuffled.fractions[r]));
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
                      {"±", "", "jackknife over blocks", 2},
                      {"share of D and O", "", "see definitions"},
                      {"± ", "", "jackknife over blocks", 2},
                      {"share of O", "", "see definitions"},
                      {"±  ", "", "jackknife over blocks", 2}},
          .rows = {}};
  const auto add = [&](const std::string& name, const BlockEstimate& e) {
    std::vector<Cell> row = {name};
    for (const Estimate* x : {&e.total, &e.total_share, &e.other_share}) append(row, estimate_cells(*x));
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

Table distances_table(const CorpusSymmetry& s) {
  Table t{.id = "lags",
          .title = "Energy by distance",
          .columns = {{"distance", "tokens", ""},
                      {"energy", "", "mean over b of |C_{b,b+τ}|², cross-fitted"},
                      {"±", "", "jackknife over blocks", 2},
                      {"of the first", "", "energy over that of distance 1", 3},
                      {"shuffled", "", "tokens of each window in random order"},
                      {"chain", "", "first-order chain, exact"}}};
  for (std::size_t i = 0; i < s.text.lags.size(); ++i) {
    std::vector<Cell> row = {static_cast<std::int64_t>(i + 1)};
    append(row, estimate_cells(s.text.lags[i]));
    append(row, {number_cell(s.text.lags[i].value / s.text.lags[0].value),
                 number_cell(s.shuffled.lags[i].value), s.markov_lags[i]});
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table components_table(const Components& c) {
  Table t{.id = "components",
          .title = "Principal components",
          .columns = {{"component", "", ""},
                      {"variance", "", "eigenvalue of C"},
                      {"predicted", "", "under exchangeability: of D + (L−1)O and D − O"},
                      {"trivial share", "", "see definitions", 3}}};
  for (std::size_t i = 0; i < c.variances.size(); ++i)
    t.rows.push_back({static_cast<std::int64_t>(i + 1), c.variances[i], c.predicted[i], c.trivial[i]});
  return t;
}

// ---- Figures

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
           "Cross-fitted fractions by irreducible representation of S_L, ± jackknife standard error; "
           "shuffled: tokens of each window in random order; chain: the first-order chain of the text.",
       .alt = "Fraction of energy by irrep, of the text and of two nulls",
       .x_label = "fraction of energy",
       .y_label = "irrep"},
      bars);
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
       .caption = "Mean of |C_{b,b+τ}|², cross-fitted, with ± one jackknife standard error; an exchangeable "
                  "text has a level line.",
       .alt = "Energy by distance",
       .x_label = "distance τ (tokens)",
       .y_label = "energy"},
      {text, chain});
}

Figure spectrum_figure(const CorpusSymmetry& s) {
  Series measured{.name = "measured", .x = {}, .y = {}, .low = {}, .high = {}};
  Series predicted{.name = "predicted", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (std::size_t i = 0; i < shown_components(s); ++i) {
    for (Series* series : {&measured, &predicted}) series->x.push_back(static_cast<double>(i + 1));
    measured.y.push_back(s.principal.variances[i]);
    predicted.y.push_back(s.principal.predicted[i]);
  }
  return line_chart(
      {.id = "spectrum",
       .title = "Spectrum of the windows beside that of an exchangeable text",
       .caption = "Eigenvalues of C; predicted: of D + (L−1)O, once each, and of D − O, L − 1 times each.",
       .alt = "Variance by component",
       .x_label = "component",
       .y_label = "variance"},
      {measured, predicted});
}

Table lengths_table(std::span<const LengthEstimate> lengths) {
  Table t{.id = "lengths",
          .title = "Fractions by length of the windows, which begin at every token",
          .columns = {{"length", "tokens", ""},
                      {"energy", "", "cross-fitted, all parts together"},
                      {"±", "", "jackknife over blocks", 2}}};
  for (std::size_t r = 0; r < kParts; ++r) {
    t.columns.push_back({part_name(static_cast<Part>(r)), "", "cross-fitted fraction of the energy", 3});
    t.columns.push_back({"± of " + part_name(static_cast<Part>(r)), "", "jackknife over blocks", 2});
  }
  for (const LengthEstimate& e : lengths) {
    std::vector<Cell> row = {static_cast<std::int64_t>(e.length)};
    append(row, estimate_cells(e.total));
    for (const Estimate& f : e.fractions) append(row, estimate_cells(f));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Section lengths_section(std::span<const LengthEstimate> lengths) {
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
  Section section{
      .id = "lengths", .title = "Fractions by length of the windows", .tables = {lengths_table(lengths)}};
  if (measured == lengths.rend()) return section;
  section.title = fmt::format("Of windows of {} tokens, {} of the energy is symmetric", measured->length,
                              percent(measured->fractions[0].value));
  section.figures.push_back(line_chart({.id = "fractions-by-length",
                                        .title = "Fractions by length of the windows",
                                        .caption = "Cross-fitted fractions with ± one jackknife standard "
                                                   "error, from pairs of tokens by distance: the text "
                                                   "taken as stationary, windows at every token.",
                                        .alt = "Fraction of energy by irrep and length",
                                        .x_label = "length L (tokens)",
                                        .y_label = "fraction of energy",
                                        .log_x = true},
                                       series));
  return section;
}

std::string components_title(const CorpusSymmetry& s) {
  const std::size_t shown = shown_components(s);
  return fmt::format("{} of {} leading components are nearly of one irrep", near_irreps(s.principal, shown),
                     shown);
}

Figure shares_figure(const CorpusSymmetry& s) {
  Series shares{.name = "trivial share", .x = {}, .y = {}, .low = {}, .high = {}};
  const std::size_t shown = shown_components(s);
  for (std::size_t i = 0; i < shown; ++i) {
    shares.x.push_back(static_cast<double>(i + 1));
    shares.y.push_back(s.principal.trivial[i]);
  }
  return line_chart(
      {.id = "trivial-shares",
       .title = "How far each component is the same at all positions",
       .caption =
           "|Σ_b u_b|²/L of each: 1 where a component is the same at all positions, 0 where its sum over "
           "positions vanishes.",
       .alt = "Trivial share by component",
       .x_label = "component",
       .y_label = "trivial share"},
      {shares});
}

}  // namespace

std::vector<Definition> corpus_definitions() {
  return {
      {"window",
       "L consecutive tokens; windows follow each other without overlap. Tokens that are none of the K "
       "letters "
       "have the feature 0."},
      {"C, D, O",
       "C_bc(v, w) = Cov([x_b = v], [x_c = w]) over the windows; D the mean of C_bb, O that of C_bc over b ≠ "
       "c. "
       "Exchangeable windows have C_bb = D and C_bc = O."},
      {"parts",
       "C_bc, b ≠ c, for each pair of letters a function on ordered pairs of positions, taken apart by the "
       "irreducible representations of S_L: of its symmetric half (L), (L−1,1), (L−2,2); of the half that "
       "changes "
       "sign when b and c change places (L−1,1) and (L−2,1,1)."},
      {"fraction",
       "e_R/Σ e with e_R the inner product of part R of the even-numbered blocks with that of the "
       "odd-numbered "
       "ones: the noise of counting is independent in the two and drops out. Below Σ e = 3 standard errors "
       "there are no fractions."},
      {"±", "Standard error by leaving out each of the contiguous blocks in turn (jackknife)."},
      {"share of D and O",
       "(L|D|² + L(L−1)|O|²)/|C|²; mostly the diagonal, near 1 for any text of weak dependence."},
      {"share of O", "L(L−1)|O|²/Σ_{b≠c} |C_bc|²; the noise of counting makes it smaller."},
      {"p",
       "(1 + number of shuffles within windows whose share of O is no larger than that of the "
       "text)/(shuffles + 1): "
       "small where the windows are not exchangeable."},
      {"first-order chain",
       "The stationary chain that passes from each token to the next as the text does; its C is "
       "diag(π)(P^|b−c| − 1πᵀ), without noise."},
      {"trivial share",
       "|Σ_b u_b|²/L of a principal component u: 0 or 1 if C commutes with permutations of the positions."},
  };
}

Report corpus_report(const Corpus& corpus, const CorpusSymmetry& s, std::span<const LengthEstimate> lengths,
                     const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  const double kept = static_cast<double>(s.kept) / static_cast<double>(corpus.tokens.size());
  report.facts.push_back(
      {"text",
       fmt::format("{} {}s · {} different · the {} most frequent are letters",
                   format_count(corpus.tokens.size()), corpus.unit, format_count(corpus.distinct),
                   std::min(s.options.letters, corpus.vocabulary())),
       fmt::format("letters are {} of the text", percent(kept))});
  report.facts.push_back({"windows",
                          fmt::format("{} of {} tokens · {} blocks", format_count(s.windows),
                                      s.options.length, s.options.blocks),
                          fmt::format("{} left out at the end", count_of(s.left_out, "token", "tokens"))});
  report.verdict = verdict_of(s);
  report.keys = keys_of(s);
  if (s.text.dependent) report.lead = {parts_figure(s)};
  report.sections.push_back({.id = "parts",
                             .title = "What is symmetric, and what is order",
                             .tables = {parts_table(s), energies_table(s), moments_table(s.of_text)}});
  report.sections.push_back({.id = "distance",
                             .title = distances_title(s),
                             .figures = {distances_figure(s)},
                             .tables = {distances_table(s)}});
  if (!lengths.empty()) report.sections.push_back(lengths_section(lengths));
  if (!s.principal.variances.empty())
    report.sections.push_back({.id = "components",
                               .title = components_title(s),
                               .figures = {spectrum_figure(s), shares_figure(s)},
                               .tables = {components_table(s.principal)}});
  report.definitions = corpus_definitions();
  report.provenance = context.provenance;
  return report;
}

}  // namespace telos::symmetry
