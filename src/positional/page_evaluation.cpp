#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "positional/page_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::positional {
namespace {

/// Of a data file there may be fewer than asked for.
std::size_t evaluated_samples(const EvalResult& result) {
  return result.rows.empty() ? result.options.samples : result.rows.front().samples;
}

Table errors_table(const EvalResult& result) {
  Table t{.id = "scales",
          .title = "Error by scale",
          .caption =
              fmt::format("{} samples a row; within: |error| ≤ {}·max(1, |target|).",
                          format_count(evaluated_samples(result)), format_number(result.options.tolerance)),
          .columns = {{"c", "", "scale of the test interval"},
                      {"length", "", "data positions"},
                      {"mse", "", "mean square error; classes: cross-entropy", 3},
                      {"mse/c²", "", "constant for a model that scales itself", 3},
                      {"mae", "", "mean |error|", 3},
                      {"mape", "", "see definitions", 3},
                      {"max error", "", "", 3},
                      {"within", "", "see definitions", 4},
                      {"overflowed", "", "outputs that the arithmetic could not hold"}},
          .rows = {},
          .in_terminal = true};
  for (const ErrorRow& e : result.rows)
    t.rows.push_back({e.scale, whole_cell(e.length), number_cell(e.mse), number_cell(e.mse_over_scale2),
                      number_cell(e.mae), number_cell(e.mape), number_cell(e.max_error),
                      number_cell(e.within), whole_cell(e.overflowed)});
  return t;
}

/// The first scale and the last on the longest lists: rows of different lengths tell nothing of scale.
struct Ends {
  const ErrorRow *first = nullptr, *last = nullptr;
  bool lengths = false;  ///< there are other lengths
  bool scales() const { return first->scale != last->scale; }
};

/// Of a result with rows.
Ends ends_of(const EvalResult& result) {
  const auto [shortest, longest] =
      std::minmax_element(result.rows.begin(), result.rows.end(),
                          [](const ErrorRow& a, const ErrorRow& b) { return a.length < b.length; });
  Ends ends{.lengths = shortest->length != longest->length};
  for (const ErrorRow& row : result.rows) {
    if (row.length != longest->length) continue;
    if (ends.first == nullptr) ends.first = &row;
    ends.last = &row;
  }
  return ends;
}

Figure errors_figure(const EvalResult& result, bool over_scale2, const std::string& title) {
  std::vector<Series> series;
  for (const ErrorRow& e : result.rows) {
    const std::string name = fmt::format("length {}", e.length);
    auto s = std::find_if(series.begin(), series.end(), [&](const Series& x) { return x.name == name; });
    if (s == series.end())
      s = series.insert(series.end(), Series{.name = name, .x = {}, .y = {}, .low = {}, .high = {}});
    const double y = over_scale2 ? e.mse_over_scale2 : e.mse;
    if (!(y > 0)) continue;  // exact results have no place on a logarithmic axis
    s->x.push_back(e.scale);
    s->y.push_back(y);
  }
  return line_chart({.id = over_scale2 ? "error-over-scale" : "error-by-scale",
                     .title = title,
                     .caption = "Logarithmic; errors of exactly 0 are not drawn.",
                     .alt = "Error against scale",
                     .x_label = "scale c",
                     .y_label = over_scale2 ? "MSE / c²" : "MSE",
                     .log_x = false,
                     .log_y = true},
                    series);
}

std::string sentence_of(const EvalResult& result) {
  if (result.rows.empty()) return "Nothing was evaluated.";
  std::size_t samples = 0;
  for (const ErrorRow& row : result.rows) samples += row.samples;
  if (std::ranges::all_of(result.rows, [](const ErrorRow& e) { return e.mse == 0 && e.overflowed == 0; }))
    return fmt::format("Exact on all {} samples.", format_count(samples));
  const Ends ends = ends_of(result);
  const ErrorRow &first = *ends.first, &last = *ends.last;
  const std::string lists = ends.lengths ? fmt::format(" on lists of {}", last.length) : "";
  if (result.classes)
    return fmt::format("{} of the answers{} are right; the cross-entropy is {}.", percent(first.within),
                       lists, format_number(first.mse, 3));
  if (!ends.scales())
    return fmt::format("The mean square error{} is {}.", lists, format_number(first.mse, 3));
  return fmt::format("The mean square error{} goes from {} at c = {} to {} at c = {}.", lists,
                     format_number(first.mse, 3), format_number(first.scale), format_number(last.mse, 3),
                     format_number(last.scale));
}

/// ", with letters that training does not use", and at which scales.
std::string unseen_words(const EvalResult& result) {
  const auto unseen = [](const ErrorRow& e) { return e.split == Task::Split::kTest; };
  if (result.given_data || unseen_things(result.task).empty() || std::ranges::none_of(result.rows, unseen))
    return "";
  return fmt::format(", with {} that training does not use{}", unseen_things(result.task),
                     std::ranges::all_of(result.rows, unseen) ? "" : " where c > 1");
}

Table example_table(const EvalResult& result) {
  Table t{.id = "example",
          .title = "The first sample",
          .caption = "Input, target and output, number by number.",
          .columns = {{"i", "", "position"}, {"x", "", "input"}, {"target", "", ""}, {"output", "", ""}},
          .rows = {}};
  const std::size_t count =
      std::max({result.example_x.size(), result.example_y.size(), result.example_output.size()});
  const auto at = [](const std::vector<double>& v, std::size_t i) {
    return number_cell(i < v.size() ? v[i] : std::nan(""));
  };
  for (std::size_t i = 0; i < count; ++i)
    t.rows.push_back(
        {whole_cell(i), at(result.example_x, i), at(result.example_y, i), at(result.example_output, i)});
  return t;
}

std::string power_of_ten(double log10_value) {
  return std::isfinite(log10_value) ? fmt::format("10^{:.1f}", log10_value) : format_number(log10_value);
}

Section capacity_section(const CapacityReport& r) {
  Section section{.id = "capacity",
                  .title = fmt::format("The Lipschitz bound is {}, the cover bound K is {}",
                                       power_of_ten(r.log10_lipschitz), power_of_ten(r.log10_k))};
  section.paragraphs.push_back(
      !r.attends
          ? "A graph baseline has no queries and keys: a mean leaves the Lipschitz constant as it is, a "
            "sum over nodes multiplies it by their number."
      : r.positional
          ? "Queries and keys do not enter the Lipschitz constant: attention averages rows, whatever "
            "its weights. They enter K by one term a head."
          : "Queries and keys enter every layer's Lipschitz constant, which is why it grows so fast.");
  for (const std::string& note : r.notes) section.paragraphs.push_back(note);
  for (Table& t : capacity_tables(r)) section.tables.push_back(std::move(t));
  return section;
}

}  // namespace

