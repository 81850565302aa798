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

/// "1 of 72 heads is static".
std::string static_count(const PositionMeasures& m) {
  return fmt::format("{} of {} heads {} static", m.static_heads(), m.all.size(),
                     m.static_heads() == 1 ? "is" : "are");
}

Table heads_table(const PositionMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "heads",
          .title = "Heads",
          .caption = fmt::format("static: share of the pair less one standard error ≥ {}.",
                                 format_number(m.options.threshold)),
          .columns = {{"head", "", "layer.head, from 0"},
                      {"pair", "", "share that (i, j) explains", 3},
                      {"pair ±", "", "standard error", 2},
                      {"offset", "", "share that j − i explains", 3},
                      {"offset ±", "", "standard error", 2},
                      {"key", "", "share that j explains", 3},
                      {"key ±", "", "standard error", 2},
                      {"content", "", "1 − pair", 3},
                      {"deviation", "", "from uniform attention, root mean square of a row", 3},
                      {"windows", "", "for a standard error of the pair share as asked for"},
                      {"static", "", ""}},
          .rows = {}};
  for (const HeadPositions& h : m.all)
    t.rows.push_back({h.name, number_cell(h.pair.value), number_cell(h.pair.error),
                      number_cell(h.offset.value), number_cell(h.offset.error), number_cell(h.key.value),
                      number_cell(h.key.error), number_cell(h.content.value), number_cell(h.deviation),
                      whole_cell(h.windows_needed), h.is_static ? "static" : ""});
  return t;
}

Table layers_table(const PositionMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "layers",
          .title = "Layer by layer",
          .caption = "Means over a layer's heads.",
          .columns = {{"layer", "", "from 0"},
                      {"pair", "", "share that (i, j) explains", 3},
                      {"offset", "", "share that j − i explains", 3},
                      {"key", "", "share that j explains", 3},
                      {"content", "", "1 − pair", 3},
                      {"static", "", "heads"},
                      {"most positional", "", "head"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t l = 0; l < m.layers; ++l) {
    double pair = 0, offset = 0, key = 0;
    std::size_t fixed_heads = 0;
    const HeadPositions* best = nullptr;
    for (std::size_t h = 0; h < m.heads; ++h) {
      const HeadPositions& x = m.all[l * m.heads + h];
      pair += x.pair.value, offset += x.offset.value, key += x.key.value;
      fixed_heads += x.is_static ? 1 : 0;
      if (!std::isnan(x.pair.value) && (best == nullptr || x.pair.value > best->pair.value)) best = &x;
    }
    const double n = static_cast<double>(m.heads);
    t.rows.push_back({whole_cell(l), number_cell(pair / n), number_cell(offset / n), number_cell(key / n),
                      number_cell(1 - pair / n), whole_cell(fixed_heads),
                      best == nullptr ? "" : best->name + " (" + percent(best->pair.value) + ")"});
  }
  return t;
}

Figure shares_map(const PositionMeasures& m) {
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values(m.layers, std::vector<double>(m.heads));
  for (std::size_t l = 0; l < m.layers; ++l) {
    rows.push_back(std::to_string(l));
    for (std::size_t h = 0; h < m.heads; ++h) values[l][h] = m.all[l * m.heads + h].pair.value;
  }
  for (std::size_t h = 0; h < m.heads; ++h) columns.push_back(std::to_string(h));
  return heat_map(
      {.id = "pair-share",
       .title = fmt::format("Positions explain {} of attention's structure", percent(m.pair.value)),
       .caption = "Share of a head's deviation from uniform attention that is the same function of query "
                  "and key position in all windows.",
       .alt = "Share explained by position pair, by layer and head",
       .x_label = "head",
       .y_label = "layer"},
      rows, columns, values, "share of the pair", false);
}

std::vector<const HeadPositions*> by_share(const PositionMeasures& m) {
  std::vector<const HeadPositions*> out;
  for (const HeadPositions& h : m.all)
    if (std::isfinite(h.pair.value)) out.push_back(&h);
  std::stable_sort(out.begin(), out.end(),
                   [](const auto* a, const auto* b) { return a->pair.value > b->pair.value; });
  return out;
}

Figure mean_map(const PositionMeasures& m, const HeadPositions& head) {
  constexpr std::size_t kShown = 40;
  const Matrix<double>& a = m.mean[head.layer * m.heads + head.head];
  const std::size_t size = std::min(kShown, a.rows());
  std::vector<std::string> names;
  for (std::size_t i = 0; i < size; ++i) names.push_back(std::to_string(i));
  std::vector<std::vector<double>> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i].assign(a.row(i), a.row(i) + size);
  return heat_map(
      {.id = fmt::format("mean-{}-{}", head.layer, head.head),
       .title = fmt::format("Head {}: positions explain {} of it", head.name, percent(head.pair.value)),
       .caption = fmt::format("Mean attention over {} windows{}.", m.windows,
                              size < a.rows() ? fmt::format(", first {} positions", size) : ""),
       .alt = "Mean attention of head " + head.name,
       .x_label = "key position",
       .y_label = "query position"},
      names, names, values, "weight", false);
}

