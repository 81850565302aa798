#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "bigram/page_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/bigram/heads.h"
#include "telos/report/charts.h"

namespace telos::bigram {
namespace {

/// Heads of a heat map, and tokens of one.
constexpr std::size_t kMostHeads = 24, kMostRows = 32;

std::vector<const HeadLook*> heads_of_kind(const HeadMeasures& m, const std::string& kind) {
  std::vector<const HeadLook*> heads;
  for (const HeadLook& h : m.all)
    if (h.kind == kind) heads.push_back(&h);
  return heads;
}

/// "0.2, 1.5 and 3 more"
std::string head_names(const std::vector<const HeadLook*>& heads) {
  constexpr std::size_t kNamed = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(heads.size(), kNamed); ++i)
    text += (i == 0 ? "" : ", ") + heads[i]->name;
  if (heads.size() > kNamed) text += fmt::format(" and {} more", heads.size() - kNamed);
  return text;
}

/// "3 heads look at the previous token (0.2, 1.5, 2.0)"
std::string kind_phrase(const HeadMeasures& m, const std::string& kind, const char* one, const char* many) {
  const std::vector<const HeadLook*> heads = heads_of_kind(m, kind);
  if (heads.empty()) return {};
  return fmt::format("{} {} ({})", count_of(heads.size(), "head", "heads"), heads.size() == 1 ? one : many,
                     head_names(heads));
}

std::string heads_sentence(const HeadMeasures& m) {
  std::string text;
  for (const std::string& phrase :
       {kind_phrase(m, "previous token", "looks at the previous token", "look at the previous token"),
        kind_phrase(m, "next token", "looks at the next token", "look at the next token"),
        kind_phrase(m, "induction-like", "is induction-like", "are induction-like"),
        kind_phrase(m, "duplicate token", "looks for the same token before",
                    "look for the same token before")})
    if (!phrase.empty()) text += (text.empty() ? "" : ", ") + phrase;
  if (text.empty())
    return fmt::format("No head gives {} of its attention to a neighbour or to a repetition.",
                       percent(kNamedShare));
  return text + ".";
}

const HeadLook* most_agreeing(const HeadMeasures& m) {
  const HeadLook* best = nullptr;
  for (const HeadLook& h : m.all)
    if (std::isfinite(h.agreement) && (best == nullptr || h.agreement > best->agreement)) best = &h;
  return best;
}

Cell mean_cell(const BlockMean& mean) {
  return number_cell(mean.value);
}

Table look_table(const HeadMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "heads",
          .title = "Heads",
          .caption = fmt::format("Shares of attention. A kind is named from {} on.", percent(kNamedShare)),
          .columns = {{"head", "", "layer.head, from 0"},
                      {"kind", "", ""},
                      {"previous", "", "at offset 1", 3},
                      {"same", "", "at offset 0", 3},
                      {"next", "", "at offset −1", 3},
                      {"farther", "", fmt::format("beyond offset {}", m.max_offset), 3},
                      {"special", "", "on the tokenizer's own tokens", 3},
                      {"keys", "", "exp of the entropy of a row: how many tokens it looks at", 3},
                      {"induction", "", "on tokens after an earlier one like this", 3},
                      {"agreement", "", "Σ min(attention, q) by token", 3},
                      {"previous ±", "", "standard error over windows", 2},
                      {"induction ±", "", "standard error over windows", 2},
                      {"by distance", "", "what the head's mean attention by offset gives to induction", 3},
                      {"duplicate", "", "on earlier tokens like this", 3},
                      {"agreement of the mean", "", "of one law for all tokens", 3}},
          .rows = {}};
  for (const HeadLook& h : m.all)
    t.rows.push_back({h.name, h.kind, mean_cell(h.previous), mean_cell(h.self), mean_cell(h.next),
                      number_cell(h.farther), number_cell(h.special), number_cell(h.keys),
                      mean_cell(h.induction), number_cell(h.agreement), number_cell(h.previous.error),
                      number_cell(h.induction.error), number_cell(h.induction_by_distance),
                      mean_cell(h.duplicate), number_cell(h.agreement_mean)});
  return t;
}

/// Heads that look at few offsets first.
Figure offsets_map(const HeadMeasures& m, const std::string& prefix) {
  std::vector<const HeadLook*> shown;
  for (const HeadLook& h : m.all) shown.push_back(&h);
  const auto largest = [](const HeadLook* h) { return *std::ranges::max_element(h->by_offset); };
  std::ranges::stable_sort(shown, [&](const auto* a, const auto* b) { return largest(a) > largest(b); });
  const bool cut = shown.size() > kMostHeads;
  if (cut) shown.resize(kMostHeads);
  std::vector<std::string> names, offsets;
  std::vector<std::vector<double>> values;
  for (std::size_t o = 0; o < m.all[0].by_offset.size(); ++o)
    offsets.push_back(std::to_string(m.first_offset() + static_cast<int>(o)));
  for (const HeadLook* h : shown) {
    names.push_back(h->name);
    values.push_back(h->by_offset);
  }
  return heat_map(
      {.id = prefix + "offsets",
       .title = "How far back each head looks",
       .caption = fmt::format(
           "Mean attention by offset: 0 is the token itself, 1 the one before it. {}Over rows with {} "
           "tokens of text before them{}.",
           cut ? fmt::format("The {} heads most concentrated on one offset. ", kMostHeads) : "", m.max_offset,
           m.causal ? "" : " and after"),
       .alt = "Heat map of attention by head and offset",
       .x_label = "offset",
       .y_label = "head"},
      names, offsets, values, "attention", false);
}