Report evaluation_report(const EvalResult& result, const Model& model, const CapacityReport& capacity,
                         const PageContext& context) {
  Report report = begin_report(context);
  report.facts.push_back({"model", model_line(model.config, model.layout.size()), result.origin});
  report.facts.push_back({"task", result.task, result.options.as_double ? "float64" : "float32"});
  report.verdict = {
      sentence_of(result),
      fmt::format("measured on {} sample{}{}{}", format_count(evaluated_samples(result)),
                  evaluated_samples(result) == 1 ? "" : "s",
                  result.given_data ? " of the data held back" : " a scale", unseen_words(result)),
      {}};
  // A program is exact on whole lists.
  if (!result.exact_program.empty() &&
      std::ranges::all_of(result.options.lengths, [&](std::size_t l) { return l == model.config.nodes; }))
    report.verdict.evidence.push_back(exact_solution(result.exact_program, model.config.nodes));
  if (!result.rows.empty()) {
    const Ends ends = ends_of(result);
    const ErrorRow &first = *ends.first, &last = *ends.last;
    const bool several = ends.scales();
    const auto range = [several](const std::string& from, const std::string& to) {
      return several ? from + " → " + to : from;
    };
    report.keys.push_back(
        {result.classes ? "cross-entropy" : "MSE",
         range(format_number(first.mse, 3), format_number(last.mse, 3)),
         fmt::format("(c = {})", range(format_number(first.scale), format_number(last.scale))),
         result.classes ? "" : "Mean square error"});
    const std::string within = range(percent(first.within), percent(last.within));
    if (result.classes)
      report.keys.push_back({"accuracy", within, "(of the answers)", ""});
    else
      report.keys.push_back(
          {"within", within, "(of entries within the tolerance)", "|error| ≤ tolerance·max(1, |target|)"});
  }
  report.keys.push_back({"Lipschitz", "≤ " + power_of_ten(capacity.log10_lipschitz), "(bound from norms)",
                         "s(W_enc)·ΠΛ·s(W_dec)"});
  Section errors{.id = "scale", .title = "Error by scale and length"};
  if (!result.rows.empty() && ends_of(result).scales()) {
    const ErrorRow &first = *ends_of(result).first, &last = *ends_of(result).last;
    std::string title = report.verdict.sentence;
    title.pop_back();
    Figure lead = errors_figure(result, false, title);
    if (lead.marks > 0) report.lead.push_back(std::move(lead));
    Figure f = errors_figure(result, true,
                             fmt::format("Error over c² is {} at c = {} and {} at c = {}",
                                         format_number(first.mse_over_scale2, 3), format_number(first.scale),
                                         format_number(last.mse_over_scale2, 3), format_number(last.scale)));
    if (f.marks > 0) errors.figures.push_back(std::move(f));
  }
  errors.tables = {errors_table(result), example_table(result)};
  report.sections.push_back(std::move(errors));
  if (Section maps = attention_section(model); !maps.id.empty()) report.sections.push_back(std::move(maps));
  report.sections.push_back(capacity_section(capacity));
  if (result.overflow_scale)
    report.not_measured.push_back(fmt::format("outputs overflow {} from c = {} on",
                                              result.options.as_double ? "float64" : "float32",
                                              format_number(*result.overflow_scale)));
  return report;
}

