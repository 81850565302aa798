#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <variant>

#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/page.h"

namespace telos::symmetry {
namespace {

struct IrrepRow {
  Partition shape;
  Natural dimension, multiplicity;
  ClassSums sums;
};

/// A whole number where it is one of 64 bits, else the text of its leading digits.
Cell natural_cell(const Natural& n) {
  if (const auto value = n.to_int64()) return *value;
  return short_text(n);
}

std::vector<IrrepRow> irrep_rows(const IrrepQuery& q) {
  if (!q.partition.empty() && length_of(q.partition) != q.length)
    throw Error(
        ErrorKind::kUsage, "partition",
        fmt::format("{} has length {}, expected {}", to_text(q.partition), length_of(q.partition), q.length));
  std::vector<IrrepRow> rows;
  for (const Partition& p :
       q.partition.empty() ? partitions(q.length, q.degree) : std::vector<Partition>{q.partition})
    rows.push_back({p, dimension(p), multiplicity(p, q.vocabulary), class_sums(p)});
  return rows;
}

bool occurs(const IrrepRow& row) {
  return !(row.multiplicity == Natural(0));
}

/// log of the share of the V^L dimensions of all functions; −∞ where none lies in the irrep.
double log_share(const IrrepRow& row, const IrrepQuery& q) {
  if (!occurs(row)) return -std::numeric_limits<double>::infinity();
  return row.dimension.log() + row.multiplicity.log() - q.length * std::log(q.vocabulary);
}

/// exp(log) where a double holds it, else its leading digits as text: a share below 10^−308 is not 0.
Cell exp_cell(double log) {
  const double value = std::exp(log);
  if (std::isinf(log) || value >= std::numeric_limits<double>::min()) return value;
  return exponential_text(log);
}

/// The one of largest dimension among those that functions of so many letters lie in.
const IrrepRow& widest_irrep(const std::vector<IrrepRow>& rows) {
  return *std::max_element(rows.begin(), rows.end(), [](const IrrepRow& a, const IrrepRow& b) {
    if (occurs(a) != occurs(b)) return occurs(b);
    return a.dimension.log() < b.dimension.log();
  });
}

Table irreps_table(const std::vector<IrrepRow>& rows, const IrrepQuery& q) {
  Table table{.id = "irreps",
              .title = "Irreps",
              .caption = "",
              .columns = {{"irrep", "", "partition λ of the length"},
                          {"degree", "", "positions that a term must look at"},
                          {"dimension", "", "f^λ"},
                          {"multiplicity", "", "m_λ"},
                          {"share", "", "f^λ m_λ/V^L"},
                          {"transpositions", "", "Σ (column − row)"},
                          {"3-cycles", "", "Σ (column − row)² − L(L−1)/2"}},
              .rows = {},
              .in_terminal = true};
  for (const IrrepRow& r : rows)
    table.rows.push_back({to_text(r.shape), std::int64_t{degree_of(r.shape)}, natural_cell(r.dimension),
                          natural_cell(r.multiplicity), exp_cell(log_share(r, q)), r.sums.transpositions,
                          r.sums.three_cycles});
  return table;
}

Table characters_table(const std::vector<IrrepRow>& rows, std::uint32_t length) {
  if (length > kMaxTableLength)
    throw Error(
        ErrorKind::kUsage, "length",
        fmt::format("expected 1 to {} for characters on all classes, found {}", kMaxTableLength, length));
  Table table{.id = "characters",
              .title = "Characters",
              .caption = "χ^λ of permutations with cycles of these lengths.",
              .columns = {{"cycles", "", ""}, {"permutations", "", "in the class"}},
              .rows = {},
              .in_terminal = true};
  for (const IrrepRow& r : rows) table.columns.push_back({to_text(r.shape), "", ""});
  for (const Partition& cycles : partitions(length)) {
    std::vector<Cell> line{to_text(cycles), natural_cell(class_size(cycles))};
    for (const IrrepRow& r : rows) line.push_back(character(r.shape, cycles));
    table.rows.push_back(std::move(line));
  }
  return table;
}

Figure dimension_figure(const std::vector<IrrepRow>& rows) {
  constexpr std::size_t kMostBars = 40;
  std::vector<Bar> bars;
  for (const IrrepRow& r : rows)
    if (bars.size() < kMostBars)
      bars.push_back({.label = to_text(r.shape),
                      .group = fmt::format("degree {}", degree_of(r.shape)),
                      .key = "",
                      .value = r.dimension.log() / std::numbers::ln10});
  return bar_chart({.id = "dimensions",
                    .title = "Each degree multiplies the dimension",
                    .caption = "log₁₀ f^λ by the hook length formula; up to 40 irreps.",
                    .alt = "Bars of the logarithm of the dimension of each irrep",
                    .x_label = "log₁₀ dimension",
                    .y_label = "irrep"},
                   bars);
}

}  // namespace

std::vector<Definition> symmetry_definitions() {
  return {
      {"irrep",
       "Irreducible representation of S_L, the group that permutes L positions; named by a partition λ of L. "
       "A kernel that does not change when both of its sequences are permuted alike has each of its "
       "eigenvalues in one irrep, f^λ times (arXiv 2402.05173)."},
      {"degree", "L − λ_1: sums of terms in m positions lie in irreps of degree up to m."},
      {"dimension",
       "f^λ = L!/Π hooks. An eigenvalue in λ is at most E k(X,X)/f^λ, so that samples to learn it grow at "
       "least as f^λ, in the limit of infinite width; training that learns features can need fewer."},
      {"multiplicity",
       "m_λ = Π_cells (V + column − row)/hook: copies of λ among all functions of L tokens out of V; Σ f^λ "
       "m_λ = V^L."},
      {"class sums",
       "What the sum of all transpositions, and of all cycles of three positions, multiplies the irrep by: "
       "labels of an eigenspace."},
  };
}

Report irreps_report(const IrrepQuery& query, const PageContext& context) {
  const std::vector<IrrepRow> rows = irrep_rows(query);
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.provenance = context.provenance;
  report.definitions = symmetry_definitions();
  report.facts.push_back(
      {"sequences", fmt::format("L {} · V {}", format_count(query.length), format_count(query.vocabulary)),
       "positions · letters"});
  const IrrepRow& widest = widest_irrep(rows);
  report.verdict = {
      !occurs(widest) ? fmt::format("No function of {} letters lies in {}.", format_count(query.vocabulary),
                                    to_text(widest.shape))
      : widest.dimension.log() == 0
          ? fmt::format("An eigenvalue in {} can be the whole of a kernel's trace.", to_text(widest.shape))
          : fmt::format("An eigenvalue in {} is at most 1/{} of a kernel's trace.", to_text(widest.shape),
                        short_text(widest.dimension)),
      "λ ≤ E k(X,X)/f^λ for kernels and data that do not change under permutation",
      {}};
  // Relative to the largest, so that shares that no double holds add up.
  double largest = -std::numeric_limits<double>::infinity(), relative = 0;
  for (const IrrepRow& r : rows) largest = std::max(largest, log_share(r, query));
  if (!std::isinf(largest))
    for (const IrrepRow& r : rows) relative += std::exp(log_share(r, query) - largest);
  const Cell covered = exp_cell(relative > 0 ? largest + std::log(relative) : largest);
  report.keys = {
      {"dimension of " + to_text(widest.shape), short_text(widest.dimension), "(exact count)", "f^λ"},
      {"multiplicity of " + to_text(widest.shape), short_text(widest.multiplicity), "", "m_λ"},
      {"share of all functions",
       std::holds_alternative<double>(covered) ? format_number(std::get<double>(covered))
                                               : std::get<std::string>(covered),
       "(in the irreps listed)", "Σ f^λ m_λ/V^L"}};
  Section section{.id = "irreps", .title = "Irreps that functions of the sequence lie in"};
  section.figures = {dimension_figure(rows)};
  section.tables = {irreps_table(rows, query)};
  if (query.characters) section.tables.push_back(characters_table(rows, query.length));
  report.sections = {std::move(section)};
  return report;
}

}  // namespace telos::symmetry
