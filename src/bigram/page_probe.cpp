#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bigram/page_corpus_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

// The page of the linear transformer fitted to a text.

namespace telos::bigram {
namespace {

std::string probe_sentence(const Probe& p) {
  const BlockMean lost{-p.gain_last.value, p.gain_last.error, p.gain_last.blocks};
  const double share = p.gain_marginal.value / p.marginal.value;
  if (is_above(p.gain_last, 0))
    return fmt::format("The linear probe takes {} off the loss; {} more than the last token alone.",
                       share_text(share), share_text(p.gain_last.value / p.marginal.value));
  return fmt::format("The linear probe takes {} off the loss, {} the last token alone.", share_text(share),
                     is_above(lost, 0) ? "less than" : "no more than");
}

Figure probe_losses_figure(const Probe& p) {
  const auto bar = [](const char* label, const BlockMean& loss) {
    return Bar{.label = label,
               .group = "loss",
               .key = {},
               .value = loss.value,
               .error = std::isfinite(loss.error) ? loss.error : 0};
  };
  return bar_chart(
      {.id = "losses",
       .title = fmt::format("Loss {} by frequencies, {} by the last token, {} by the probe",
                            format_number(p.marginal.value, 4), format_number(p.last.value, 4),
                            format_number(p.loss.value, 4)),
       .caption = "½‖e_o − f‖² on the part of the text that nothing was fitted to, ± standard error.",
       .alt = "Loss of each prediction",
       .x_label = "loss",
       .y_label = "prediction"},
      {bar("frequencies", p.marginal), bar("last token alone", p.last), bar("linear probe", p.loss)});
}

Table probe_losses_table(const Probe& p) {
  return {.id = "losses",
          .title = "What is predicted of the text that was not seen",
          .caption = "",
          .columns = {{"prediction", "", "see definitions: linear probe"},
                      {"loss", "", "½‖e_o − f‖²", 5},
                      {"±", "", "standard error"},
                      {"less the probe", "", "paired by blocks"},
                      {"± ", "", "its standard error"}},
          .rows = {{std::string("frequencies"), p.marginal.value, number_cell(p.marginal.error),
                    p.gain_marginal.value, number_cell(p.gain_marginal.error)},
                   {std::string("last token alone"), p.last.value, number_cell(p.last.error),
                    p.gain_last.value, number_cell(p.gain_last.error)},
                   {std::string("linear probe"), p.loss.value, number_cell(p.loss.error), Cell(), Cell()}},
          .in_terminal = true};
}

/// Offsets whose weight stands out from its error, the largest first.
std::string outstanding_weights(const Probe& p, std::size_t last) {
  constexpr double kOutstanding = 4;
  constexpr std::size_t kMostOffsets = 4;
  const std::size_t newest = p.options.max_offset;
  std::vector<std::size_t> offsets;
  for (std::size_t d = 0; d <= newest; ++d) {
    const double weight = p.model.a(last, newest - d);
    if (weight != 0 && std::abs(weight) > kOutstanding * p.errors(last, newest - d)) offsets.push_back(d);
  }
  std::stable_sort(offsets.begin(), offsets.end(), [&](std::size_t a, std::size_t b) {
    return std::abs(p.model.a(last, newest - a)) > std::abs(p.model.a(last, newest - b));
  });
  std::string text;
  for (std::size_t i = 0; i < std::min(kMostOffsets, offsets.size()); ++i)
    text +=
        fmt::format("{}{} ({})", i == 0 ? "" : ", ", offsets[i],
                    plus_minus(p.model.a(last, newest - offsets[i]), p.errors(last, newest - offsets[i])));
  return offsets.size() > kMostOffsets ? text + ", …" : text;
}

Table probe_tokens_table(const Corpus& corpus, const Probe& p) {
  Table t{.id = "tokens",
          .title = "Where each last token looks",
          .caption = "Offset (weight ± standard error), the largest first; those above 4 standard errors.",
          .columns = {{"last token", "", ""}, {"windows", "", "that were fitted"}, {"looks at", "", "a_k"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t k = 0; k < corpus.vocabulary(); ++k)
    t.rows.push_back(
        {corpus.names[k], whole_cell(p.counts[k]),
         p.counts[k] < p.options.min_count ? std::string("too rare") : outstanding_weights(p, k)});
  return t;
}

Table weights_table(const Corpus& corpus, const Probe& p) {
  Table t{.id = "weights",
          .title = "All weights",
          .caption = "",
          .columns = {{"last token", "", ""},
                      {"offset", "", "see definitions"},
                      {"weight", "", "of a_k"},
                      {"±", "", "standard error, given V"}},
          .rows = {}};
  const std::size_t newest = p.options.max_offset;
  for (std::size_t k = 0; k < corpus.vocabulary(); ++k)
    for (std::size_t d = 0; d <= newest; ++d)
      if (p.model.a(k, newest - d) != 0)
        t.rows.push_back({corpus.names[k], whole_cell(d), p.model.a(k, newest - d), p.errors(k, newest - d)});
  return t;
}

}  // namespace

Report probe_report(const Corpus& corpus, const Probe& p, const PageContext& context) {
  Report report = begin_corpus_report(corpus, context, p.train, 0, p.held_out);
  report.definitions = definitions_named({"linear transformer", "linear probe", "offset"});
  report.facts.push_back({"probe",
                          fmt::format("offsets {} to {} · {}", p.options.with_last ? 0 : 1,
                                      p.options.max_offset, count_of(p.options.rounds, "round", "rounds")),
                          "alternating least squares"});
  const auto rare = static_cast<std::size_t>(std::count_if(
      p.counts.begin(), p.counts.end(), [&](std::uint64_t n) { return n < p.options.min_count; }));
  report.verdict = {probe_sentence(p),
                    fmt::format("measured on {} held-out windows in {}", format_count(p.held_out),
                                count_of(p.blocks, "block", "blocks")),
                    {}};
  if (rare > 0)
    report.verdict.evidence.push_back(fmt::format(
        "{} of {} last tokens are too rare and look at the nearest offset", rare, corpus.vocabulary()));
  report.keys = {{"loss", plus_minus(p.loss.value, p.loss.error), "", "½‖e_o − f‖², held out"},
                 {"less than frequencies", plus_minus(p.gain_marginal.value, p.gain_marginal.error, true),
                  fmt::format("(of {})", format_number(p.marginal.value)), "paired by blocks"},
                 {"less than the last token", plus_minus(p.gain_last.value, p.gain_last.error, true),
                  fmt::format("(of {})", format_number(p.last.value)), "paired by blocks"}};
  report.lead.push_back(probe_losses_figure(p));
  Section section{.id = "probe", .title = probe_sentence(p)};
  const std::vector<std::string> last = shown_names(corpus, kMostLast), all = shown_names(corpus, kMostShown);
  const std::size_t newest = p.options.max_offset, offsets = std::min(kMostOffsets, newest) + 1;
  std::vector<std::vector<double>> a(last.size(), std::vector<double>(offsets));
  for (std::size_t k = 0; k < last.size(); ++k)
    for (std::size_t d = 0; d < offsets; ++d) a[k][d] = p.model.a(k, newest - d);
  section.figures.push_back(heat_map(
      {.id = "a",
       .title = "Where each last token looks",
       .caption = "A by offset; each row sums to 1, weights may be negative." + shown_text(corpus, kMostLast),
       .alt = "Weight by last token and offset",
       .x_label = "offset",
       .y_label = "last token"},
      last, offset_names(0, offsets - 1), a, "weight", true));
  section.figures.push_back(heat_map(
      {.id = "v",
       .title = "What an attended token says of the next",
       .caption =
           "V: weight of the next token (row) by attended token (column)." + shown_text(corpus, kMostShown),
       .alt = "Matrix of next token by attended token",
       .x_label = "attended token",
       .y_label = "next token"},
      all, all, rows_of(p.model.v, all.size(), all.size()), "weight", true));
  section.tables = {probe_losses_table(p), probe_tokens_table(corpus, p), weights_table(corpus, p)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::bigram
