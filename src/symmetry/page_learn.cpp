// The page of a learning curve.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "symmetry/page_learn_parts.h"
#include "symmetry/page_learning.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/learn_page.h"

namespace telos::symmetry {
namespace {

/// Parts whose learnability is known.
std::vector<std::size_t> shown_parts(const LearnRun& run) {
  std::vector<std::size_t> parts;
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i)
    if (has(run.curve, learnability_of(i))) parts.push_back(i);
  return parts;
}

std::string half_text(const LearnRun& run, std::size_t part) {
  const double p = half_learned(run.curve.points, part);
  if (std::isfinite(p)) return format_number(p, 2);
  const double last = run.curve.points.back().learnability.at(part).value;
  return fmt::format("{} {}", last < 0.5 ? "more than" : "fewer than",
                     last < 0.5 ? run.curve.points.back().samples : run.curve.points.front().samples);
}

std::string sentence_of(const LearnRun& run) {
  if (run.curve.energy == 0) return "The target is 0: there is nothing to learn.";
  const std::vector<std::size_t> parts = shown_parts(run);
  if (parts.empty())
    return fmt::format("With {} samples, the error is {} the target's energy.",
                       format_count(run.curve.points.back().samples), energy_text(left_over(run)));
  if (parts.size() == 1)
    return fmt::format("Half of the target is learned with {} samples.", half_text(run, parts[0]));
  if (parts.size() == 2 && degree_of(run.curve.parts[parts[0]].irrep) == 0)
    return fmt::format("What is the same at all positions is half learned with {} samples, the rest with {}.",
                       half_text(run, parts[0]), half_text(run, parts[1]));
  std::vector<std::string> halves;
  for (const std::size_t part : parts)
    halves.push_back(fmt::format("{} with {}", symbol_of(run.curve.parts[part].irrep), half_text(run, part)));
  return fmt::format("Half learned: {} samples.", fmt::join(halves, ", "));
}

Verdict verdict_of(const LearnRun& run) {
  Verdict v;
  v.sentence = sentence_of(run);
  v.basis = fmt::format("exact regression, infinite width, {} {} for each number of samples",
                        run.options.draws, run.data ? "random splits of the data" : "data sets");
  if (!run.no_theory.empty()) v.basis += fmt::format("; without theory: {}", run.no_theory);
  if (run.curve.energy == 0) return v;
  std::vector<std::size_t> worse;
  for (const SimulatedPoint& p : run.curve.points)
    if (p.error.value - 2 * p.error.error > run.curve.energy) worse.push_back(p.samples);
  if (!worse.empty()) {
    const bool from_the_first = run.curve.points[worse.size() - 1].samples == worse.back();
    v.sentence +=
        fmt::format(" {} samples it errs more than no prediction would.",
                    from_the_first && worse.size() > 1 ? fmt::format("Up to {}", worse.back())
                                                       : fmt::format("With {}", fmt::join(worse, ", ")));
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
  for (const std::size_t part : shown_parts(run)) {
    if (keys.size() == 4) break;
    keys.push_back({"half of " + symbol_of(run.curve.parts[part].irrep), half_text(run, part), "(samples)",
                    "learnability ½"});
  }
  keys.push_back({"error", plus_minus(last.error.value, last.error.error),
                  run.curve.energy == 0
                      ? at
                      : fmt::format("{} · {} the target's energy", at, energy_text(left_over(run))),
                  "E (f − g)²; ±: " + spread_words(run)});
  if (!run.test_law.empty())
    keys.push_back({"error under the test law", plus_minus(last.test_error.value, last.test_error.error),
                    run.curve.test_energy == 0
                        ? at
                        : fmt::format("{} · {} the target's energy there", at,
                                      energy_text(last.test_error.value / run.curve.test_energy)),
                    "E_q (f − g)²"});
  if (run.network)
    keys.push_back({"network and limit", fixed(run.network->correlation, 5),
                    fmt::format("(correlation on {} unseen sequences)", run.network->mean.size()),
                    "Σ f g/√(Σ f² Σ g²)"});
  return keys;
}

void add_facts(const LearnRun& run, Report& report) {
  const SimulationOptions& o = run.options;
  if (!run.architecture.empty())
    report.facts.push_back(
        {"architecture", run.architecture,
         fmt::format("{} · ridge {}", run.ntk ? "NTK" : "NNGP kernel", format_number(o.ridge))});
  else
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
  std::vector<std::string>& paragraphs = report.sections.front().paragraphs;
  if (!run.architecture.empty()) {
    if (!run.curve.exact && !run.data)
      paragraphs.push_back(fmt::format("Errors are means over {} fresh sequences for each data set.",
                                       format_count(run.options.test_points)));
    return;
  }
  if (!run.data && !run.curve.exact)
    paragraphs.push_back(
        "The target is no sum over positions: the block learns its linear part alone, and errors are "
        "sampled.");
  if (!run.data && !run.exchangeable)
    paragraphs.push_back(
        "The law of training changes when positions are permuted: (L) and (L−1,1) name the parts of a "
        "function's coefficients, which are then not independent of each other.");
}

}  // namespace

std::string spread_words(const LearnRun& run) {
  return run.data ? "standard deviation over random splits of the data" : "standard error over data sets";
}

std::string share_text(double share) {
  return format_number(100 * share, 2) + " %";
}

std::string energy_text(double share) {
  return share <= 1 ? share_text(share) + " of" : format_number(share, 2) + " times";
}

double left_over(const LearnRun& run) {
  return run.curve.points.back().error.value / run.curve.energy;
}

double half_learned(const std::vector<SimulatedPoint>& points, std::size_t part) {
  for (std::size_t i = 0; i + 1 < points.size(); ++i) {
    const double low = points[i].learnability.at(part).value,
                 high = points[i + 1].learnability.at(part).value;
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
       "E[f_R g_R]/E g_R² for the part R of f and of the clean target g. Of the simplified block, and of "
       "sums "
       "over positions: (L) what is the same at all positions, without the mean; (L−1,1) what sums to 0 over "
       "positions. Of an architecture on all sequences: all irreps, (L) with the mean."},
      {"architecture",
       "The kernel of an infinitely wide transformer, NNGP or NTK (see telos symmetry kernel). Where it "
       "reads "
       "one token, that is one more than the L of the law: uniform, independent, and nothing to the target."},
      {"theory",
       "Self-consistent: κ = r + Σ d λ κ/(κ + P λ) over the kernel's eigenvalues λ, learnability P λ/(P λ + "
       "κ). Of the simplified block for uniform letters and urns; of an architecture where all sequences can "
       "be "
       "written down and the law is exchangeable. See telos symmetry predict."},
      {"error",
       "E (f − g)² under the law, added up over outputs; exact for targets that are sums over positions, and "
       "of "
       "an architecture where all sequences can be written down; else a mean over fresh sequences. Of a file "
       "of data: of what is held out of it, and ± is the standard deviation over random splits, which have "
       "data in common."},
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
  const bool parts = !shown_parts(run).empty();
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
