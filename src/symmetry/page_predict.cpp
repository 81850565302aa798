// The page of a prediction.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "base/limits.h"
#include "symmetry/page_learning.h"
#include "telos/base/error.h"
#include "telos/report/charts.h"
#include "telos/symmetry/learning_page.h"

namespace telos::symmetry {
namespace {

using Predictions = std::span<const Prediction>;

double share_of(const Prediction& p, const PartPrediction& part) {
  return part.part.energy / p.target.energy();
}

/// "(L−1,1)"; with the number of positions where an irrep comes twice.
std::string part_symbol(const TargetPart& part) {
  const std::string irrep = symbol_of(part.irrep);
  if (!part.terms) return irrep + ", rest";
  return *part.terms == 0 ? "constant" : irrep;
}

std::string eigenvalue_basis(const Prediction& p, const PartPrediction& part) {
  if (part.level) return known_text(p.spectrum.levels[*part.level].known);
  return part.known ? "exact: none" : "bound only";
}

/// A number of one part at all lengths where it is finite.
using PartNumber = std::function<double(const PartPrediction&)>;
Series by_length(Predictions predictions, const std::string& symbol, const PartNumber& number) {
  Series s{.name = symbol, .x = {}, .y = {}, .low = {}, .high = {}};
  for (const Prediction& p : predictions)
    for (const PartPrediction& part : p.parts)
      if (part_symbol(part.part) == symbol && std::isfinite(number(part))) {
        s.x.push_back(p.spectrum.length);
        s.y.push_back(number(part));
      }
  return s;
}

std::vector<std::string> symbols_of(Predictions predictions) {
  std::vector<std::string> symbols;
  for (const Prediction& p : predictions)
    for (const PartPrediction& part : p.parts) {
      const std::string symbol = part_symbol(part.part);
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

// ---- In words

std::string what_it_takes(Predictions predictions, const PartPrediction& first) {
  const Prediction& p = predictions.front();
  const std::string goal = fmt::format("a share {} of it", format_number(p.options.theta));
  if (std::isnan(first.samples))
    return fmt::format("its eigenvalue is not known; {} takes {} samples or more", goal,
                       format_number(first.sector_bound));
  if (std::isinf(first.samples)) return "this kernel never learns it";
  const Series line = by_length(predictions, part_symbol(first.part), samples_number);
  if (line.x.size() < 2) return fmt::format("{} takes {} samples", goal, format_number(first.samples));
  return fmt::format("{} takes {} samples at L = {} and {} at L = {}: as {}", goal,
                     format_number(line.y.front()), line.x.front(), format_number(line.y.back()),
                     line.x.back(), power_text(log_log_slope(line.x, line.y)));
}

Verdict predict_verdict(Predictions predictions) {
  const Prediction& p = predictions.front();
  Verdict v{.basis = "theory: mean over data sets, infinite width, lazy training"};
  if (p.parts.empty()) {
    v.sentence = "The target is 0: there is nothing to learn.";
    return v;
  }
  const PartPrediction& main = p.parts.front();
  v.sentence =
      fmt::format("{} carries {} of {}{}; {}.", part_symbol(main.part), percent(share_of(p, main)),
                  p.target.name, predictions.size() > 1 ? fmt::format(" at L = {}", p.spectrum.length) : "",
                  what_it_takes(predictions, main));
  for (const PartPrediction& part : p.parts)
    v.evidence.push_back(fmt::format(
        "{}: eigenvalue {}; any kernel with these symmetries and this trace needs {} samples or more",
        part_symbol(part.part), eigenvalue_basis(p, part), format_number(part.trace_bound)));
  if (std::any_of(p.parts.begin(), p.parts.end(), [](const PartPrediction& part) { return !part.known; }))
    v.evidence.push_back("parts whose eigenvalue is not known count as never learned in the curves");
  if (p.effective_ridge > p.options.ridge)
    v.evidence.push_back(fmt::format("the tail of the spectrum adds {} to the ridge",
                                     format_number(p.effective_ridge - p.options.ridge)));
  return v;
}

std::vector<KeyNumber> predict_keys(Predictions predictions) {
  const Prediction& p = predictions.front();
  std::vector<KeyNumber> keys;
  for (const PartPrediction& part : p.parts) {
    if (keys.size() == 4) break;
    keys.push_back({fmt::format("{} at L = {}", part_symbol(part.part), p.spectrum.length),
                    samples_text(part.samples),
                    fmt::format("samples (equivalent kernel {}; bound {})",
                                samples_text(part.equivalent_kernel), samples_text(part.sector_bound)),
                    ""});
  }
  keys.push_back({"modes", format_number(p.rank, 9),
                  p.effective_ridge > 0
                      ? fmt::format("(eigenvalues above 0 at L = {})", p.spectrum.length)
                      : "(no ridge: samples are interpolated up to so many, where the error has its peak)",
                  ""});
  return keys;
}

// ---- Tables

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
                      {"equiv. kernel", "", "P*(θ) with κ = ridge"},
                      {"bound", "", "at least, with what the other irreps leave of the trace"},
                      {"any kernel", "", "at least, with the whole trace"}},
          .rows = {},
          .in_terminal = true};
  for (const Prediction& p : predictions)
    for (const PartPrediction& part : p.parts)
      t.rows.push_back({std::int64_t{p.spectrum.length}, part_symbol(part.part),
                        part.part.terms ? Cell{std::int64_t{*part.part.terms}} : Cell{}, part.dimension,
                        share_of(p, part), part.eigenvalue, eigenvalue_basis(p, part),
                        number_cell(part.samples), number_cell(part.equivalent_kernel), part.sector_bound,
                        part.trace_bound});
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
    t.columns.push_back({"ℓ " + part_symbol(part.part), "", "learnability, self-consistent"});
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

// ---- Figures

/// "Samples go with the length: (L−1,1) as L^1.53, …".
std::string samples_title(Predictions predictions) {
  std::vector<std::string> powers;
  for (const std::string& symbol : symbols_of(predictions)) {
    const Series line = by_length(predictions, symbol, samples_number);
    if (line.x.size() > 1)
      powers.push_back(fmt::format("{} as {}", symbol, power_text(log_log_slope(line.x, line.y))));
  }
  if (powers.empty()) return "Samples that any kernel needs at least, by length";
  return fmt::format("Samples go with the length: {}", fmt::join(powers, ", "));
}

/// "Samples for a share 0.5: (L−1,1) 36.91, (L) 9.876".
std::string learnability_title(const Prediction& p) {
  std::vector<std::string> parts;
  for (const PartPrediction& part : p.parts)
    parts.push_back(fmt::format("{} {}", part_symbol(part.part), samples_text(part.samples)));
  return fmt::format("Samples for a share {}: {}", format_number(p.options.theta), fmt::join(parts, ", "));
}

Figure samples_figure(Predictions predictions) {
  std::vector<Series> series;
  for (const std::string& symbol : symbols_of(predictions)) {
    const auto add = [&](const PartNumber& number, const char* suffix, bool dashed) {
      Series line = by_length(predictions, symbol, number);
      line.name = symbol + suffix;
      line.dashed = dashed;
      if (!line.x.empty()) series.push_back(std::move(line));
    };
    add(samples_number, "", false);
    add(hopeful_number, " equivalent kernel", true);
    add(any_kernel_number, " any kernel, at least", true);
  }
  return line_chart(
      {.id = "samples-by-length",
       .title = samples_title(predictions),
       .caption = "Solid: P*(θ) of the self-consistent theory. Dashed: the equivalent kernel, and what "
                  "any kernel of the same trace needs at least. Both axes logarithmic.",
       .alt = "Samples by length, one line an irrep",
       .x_label = "length L (positions)",
       .y_label = "samples",
       .log_x = true,
       .log_y = true},
      series);
}

Figure learnability_figure(const Prediction& p) {
  std::vector<Series> series;
  for (std::size_t i = 0; i < p.parts.size(); ++i)
    for (const bool theory : {true, false}) {
      Series line{.name = part_symbol(p.parts[i].part) + (theory ? "" : " equivalent kernel"),
                  .x = {},
                  .y = {},
                  .low = {},
                  .high = {},
                  .dashed = !theory};
      for (const CurvePoint& point : theory ? p.theory : p.equivalent_kernel) {
        line.x.push_back(point.samples);
        line.y.push_back(point.learnability[i]);
      }
      series.push_back(std::move(line));
    }
  return line_chart(
      {.id = "learnability",
       .title = learnability_title(p),
       .caption = "ℓ = Pλ/(Pλ + κ). Solid: self-consistent κ. Dashed: the equivalent kernel, κ = ridge.",
       .alt = "Learnability by samples, one line an irrep",
       .x_label = "samples P",
       .y_label = "learnability",
       .log_x = true},
      series);
}

Figure error_figure(const Prediction& p) {
  Series error{.name = "error", .x = {}, .y = {}, .low = {}, .high = {}},
      training{.name = "on the samples", .x = {}, .y = {}, .low = {}, .high = {}},
      shifted{.name = "under the law of the test", .x = {}, .y = {}, .low = {}, .high = {}},
      hopeful{.name = "equivalent kernel", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  const auto add = [](Series& line, double x, double y) {
    if (!std::isfinite(y)) return;
    line.x.push_back(x);
    line.y.push_back(y);
  };
  for (std::size_t i = 0; i < p.theory.size(); ++i) {
    add(error, p.theory[i].samples, p.theory[i].generalisation);
    add(training, p.theory[i].samples, p.theory[i].training);
    add(hopeful, p.theory[i].samples, p.equivalent_kernel[i].generalisation);
    if (!p.shifted.empty()) add(shifted, p.theory[i].samples, p.shifted[i]);
  }
  std::vector<Series> series = {error, training, hopeful};
  if (!p.shifted.empty()) series.push_back(shifted);
  return line_chart(
      {.id = "error",
       .title = fmt::format("Learning curve at L = {}", p.spectrum.length),
       .caption = "Mean squared error against the target without noise, and on the samples against what "
                  "was observed. Dashed: the equivalent kernel. Both axes logarithmic.",
       .alt = "Error by samples",
       .x_label = "samples P",
       .y_label = "mean squared error",
       .log_x = true,
       .log_y = true},
      series);
}

}  // namespace

Report predict_report(Predictions predictions, const PageContext& context) {
  if (predictions.empty()) throw Error(ErrorKind::kUsage, "prediction", "expected at least one length");
  const Prediction& first = predictions.front();
  Report report = report_frame(context);
  std::vector<double> lengths;
  for (const Prediction& p : predictions) lengths.push_back(p.spectrum.length);
  report.facts.push_back(sequences_fact(first.spectrum.vocabulary, lengths));
  report.facts.push_back(
      {"target", fmt::format("{} · {}", first.target.name, first.target.meaning),
       fmt::format("noise {} · ridge {} · θ {}", format_number(first.options.noise),
                   format_number(first.options.ridge), format_number(first.options.theta))});
  report.facts.push_back(
      {"limit", "infinite width, lazy training", "training that learns features can do with fewer samples"});
  report.verdict = predict_verdict(predictions);
  report.keys = predict_keys(predictions);
  Section samples{.id = "samples", .title = "Samples that each part of the target takes"};
  samples.tables = {parts_of_target(predictions)};
  if (predictions.size() > 1) {
    samples.figures = {samples_figure(predictions)};
    samples.tables.push_back(slopes_table(predictions));
  }
  Section curve{.id = "curve", .title = fmt::format("Learning curve at L = {}", first.spectrum.length)};
  curve.paragraphs = {
      "The theory is a mean over data sets. Where P is below a few times the number of modes that matter, "
      "single data "
      "sets lie around it."};
  if (!first.parts.empty()) curve.figures = {learnability_figure(first), error_figure(first)};
  curve.tables = {curve_table(first)};
  report.sections = {std::move(samples), std::move(curve)};
  return report;
}

}  // namespace telos::symmetry
