// The page of a prediction.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/page_learning.h"
#include "symmetry/page_predict_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/symmetry/learning_page.h"

namespace telos::symmetry {
namespace {

std::string what_it_takes(Predictions predictions, const PartPrediction& first) {
  const Prediction& p = predictions.front();
  const std::string goal = fmt::format("a share {} of it", format_number(p.options.theta));
  if (std::isnan(first.samples))
    return fmt::format("its eigenvalue is not known; {} takes {} samples or more", goal,
                       format_number(first.sector_bound));
  if (std::isinf(first.samples) && first.learnable > 0)
    return fmt::format("this kernel never learns {}, {} at most", goal, format_number(first.learnable, 2));
  if (std::isinf(first.samples)) return "this kernel never learns it";
  const Series line = by_length(predictions, part_symbol(p, first.part), samples_number);
  if (line.x.size() < 2)
    return fmt::format("{} takes {} samples{}", goal, format_number(first.samples), range_text(first));
  return fmt::format("{} takes {} samples at L = {}{} and {} at L = {}: as {}", goal,
                     format_number(line.y.front()), line.x.front(), range_text(first),
                     format_number(line.y.back()), line.x.back(), power_text(log_log_slope(line.x, line.y)));
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
      fmt::format("{} carries {} of {}{}; {}.", part_symbol(p, main.part), percent(share_of(p, main)),
                  p.target.name, predictions.size() > 1 ? fmt::format(" at L = {}", p.spectrum.length) : "",
                  what_it_takes(predictions, main));
  for (const PartPrediction& part : p.parts)
    v.evidence.push_back(fmt::format(
        "{}: eigenvalue {}; any kernel with these symmetries and this trace needs {} samples or more",
        part_symbol(p, part.part), eigenvalue_basis(p, part), format_number(part.trace_bound)));
  if (std::any_of(p.parts.begin(), p.parts.end(), [](const PartPrediction& part) { return !part.known; }))
    v.evidence.push_back("parts whose eigenvalue is not known count as never learned in the curves");
  if (p.effective_ridge > p.options.ridge)
    v.evidence.push_back(fmt::format("the tail of the spectrum adds {} to the ridge",
                                     format_number(p.effective_ridge - p.options.ridge)));
  return v;
}

/// The error under the law of the test where the first part is learned, or at the end of the curve.
KeyNumber test_key(const Prediction& p) {
  const double samples = p.parts.empty() ? 0 : p.parts.front().samples;
  std::size_t at = p.theory.size() - 1;
  for (std::size_t i = p.theory.size(); i-- > 0;)
    if (p.theory[i].samples >= samples) at = i;
  return {"error under the test law", format_number(p.shifted[at]),
          fmt::format("(at {:.0f} samples and L = {}; {} under the law of training; table curve)",
                      p.theory[at].samples, p.spectrum.length, format_number(p.theory[at].generalisation)),
          "see definitions: test error"};
}

std::vector<KeyNumber> predict_keys(Predictions predictions) {
  const Prediction& p = predictions.front();
  std::vector<KeyNumber> keys;
  for (const PartPrediction& part : p.parts) {
    if (keys.size() == 4) break;
    keys.push_back({fmt::format("{} at L = {}", part_symbol(p, part.part), p.spectrum.length),
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
  if (!p.shifted.empty()) keys.push_back(test_key(p));
  return keys;
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
  if (Table levels = levels_of_target(predictions); !levels.rows.empty())
    samples.tables.push_back(std::move(levels));
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
