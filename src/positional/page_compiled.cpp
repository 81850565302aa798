#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "positional/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::positional {
namespace {

std::string join(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

std::string whole_number(double value) {
  return value < 1e15 ? format_count(static_cast<std::uint64_t>(std::max(0.0, value)))
                      : format_number(value, 3);
}

std::string node_name(const CompiledProgram& c, std::size_t i) {
  return i < c.program.n ? std::to_string(i) : "sink";
}

/// Wires of all heads but those that every node points at itself and at the sink, by source name.
Figure wires_figure(const CompiledProgram& c) {
  std::vector<std::string> columns = {"input"}, rows;
  for (std::size_t i = 0; i <= c.program.n; ++i) rows.push_back(node_name(c, i));
  std::vector<Wire> wires;
  for (std::size_t l = 0; l < c.report.diagram.size(); ++l) {
    columns.push_back(c.report.diagram[l].name);
    for (const HeadInfo& head : c.report.diagram[l].heads)
      for (std::size_t i = 0; i < head.row.size(); ++i)
        for (const Source& source : head.row[i])
          wires.push_back(
              {.column = l,
               .from = source.node,
               .to = i,
               .group = head.source,
               .tooltip = fmt::format(
                   "head {} reads {}{}{}", head.head, join(head.channels, ", "),
                   head.roles.empty() || join(head.roles, "").empty() ? "" : " of " + join(head.roles, ", "),
                   source.weight == 1 ? "" : fmt::format(" × {}", source.weight))});
  }
  return wire_chart(
      {.id = "wires",
       .title = fmt::format("{} carry {}", count_of(c.report.layers, "layer", "layers"), c.program.name),
       .caption = "A wire is an entry of an attention matrix that is not 0 (the sink's zeros left out). "
                  "Colour: what the program calls the source.",
       .alt = "Wires between nodes, layer by layer",
       .x_label = "layer",
       .y_label = "node"},
      columns, rows, wires);
}

Table layers_table(const CompiledProgram& c) {
  Table t{.id = "layers",
          .title = "Layer by layer",
          .caption =
              "Heads and hidden units in use; the network has as many in every layer as the largest needs.",
          .columns = {{"layer", "", "from 0"},
                      {"does", "", "the program's round"},
                      {"heads", "", "in use"},
                      {"hidden", "", "units in use, by hidden layer"},
                      {"channels after", "", "one a slot"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t l = 0; l < c.report.diagram.size(); ++l) {
    const LayerInfo& layer = c.report.diagram[l];
    std::vector<std::string> hidden, channels;
    for (const std::size_t units : layer.hidden_used) hidden.push_back(std::to_string(units));
    for (const SlotInfo& slot : layer.slots)
      channels.push_back(slot.channel + (slot.roles.empty() ? "" : "[" + slot.roles + "]"));
    constexpr std::size_t kShown = 6;
    const std::size_t all = channels.size();
    if (all > kShown) channels.resize(kShown);
    t.rows.push_back(
        {whole_cell(l), layer.name, whole_cell(layer.heads.size()), join(hidden, ", "),
         join(channels, ", ") + (all > kShown ? fmt::format(" and {} more", all - kShown) : "")});
  }
  return t;
}

Table slots_table(const CompiledProgram& c) {
  Table t{.id = "channels",
          .title = "Where each number lies",
          .caption = "Columns of the state X after the encoder and after each layer.",
          .columns = {{"after", "", ""},
                      {"slot", "", "column of X"},
                      {"channel", "", ""},
                      {"roles", "", "that hold it"},
                      {"value", "", "as the program says"}},
          .rows = {}};
  const auto add = [&](const std::string& where, const std::vector<SlotInfo>& slots) {
    for (const SlotInfo& s : slots)
      t.rows.push_back({where, whole_cell(s.slot), s.channel, s.roles, s.formula});
  };
  add("encoder", c.report.encoder);
  for (const LayerInfo& layer : c.report.diagram) add(layer.name, layer.slots);
  return t;
}

Table heads_table(const CompiledProgram& c) {
  Table t{.id = "wires-by-head",
          .title = "Heads",
          .caption = "What each head in use fetches.",
          .columns = {{"layer", "", ""},
                      {"head", "", ""},
                      {"source", "", ""},
                      {"channels", "", ""},
                      {"roles", "", ""},
                      {"nodes fed", "", "the others read the sink"}},
          .rows = {}};
  for (std::size_t l = 0; l < c.report.diagram.size(); ++l)
    for (const HeadInfo& head : c.report.diagram[l].heads) {
      const auto fed =
          std::count_if(head.row.begin(), head.row.end(), [](const auto& row) { return !row.empty(); });
      t.rows.push_back({whole_cell(l), whole_cell(head.head), head.source, join(head.channels, ", "),
                        join(head.roles, ", "), whole_cell(static_cast<std::size_t>(fed))});
    }
  return t;
}

Table proof_table(const Proof& p) {
  Table t{.id = "proof",
          .title = "Tried against the program itself",
          .caption =
              "Random vectors through the finished network's own weights, fewer of them where the network is "
              "large; error of reals relative to max|x|.",
          .columns = {{"arithmetic", "", ""},
                      {"whole numbers", "", "vectors"},
                      {"up to", "", "|x|"},
                      {"largest difference", "", "on whole numbers"},
                      {"reals", "", "vectors N(0, 1)"},
                      {"largest error", "", "relative to max|x|", 2},
                      {"bound", "", "4·eps·layers·(growth + offset)", 2}},
          .rows = {},
          .in_terminal = true};
  t.rows.push_back({"float32", whole_cell(p.integers), p.largest_f32, p.integer_error_f32,
                    whole_cell(p.reals), p.real_error_f32, p.bound_f32});
  t.rows.push_back({"float64", whole_cell(p.integers), p.largest_f64, p.integer_error_f64,
                    whole_cell(p.reals), p.real_error_f64, p.bound_f64});
  return t;
}

std::string sentence_of(const CompiledProgram& c) {
  const CompileReport& r = c.report;
  if (!r.exact)
    return fmt::format("{} runs up to rounding: it has weights that floating point rounds.", c.program.name);
  if (r.largest_exact_f32.value_or(0) >= 1)
    return fmt::format("{} runs exactly on whole numbers up to {} in float32.", c.program.name,
                       whole_number(*r.largest_exact_f32));
  if (r.largest_exact_f64.value_or(0) >= 1)
    return fmt::format("{} runs exactly on whole numbers up to {} in float64; in float32 its {} round.",
                       c.program.name, whole_number(*r.largest_exact_f64),
                       r.largest_exact_f32 ? "sums" : "constants");
  if (!r.largest_exact_f64)
    return fmt::format("{} is sure to be exact on no whole number: its constants make {}.", c.program.name,
                       format_number(r.offset));
  return fmt::format("{} is sure to be exact on no whole number but 0: its sums may grow {}-fold.",
                     c.program.name, format_number(r.growth));
}

/// "5,592,405 · 3.00e15"; "none" where constants are beyond the mantissa, a dash where weights round.
std::string exact_range(const CompileReport& r) {
  if (!r.exact) return "–";
  return (r.largest_exact_f32 ? whole_number(*r.largest_exact_f32) : "none") + " · " +
         (r.largest_exact_f64 ? format_number(*r.largest_exact_f64, 3) : "none");
}

}  // namespace

Report compiled_report(const CompiledProgram& c, const PageContext& context) {
  Report report = begin_report(context);
  const CompileReport& r = c.report;
  report.facts.push_back(
      {"program",
       fmt::format("{} · n {} · {} · {}", c.program.name, c.program.n, count_of(r.rounds, "round", "rounds"),
                   r.homogeneous ? "f(cx) = c·f(x)" : "with a constant or bits"),
       ""});
  report.facts.push_back({"network", model_line(c.model.config, r.parameters), ""});
  report.verdict = {
      sentence_of(c),
      "proved by trial on the finished weights, with a bound from their growth",
      {fmt::format("{} random vectors of whole numbers: largest difference {} in float32, {} in float64",
                   format_count(c.proof.integers), format_number(c.proof.integer_error_f32),
                   format_number(c.proof.integer_error_f64)),
       fmt::format("{} random vectors of reals: largest error {} (bound {}) in float32",
                   format_count(c.proof.reals), format_number(c.proof.real_error_f32, 2),
                   format_number(c.proof.bound_f32, 2))}};
  report.keys = {
      {"layers", std::to_string(r.layers),
       fmt::format("(width {}, {}, {} hidden)", r.width, count_of(r.heads, "head", "heads"), r.hidden), "L"},
      {"exact up to", exact_range(r),
       r.largest_exact_f64 ? "(float32 · float64, whole inputs)" : "(on no whole number for sure)",
       "(2^24 − offset)/growth and (2^53 − offset)/growth"},
      {"growth", format_number(r.growth), fmt::format("(offset {})", format_number(r.offset)),
       "every sum ≤ growth·max|x| + offset"}};
  Section section{.id = "program", .title = "What the layers do"};
  constexpr std::size_t kMostDrawn = 64;
  if (c.program.n > kMostDrawn)
    section.paragraphs.push_back(
        fmt::format("Wires are drawn for at most {} nodes; the attention table holds them all.", kMostDrawn));
  else if (Figure wires = wires_figure(c); wires.marks > 0)
    report.lead.push_back(std::move(wires));
  section.tables = {layers_table(c), proof_table(c.proof), heads_table(c), slots_table(c)};
  report.sections.push_back(std::move(section));
  if (Section maps = attention_section(c.model); !maps.id.empty()) report.sections.push_back(std::move(maps));
  return report;
}

Report execution_report(const Matrix<double>& outputs, std::span<const std::string> names, std::size_t nodes,
                        const std::string& how, const PageContext& context) {
  Report report = begin_report(context);
  report.facts.push_back(
      {"run", fmt::format("{} · {} nodes", count_of(outputs.rows(), "sample", "samples"), nodes), how});
  report.verdict = {fmt::format("{} ran.", count_of(outputs.rows(), "sample", "samples")), "", {}};
  Table t{.id = "outputs",
          .title = "Outputs",
          .caption = "A row a sample and node.",
          .columns = {{"sample", "", "from 0"}, {"node", "", "from 0"}},
          .rows = {},
          .in_terminal = true};
  for (const std::string& name : names) t.columns.push_back({name, "", "output of the program", 17});
  for (std::size_t s = 0; s < outputs.rows(); ++s)
    for (std::size_t i = 0; i < nodes; ++i) {
      std::vector<Cell> row = {whole_cell(s), whole_cell(i)};
      for (std::size_t k = 0; k < names.size(); ++k)
        row.push_back(number_cell(outputs(s, i * names.size() + k)));
      t.rows.push_back(std::move(row));
    }
  Section section{.id = "outputs", .title = "Outputs"};
  section.tables.push_back(std::move(t));
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::positional
