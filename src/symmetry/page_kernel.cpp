// The page of a kernel.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/kernel_page.h"

namespace telos::symmetry {
namespace {

constexpr std::size_t kShownSequences = 48, kListedPairs = 2500;
/// Below it a squared difference over the variance is rounding.
constexpr double kBreakingRounding = 1e-20;

const char* kernel_name(const KernelResult& r) {
  return r.ntk ? "NTK" : "NNGP kernel";
}

std::string measured_share(double value, double error) {
  return value < kBreakingRounding ? "0 (rounding)" : plus_minus(value, error);
}

// ---- In words

Verdict kernel_verdict(const KernelResult& r) {
  const std::vector<std::string> reasons = symmetry_breaks(r.kernel.architecture());
  const Breaking& b = r.breaking;
  Verdict v;
  v.basis = b.pairs > 0 ? fmt::format("by architecture, and measured on {} pairs", format_count(b.pairs))
                        : "by architecture";
  if (ignores_order(r.kernel.architecture()))
    v.sentence = fmt::format(
        "The {} ignores the order of the context: nothing but its counts can be learned.", kernel_name(r));
  else if (reasons.empty())
    v.sentence = fmt::format(
        "The {} stays the same when two contexts are permuted alike: each eigenvalue lies in one irrep, for "
        "data that are symmetric as well.",
        kernel_name(r));
  else if (b.pairs > 0 && b.value < kBreakingRounding)
    v.sentence = fmt::format(
        "The {} may depend on distance, but permuting two contexts alike does not measurably change it.",
        kernel_name(r));
  else if (b.pairs > 0)
    v.sentence = fmt::format(
        "The {} is not permutation symmetric: permuting two contexts alike changes it by "
        "{} of its variance.",
        kernel_name(r), format_number(b.value, 2));
  else
    v.sentence = fmt::format("The {} is not permutation symmetric.", kernel_name(r));
  v.evidence = reasons;
  if (b.pairs > 0) v.evidence.push_back(fmt::format("A(k) = {}", measured_share(b.value, b.error)));
  // Samples of position logits differ between X and gX, as if k(X, Y) and k(gX, gY) were drawn apart.
  if (b.pairs > 0 && r.kernel.monte_carlo() && r.matrix.errors().empty())
    v.evidence.push_back("Monte Carlo noise is part of A(k), and not known for a matrix written to a file");
  else if (b.pairs > 0 && r.kernel.monte_carlo() && r.summary.error > 0)
    v.evidence.push_back(
        fmt::format("Monte Carlo noise alone makes A(k) up to about {}",
                    format_number(2 * std::pow(r.summary.error / r.summary.deviation, 2), 2)));
  return v;
}

std::vector<KeyNumber> kernel_keys(const KernelResult& r) {
  const GramSummary& s = r.summary;
  std::vector<KeyNumber> keys;
  if (std::isfinite(s.diagonal_mean))
    keys.push_back({"diagonal", format_number(s.diagonal_mean),
                    fmt::format("({} → {})", format_number(s.diagonal_low), format_number(s.diagonal_high))});
  if (r.columns || r.rows.size() > 1)
    keys.push_back(
        {r.columns ? "entries" : "off the diagonal",
         fmt::format("{} ± {}", format_number(s.mean), format_number(s.deviation, 2)),
         fmt::format("({} → {}; ± is their spread)", format_number(s.low), format_number(s.high))});
  if (std::isfinite(s.smallest_eigenvalue))
    keys.push_back({"smallest eigenvalue", format_number(s.smallest_eigenvalue, 3),
                    fmt::format("(largest {})", format_number(s.largest_eigenvalue, 3))});
  if (r.breaking.pairs > 0) {
    keys.push_back({"symmetry breaking A(k)", measured_share(r.breaking.value, r.breaking.error),
                    fmt::format("({} pairs, both contexts permuted alike)", r.breaking.pairs)});
    keys.push_back({"effect of order", measured_share(r.breaking.order, r.breaking.order_error),
                    "(one context permuted)"});
  }
  if (r.kernel.monte_carlo() && r.matrix.errors().empty())
    keys.push_back({"Monte Carlo error", "not computed",
                    fmt::format("(a matrix written to a file has none; {} samples)",
                                format_count(r.kernel.options().samples))});
  else if (r.kernel.monte_carlo())
    keys.push_back({"Monte Carlo error", format_number(s.error, 2),
                    fmt::format("(mean; largest {}; {} samples)", format_number(s.largest_error, 2),
                                format_count(r.kernel.options().samples))});
  return keys;
}

std::vector<std::string> kernel_notes(const KernelResult& r) {
  std::vector<std::string> notes;
  if (const std::size_t n = r.rows.duplicates(r.kernel.architecture().padding); n > 0 && !r.columns)
    notes.push_back(
        fmt::format("{} equal to an earlier one: the matrix is singular, and a regression on it "
                    "needs noise above 0",
                    count_of(n, "sequence is", "sequences are")));
  if (r.kernel.options().precision == Precision::kSingle) {
    const std::string reason = r.kernel.stays_double();
    notes.push_back(reason.empty()
                        ? "pairs were computed in f32: values are off by at most 1e-6 of √(k(X,X) k(Y,Y))"
                        : "pairs were computed in f64, and matrices are written in f32: " + reason);
  }
  if (const double rest = r.matrix.series_rest(); rest > 0)
    notes.push_back(fmt::format("the series of tanh or SiLU is cut: its values are off by at most {}",
                                format_number(rest, 2)));
  if (r.kernel.joint())
    notes.push_back(
        r.matrix.joint()
            ? "all pairs are sampled together: the matrix is positive semidefinite, and another set "
              "of sequences gives other samples"
            : "pairs are sampled one by one: the matrix is positive semidefinite only up to the "
              "Monte Carlo errors");
  if (r.breaking.pairs == 0 && r.breaking_asked)
    notes.push_back(
        "no symmetry breaking was measured: it takes two sequences of one length above 2, and a "
        "kernel that differs between pairs");
  return notes;
}

// ---- Tables

Table entries_table(const GramSummary& s, bool square, bool several) {
  Table t{.id = "entries",
          .title = "Entries of the Gram matrix",
          .columns = {{"entries", "", ""},
                      {"mean", "", "", 6},
                      {"spread", "", "standard deviation"},
                      {"lowest", "", "", 6},
                      {"highest", "", "", 6}},
          .in_terminal = true};
  if (square)
    t.rows.push_back({std::string("diagonal"), s.diagonal_mean, {}, s.diagonal_low, s.diagonal_high});
  if (several)
    t.rows.push_back({std::string(square ? "off the diagonal" : "all"), s.mean, s.deviation, s.low, s.high});
  return t;
}

Table breaking_table(const Breaking& b) {
  Table t{.id = "symmetry",
          .title = "What permutations change",
          .columns = {{"permuted", "", ""},
                      {"change", "", "mean squared change of k over Var k"},
                      {"±", "", "standard error", 2},
                      {"largest", "", "largest change over √Var k", 3}},
          .in_terminal = true};
  t.rows.push_back({std::string("both contexts alike"), b.value, b.error, b.largest});
  t.rows.push_back({std::string("one context"), b.order, b.order_error, {}});
  return t;
}

Table pairs_table(const Gram& g) {
  Table t{.id = "pairs",
          .title = "Every pair",
          .columns = {{"row", "", ""}, {"column", "", ""}, {"k", "", "", 8}}};
  const bool errors = !g.errors().empty();
  if (errors) t.columns.push_back({"±", "", "Monte Carlo standard error", 2});
  std::vector<double> row(g.cols());
  for (std::size_t i = 0; i < g.rows(); ++i) {
    g.row(i, row);
    for (std::size_t j = 0; j < g.cols(); ++j) {
      std::vector<Cell> line = {static_cast<std::int64_t>(i), static_cast<std::int64_t>(j), row[j]};
      if (errors) line.push_back(g.errors()(i, j));
      t.rows.push_back(std::move(line));
    }
  }
  return t;
}

// ---- Figures

/// At most kShownSequences of n, evenly.
std::vector<std::size_t> shown_of(std::size_t n) {
  const std::size_t shown = std::min(n, kShownSequences);
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < shown; ++i) out.push_back(i * n / shown);
  return out;
}

Figure matrix_figure(const KernelResult& r) {
  const std::vector<std::size_t> rows = shown_of(r.matrix.rows()), cols = shown_of(r.matrix.cols());
  std::vector<std::string> row_names, col_names;
  for (const std::size_t i : rows) row_names.push_back(std::to_string(i));
  for (const std::size_t j : cols) col_names.push_back(std::to_string(j));
  std::vector<std::vector<double>> values;
  std::vector<double> row(r.matrix.cols());
  for (const std::size_t i : rows) {
    r.matrix.row(i, row);
    std::vector<double>& line = values.emplace_back();
    for (const std::size_t j : cols) line.push_back(row[j]);
  }
  return heat_map(
      {.id = "gram",
       .title = fmt::format("The {} of pairs of sequences", kernel_name(r)),
       .caption = rows.size() < r.matrix.rows() ? "Sequences in the order of the file, evenly left out."
                                                : "Sequences in the order of the file.",
       .alt = "Heat map of the Gram matrix",
       .x_label = "sequence",
       .y_label = "sequence"},
      row_names, col_names, values, "k", false);
}

Figure histogram_figure(const KernelResult& r) {
  const GramSummary& s = r.summary;
  Series shares{.name = "share", .x = {}, .y = {}, .low = {}, .high = {}};
  const double width = (s.high - s.low) / kHistogramBins;
  for (std::size_t i = 0; i < s.histogram.size(); ++i) {
    shares.x.push_back(s.low + (static_cast<double>(i) + 0.5) * width);
    shares.y.push_back(s.histogram[i]);
  }
  return line_chart({.id = "histogram",
                     .title = fmt::format("Entries spread over {} of their mean",
                                          percent(s.mean != 0 ? s.deviation / std::abs(s.mean) : 0)),
                     .caption = fmt::format("Shares of entries{} in {} bins of equal width.",
                                            r.columns ? "" : " off the diagonal", kHistogramBins),
                     .alt = "Histogram of the entries of the Gram matrix",
                     .x_label = "k",
                     .y_label = "share of pairs"},
                    {shares});
}

Figure breaking_figure(const Breaking& b) {
  return bar_chart(
      {.id = "breaking",
       .title = b.value < kBreakingRounding ? "Permuting both contexts alike changes nothing"
                                            : "Permuting both contexts alike changes the kernel",
       .caption = "Mean squared change of k over Var k, ± one standard error, over random pairs "
                  "and permutations.",
       .alt = "What permutations change",
       .x_label = "change/variance",
       .y_label = "permuted"},
      {{.label = "both contexts alike", .group = "measured", .key = {}, .value = b.value, .error = b.error},
       {.label = "one context", .group = "measured", .key = {}, .value = b.order, .error = b.order_error}});
}

std::string lengths_text(const Sequences& s) {
  const std::size_t low = s.shortest(), high = s.longest();
  return low == high ? fmt::format("L {}", low) : fmt::format("L {} to {}", low, high);
}

}  // namespace

