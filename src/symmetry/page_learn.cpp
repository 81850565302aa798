#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/learn_page.h"

namespace telos::symmetry {
namespace {

using Value = Estimate SimulatedPoint::*;

bool has(const SimulatedCurve& c, Value value) {
  return std::any_of(c.points.begin(), c.points.end(),
                     [&](const SimulatedPoint& p) { return std::isfinite((p.*value).value); });
}

Series series_of(const SimulatedCurve& c, const std::string& name, Value value, double scale = 1) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}};
  for (const SimulatedPoint& p : c.points) {
    const Estimate& e = p.*value;
    if (!std::isfinite(e.value)) continue;
    s.x.push_back(static_cast<double>(p.samples));
    s.y.push_back(e.value / scale);
    s.low.push_back((e.value - e.error) / scale);
    s.high.push_back((e.value + e.error) / scale);
  }
  return s;
}

using TheoryValue = double TheoryPoint::*;

/// Dashed, as theory is everywhere.
Series theory_series(const LearnRun& run, const std::string& name, TheoryValue value, double scale = 1) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (const TheoryPoint& p : run.theory) {
    s.x.push_back(p.samples);
    s.y.push_back(p.*value / scale);
  }
  return s;
}

std::string half_text(const LearnRun& run, Value value) {
  const double p = half_learned(run.curve.points, value);
  if (std::isfinite(p)) return format_number(p, 2);
  const double last = (run.curve.points.back().*value).value;
  return fmt::format("{} {}", last < 0.5 ? "more than" : "fewer than",
                     last < 0.5 ? run.curve.points.back().samples : run.curve.points.front().samples);
}

/// "0.28 %".
std::string share_text(double share) {
  return format_number(100 * share, 2) + " %";
}

double left_over(const LearnRun& run) {
  return run.curve.points.back().error.value / run.curve.energy;
}

std::string sentence_of(const LearnRun& run) {
  const bool trivial = has(run.curve, &SimulatedPoint::trivial),
             standard = has(run.curve, &SimulatedPoint::standard);
  if (trivial && standard)
    return fmt::format("What is the same at all positions is half learned with {} samples, the rest with {}.",
                       half_text(run, &SimulatedPoint::trivial), half_text(run, &SimulatedPoint::standard));
  if (trivial || standard)
    return fmt::format("Half of the target is learned with {} samples.",
                       half_text(run, trivial ? &SimulatedPoint::trivial : &SimulatedPoint::standard));
  return fmt::format("With {} samples, {} of the target's energy is not learned.",
                     format_count(run.curve.points.back().samples), share_text(left_over(run)));
}

Verdict verdict_of(const LearnRun& run) {
  Verdict v;
  v.sentence = sentence_of(run);
  v.basis = fmt::format("exact regression, infinite width, {} data sets for each number of samples",
                        run.options.draws);
  const auto worse = std::find_if(run.curve.points.rbegin(), run.curve.points.rend(),
                                  [&](const SimulatedPoint& p) { return p.error.value > run.curve.energy; });
  if (worse != run.curve.points.rend()) {
    v.sentence += fmt::format(" Up to {} samples it errs more than no prediction would.", worse->samples);
    v.evidence.push_back(
        fmt::format("the error exceeds the target's energy: labels are noisier than the ridge of {} assumes, "
                    "or samples too few",
                    format_number(run.options.ridge)));
  }
  return v;
}