/// Rows of the tokens that come most, of a law by offset.
Figure token_map(const HeadMeasures& m, const std::vector<std::string>& names, ConstMatrixView<double> law,
                 const ChartText& text) {
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < m.rows.size(); ++k) {
    double sum = 0;
    for (std::size_t d = 0; d <= m.max_offset; ++d) sum += law(k, d);
    if (m.rows[k] > 0 && sum > 0) order.push_back(k);
  }
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return m.rows[a] > m.rows[b]; });
  order.resize(std::min(order.size(), kMostRows));
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;
  for (std::size_t d = 0; d <= m.max_offset; ++d) columns.push_back(std::to_string(d));
  for (const std::size_t k : order) {
    rows.push_back(printable(names[k], 24));
    values.emplace_back(law.row(k), law.row(k) + columns.size());
  }
  return heat_map(text, rows, columns, values, "weight", false);
}

}  // namespace

Section heads_section(const HeadMeasures& m, const HeadCorpus* corpus, const std::string& prefix) {
  Section section{.id = prefix + "bigram-heads", .title = heads_sentence(m)};
  section.figures.push_back(offsets_map(m, prefix));
  const HeadLook* const best = most_agreeing(m);
  if (corpus != nullptr && best != nullptr) {
    section.paragraphs.push_back(fmt::format(
        "Head {} looks most like the text: its attention by token overlaps by {} with where the text's next "
        "token is "
        "informed (by {} with one law for all tokens; looking at offsets 0 to {} alike overlaps by {}).",
        best->name, fixed(best->agreement, 2), fixed(best->agreement_mean, 2), m.max_offset,
        fixed(m.agreement_uniform, 2)));
    section.figures.push_back(
        token_map(m, corpus->names, best->by_token,
                  {.id = prefix + "by-token",
                   .title = fmt::format("Where head {} looks, by the token it looks from", best->name),
                   .caption = "Mean attention at each offset, scaled to sum 1.",
                   .alt = "Heat map of attention by token and offset",
                   .x_label = "offset",
                   .y_label = "token"}));
    section.figures.push_back(
        token_map(m, corpus->names, corpus->q,
                  {.id = prefix + "text-offsets",
                   .title = "Where the text's next token is informed",
                   .caption = "q^(k) of the most likely sparse contextual bigram of the text, by last token.",
                   .alt = "Heat map of q by token and offset",
                   .x_label = "offset",
                   .y_label = "token"}));
  }
  section.tables.push_back(look_table(m, prefix));
  return section;
}

Report heads_report(const HeadMeasures& m, const HeadCorpus* corpus, const PageContext& context) {
  Report report;
  report.command = context.command;
  report.subject = context.subject;
  report.facts = context.facts;
  report.provenance = context.provenance;
  report.definitions =
      definitions_named({"offset of attention", "induction-like", "agreement with the text"});
  report.verdict = {
      heads_sentence(m),
      fmt::format("measured on {} of {} tokens", count_of(m.windows, "window", "windows"), m.tokens),
      {}};
  const auto key = [&](const char* label, const auto& value, const char* note) {
    const HeadLook& most = *std::ranges::max_element(m.all, {}, value);
    report.keys.push_back(
        {label, fmt::format("{} (head {})", fixed(value(most), 2), most.name), note, "see definitions"});
  };
  const auto finite = [](double x) { return std::isfinite(x) ? x : 0.0; };
  key(
      "previous token", [&](const HeadLook& h) { return finite(h.previous.value); },
      "(share of attention at offset 1)");
  if (std::isfinite(m.all[0].induction.value))
    key(
        "induction", [&](const HeadLook& h) { return finite(h.induction.value); },
        "(on tokens after an earlier one like this)");
  if (std::isfinite(m.all[0].agreement))
    key(
        "agreement", [&](const HeadLook& h) { return finite(h.agreement); },
        "(with where the text is informed)");
  report.sections.push_back(heads_section(m, corpus, ""));
  report.lead.push_back(std::move(report.sections[0].figures[0]));
  report.sections[0].figures.erase(report.sections[0].figures.begin());
  report.sections[0].tables[0].in_terminal = true;
  report.not_measured = m.notes;
  return report;
}

}  // namespace telos::bigram
