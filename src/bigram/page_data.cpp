// Pages of samples and of what was learned from them without the truth.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bigram/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::bigram {
namespace {

/// A report of what has no known task, and names for its tokens.
struct DataPage {
  Instance task;  // names and sizes alone
  Report report;
};

DataPage begin_data_page(std::size_t tokens, std::size_t length, const std::vector<std::string>& names,
                         const PageContext& context, std::initializer_list<std::string_view> terms) {
  DataPage page{
      .task = {.p = {}, .mu = std::vector<double>(tokens), .q = {}, .length = length, .names = names},
      .report = {.command = context.command, .subject = context.subject, .facts = context.facts}};
  page.report.facts.push_back({"samples of",
                               fmt::format("N {} · T {}", format_count(tokens), format_count(length)),
                               "tokens · positions"});
  page.report.definitions = definitions_named(terms);
  page.report.provenance = context.provenance;
  return page;
}

std::size_t count_stable(const TrainResult& r) {
  return static_cast<std::size_t>(std::ranges::count_if(r.columns, [](const Column& c) { return c.stable; }));
}

std::vector<SparseColumn> columns_of(const TrainResult& r) {
  std::vector<SparseColumn> columns;
  for (const Column& c : r.columns) columns.push_back({c.positions, c.weights});
  return columns;
}

Table learned_table(const Instance& task, const TrainResult& r) {
  Table t{.id = "columns",
          .title = "Where each last token looks",
          .caption = "Position (weight).",
          .columns = {{"last token", "", ""},
                      {"samples", "", "of this last token in the file"},
                      {"μ", "", "frequency, ½ added to each count"},
                      {"looks at", "", "after rounding, refit and screening"},
                      {"stable", "", "see definitions"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t k = 0; k < r.columns.size(); ++k) {
    const Column& c = r.columns[k];
    const bool few = c.samples < kFewestSamples;
    const std::string looks = few ? "everywhere: too few samples" : positions_text(c.positions, c.weights);
    t.rows.push_back(
        {task.name(k), whole_cell(c.samples), r.mu[k], looks, std::string(c.stable ? "yes" : "no")});
  }
  return t;
}

Table transitions_table(const Instance& task, const Matrix<double>& p) {
  Table t{
      .id = "transitions",
      .title = "Learned P",
      .caption = "Columns of V moved to the nearest laws: probability of the output (row) by attended token.",
      .columns = {{"output", "", ""}},
      .rows = {}};
  for (std::size_t j = 0; j < p.cols(); ++j) t.columns.push_back({task.name(j), "", ""});
  for (std::size_t i = 0; i < p.rows(); ++i) {
    std::vector<Cell> row = {task.name(i)};
    for (std::size_t j = 0; j < p.cols(); ++j) row.emplace_back(p(i, j));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table data_curve_table(const TrainResult& r) {
  Table t{.id = "curves",
          .title = "Course of the run",
          .caption = "",
          .columns = {{"step", "", ""},
                      {"samples", "", ""},
                      {"held-out loss", "", "see definitions", 7},
                      {"±", "", "its standard error"},
                      {"gain", "", "see definitions: held-out gain", 6},
                      {"gain ±", "", "its standard error"},
                      {"learned K_P", "", "see definitions"},
                      {"stable", "", "last tokens whose positions are"},
                      {"seconds", "s", ""}},
          .rows = {}};
  for (const CurvePoint& p : r.curve)
    t.rows.push_back({whole_cell(p.step), whole_cell(p.samples), number_cell(p.held_out),
                      number_cell(p.held_out_error), p.gain, number_cell(p.gain_error), p.knowledge,
                      whole_cell(p.stable), p.seconds});
  return t;
}

template <class Value>
Series curve_of(const std::string& name, const TrainResult& r, const Value& value) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}};
  for (const CurvePoint& p : r.curve) {
    s.x.push_back(static_cast<double>(p.samples));
    s.y.push_back(value(p));
  }
  return s;
}

Figure gain_figure(const TrainResult& r) {
  Series descent = curve_of("descent", r, [](const CurvePoint& p) { return p.gain; });
  const auto band = [](double error) { return std::isfinite(error) ? 2 * error : 0; };
  for (const CurvePoint& p : r.curve) {
    descent.low.push_back(p.gain - band(p.gain_error));
    descent.high.push_back(p.gain + band(p.gain_error));
  }
  std::vector<Series> series = {std::move(descent)};
  series.push_back({.name = "after rounding and refit",
                    .x = {static_cast<double>(r.samples)},
                    .y = {r.gain},
                    .low = {r.gain - band(r.gain_error)},
                    .high = {r.gain + band(r.gain_error)}});
  return line_chart(
      {.id = "gain",
       .title = fmt::format("Looking at the right positions lowers the held-out loss by {}",
                            plus_minus(r.gain, r.gain_error)),
       .caption = "Held-out loss of predicting the frequencies less that of the model, on the same samples "
                  "that no step has seen, ± 2 standard errors; the curve is measured on fewer of them "
                  "than the result.",
       .alt = "Held-out gain against samples",
       .x_label = "samples",
       .y_label = "gain"},
      series);
}

std::string learned_sentence(const TrainResult& r) {
  constexpr double kRoundOff = 1e-12;  // of the loss
  if (!(r.gain > 2 * r.gain_error) || r.gain < kRoundOff * r.held_out)
    return "Nothing was learned that helps on held-out samples.";
  const auto trained = static_cast<std::size_t>(
      std::ranges::count_if(r.columns, [](const Column& c) { return c.samples >= kFewestSamples; }));
  return fmt::format(
      "Where {} of {} last tokens look is stable; the held-out loss is {} below that of frequencies.",
      count_stable(r), trained, plus_minus(r.gain, r.gain_error));
}

}  // namespace

Report samples_report(const Samples& samples, const PageContext& context) {
  auto [task, report] =
      begin_data_page(samples.tokens, samples.length, samples.names, context, {"sparse contextual bigram"});
  std::vector<std::uint64_t> last(samples.tokens), output(samples.tokens);
  for (const std::uint16_t k : samples.last) ++last[k];
  for (const std::uint16_t o : samples.output) ++output[o];
  const auto rarest = static_cast<std::size_t>(std::ranges::min_element(last) - last.begin());
  report.verdict = {fmt::format("{} samples of {} tokens each.", format_count(samples.size()),
                                format_count(samples.length)),
                    "drawn, without the attended positions",
                    {}};
  report.keys = {{"tokens in all", format_count(samples.size() * samples.length), "", ""},
                 {"bytes", format_bytes(static_cast<double>(samples.contexts.size())),
                  fmt::format("({} a token)", samples.width() == 1 ? "1 byte" : "2 bytes"), ""},
                 {"rarest last token", samples.names.empty() ? std::to_string(rarest) : samples.names[rarest],
                  fmt::format("({} samples; below {} its attention is not learned)",
                              format_count(last[rarest]), kFewestSamples),
                  ""}};
  Table t{.id = "tokens",
          .title = "How often each token comes",
          .caption = "",
          .columns = {{"token", "", ""}, {"as last", "", "samples"}, {"as output", "", "samples"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t k = 0; k < samples.tokens; ++k)
    t.rows.push_back({task.name(k), whole_cell(last[k]), whole_cell(output[k])});
  report.sections = {{.id = "tokens", .title = "Tokens", .tables = {std::move(t)}}};
  return report;
}

Report data_report(const Samples& samples, const TrainOptions& options, const TrainResult& r,
                   const PageContext& context) {
  auto [task, report] = begin_data_page(samples.tokens, samples.length, samples.names, context,
                                        {"sparse contextual bigram", "linear transformer", "learned K_P",
                                         "mirror solution", "stable", "held-out loss", "held-out gain"});
  report.facts.push_back({"training",
                          fmt::format("{} · batch {} · η {} · seed {}", to_string(options.algorithm),
                                      format_count(options.batch), format_number(options.eta), options.seed),
                          fmt::format("{} steps · {} samples · {} s", format_count(r.steps),
                                      format_count(r.samples), fixed(r.seconds, 1))});
  report.verdict = {learned_sentence(r), "trained on samples; the truth is not known", r.notes};
  report.keys = {
      {"held-out loss", plus_minus(r.held_out, r.held_out_error),
       fmt::format("({} without looking)", format_number(r.held_out + r.gain, 3)), "see definitions"},
      {"learned K_P", format_number(r.knowledge, 3), "", "see definitions"},
      {"stable", fmt::format("{} of {}", count_stable(r), r.columns.size()), "(last tokens)",
       "see definitions"},
      {"samples", format_count(samples.size()), fmt::format("({} in all steps)", format_count(r.samples)),
       "Of the file; the descent goes through those that are not held out again and again."}};
  report.lead.push_back(gain_figure(r));
  Section found{.id = "found", .title = "What was learned"};
  const Matrix<double> p = learned_transitions(r.model);
  if (samples.tokens <= kMostShown) {
    found.figures.push_back(transitions_figure(
        task, p, "p", "P, learned", "Columns of V moved to the nearest laws: P(output|attended)."));
    found.figures.push_back(attention_figure(task, {"a", columns_of(r)}, "a", "A, learned",
                                             "Attention at the positions that were found."));
    found.tables.push_back(transitions_table(task, p));
  }
  found.tables.insert(found.tables.begin(), learned_table(task, r));
  report.sections.push_back(std::move(found));
  if (r.curve.size() > 1) {
    Section course{.id = "course", .title = "How the descent went"};
    course.figures.push_back(
        line_chart({.id = "knowledge",
                    .title = "What V says of the next token grows",
                    .caption = "‖V − μ1ᵀ‖²_μ during the descent; see definitions.",
                    .alt = "Learned K_P against samples",
                    .x_label = "samples",
                    .y_label = "learned K_P"},
                   {curve_of("learned K_P", r, [](const CurvePoint& c) { return c.knowledge; })}));
    course.figures.push_back(line_chart(
        {.id = "stable",
         .title = "Last tokens whose positions are stable",
         .caption = "The positions above a quarter of their column's largest did not change for 200 steps.",
         .alt = "Stable last tokens against samples",
         .x_label = "samples",
         .y_label = "last tokens"},
        {curve_of("stable", r, [](const CurvePoint& c) { return static_cast<double>(c.stable); })}));
    course.tables = {data_curve_table(r)};
    report.sections.push_back(std::move(course));
  }
  return report;
}

Report evaluation_report(const Instance* instance, const Evaluation& e, const std::vector<std::string>& names,
                         const PageContext& context) {
  const std::size_t tokens = e.columns.size();
  Report report;
  Instance unnamed{.p = {}, .mu = std::vector<double>(tokens), .q = {}, .length = 0, .names = names};
  const Instance& task = instance != nullptr ? *instance : unnamed;
  if (instance != nullptr) {
    report = begin_report(task, context,
                          {"linear transformer", "α_V, α_A", "‖V − P‖, ‖A − Q‖", "excess loss", "least loss",
                           "exact", "learned K_P", "held-out loss", "held-out gain"});
  } else {
    report = {.command = context.command, .subject = context.subject, .facts = context.facts};
    report.definitions = definitions_named({"linear transformer", "learned K_P"});
    report.provenance = context.provenance;
  }
  const std::string held_out = plus_minus(e.held_out, e.held_out_error);
  Table t{.id = "columns",
          .title = "Where each last token looks",
          .caption = "Position (weight).",
          .columns = {{"last token", "", ""}, {"model", "", "weights that are not 0"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t k = 0; k < tokens; ++k)
    t.rows.push_back({task.name(k), positions_text(e.columns[k].positions, e.columns[k].weights)});
  report.keys = {
      {instance != nullptr ? "held-out loss" : "loss on the file", held_out,
       fmt::format("({} samples)", format_count(e.samples)),
       instance != nullptr ? "see definitions"
                           : "Mean of ½‖e_o − f‖² over all samples of the file, whether or not the model was "
                             "trained on them."},
      {"learned K_P", format_number(e.knowledge, 3), "", "see definitions"}};
  if (instance == nullptr) {
    report.verdict = {fmt::format("The loss is {} on {} {}, {} below that of frequencies.", held_out,
                                  format_count(e.samples), e.samples == 1 ? "sample" : "samples",
                                  plus_minus(e.gain, e.gain_error)),
                      "measured on the samples of a file",
                      {}};
    report.sections = {{.id = "model", .title = "The model", .tables = {std::move(t)}}};
    return report;
  }
  const Constants c = constants(task);
  const auto exact = std::ranges::count(e.exact, true);
  report.verdict = {fmt::format("The loss is {} above the least; {} of {} last tokens' positions are exact.",
                                format_number(e.population - c.loss_least, 2), exact, tokens),
                    "exact; the held-out loss is measured",
                    {}};
  report.keys.insert(
      report.keys.begin(),
      {{"loss", format_number(e.population, 6),
        fmt::format("(least {}, start {})", format_number(c.loss_least, 6), format_number(c.loss_start, 6)),
        "Population loss."},
       {"α_V, α_A", format_number(e.signals.v) + ", " + format_number(e.signals.a), "", "see definitions"},
       {"‖V − P‖, ‖A − Q‖",
        format_number(e.signals.v_distance, 3) + ", " + format_number(e.signals.a_distance, 3), "",
        "see definitions"}});
  t.columns.push_back({"true", "", "q^(k)"});
  t.columns.push_back({"exact", "", "see definitions"});
  for (std::size_t k = 0; k < tokens; ++k) {
    t.rows[k].emplace_back(positions_text(task.q[k].positions, task.q[k].weights));
    t.rows[k].emplace_back(std::string(e.exact[k] ? "yes" : "no"));
  }
  Table terms{.id = "terms",
              .title = "What the loss above the least consists of",
              .caption =
                  "Exact while 1ᵀa_k = 1 and Vμ = μ; see definitions. Rest: what a model adds that "
                  "does not keep these.",
              .columns = {{"term", "", ""}, {"value", "", ""}},
              .rows = {{std::string("product"), e.excess.product},
                       {std::string("scale"), e.excess.values},
                       {std::string("attention"), e.excess.attention},
                       {std::string("transitions"), e.excess.transitions},
                       {std::string("sum"), e.excess.total()},
                       {std::string("rest"), e.population - c.loss_least - e.excess.total()},
                       {std::string("L − L*"), e.population - c.loss_least}},
              .in_terminal = true};
  report.sections = {{.id = "model", .title = "The model", .tables = {std::move(t), std::move(terms)}}};
  return report;
}

}  // namespace telos::bigram