std::vector<KeyNumber> keys_of(const LearnRun& run) {
  std::vector<KeyNumber> keys;
  const SimulatedPoint& last = run.curve.points.back();
  const std::string at = fmt::format("(at {} samples)", format_count(last.samples));
  if (has(run.curve, &SimulatedPoint::trivial))
    keys.push_back({"half of (L)", half_text(run, &SimulatedPoint::trivial), "(samples)", "learnability ½"});
  if (has(run.curve, &SimulatedPoint::standard))
    keys.push_back(
        {"half of (L−1,1)", half_text(run, &SimulatedPoint::standard), "(samples)", "learnability ½"});
  keys.push_back({"error", plus_minus(last.error.value, last.error.error),
                  fmt::format("{} · {} of the target's energy", at, share_text(left_over(run))),
                  "E (f − g)²"});
  if (!run.test_law.empty())
    keys.push_back({"error under the test law", plus_minus(last.test_error.value, last.test_error.error),
                    fmt::format("{} · {} of the target's energy there", at,
                                share_text(last.test_error.value / run.curve.test_energy)),
                    "E_q (f − g)²"});
  if (run.network)
    keys.push_back({"network and limit", fixed(run.network->correlation, 5),
                    fmt::format("(correlation on {} unseen sequences)", run.network->mean.size()),
                    "Σ f g/√(Σ f² Σ g²)"});
  return keys;
}

Figure learnability_figure(const LearnRun& run) {
  std::vector<Series> lines;
  for (const auto& [name, value] : {std::pair<const char*, Value>{"(L)", &SimulatedPoint::trivial},
                                    {"(L−1,1)", &SimulatedPoint::standard}})
    if (has(run.curve, value)) lines.push_back(series_of(run.curve, name, value));
  for (const auto& [name, value, measured] :
       {std::tuple<const char*, TheoryValue, Value>{"(L) theory", &TheoryPoint::trivial,
                                                    &SimulatedPoint::trivial},
        {"(L−1,1) theory", &TheoryPoint::standard, &SimulatedPoint::standard}})
    if (!run.theory.empty() && has(run.curve, measured)) lines.push_back(theory_series(run, name, value));
  return line_chart(
      {.id = "learnability",
       .title = has(run.curve, &SimulatedPoint::trivial) && has(run.curve, &SimulatedPoint::standard)
                    ? "The irrep of the smaller dimension is learned first"
                    : "What of the target is learned",
       .caption =
           "E[f_R g_R]/E g_R² of the mean f that is learned and the clean target g, with "
           "± one standard error over data sets (arXiv 2402.05173). Dashed: the self-consistent theory.",
       .alt = "Learnability of each irrep by number of samples",
       .x_label = "samples P",
       .y_label = "learnability",
       .log_x = true},
      lines);
}

Figure error_figure(const LearnRun& run) {
  std::vector<Series> lines = {series_of(run.curve, run.data ? "held out" : "law of training",
                                         &SimulatedPoint::error, run.curve.energy)};
  if (!run.test_law.empty())
    lines.push_back(series_of(run.curve, "test law", &SimulatedPoint::test_error, run.curve.test_energy));
  lines.push_back(series_of(run.curve, "training samples", &SimulatedPoint::train_error, run.curve.energy));
  if (!run.theory.empty()) {
    lines.push_back(theory_series(run, "theory", &TheoryPoint::error, run.curve.energy));
    lines.push_back(
        theory_series(run, "theory, training samples", &TheoryPoint::train_error, run.curve.energy));
  }
  return line_chart(
      {.id = "error",
       .title = fmt::format("With {} samples {} of the target's energy is left",
                            format_count(run.curve.points.back().samples), share_text(left_over(run))),
       .caption =
           "Squared error over the energy of the target under the same law; of the "
           "training samples against their noisy labels. ± one standard error; dashed: the self-consistent "
           "theory.",
       .alt = "Error by number of samples",
       .x_label = "samples P",
       .y_label = "share of the target's energy",
       .log_x = true,
       .log_y = true},
      lines);
}

