// The page of a prediction: its figures.
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "symmetry/page_learning.h"
#include "symmetry/page_predict_parts.h"
#include "telos/base/quantity.h"

namespace telos::symmetry {
namespace {

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
    parts.push_back(fmt::format("{} {}", part_symbol(p, part.part), samples_text(part.samples)));
  return fmt::format("Samples for a share {}: {}", format_number(p.options.theta), fmt::join(parts, ", "));
}

}  // namespace

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
      Series line{.name = part_symbol(p, p.parts[i].part) + (theory ? "" : " equivalent kernel"),
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

}  // namespace telos::symmetry
