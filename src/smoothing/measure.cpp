#include "telos/smoothing/measure.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/stopwatch.h"

namespace telos::smoothing {

TraceMeasures measure_trace(const Trace& trace, const WeightSource& weights, const WeightSpectra* spectra,
                            std::span<const std::size_t> site_of_layer, const TraceOptions& options,
                            const Arena& arena) {
  const std::vector<WindowMeasures> windows = measure_windows(trace, weights, options, arena);
  return aggregate(windows, {trace.tokens, trace.layers, trace.heads, trace.causal}, options, spectra,
                   site_of_layer);
}

namespace {

TokenBatch rows_of(const TokenBatch& batch, std::size_t first, std::size_t count) {
  const auto cut = [&](const auto& all) {
    std::decay_t<decltype(all)> out;
    if (all.empty()) return out;
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first * batch.tokens);
    out.assign(begin, begin + static_cast<std::ptrdiff_t>(count * batch.tokens));
    return out;
  };
  return {count, batch.tokens, cut(batch.ids), cut(batch.mask), cut(batch.types)};
}

/// Windows whose traces (hidden states, Z, X' and attention, as floats) fit into `bytes`; at least one.
std::size_t windows_at_once(const Architecture& a, std::size_t layers, std::size_t tokens,
                            std::uint64_t bytes) {
  const std::uint64_t stream = std::uint64_t{tokens} * a.width * (3 * layers + 1);
  const std::uint64_t attention = std::uint64_t{layers} * a.heads * tokens * tokens;
  return std::max<std::size_t>(1, bytes / std::max<std::uint64_t>(1, 4 * (stream + attention)));
}

/// Runs the text through the model in chunks and measures each chunk's trace, which is then let go.
void run_text(const DiagnosisInput& input, const DiagnosisOptions& options, const WeightSource& weights,
              const Arena& arena, std::vector<WindowMeasures>& windows, TraceShape& shape,
              SmoothingDiagnosis& out) {
  const TextWindows& text = *input.text;
  const std::size_t total = text.batch.sequences, tokens = text.batch.tokens;
  const std::size_t layers = site_of_layer(*input.architecture).size();
  const std::size_t chunk = windows_at_once(*input.architecture, layers, tokens, options.trace_bytes);
  Progress progress("text", "window", static_cast<double>(total));
  for (std::size_t first = 0; first < total; first += chunk) {
    check_interrupt();
    const std::size_t count = std::min(chunk, total - first);
    const Stopwatch forward;
    const Trace trace = input.transformer->forward(
        rows_of(text.batch, first, count),
        {.hidden = true, .attention = true, .sublayers = true, .logits = false}, arena);
    out.forward_seconds += forward.seconds();
    const Stopwatch measure;
    TraceOptions now = options.trace;
    if (!text.special.empty())
      now.special.assign(text.special.begin() + static_cast<std::ptrdiff_t>(first * tokens),
                         text.special.begin() + static_cast<std::ptrdiff_t>((first + count) * tokens));
    now.spectra_windows -= std::min(now.spectra_windows, first);
    std::vector<WindowMeasures> more = measure_windows(trace, weights, now, arena);
    std::move(more.begin(), more.end(), std::back_inserter(windows));
    shape = {trace.tokens, trace.layers, trace.heads, trace.causal};
    out.measure_seconds += measure.seconds();
    progress.advance(static_cast<double>(count));
  }
}

void check_sizes(const Trace& trace, std::size_t layers, std::size_t width) {
  if (trace.layers == layers && trace.width == width) return;
  throw Error(ErrorKind::kShape, printable(trace.source),
              "the trace has " + std::to_string(trace.layers) +
                  " layers and d = " + std::to_string(trace.width) + ", the checkpoint " +
                  std::to_string(layers) + " and d = " + std::to_string(width),
              "give the checkpoint that the trace was recorded from");
}

void measure_input(const DiagnosisInput& input, DiagnosisOptions options, const Arena& arena,
                   SmoothingDiagnosis& out) {
  std::vector<std::size_t> sites;
  WeightSource weights;
  if (input.checkpoint != nullptr) {
    sites = site_of_layer(*input.architecture);
    options.trace.block = input.architecture->block;
    options.trace.norm_eps = input.architecture->norm_eps;
    weights = [&input, &sites](std::size_t layer) {
      return read_attention(*input.checkpoint, *input.architecture, input.architecture->sites[sites[layer]]);
    };
  }
  std::vector<WindowMeasures> windows;
  TraceShape shape;
  if (input.trace != nullptr) {
    if (weights) check_sizes(*input.trace, sites.size(), input.architecture->width);
    const Stopwatch measure;
    windows = measure_windows(*input.trace, weights, options.trace, arena);
    shape = {input.trace->tokens, input.trace->layers, input.trace->heads, input.trace->causal};
    out.measure_seconds = measure.seconds();
  } else {
    options.trace.special = input.text->special;
    run_text(input, options, weights, arena, windows, shape, out);
  }
  out.measures = aggregate(windows, shape, options.trace, out.spectra ? &*out.spectra : nullptr, sites);
}

}  // namespace

SmoothingDiagnosis diagnose_smoothing(const DiagnosisInput& input, const DiagnosisOptions& options,
                                      const Arena& arena) {
  const bool with_text = input.transformer != nullptr && input.text != nullptr;
  const bool with_trace = input.trace != nullptr || with_text;
  if (input.checkpoint == nullptr && !with_trace)
    throw Error(ErrorKind::kUsage, "smoothing", "neither a checkpoint nor a trace was given");
  if ((input.checkpoint != nullptr || with_text) && input.architecture == nullptr)
    throw Error(ErrorKind::kUsage, "smoothing", "a checkpoint needs its architecture beside it");

  SmoothingDiagnosis out;
  if (input.architecture != nullptr) out.architecture = *input.architecture;
  if (input.checkpoint != nullptr) {
    const Stopwatch spectra;
    out.spectra = weight_spectra(*input.checkpoint, *input.architecture, options.spectra, arena);
    out.spectra_seconds = spectra.seconds();
    out.problems = out.spectra->problems;
  }
  if (with_trace) measure_input(input, options, arena, out);
  out.verdict = judge(out.spectra ? &*out.spectra : nullptr, out.measures ? &*out.measures : nullptr);
  return out;
}

}  // namespace telos::smoothing
