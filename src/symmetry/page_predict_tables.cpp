// The page of a prediction: its numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/page_learning.h"
#include "symmetry/page_predict_parts.h"
#include "telos/base/quantity.h"

namespace telos::symmetry {
namespace {

bool has_range(const PartPrediction& part) {
  return part.fewest_samples < part.most_samples;
}

}  // namespace

double share_of(const Prediction& p, const PartPrediction& part) {
  return part.part.energy / p.target.energy();
}

std::string part_symbol(const Prediction& p, const TargetPart& part) {
  const auto same = [&](const TargetPart& other) { return other.irrep == part.irrep; };
  const bool alone = std::count_if(p.target.parts.begin(), p.target.parts.end(), same) == 1;
  if (!part.terms && !alone) return symbol_of(part.irrep) + ", rest";
  return part.terms == 0u ? "constant" : symbol_of(part.irrep);
}

std::string eigenvalue_basis(const Prediction& p, const PartPrediction& part) {
  if (!part.levels.empty()) return known_text(p.spectrum.levels[part.levels[0].level].known);
  return part.known ? "exact: none" : "bound only";
}

Series by_length(Predictions predictions, const std::string& symbol, const PartNumber& number) {
  Series s{.name = symbol, .x = {}, .y = {}, .low = {}, .high = {}};
  for (const Prediction& p : predictions)
    for (const PartPrediction& part : p.parts)
      if (part_symbol(p, part.part) == symbol && std::isfinite(number(part))) {
        s.x.push_back(p.spectrum.length);
        s.y.push_back(number(part));
      }
  return s;
}

std::vector<std::string> symbols_of(Predictions predictions) {
  std::vector<std::string> symbols;
  for (const Prediction& p : predictions)
    for (const PartPrediction& part : p.parts) {
      const std::string symbol = part_symbol(p, part.part);
      if (std::find(symbols.begin(), symbols.end(), symbol) == symbols.end()) symbols.push_back(symbol);
    }
  return symbols;
}

double samples_number(const PartPrediction& p) {
  return p.samples;
}
double hopeful_number(const PartPrediction& p) {
  return p.equivalent_kernel;
}
double sector_number(const PartPrediction& p) {
  return p.sector_bound;
}
double any_kernel_number(const PartPrediction& p) {
  return p.trace_bound;
}

std::string samples_text(double samples) {
  if (std::isnan(samples)) return "unknown";
  return std::isinf(samples) ? "never" : format_number(samples);
}

std::string range_text(const PartPrediction& part) {
  if (!has_range(part)) return {};
  return fmt::format(" ({} to {} within the error of its eigenvalue)", format_number(part.fewest_samples),
                     format_number(part.most_samples));
}

Table parts_of_target(Predictions predictions) {
  Table t{.id = "samples",
          .title = "Samples that each part of the target takes",
          .caption = "",
          .columns = {{"length", "", "positions L"},
                      {"part", "", "irrep of S_L"},
                      {"terms", "", "positions that a term looks at"},
                      {"dimension", "", "f^λ", 9},
                      {"share", "", "of the target's energy", 3},
                      {"eigenvalue", "", "see definitions"},
                      {"known", "", "how"},
                      {"samples", "", "P*(θ), self-consistent"},
                      {"learnable", "", "share of the part that is ever learned", 3},
                      {"equiv. kernel", "", "P*(θ) with κ = ridge"},
                      {"bound", "", "at least, with what the other irreps leave of the trace"},
                      {"any kernel", "", "at least, with the whole trace"}},
          .rows = {},
          .in_terminal = true};
  const bool estimates = std::any_of(predictions.begin(), predictions.end(), [](const Prediction& p) {
    return std::any_of(p.parts.begin(), p.parts.end(), has_range);
  });
  if (estimates) {
    t.columns.push_back({"from", "", "P*(θ) with the eigenvalue a standard error larger"});
    t.columns.push_back({"to", "", "P*(θ) with the eigenvalue a standard error smaller"});
  }
  for (const Prediction& p : predictions)
    for (const PartPrediction& part : p.parts) {
      t.rows.push_back({std::int64_t{p.spectrum.length}, part_symbol(p, part.part),
                        part.part.terms ? Cell{std::int64_t{*part.part.terms}} : Cell{}, part.dimension,
                        share_of(p, part), part.eigenvalue, eigenvalue_basis(p, part),
                        number_cell(part.samples), number_cell(part.learnable),
                        number_cell(part.equivalent_kernel), part.sector_bound, part.trace_bound});
      if (!estimates) continue;
      t.rows.back().push_back(number_cell(part.fewest_samples));
      t.rows.back().push_back(number_cell(part.most_samples));
    }
  return t;
}

Table levels_of_target(Predictions predictions) {
  Table t{.id = "levels",
          .title = "Levels that the target lies on",
          .caption =
              "The largest eigenvalue of each irrep first; levels of less than 10⁻⁶ of the target are "
              "left out.",
          .columns = {{"length", "", "positions L"},
                      {"part", "", "irrep of S_L"},
                      {"eigenvalue", "", "see definitions"},
                      {"multiplicity", "", "eigenfunctions", 9},
                      {"share", "", "of the target's energy", 3},
                      {"samples", "", "P*(θ) of this level alone"}},
          .rows = {}};
  constexpr double kLeastShare = 1e-6;
  for (const Prediction& p : predictions) {
    const std::vector<Mode> modes = modes_of(p.spectrum);
    for (const PartPrediction& part : p.parts) {
      if (part.levels.size() < 2) continue;
      for (const LevelShare& share : part.levels)
        if (share.energy > kLeastShare * p.target.energy())
          t.rows.push_back(
              {std::int64_t{p.spectrum.length}, part_symbol(p, part.part),
               p.spectrum.levels[share.level].eigenvalue, p.spectrum.levels[share.level].multiplicity,
               share.energy / p.target.energy(),
               number_cell(samples_to_learn(modes, share.level, p.effective_ridge, p.options.theta))});
    }
  }
  return t;
}

Table slopes_table(Predictions predictions) {
  Table t{.id = "scaling",
          .title = "How samples grow with the length",
          .caption = "Least-squares slope of log samples over log L.",
          .columns = {{"part", "", "irrep of S_L"},
                      {"samples", "", "self-consistent", 4},
                      {"equiv. kernel", "", "κ = ridge", 4},
                      {"bound", "", "with the sector's trace", 4},
                      {"any kernel", "", "with the whole trace", 4}},
          .rows = {}};
  for (const std::string& symbol : symbols_of(predictions)) {
    std::vector<Cell> row = {symbol};
    for (const auto& number : {samples_number, hopeful_number, sector_number, any_kernel_number}) {
      const Series line = by_length(predictions, symbol, number);
      row.push_back(number_cell(log_log_slope(line.x, line.y)));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table curve_table(const Prediction& p) {
  Table t{.id = "curve",
          .title = fmt::format("Learning curve at L = {}", p.spectrum.length),
          .caption = "",
          .columns = {{"samples", "", "P"},
                      {"κ", "", "see definitions"},
                      {"γ", "", "see definitions"},
                      {"error", "", "E_g"},
                      {"training error", "", "E_train"},
                      {"equiv. kernel", "", "E_g with κ = ridge"}},
          .rows = {}};
  if (!p.shifted.empty()) t.columns.push_back({"test error", "", "under the law of the test"});
  for (const PartPrediction& part : p.parts)
    t.columns.push_back({"ℓ " + part_symbol(p, part.part), "", "learnability, self-consistent"});
  for (std::size_t i = 0; i < p.theory.size(); ++i) {
    const CurvePoint& point = p.theory[i];
    std::vector<Cell> row = {point.samples,
                             point.kappa,
                             point.gamma,
                             number_cell(point.generalisation),
                             number_cell(point.training),
                             p.equivalent_kernel[i].generalisation};
    if (!p.shifted.empty()) row.push_back(p.shifted[i]);
    for (const double share : point.learnability) row.push_back(share);
    t.rows.push_back(std::move(row));
  }
  return t;
}

}  // namespace telos::symmetry
