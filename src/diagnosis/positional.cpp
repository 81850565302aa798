#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/base/stopwatch.h"
#include "telos/positional/page.h"

namespace telos {
namespace {

using positional::PositionMeasures;

/// Attention that is held at once; more windows than fit are left out, and said so.
constexpr std::uint64_t kAttentionBytes = std::uint64_t{1} << 30;

/// A model and its text, ready for a pass.
struct Loaded {
  Checkpoint checkpoint;
  Architecture architecture;
  TextWindows text;
  Transformer transformer;
};

Loaded load(const std::string& model, const DiagnoseOptions& options, const Arena& arena) {
  Checkpoint checkpoint = Checkpoint::open(model, {.partial = options.partial});
  Architecture architecture = identify(checkpoint, options.identify);
  std::optional<TextWindows> text = windows_of(checkpoint, architecture, options);
  if (!text)
    throw Error(ErrorKind::kUsage, model, "attention needs a text to run on",
                "give --text FILE or --ids FILE");
  std::string why;
  std::optional<Transformer> transformer = load_transformer(checkpoint, architecture, why, arena);
  if (!transformer) throw Error(ErrorKind::kUnsupported, model, "the forward pass cannot run: " + why);
  return {std::move(checkpoint), std::move(architecture), std::move(*text), std::move(*transformer)};
}

std::size_t windows_that_fit(const Architecture& a, const TokenBatch& batch) {
  const std::uint64_t one = std::uint64_t{4} * a.sites.size() * a.heads * batch.tokens * batch.tokens;
  return std::min<std::uint64_t>(
      batch.sequences, std::max<std::uint64_t>(4, kAttentionBytes / std::max<std::uint64_t>(1, one)));
}

template <class T>
void keep_windows(std::vector<T>& values, std::size_t windows, std::size_t tokens) {
  if (!values.empty()) values.resize(windows * tokens);
}

/// Cuts the text to the windows whose attention fits; returns a note, or nothing.
std::string limit_windows(const Architecture& a, TextWindows& text) {
  const std::size_t all = text.batch.sequences, kept = windows_that_fit(a, text.batch);
  if (kept == all) return {};
  text.batch.sequences = kept;
  keep_windows(text.batch.ids, kept, text.batch.tokens);
  keep_windows(text.batch.mask, kept, text.batch.tokens);
  keep_windows(text.batch.types, kept, text.batch.tokens);
  keep_windows(text.special, kept, text.batch.tokens);
  return fmt::format("{} of {} windows: their attention matrices would not fit into memory", all - kept, all);
}

}  // namespace

void add_positions(Report& report, const Trace& trace, const std::vector<std::uint8_t>& exclude,
                   const Arena& arena) {
  if (trace.attention.empty() || trace.sequences < 2) return;
  positional::PositionOptions options;
  options.exclude = exclude;
  const PositionMeasures measures = measure_positions(trace, options, arena);
  report.sections.push_back(positions_section(measures, "position-"));
  for (Table& table : report.sections.back().tables) table.in_terminal = false;
  report.keys.push_back({"positional", telos::plus_minus(measures.pair.value, measures.pair.error),
                         fmt::format("(share of attention's structure; {} of {} heads static)",
                                     measures.static_heads(), measures.all.size()),
                         "Part of attention's deviation from uniform that (i, j) explains"});
  for (const Definition& d : positional::positional_definitions())
    if (d.term == "share of the pair" || d.term == "static head") report.definitions.push_back(d);
}

void add_positions(Report& report, const Transformer& transformer, const Architecture& architecture,
                   TextWindows text, const Arena& arena) {
  if (text.batch.sequences < 2) return;
  limit_windows(architecture, text);
  add_positions(report, transformer.forward(text.batch, {.hidden = false, .attention = true}, arena),
                text.special, arena);
}

Report positional_heads(const std::string& model, const DiagnoseOptions& options,
                        positional::PositionOptions positions, const Arena& arena) {
  const Checkpoint file = Checkpoint::open(model, {.partial = options.partial});
  PageContext page{.command = "positional heads",
                   .subject = subject_of(model),
                   .facts = {},
                   .provenance = provenance(options.command_line, arena)};
  if (file.find("hidden.0") != nullptr) {
    const Trace trace = read_trace(model);
    page.facts = {trace_fact(trace, model)};
    return positions_report(measure_positions(trace, positions, arena), page);
  }
  Loaded l = load(model, options, arena);
  const std::string left = limit_windows(l.architecture, l.text);
  const Stopwatch clock;
  const Trace trace = l.transformer.forward(l.text.batch, {.hidden = false, .attention = true}, arena);
  page.facts = {model_fact(l.checkpoint, l.architecture),
                text_fact(options, l.text, "forward", clock.seconds(), arena)};
  positions.exclude = l.text.special;
  Report report = positions_report(measure_positions(trace, positions, arena), page);
  if (!left.empty()) report.not_measured.push_back(left);
  return report;
}

Report positional_whatif(const std::string& model, const DiagnoseOptions& options,
                         positional::StaticHeadOptions heads, const Arena& arena) {
  Loaded l = load(model, options, arena);
  const std::string left = limit_windows(l.architecture, l.text);
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
  if (!left.empty()) report.not_measured.push_back(left);
  return report;
}

}  // namespace telos
