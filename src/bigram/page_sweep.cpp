// The page of a sweep: samples against T, for each method.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "bigram/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/bigram/sweep.h"
#include "telos/report/charts.h"

namespace telos::bigram {
namespace {

std::string samples_or_more(double samples) {
  return std::isinf(samples) ? "not reached" : format_count(static_cast<std::uint64_t>(samples));
}

std::string range_text(double low, double high) {
  if (std::isnan(low)) return "–";
  const auto text = [](double x) { return std::isinf(x) ? std::string("∞") : format_number(x, 3); };
  return text(low) + " to " + text(high);
}

Cell samples_cell(double samples) {
  if (std::isinf(samples)) return std::string("not reached");
  return number_cell(samples);
}

std::string size_text(std::size_t tokens, std::size_t sparsity) {
  return fmt::format("N = {}, Q = {}", tokens, sparsity);
}

const MedianSamples& of_target(const SweepCell& cell, SweepTarget target) {
  return target == SweepTarget::kSupport ? cell.to_support : cell.to_loss;
}

Table cells_table(const std::vector<SweepCell>& cells) {
  Table t{
      .id = "medians",
      .title = "Median samples",
      .caption = "Over tasks, with the interval between order statistics that holds the median of all tasks.",
      .columns = {{"method", "", ""},
                  {"N", "", ""},
                  {"Q", "", ""},
                  {"T", "", ""},
                  {"runs", "", ""},
                  {"all positions", "", "see definitions: samples to all positions", 6},
                  {"from", "", "lower end of the interval", 6},
                  {"to", "", "upper end", 6},
                  {"a tenth of the loss", "", "see definitions: samples to a tenth of the loss", 6},
                  {"loss, from", "", "lower end of the interval", 6},
                  {"loss, to", "", "upper end", 6},
                  {"level", "", "probability that an interval holds its median", 3}},
      .rows = {},
      .in_terminal = true};
  for (const SweepCell& c : cells)
    t.rows.push_back({c.method, whole_cell(c.tokens), whole_cell(c.sparsity), whole_cell(c.length),
                      whole_cell(c.runs), samples_cell(c.to_support.median), samples_cell(c.to_support.low),
                      samples_cell(c.to_support.high), samples_cell(c.to_loss.median),
                      samples_cell(c.to_loss.low), samples_cell(c.to_loss.high), c.to_support.level});
  return t;
}

Table slopes_table(const std::vector<SweepSlope>& support, const std::vector<SweepSlope>& loss) {
  Table t{.id = "exponents",
          .title = "How samples grow with T",
          .caption = "Exponent of T; see definitions.",
          .columns = {{"method", "", ""},
                      {"N", "", ""},
                      {"Q", "", ""},
                      {"all positions", "", "see definitions: exponent of T"},
                      {"from", "", "2.5 % quantile"},
                      {"to", "", "97.5 % quantile"},
                      {"a tenth of the loss", "", "likewise"},
                      {"loss, from", "", ""},
                      {"loss, to", "", ""}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t i = 0; i < support.size(); ++i) {
    const SweepSlope &s = support[i], &l = loss[i];
    t.rows.push_back({s.method, whole_cell(s.tokens), whole_cell(s.sparsity), number_cell(s.slope),
                      number_cell(s.low), number_cell(s.high), number_cell(l.slope), number_cell(l.low),
                      number_cell(l.high)});
  }
  return t;
}

Table runs_table(std::span<const SweepRun> runs) {
  Table t{.id = "runs",
          .title = "All runs",
          .caption = "0: not reached.",
          .columns = {{"method", "", ""},
                      {"N", "", ""},
                      {"Q", "", ""},
                      {"T", "", ""},
                      {"seed", "", ""},
                      {"all positions", "", "samples"},
                      {"a tenth of the loss", "", "samples"}},
          .rows = {}};
  for (const SweepRun& r : runs)
    if (r.done)
      t.rows.push_back({r.method, whole_cell(r.tokens), whole_cell(r.sparsity), whole_cell(r.length),
                        whole_cell(r.seed), whole_cell(r.to_support), whole_cell(r.to_loss)});
  return t;
}

/// Medians of one N and Q with their bands, a line a method. Ends of bands that are infinite are cut at the
/// most samples of a run.
Figure samples_figure(const SweepOptions& options, const std::vector<SweepCell>& cells,
                      const std::vector<SweepSlope>& slopes, SweepTarget target, std::size_t tokens,
                      std::size_t sparsity) {
  const bool support = target == SweepTarget::kSupport;
  std::vector<Series> series;
  std::string title;
  for (const SweepSlope& slope : slopes) {
    if (slope.tokens != tokens || slope.sparsity != sparsity) continue;
    Series s{.name = slope.method, .x = {}, .y = {}, .low = {}, .high = {}};
    for (const SweepCell& c : cells) {
      const MedianSamples& m = of_target(c, target);
      if (c.method != slope.method || c.tokens != tokens || c.sparsity != sparsity || std::isinf(m.median))
        continue;
      s.x.push_back(static_cast<double>(c.length));
      s.y.push_back(m.median);
      s.low.push_back(m.low);
      s.high.push_back(std::min(m.high, static_cast<double>(options.samples)));
    }
    if (!std::isnan(slope.slope))
      title += fmt::format("{}{} like T^{}", title.empty() ? "" : ", ", slope.method,
                           format_number(slope.slope, 2));
    if (!s.x.empty()) series.push_back(std::move(s));
  }
  return line_chart({.id = fmt::format("{}-{}-{}", support ? "support" : "loss", tokens, sparsity),
                     .title = fmt::format("{}, {}: {}", size_text(tokens, sparsity),
                                          support ? "all positions" : "a tenth of the loss",
                                          title.empty() ? "no exponent" : title),
                     .caption = fmt::format(
                         "Median samples over {} tasks until {}; bands: the interval that holds the "
                         "median of all tasks. Logarithmic axes.",
                         options.seeds.size(),
                         support ? "the positions of every last token are exact, and stay so for 200 steps"
                                 : "a tenth of L₀ − L* is left after rounding and refit"),
                     .alt = "Median samples against the number of positions, by method",
                     .x_label = "positions T",
                     .y_label = "samples",
                     .log_x = true,
                     .log_y = true},
                    series);
}

/// Medians at the longest T of the first size.
std::string sweep_sentence(const std::vector<SweepCell>& cells) {
  if (cells.empty()) return "No run is done.";
  std::size_t longest = 0;
  const auto first_size = [&](const SweepCell& c) {
    return c.tokens == cells.front().tokens && c.sparsity == cells.front().sparsity;
  };
  for (const SweepCell& c : cells)
    if (first_size(c)) longest = std::max(longest, c.length);
  std::string text;
  for (const SweepCell& c : cells)
    if (first_size(c) && c.length == longest)
      text +=
          fmt::format("{}{} {}", text.empty() ? "" : ", ", c.method, samples_or_more(c.to_support.median));
  return fmt::format("Median samples to all positions at T = {}: {}.", format_count(longest), text);
}

std::vector<std::string> exponents(const std::vector<SweepSlope>& slopes) {
  std::vector<std::string> lines;
  for (const SweepSlope& s : slopes)
    if (!std::isnan(s.slope))
      lines.push_back(fmt::format("{}: {} needs samples to all positions like T^{} ({})",
                                  size_text(s.tokens, s.sparsity), s.method, format_number(s.slope, 2),
                                  range_text(s.low, s.high)));
  return lines;
}

template <class T>
std::string list_text(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ", ") + fmt::format("{}", value);
  return text;
}

}  // namespace

Report sweep_report(const SweepOptions& options, std::span<const SweepRun> runs, const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.definitions = definitions_named({"sparse contextual bigram", "samples to all positions",
                                          "samples to a tenth of the loss", "exponent of T", "least loss"});
  report.provenance = context.provenance;
  report.facts.push_back(
      {"sweep",
       fmt::format("N {} · T {} · Q {} · {}", list_text(options.tokens), list_text(options.lengths),
                   list_text(options.sparsities), list_text(options.methods)),
       fmt::format("{} tasks each", options.seeds.size())});
  report.facts.push_back(
      {"runs",
       fmt::format("batch {} · η {} · c {} · at most {} samples", options.batch, format_number(options.eta),
                   format_number(options.threshold), format_count(options.samples)),
       std::ranges::find(options.methods, "transfer") == options.methods.end()
           ? std::string()
           : fmt::format("transfer: share {} of unrelated transitions", format_number(options.share))});
  const std::vector<SweepCell> cells = sweep_cells(runs);
  const std::vector<SweepSlope> support = sweep_slopes(runs, SweepTarget::kSupport),
                                loss = sweep_slopes(runs, SweepTarget::kLoss);
  report.verdict = {sweep_sentence(cells), "measured on random tasks", exponents(support)};
  const auto done =
      static_cast<std::size_t>(std::ranges::count_if(runs, [](const SweepRun& r) { return r.done; }));
  const auto found = static_cast<std::size_t>(
      std::ranges::count_if(runs, [](const SweepRun& r) { return r.done && r.to_support != 0; }));
  report.keys = {{"runs", fmt::format("{} of {}", done, runs.size()), "", ""},
                 {"all positions found", fmt::format("{} of {}", found, done), "(runs)",
                  "see definitions: samples to all positions"}};
  if (done < runs.size())
    report.not_measured.push_back(fmt::format("{} of {} runs are not done yet: they belong to other shards",
                                              runs.size() - done, runs.size()));
  if (cells.empty()) return report;
  report.lead = {samples_figure(options, cells, support, SweepTarget::kSupport, cells.front().tokens,
                                cells.front().sparsity)};
  Section section{.id = "medians", .title = "Samples by size and method"};
  for (const std::size_t tokens : options.tokens)
    for (const std::size_t sparsity : options.sparsities) {
      if (tokens != cells.front().tokens || sparsity != cells.front().sparsity)
        section.figures.push_back(
            samples_figure(options, cells, support, SweepTarget::kSupport, tokens, sparsity));
      section.figures.push_back(samples_figure(options, cells, loss, SweepTarget::kLoss, tokens, sparsity));
    }
  section.tables = {cells_table(cells), slopes_table(support, loss), runs_table(runs)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::bigram
