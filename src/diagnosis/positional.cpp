#include <fmt/format.h>

#include <string>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/stopwatch.h"
#include "telos/positional/page.h"

namespace telos {

void add_positions(Report& report, const Trace& trace, const std::vector<std::uint8_t>& exclude,
                   const Arena& arena) {
  if (trace.attention.empty() || trace.sequences < 2) return;
  positional::PositionOptions options;
  options.exclude = exclude;
  const positional::PositionMeasures measures = measure_positions(trace, options, arena);
  report.sections.push_back(positions_section(measures, "position-"));
  for (Table& table : report.sections.back().tables) table.in_terminal = false;
  report.keys.push_back({"positional", telos::plus_minus(measures.pair.value, measures.pair.error),
                         fmt::format("(share of attention's structure; {} of {} heads static)",
                                     measures.static_heads(), measures.all.size()),
                         "Part of attention's deviation from uniform that (i, j) explains"});
  for (const Definition& d : positional::positional_definitions())
    if (d.term == "share of the pair" || d.term == "static head") report.definitions.push_back(d);
}

Report positional_heads(const std::string& model, const DiagnoseOptions& options,
                        positional::PositionOptions positions, const Arena& arena) {
  const TracedText traced = trace_of(model, options, {.hidden = false, .attention = true}, arena);
  const PageContext page{.command = "positional heads",
                         .subject = subject_of(model),
                         .facts = traced.facts,
                         .provenance = provenance(options.command_line, arena)};
  if (!traced.special.empty()) positions.exclude = traced.special;
  Report report = positions_report(measure_positions(traced.trace, positions, arena), page);
  append(report.not_measured, traced.left_out);
  return report;
}

Report positional_whatif(const std::string& model, const DiagnoseOptions& options,
                         positional::StaticHeadOptions heads, const Arena& arena) {
  LoadedText l = load_text(model, options, arena);
  heads.positions.exclude = l.text.special;
  const Stopwatch clock;
  const positional::StaticHeads result = what_if_static(l.transformer, l.text.batch, heads, arena);
  const PageContext page{
      .command = "positional whatif",
      .subject = subject_of(model),
      .facts = {model_fact(l.checkpoint, l.architecture),
                text_fact(options, l.text, "three passes and fit", clock.seconds(), arena)},
      .provenance = provenance(options.command_line, arena)};
  Report report = static_heads_report(result, page);
  append(report.not_measured, l.left_out);
  return report;
}

}  // namespace telos
