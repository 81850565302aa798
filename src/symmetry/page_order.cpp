#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "symmetry/order_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/symmetry/order_page.h"

namespace telos::symmetry {
namespace {

struct SharePart {
  const char *name, *column, *definition;
  OrderShare OrderReadout::*share;
};
constexpr SharePart kShareParts[] = {
    {"token that stays", "stays", "what the tokens that stay explain alone", &OrderReadout::fixed},
    {"whichever order", "any order", "which tokens the context holds, in whatever order",
     &OrderReadout::invariant},
    {"place by place", "place by place", "a sum of terms in one position each", &OrderReadout::standard},
    {"pairs and beyond", "pairs and beyond", "irreps of degree two and more", &OrderReadout::rest},
};

std::string share_text(const OrderShare& s) {
  // Without an error, a share of few windows may be anything.
  return std::isfinite(s.value) && std::isfinite(s.error) ? plus_minus(100 * s.value, 100 * s.error) + " %"
                                                          : "–";
}

Table order_table(std::string id, std::string title, const char* first) {
  Table t{.id = std::move(id),
          .title = std::move(title),
          .caption = "Shares of the variance over windows and random orders of their context.",
          .columns = {{first, "", ""}},
          .rows = {}};
  for (const SharePart& part : kShareParts) t.columns.push_back({part.column, "", part.definition, 3});
  t.columns.push_back({"symmetric", "", "any order/(1 − stays)", 3});
  t.columns.push_back({"symmetric ±", "", "standard error over windows", 2});
  t.columns.push_back(
      {"as written", "",
       "squared distance of the order as written from the mean over orders, against a random one", 3});
  t.columns.push_back({"as written ±", "", "standard error over windows", 2});
  t.columns.push_back({"variance", "", "E|f − E f|²", 3});
  return t;
}

void add_order_row(Table& table, Cell first, const OrderReadout& r) {
  std::vector<Cell> row{std::move(first)};
  for (const SharePart& part : kShareParts) row.push_back(number_cell((r.*part.share).value));
  for (const double x : {r.symmetric.value, r.symmetric.error, r.written.value, r.written.error, r.variance})
    row.push_back(number_cell(x));
  table.rows.push_back(std::move(row));
}

Table layers_table(const OrderFindings& f, const std::string& prefix) {
  Table table = order_table(prefix + "layers", "By layer", "state");
  for (std::size_t i = 0; i < f.names.size(); ++i) add_order_row(table, f.names[i], f.layers.readouts[i]);
  return table;
}

/// A line for each part, a point for each (x, readout).
std::vector<Series> share_lines(const std::vector<std::pair<double, const OrderReadout*>>& points) {
  std::vector<Series> lines;
  for (const SharePart& part : kShareParts) {
    Series line{.name = part.name, .x = {}, .y = {}, .low = {}, .high = {}};
    for (const auto& [x, readout] : points) {
      const OrderShare& s = (*readout).*part.share;
      if (!std::isfinite(s.value)) continue;
      line.x.push_back(x);
      line.y.push_back(s.value);
      line.low.push_back(s.value - s.error);
      line.high.push_back(s.value + s.error);
    }
    if (!line.x.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

Figure layers_figure(const OrderFindings& f) {
  std::vector<std::pair<double, const OrderReadout*>> points;
  for (std::size_t i = 0; i < f.layers.readouts.size(); ++i)
    points.emplace_back(static_cast<double>(i), &f.layers.readouts[i]);
  return line_chart({.id = "order-by-layer",
                     .title = "What the state depends on, layer by layer",
                     .caption = fmt::format(
                         "State at {}: shares of its variance over windows of {} tokens and random orders "
                         "of {} of them. 0: embedding; bands: standard errors over windows.",
                         f.read_at, f.layers.tokens, f.layers.moved),
                     .alt = "Lines of four shares of variance against depth",
                     .x_label = "layer",
                     .y_label = "share of variance"},
                    share_lines(points));
}

Figure lengths_figure(const OrderFindings& f) {
  std::vector<std::pair<double, const OrderReadout*>> points;
  for (const OrderMeasures& m : f.lengths)
    points.emplace_back(static_cast<double>(m.moved), &m.readouts.back());
  points.emplace_back(static_cast<double>(f.layers.moved), &f.layers.readouts.back());
  return line_chart({.id = "order-by-length",
                     .title = "What the output depends on, by length of the context",
                     .caption = "The same shares of the output, for shorter windows of the same text.",
                     .alt = "Lines of four shares of variance against the length of the context",
                     .x_label = "tokens that change places",
                     .y_label = "share of variance",
                     .log_x = true},
                    share_lines(points));
}

/// What two orders have in common that agree in some places, against what functions of one place keep.
Figure kept_figure(const OrderFindings& f) {
  const std::array<std::size_t, 3> slots = kept_slots(f.layers.moved);
  const OrderReadout& r = f.layers.readouts.back();
  Series measured{.name = "output", .x = {0}, .y = {0}, .low = {0}, .high = {0}};
  for (std::size_t i = 0; i < 3; ++i) {
    measured.x.push_back(static_cast<double>(slots[i]) / static_cast<double>(f.layers.moved - 1));
    measured.y.push_back(r.kept[i].value);
    measured.low.push_back(r.kept[i].value - r.kept[i].error);
    measured.high.push_back(r.kept[i].value + r.kept[i].error);
  }
  for (auto* const values : {&measured.x, &measured.y, &measured.low, &measured.high}) values->push_back(1);
  std::vector<Series> series{std::move(measured)};
  for (int degree = 1; degree <= 3; ++degree) {
    Series power{.name = fmt::format("degree {}", degree), .x = {}, .y = {}, .low = {}, .high = {}};
    for (int i = 0; i <= 20; ++i) {
      power.x.push_back(i / 20.0);
      power.y.push_back(std::pow(i / 20.0, degree));
    }
    power.dashed = true;
    series.push_back(std::move(power));
  }
  return line_chart(
      {.id = "order-kept",
       .title = "What two orders of a context have in common",
       .caption = "Of the part of the output that order changes: the covariance of two orders that agree in "
                  "t of K places, beside t/(K − 1), what functions of one position keep of it. Dashed: "
                  "its powers, about those of two and three positions.",
       .alt = "A line of the common share against the share of places that agree, between powers",
       .x_label = "share of places that agree, t/(K − 1)",
       .y_label = "share in common"},
      series);
}

std::string order_sentence(const OrderFindings& f) {
  const OrderReadout& output = f.layers.readouts.back();
  const bool varies = std::isfinite(output.written.value);
  if (!std::isfinite(output.symmetric.value) && !varies && !(std::abs(output.fixed.value - 1) > 1e-6))
    return "The output does not depend on the context.";
  if (!std::isfinite(output.symmetric.value) || !std::isfinite(output.symmetric.error))
    return "Too few windows tell what the context adds to the output.";
  return fmt::format("Of what the context adds to the output, {} ignores its order.",
                     share_text(output.symmetric));
}

void add_order_keys(Report& report, const OrderFindings& f) {
  const OrderReadout& output = f.layers.readouts.back();
  report.keys = {order_key(f),
                 {"place by place", share_text(output.standard), "(of the variance)", "irrep (K−1,1)"},
                 {"pairs and beyond", share_text(output.rest), "(of the variance)", "degree ≥ 2"}};
  if (std::isfinite(output.written.value))
    report.keys.push_back({"order as written", plus_minus(output.written.value, output.written.error),
                           "(squared distance from the mean over orders; a random order: 1)", ""});
  std::size_t least = f.layers.readouts.size();
  for (std::size_t i = 0; i < f.layers.readouts.size(); ++i) {
    const double value = f.layers.readouts[i].symmetric.value;
    if (std::isfinite(value) &&
        (least == f.layers.readouts.size() || value < f.layers.readouts[least].symmetric.value))
      least = i;
  }
  // The lowest of several uncertain shares is low by chance as well.
  const auto clear = [&](const OrderShare& a, const OrderShare& b) {
    return b.value - a.value > 2 * std::hypot(a.error, b.error);
  };
  if (least + 1 < f.layers.readouts.size() && clear(f.layers.readouts[least].symmetric, output.symmetric))
    report.keys.push_back({"order matters most", f.names[least],
                           fmt::format("({} ignores it)", share_text(f.layers.readouts[least].symmetric)),
                           ""});
}

}  // namespace

std::vector<Definition> order_definitions() {
  return {
      {"stays",
       "The readout's variance that the tokens which keep their places explain alone: E f(gX)·f(g′X′), "
       "where X′ has another window's context, less |E f|²; as a share."},
      {"any order",
       "E f(gX)·f(g′X) less that, for two independent uniform orders g, g′ of the context: the part that is "
       "invariant under S_K, the trivial irrep."},
      {"place by place",
       "The irrep (K−1,1): what a sum of terms in one position each explains beyond the invariant part. From "
       "the covariance of orders that agree in a quarter and in half of the places; low by at most an eighth "
       "of the share of degree three and more."},
      {"pairs and beyond", "All irreps of degree two and more, which only terms in several positions reach."},
      {"symmetric",
       "any order/(1 − stays): of what the context contributes, the share that ignores its order."},
      {"as written",
       "E|f(X) − E_g f(gX)|² over E|f(gX) − E_g′ f(g′X)|²: how far the order as written is from the mean "
       "over "
       "all orders, against a random order. 1: it is like any other."},
  };
}

KeyNumber order_key(const OrderFindings& f) {
  return {"ignores order", share_text(f.layers.readouts.back().symmetric),
          fmt::format("(of what the context adds at {}; {} random orders a window)", f.read_at, f.shuffles),
          "any order/(1 − stays)"};
}

Section order_section(const OrderFindings& findings, const std::string& prefix) {
  std::string title = order_sentence(findings);
  title.pop_back();
  Section section{.id = prefix + "section", .title = std::move(title)};
  section.paragraphs = {fmt::format("{} windows of {} tokens, {} random orders each, read at {}.",
                                    findings.layers.windows, findings.layers.tokens, findings.shuffles,
                                    findings.read_at)};
  section.figures = {layers_figure(findings)};
  section.tables = {layers_table(findings, prefix)};
  return section;
}

Report order_report(const OrderFindings& findings, const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.provenance = context.provenance;
  report.definitions = order_definitions();
  report.verdict = {
      order_sentence(findings),
      fmt::format("measured on {} windows of {} tokens, {} random orders each, at {}",
                  findings.layers.windows, findings.layers.tokens, findings.shuffles, findings.read_at),
      {}};
  add_order_keys(report, findings);
  report.lead = {layers_figure(findings)};
  Section layers{.id = "order-layers", .title = "How the order of the context enters, layer by layer"};
  layers.tables = {layers_table(findings, "")};
  layers.tables.back().in_terminal = true;
  if (std::isfinite(findings.layers.readouts.back().kept[0].value)) layers.figures = {kept_figure(findings)};
  report.sections = {std::move(layers)};
  if (findings.lengths.empty()) return report;
  Section lengths{.id = "order-lengths", .title = "How it depends on the length of the context"};
  lengths.figures = {lengths_figure(findings)};
  Table by_length = order_table("lengths", "By length", "tokens");
  for (const OrderMeasures& m : findings.lengths)
    add_order_row(by_length, static_cast<std::int64_t>(m.tokens), m.readouts.back());
  add_order_row(by_length, static_cast<std::int64_t>(findings.layers.tokens),
                findings.layers.readouts.back());
  lengths.tables = {std::move(by_length)};
  report.sections.push_back(std::move(lengths));
  return report;
}

}  // namespace telos::symmetry