namespace {

/// Of several models, the least and the largest bound.
std::string sentence_of(std::span<const CapacityReport> reports, std::span<const std::string> names) {
  const auto smaller = [](const CapacityReport& a, const CapacityReport& b) {
    return a.log10_lipschitz < b.log10_lipschitz;
  };
  const auto [least, most] = std::minmax_element(reports.begin(), reports.end(), smaller);
  const auto name = [&](const auto& at) { return names[static_cast<std::size_t>(at - reports.begin())]; };
  if (reports.size() == 1 || least->log10_lipschitz == most->log10_lipschitz)
    return fmt::format("An output moves at most {} times as far as its input.",
                       power_of_ten(least->log10_lipschitz));
  return fmt::format(
      "An output of {} moves at most {} times as far as its input, one of {} at most {} times.", name(least),
      power_of_ten(least->log10_lipschitz), name(most), power_of_ten(most->log10_lipschitz));
}

void add_keys(Report& report, std::span<const CapacityReport> reports, std::span<const std::string> names) {
  const CapacityReport& first = reports[0];
  if (reports.size() == 1) {
    report.keys = {
        {"ΠΛ", power_of_ten(first.log10_product), "(over the layers)", "product of the layers' constants"},
        {"K", power_of_ten(first.log10_k), "(cover bound)", "log N_∞(F, ε) ≤ K/ε²"},
        {"gap", power_of_ten(first.log10_gap), "(risk − empirical risk at most)",
         "2·L·Rad + 3·M·√(ln(2/δ)/2m)"}};
    return;
  }
  constexpr std::size_t kMostKeys = 6;
  for (std::size_t i = 0; i < std::min(reports.size(), kMostKeys); ++i)
    report.keys.push_back({names[i], power_of_ten(reports[i].log10_lipschitz),
                           fmt::format("(Lipschitz; gap at most {})", power_of_ten(reports[i].log10_gap)),
                           ""});
}

/// A note that all models share is said once.
void add_notes(Report& report, std::span<const CapacityReport> reports, std::span<const std::string> names) {
  for (std::size_t i = 0; i < reports.size(); ++i)
    for (const std::string& note : reports[i].notes) {
      const bool shared = std::all_of(reports.begin(), reports.end(), [&note](const CapacityReport& r) {
        return std::find(r.notes.begin(), r.notes.end(), note) != r.notes.end();
      });
      if (!shared)
        report.remarks.push_back(names[i] + ": " + note);
      else if (i == 0)
        report.remarks.push_back(note);
    }
}

}  // namespace