Figure parts_figure(const PositionMeasures& m) {
  std::vector<Bar> bars;
  constexpr std::size_t kShown = 20;
  for (const HeadPositions* h : by_share(m)) {
    if (bars.size() == kShown) break;
    bars.push_back(
        {h->name, h->is_static ? "static" : "reads content too", h->name, h->pair.value, h->pair.error});
  }
  return bar_chart({.id = "most-positional",
                    .title = "The most positional heads",
                    .caption = "Share of the position pair, ± one standard error (jackknife over windows).",
                    .alt = "Bars of the most positional heads",
                    .x_label = "share of the pair",
                    .y_label = "head"},
                   bars);
}

/// "0.97 ± 0.01"; one that leaves no digits beside 1 as its distance from 1.
std::string cosine_text(const Estimate& cosine) {
  constexpr double kNear = 1e-3;
  if (!(std::abs(1 - cosine.value) < kNear)) return plus_minus(cosine);
  return fmt::format("1 − ({})", plus_minus({.value = 1 - cosine.value, .error = cosine.error}));
}

}  // namespace

Section positions_section(const PositionMeasures& m, const std::string& prefix) {
  Section section{
      .id = prefix + "shares",
      .title = fmt::format("Positions explain {} of attention; {}", percent(m.pair.value), static_count(m))};
  section.figures.push_back(shares_map(m));
  section.figures.push_back(parts_figure(m));
  constexpr std::size_t kMaps = 4;
  const auto order = by_share(m);
  for (std::size_t i = 0; i < std::min(kMaps, order.size()); ++i)
    section.figures.push_back(mean_map(m, *order[i]));
  section.tables = {layers_table(m, prefix), heads_table(m, prefix)};
  return section;
}

Report positions_report(const PositionMeasures& m, const PageContext& context) {
  Report report = begin_report(context);
  report.verdict = {
      std::isnan(m.pair.value) ? fmt::format("What positions explain is not known; {}.", static_count(m))
                               : fmt::format("Positions alone explain {} of attention's structure; {}.",
                                             percent(m.pair.value), static_count(m)),
      fmt::format("measured on {} of {} tokens", count_of(m.windows, "window", "windows"), m.tokens),
      {fmt::format("by pair {}, by offset {}, by key position {}", plus_minus(m.pair), plus_minus(m.offset),
                   plus_minus(m.key))}};
  report.keys = {{"pair", plus_minus(m.pair), "(share that (i, j) explains)", "see definitions"},
                 {"offset", plus_minus(m.offset), "(share that j − i explains)", "see definitions"},
                 {"key", plus_minus(m.key), "(share that j explains)", "see definitions"}};
  report.sections.push_back(positions_section(m));
  report.lead.push_back(std::move(report.sections[0].figures[0]));
  report.sections[0].figures.erase(report.sections[0].figures.begin());
  report.remarks = m.notes;
  return report;
}