std::vector<Definition> kernel_definitions() {
  return {
      {"NNGP kernel",
       "k(X, Y) = E f(X)f(Y) over random weights, in the limit of infinite width and number of heads: the "
       "prior covariance of the outputs f (Hron et al., arXiv 2006.10540)."},
      {"NTK", "E ∇f(X)·∇f(Y) over all weights in the same limit: the kernel of gradient descent."},
      {"A(k)",
       "E (k(gX, gY) − k(X, Y))²/Var k over random pairs and permutations g of the context, all positions "
       "but "
       "the one that is read out; 0 for a symmetric kernel."},
      {"effect of order",
       "E (k(gX, Y) − k(X, Y))²/Var k: 0 where the kernel sees counts alone, so that only the trivial irrep "
       "is learned."},
      {"Monte Carlo error",
       "Of softmax at 1/√d: logits are random in the limit. In a first layer on independent positions or "
       "none "
       "their samples are the same for all sequences; in deeper layers they are drawn from the kernel of the "
       "layer below, for all sequences together or pair by pair. The standard error is the spread of batches "
       "of samples, each taken through all layers alone."},
  };
}

Report kernel_report(const KernelResult& r, const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  const bool single = r.kernel.options().precision == Precision::kSingle;
  report.facts.push_back(
      {"architecture", describe(r.kernel.architecture()),
       std::string(kernel_name(r)) + (!single                           ? ""
                                      : r.kernel.stays_double().empty() ? " in f32"
                                                                        : " in f64, written in f32")});
  report.facts.push_back(
      {"sequences",
       fmt::format("{}{} · {} · V {}", format_count(r.rows.size()),
                   r.columns ? fmt::format(" × {}", format_count(r.columns->size())) : std::string(),
                   lengths_text(r.rows), format_count(r.kernel.vocabulary())),
       r.matrix.resumed() > 0 ? fmt::format("{} pairs were there from an earlier run",
                                            format_count(static_cast<std::size_t>(r.matrix.resumed())))
                              : std::string()});
  report.verdict = kernel_verdict(r);
  report.keys = kernel_keys(r);
  report.lead = {matrix_figure(r)};
  Section entries{.id = "entries", .title = "How alike sequences are to the kernel"};
  entries.paragraphs = kernel_notes(r);
  for (std::string& note : entries.paragraphs) note = sentence(std::move(note));
  entries.figures = {histogram_figure(r)};
  entries.tables = {entries_table(r.summary, !r.columns, r.columns || r.rows.size() > 1)};
  if (r.matrix.rows() * r.matrix.cols() <= kListedPairs) entries.tables.push_back(pairs_table(r.matrix));
  report.sections.push_back(std::move(entries));
  if (r.breaking.pairs > 0)
    report.sections.push_back({.id = "symmetry",
                               .title = "What permutations of the context change",
                               .figures = {breaking_figure(r.breaking)},
                               .tables = {breaking_table(r.breaking)}});
  report.definitions = kernel_definitions();
  report.provenance = context.provenance;
  report.provenance.emplace_back("architecture", to_json(r.kernel.architecture()));
  return report;
}

}  // namespace telos::symmetry