Report capacity_report(std::span<const CapacityReport> reports, const PageContext& context,
                       std::span<const std::string> given_names) {
  Report report = begin_report(context);
  if (reports.empty()) throw Error(ErrorKind::kUsage, "capacity", "there is no model to report on");
  std::vector<std::string> names(given_names.begin(), given_names.end());
  for (std::size_t i = names.size(); i < reports.size(); ++i)
    names.push_back(reports.size() == 1 ? reports[i].kind : fmt::format("{}-{}", i + 1, reports[i].kind));
  Table summary{.id = "capacity",
                .title = "Capacity",
                .caption = "Logarithms to base 10. As bounds on a risk they are vacuous: compare them.",
                .columns = {{"model", "", ""},
                            {"kind", "", ""},
                            {"parameters", "", ""},
                            {"log10 ΠΛ", "", "product over layers", 4},
                            {"log10 Lip", "", "x → y", 4},
                            {"log10 K", "", "cover bound", 4},
                            {"log10 Rad", "", "Rademacher bound", 4},
                            {"log10 gap", "", "risk − empirical risk", 4}},
                .rows = {},
                .in_terminal = true};
  std::vector<Series> depth;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const CapacityReport& r = reports[i];
    summary.rows.push_back({names[i], r.kind, whole_cell(r.parameters), number_cell(r.log10_product),
                            number_cell(r.log10_lipschitz), number_cell(r.log10_k),
                            number_cell(r.log10_rademacher), number_cell(r.log10_gap)});
    Series s{.name = names[i], .x = {}, .y = {}, .low = {}, .high = {}};
    for (std::size_t l = 0; l < r.layers.size(); ++l) {
      s.x.push_back(static_cast<double>(l + 1));
      s.y.push_back(r.layers[l].log10_product);
    }
    depth.push_back(std::move(s));
  }
  add_notes(report, reports, names);
  const CapacityReport& first = reports[0];
  report.facts.push_back(
      {"bound",
       fmt::format("rows of x ≤ {} · m {} · loss in [0, {}] · δ {}", format_number(first.options.input_norm),
                   format_count(first.options.samples), format_number(first.options.loss_range),
                   format_number(first.options.delta)),
       ""});
  report.verdict = {sentence_of(reports, names), "from the weights alone: a bound, not a measurement", {}};
  add_keys(report, reports, names);
  report.lead.push_back(line_chart({.id = "depth",
                                    .title = "The bound grows with depth",
                                    .caption = "log10 of Λ_1 … Λ_l.",
                                    .alt = "Product of Lipschitz constants against depth",
                                    .x_label = "layer",
                                    .y_label = "log10 ΠΛ"},
                                   depth));
  Section section{.id = "capacity", .title = "Norms and terms"};
  section.tables.push_back(std::move(summary));
  for (std::size_t i = 0; i < reports.size(); ++i)
    for (Table& t : capacity_tables(reports[i], reports.size() == 1 ? "" : std::to_string(i + 1),
                                    reports.size() == 1 ? "" : names[i]))
      section.tables.push_back(std::move(t));
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::positional
