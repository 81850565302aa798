#include "telos/diagnosis/diagnose.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/model/trace.h"
#include "telos/smoothing/page.h"

namespace telos {

Report diagnose(const std::string& model, const DiagnoseOptions& options, const Arena& arena) {
  if (options.text.has_value() + options.ids.has_value() + !options.acts_path.empty() > 1)
    throw Error(ErrorKind::kUsage, "", "more than one of a text, token ids and a trace were given",
                "give one of them");
  const Checkpoint checkpoint = Checkpoint::open(model, {.partial = options.partial});
  if (checkpoint.find("hidden.0") != nullptr) return smoothing_trace(model, options, arena);
  if (options.smoothing.trace.centre_features && !options.text && !options.ids && options.acts_path.empty())
    throw Error(ErrorKind::kUsage, "--centre", "there is no text that it could apply to",
                "give --text FILE, --ids FILE or --acts FILE");
  const Architecture architecture = identify(checkpoint, options.identify);
  std::vector<std::string> not_measured = checkpoint.problems();

  std::optional<Trace> acts;
  if (!options.acts_path.empty()) {
    acts = read_trace(options.acts_path);
    if (behind_final_norm(*acts, checkpoint, architecture))
      throw Error(ErrorKind::kBadFormat, fmt::format("{}: hidden.{}", options.acts_path, acts->layers),
                  "it is behind the model's final norm, expected the output of the last block",
                  "take the last state at the last block: transformers puts the norm into hidden_states[-1]");
  }
  std::optional<TextWindows> text = windows_of(checkpoint, architecture, options);
  std::optional<Transformer> transformer;
  if (text) {
    Reason why;
    transformer = load_transformer(checkpoint, architecture, why, arena);
    if (!transformer) {
      not_measured.push_back(fmt::format("the text: {}; the weights are diagnosed without it", why.text));
      text.reset();
    }
  }

  smoothing::DiagnosisOptions smoothing_options = options.smoothing;
  if (text) smoothing_options.trace.without_text = text->special_text;
  const auto measure = [&] {
    return smoothing::diagnose_smoothing({.checkpoint = &checkpoint,
                                          .architecture = &architecture,
                                          .transformer = text ? &*transformer : nullptr,
                                          .text = text ? &*text : nullptr,
                                          .trace = acts ? &*acts : nullptr},
                                         smoothing_options, arena);
  };
  smoothing::SmoothingDiagnosis diagnosis;
  try {
    diagnosis = measure();
  } catch (const Error& error) {
    // Finite weights can still overflow on a text; what the weights say is not lost for it.
    if (error.kind() != ErrorKind::kNotFinite || !text) throw;
    not_measured.push_back(fmt::format(
        "the text: the forward pass leaves the range of float ({}); the weights are diagnosed without it",
        error.what()));
    text.reset();
    diagnosis = measure();
  }

  PageContext page{.command = "diagnose",
                   .subject = subject_of(model),
                   .facts = {model_fact(checkpoint, architecture)},
                   .provenance = provenance(options.command_line, arena)};
  if (acts) page.facts.push_back(trace_fact(*acts, options.acts_path));
  if (text) page.facts.push_back(text_fact(options, *text, "forward", diagnosis.forward_seconds, arena));
  Report report = smoothing_report(diagnosis, page);
  if (text) {
    append(report.remarks, unknown_remarks(*text));
    add_attention(report, *transformer, architecture, *text, arena);
    add_order(report, *transformer, *text, arena);
  }
  if (acts) {
    add_positions(report, *acts, {}, arena);
    add_offsets(report, *acts, {}, {}, arena);
    add_clusters(report, *acts, {}, {}, arena);
  }
  append(report.not_measured, not_measured);
  report.complete = report.complete && not_measured.empty();
  return report;
}

Report smoothing_spectrum(const std::string& model, const DiagnoseOptions& options, const Arena& arena) {
  const Checkpoint checkpoint = Checkpoint::open(model, {.partial = options.partial});
  const Architecture architecture = identify(checkpoint, options.identify);
  const smoothing::SmoothingDiagnosis diagnosis =
      smoothing::diagnose_smoothing({.checkpoint = &checkpoint,
                                     .architecture = &architecture,
                                     .transformer = nullptr,
                                     .text = nullptr,
                                     .trace = nullptr},
                                    options.smoothing, arena);
  Report report = smoothing_report(diagnosis, {.command = "smoothing spectrum",
                                               .subject = subject_of(model),
                                               .facts = {model_fact(checkpoint, architecture)},
                                               .provenance = provenance(options.command_line, arena)});
  append(report.not_measured, checkpoint.problems());
  report.complete = report.complete && checkpoint.problems().empty();
  return report;
}

Report smoothing_trace(const std::string& path, const DiagnoseOptions& options, const Arena& arena) {
  require_trace_alone(options);
  const Trace trace = read_trace(path);
  const smoothing::SmoothingDiagnosis diagnosis = smoothing::diagnose_smoothing({.checkpoint = nullptr,
                                                                                 .architecture = nullptr,
                                                                                 .transformer = nullptr,
                                                                                 .text = nullptr,
                                                                                 .trace = &trace},
                                                                                options.smoothing, arena);
  return smoothing_report(diagnosis, {.command = "smoothing trace",
                                      .subject = subject_of(path),
                                      .facts = {trace_fact(trace, path)},
                                      .provenance = provenance(options.command_line, arena)});
}

std::vector<std::int32_t> parse_ids(const std::string& text, const std::string& where) {
  std::vector<std::int32_t> ids;
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    line += c == '\n';
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == '[' || c == ']') {
      ++i;
      continue;
    }
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), id);
    if (error != std::errc() || id < 0) {
      const std::size_t stop = std::min(text.find_first_of(" \t\r\n,[]", i), text.size());
      throw Error(ErrorKind::kBadFormat, fmt::format("{}, line {}", where, line),
                  fmt::format("expected a token id (a whole number from 0), found \"{}\"",
                              printable(std::string_view(text).substr(i, stop - i), 40)),
                  "write ids as whole numbers separated by spaces, commas or lines");
    }
    ids.push_back(id);
    i = static_cast<std::size_t>(end - text.data());
  }
  return ids;
}

}  // namespace telos