Report static_heads_report(const StaticHeads& r, const PageContext& context) {
  Report report = begin_report(context);
  const double saved = r.flops > 0 ? r.flops_saved / r.flops : 0;
  std::string sentence;
  if (r.replaced.empty())
    sentence = "No head is positional enough to be made static.";
  else if (r.has_logits)
    sentence = fmt::format("With {} of {} heads static, the next-token distribution moves by {} nats.",
                           r.replaced.size(), r.total, plus_minus(r.kl));
  else
    sentence = fmt::format("With {} of {} heads static, embeddings keep a cosine of {}.", r.replaced.size(),
                           r.total, cosine_text(r.embedding_cosine));
  report.verdict = {sentence,
                    fmt::format("measured on {} that the mean attention was not fitted on",
                                count_of(r.check_windows, "window", "windows")),
                    {}};
  report.keys.push_back({"static heads", fmt::format("{} of {}", r.replaced.size(), r.total),
                         fmt::format("(fitted on {})", count_of(r.fit_windows, "window", "windows")), ""});
  report.keys.push_back(
      {"saved", percent(saved), "(of the pass's multiplications, decoder not counted)", ""});
  if (r.has_logits) {
    report.keys.push_back({"KL", plus_minus(r.kl), "(nats a token)", "KL(before ‖ after)"});
    if (r.causal)
      report.keys.push_back(
          {"perplexity",
           fmt::format("{} → {}", format_number(r.perplexity_before), format_number(r.perplexity_after)), "",
           "exp(mean loss)"});
  } else {
    report.keys.push_back(
        {"embedding cosine", cosine_text(r.embedding_cosine), "", "of the mean final hidden state"});
    report.keys.push_back({"token cosine", cosine_text(r.token_cosine), "", "of final hidden states"});
  }
  Table t{
      .id = "change",
      .title = "What changes",
      .caption = "On windows that the mean attention was not fitted on.",
      .columns = {{"quantity", "", ""}, {"value", "", "", 4}, {"±", "", "standard error over windows", 2}},
      .rows = {},
      .in_terminal = true};
  const auto add = [&](const char* name, const Estimate& e) {
    if (std::isfinite(e.value)) t.rows.push_back({name, e.value, number_cell(e.error)});
  };
  add("KL of the next token (nats)", r.kl);
  add("most probable token stays", r.same_top);
  add("loss before (nats)", r.loss_before);
  add("loss after (nats)", r.loss_after);
  add("change of the loss (nats)", r.loss_change);
  add("token cosine", r.token_cosine);
  add("embedding cosine", r.embedding_cosine);
  add("control: KL of the next token (nats)", r.control_kl);
  add("control: change of the loss (nats)", r.control_loss_change);
  add("control: embedding cosine", r.control_embedding_cosine);
  t.rows.push_back({"multiplications and additions a window", r.flops, {}});
  t.rows.push_back({"of these saved", r.flops_saved, {}});
  const Estimate& control = r.has_logits ? r.control_kl : r.control_embedding_cosine;
  if (std::isfinite(control.value))
    report.verdict.evidence.push_back(fmt::format(
        "as many of the least positional heads made static instead: {} {}",
        r.has_logits ? "KL" : "embedding cosine", r.has_logits ? plus_minus(control) : cosine_text(control)));
  Table replaced{
      .id = "replaced",
      .title = "Heads made static",
      .caption = "",
      .columns = {{"head", "", "layer.head, from 0"}, {"pair", "", "share that (i, j) explains", 3}},
      .rows = {}};
  for (const auto& [layer, head] : r.replaced) {
    const std::size_t index = layer * r.fit.heads + head;
    replaced.rows.push_back({fmt::format("{}.{}", layer, head),
                             index < r.fit.all.size() ? number_cell(r.fit.all[index].pair.value) : Cell{}});
  }
  Section section{.id = "whatif", .title = "Before and after"};
  section.tables = {std::move(t), std::move(replaced)};
  report.sections.push_back(std::move(section));
  if (!r.fit.all.empty()) {
    report.sections.push_back(positions_section(r.fit));
    report.sections.back().paragraphs.push_back(
        fmt::format("Shares on the {} that the mean attention was fitted on; `heads` measures them on all.",
                    count_of(r.fit_windows, "window", "windows")));
    for (Table& table : report.sections.back().tables) table.in_terminal = false;
  }
  report.remarks = r.notes;
  return report;
}

}  // namespace telos::positional