Table curve_table(const LearnRun& run) {
  Table t{.id = "curve", .title = "Learning curve", .columns = {{"samples", "", "P"}}, .in_terminal = true};
  std::vector<Value> values;
  const auto add = [&](const char* name, const char* definition, Value value) {
    if (!has(run.curve, value)) return;
    values.push_back(value);
    t.columns.push_back({name, "", definition});
    t.columns.push_back({std::string("± of ") + name, "", "standard error over data sets", 2});
  };
  add("error", "E (f − g)²", &SimulatedPoint::error);
  add("(L)", "learnability", &SimulatedPoint::trivial);
  add("(L−1,1)", "learnability", &SimulatedPoint::standard);
  add("test law", "E_q (f − g)² under the test law", &SimulatedPoint::test_error);
  add("training", "mean of (f − y)² at the samples", &SimulatedPoint::train_error);
  add("output (L)", "E f_R²", &SimulatedPoint::output_trivial);
  add("output (L−1,1)", "E f_R²", &SimulatedPoint::output_standard);
  add("evidence", "log P(y)/P", &SimulatedPoint::evidence);
  for (const SimulatedPoint& p : run.curve.points) {
    std::vector<Cell> row = {static_cast<std::int64_t>(p.samples)};
    for (const Value value : values) {
      row.push_back(number_cell((p.*value).value));
      row.push_back(number_cell((p.*value).error));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

/// Simulation and theory side by side.
Table theory_table(const LearnRun& run) {
  Table t{
      .id = "theory",
      .title = "Simulation and theory",
      .caption = "Mean over data sets, the self-consistent theory, and their difference in standard errors.",
      .columns = {{"samples", "", "P"},
                  {"quantity", "", ""},
                  {"simulation", "", ""},
                  {"±", "", "standard error", 2},
                  {"theory", "", ""},
                  {"difference", "", "in standard errors", 2}},
      .rows = {}};
  const std::tuple<const char*, Value, TheoryValue> kQuantities[] = {
      {"error", &SimulatedPoint::error, &TheoryPoint::error},
      {"training", &SimulatedPoint::train_error, &TheoryPoint::train_error},
      {"(L)", &SimulatedPoint::trivial, &TheoryPoint::trivial},
      {"(L−1,1)", &SimulatedPoint::standard, &TheoryPoint::standard}};
  for (const SimulatedPoint& p : run.curve.points) {
    const auto theory = std::find_if(run.theory.begin(), run.theory.end(), [&](const TheoryPoint& q) {
      return q.samples == static_cast<double>(p.samples);
    });
    if (theory == run.theory.end()) continue;
    for (const auto& [name, value, expected] : kQuantities) {
      const Estimate& e = p.*value;
      if (!std::isfinite(e.value)) continue;
      const double difference = (e.value - (*theory).*expected) / e.error;
      t.rows.push_back({static_cast<std::int64_t>(p.samples), std::string(name), e.value,
                        number_cell(e.error), (*theory).*expected, number_cell(difference)});
    }
  }
  return t;
}

// ---- A finite network

Figure network_figure(const NetworkStudy& n) {
  std::vector<ScatterPoint> points;
  for (std::size_t i = 0; i < n.mean.size(); ++i)
    points.push_back({.x = n.mean[i],
                      .y = n.network.mean[i],
                      .group = "unseen sequence",
                      .key = "",
                      .tooltip = fmt::format("sequence {}: {} and {}", i, format_number(n.mean[i]),
                                             plus_minus(n.network.mean[i], n.network.error[i]))});
  return scatter_chart(
      {.id = "predictions",
       .title = fmt::format("At width {}, predictions of network and limit have correlation {}",
                            n.options.shape.width, fixed(n.correlation, 4)),
       .caption = "Posterior mean of the network, averaged over time and chains, against that "
                  "of regression with its kernel, on sequences that were not trained on.",
       .alt = "Predictions of the network against those of the regression",
       .x_label = "regression",
       .y_label = "network"},
      points, {});
}

Figure width_figure(const NetworkStudy& n) {
  Series measured{.name = "networks", .x = {}, .y = {}, .low = {}, .high = {}};
  Series law{.name = "width^−1/2", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (const WidthPoint& p : n.widths) {
    const double width = static_cast<double>(p.shape.width);
    measured.x.push_back(width);
    measured.y.push_back(p.spread);
    law.x.push_back(width);
    law.y.push_back(n.widths.front().spread *
                    std::sqrt(static_cast<double>(n.widths.front().shape.width) / width));
  }
  return line_chart(
      {.id = "kernel-by-width",
       .title = "Before training, a network's own kernel nears the infinite one as width^−1/2",
       .caption = fmt::format("Root mean square of (own − infinite)/√(k(X,X) k(Y,Y)) over pairs and {} "
                              "random networks of each width; the dashed line starts at the first point.",
                              kWidthNetworks),
       .alt = "Difference of kernels by width",
       .x_label = "width",
       .y_label = "difference of kernels",
       .log_x = true,
       .log_y = true},
      {measured, law});
}

Table network_table(const NetworkStudy& n) {
  double own = 0, limit = 0, noise = 0;
  for (std::size_t i = 0; i < n.variance.size(); ++i) {
    own += n.network.variance[i] / static_cast<double>(n.variance.size());
    limit += n.variance[i] / static_cast<double>(n.variance.size());
    noise += n.network.error[i] * n.network.error[i] / static_cast<double>(n.variance.size());
  }
  Table t{.id = "network",
          .title = "The network and its limit",
          .columns = {{"quantity", "", ""}, {"value", "", ""}},
          .rows = {}};
  const auto row = [&](const char* name, Cell value) {
    t.rows.push_back({std::string(name), std::move(value)});
  };
  row("samples", static_cast<std::int64_t>(n.samples));
  row("weights", static_cast<std::int64_t>(n.network.parameters));
  row("steps of a chain", static_cast<std::int64_t>(n.network.steps));
  row("largest curvature", n.network.curvature);
  row("correlation", n.correlation);
  row("difference", n.difference);
  row("standard error of the network's mean", std::sqrt(noise));
  row("size of the mean", n.size);
  row("variance of the network", own);
  row("variance of the regression", limit);
  return t;
}

Table widths_table(const NetworkStudy& n) {
  Table t{.id = "widths",
          .title = "Networks before training",
          .columns = {{"width", "", "d"},
                      {"heads", "", "H"},
                      {"mean", "", "of (own − infinite)/√(k(X,X) k(Y,Y))"},
                      {"±", "", "standard error over networks", 2},
                      {"expected", "", "((e + s)² + k)/d, exact for the mean"},
                      {"spread", "", "root mean square of the same"}},
          .rows = {}};
  for (const WidthPoint& p : n.widths)
    t.rows.push_back({static_cast<std::int64_t>(p.shape.width), static_cast<std::int64_t>(p.shape.heads),
                      p.mean, p.mean_error, p.expected, p.spread});
  return t;
}

Table unseen_table(const NetworkStudy& n) {
  Table t{.id = "unseen",
          .title = "Unseen sequences",
          .columns = {{"sequence", "", ""},
                      {"network", "", "mean over time and chains"},
                      {"±", "", "standard error by the chains", 2},
                      {"regression", "", "posterior mean"},
                      {"variance of the network", "", ""},
                      {"variance of the regression", "", ""}},
          .rows = {}};
  for (std::size_t i = 0; i < n.mean.size(); ++i)
    t.rows.push_back({static_cast<std::int64_t>(i), n.network.mean[i], n.network.error[i], n.mean[i],
                      n.network.variance[i], n.variance[i]});
  return t;
}

Section network_section(const NetworkStudy& n) {
  return {
      .id = "network",
      .title = fmt::format("A network of width {} differs from its limit by {} where that is {}",
                           n.options.shape.width, format_number(n.difference, 2), format_number(n.size, 2)),
      .figures = {network_figure(n), width_figure(n)},
      .tables = {network_table(n), widths_table(n), unseen_table(n)}};
}

void add_facts(const LearnRun& run, Report& report) {
  const SimulationOptions& o = run.options;
  report.facts.push_back(
      {"block",
       fmt::format("linear attention · letters {} · positions {} · ridge {}", format_number(o.block.token),
                   format_number(o.block.position), format_number(o.ridge)),
       "infinitely wide"});
  if (run.data)
    report.facts.push_back(
        {"data", fmt::format("{} · L {} · V {}", run.law, o.length, run.letters), run.target});
  else
    report.facts.push_back(
        {"data",
         fmt::format("{} · L {} · V {} · noise {}", run.law, o.length, run.letters, format_number(o.noise)),
         run.exchangeable ? "exchangeable" : "not exchangeable"});
  if (!run.test_law.empty()) report.facts.push_back({"test", run.test_law, "another law"});
}

void add_limits(const LearnRun& run, Report& report) {
  if (!run.data && run.curve.target.trivial != run.curve.target.trivial)
    report.sections.front().paragraphs.push_back(
        "The target is no sum over positions: the block learns its linear part alone, and errors are "
        "sampled.");
  if (!run.data && !run.exchangeable)
    report.sections.front().paragraphs.push_back(
        "The law of training changes when positions are permuted: (L) and (L−1,1) name the parts of a "
        "function's "
        "coefficients, which are then not independent of each other.");
}

}  // namespace

double half_learned(const std::vector<SimulatedPoint>& points, Value learnability) {
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    const double low = (points[i].*learnability).value, high = (points[i + 1].*learnability).value;
    if (!(low < 0.5 && high >= 0.5)) continue;
    const double from = std::log(static_cast<double>(points[i].samples)),
                 to = std::log(static_cast<double>(points[i + 1].samples));
    return std::exp(from + (to - from) * (0.5 - low) / (high - low));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<Definition> learn_definitions() {
  return {
      {"simplified block",
       "One layer of linear attention, averaged over L positions, infinitely wide: k(X, Y) = (e² c_X·c_Y + "
       "2es m + "
       "s² L)/L², c counts of letters, m positions that agree, e and s the variances of letter and position "
       "vectors (arXiv 2402.05173)."},
      {"regression",
       "The mean f of the Gaussian process with this kernel, given P samples with labels y = g + noise: what "
       "the infinitely wide network predicts, averaged over its posterior; ridge: the noise that it "
       "assumes."},
      {"learnability",
       "E[f_R g_R]/E g_R² for the part R of f and of the clean target g: (L) what is the same at all "
       "positions, without the mean; (L−1,1) what sums to 0 over positions."},
      {"theory",
       "Self-consistent: κ = r + Σ d λ κ/(κ + P λ) over the kernel's eigenvalues λ, learnability P λ/(P λ + "
       "κ); for "
       "uniform letters and urns. See telos symmetry predict."},
      {"error",
       "E (f − g)² under the law, added up over outputs; exact for targets that are sums over positions."},
      {"evidence", "log of the density of the labels under the process, for one sample."},
      {"exchangeable", "The law of a sequence does not change when its positions are permuted."},
      {"polya:α",
       "Letter v comes with probability (c_v + α)/(t + Vα) after t letters: independent draws from a "
       "distribution drawn from Dirichlet(α)."},
      {"hmm-sticky:p",
       "A hidden state that is kept with probability p and emits letters: p = 1 is exchangeable."},
      {"network",
       "The block with finitely many weights, standard normal before training, under Langevin dynamics whose "
       "stationary law is its posterior; f averaged over time and chains."},
  };
}

Report learn_report(const LearnRun& run, const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  add_facts(run, report);
  report.verdict = verdict_of(run);
  report.keys = keys_of(run);
  const bool parts = has(run.curve, &SimulatedPoint::trivial) || has(run.curve, &SimulatedPoint::standard);
  report.lead = {parts ? learnability_figure(run) : error_figure(run)};
  Section curve{.id = "curve", .title = "Error by number of samples", .tables = {curve_table(run)}};
  if (parts) curve.figures = {error_figure(run)};
  if (!run.theory.empty()) curve.tables.push_back(theory_table(run));
  report.sections.push_back(std::move(curve));
  add_limits(run, report);
  if (run.network) report.sections.push_back(network_section(*run.network));
  report.definitions = learn_definitions();
  report.provenance = context.provenance;
  return report;
}

}  // namespace telos::symmetry
