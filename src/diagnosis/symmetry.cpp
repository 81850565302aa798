#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/base/stopwatch.h"
#include "telos/symmetry/order_page.h"

namespace telos {
namespace {

using symmetry::OrderMeasures;

constexpr std::size_t kShortest = 16;
/// Hidden states that are held at once.
constexpr std::size_t kStateBytes = std::size_t{128} << 20;

bool is_special_at(const TextWindows& text, std::size_t i) {
  return !text.special.empty() && text.special[i] != 0;
}

OrderReading resolve(OrderReading reading, const Architecture& architecture, const TextWindows& text) {
  if (reading != OrderReading::kDefault) return reading;
  return !architecture.causal && is_special_at(text, 0) ? OrderReading::kFirst : OrderReading::kLast;
}

std::string name_of(OrderReading reading, const TextWindows& text) {
  const std::size_t at = reading == OrderReading::kFirst ? 0 : text.batch.tokens - 1;
  if (reading == OrderReading::kMean) return "the mean over tokens";
  const std::string place = reading == OrderReading::kFirst ? "the first token" : "the last token";
  return is_special_at(text, at) ? fmt::format("{}, {}", place, text.labels[at]) : place;
}

/// What changes places: all but the tokenizer's own tokens and the token that is read.
symmetry::OrderWindows order_windows(const TextWindows& text, OrderReading reading) {
  symmetry::OrderWindows windows{text.batch.tokens, text.batch.ids, {}};
  for (std::size_t i = 0; i < text.batch.tokens; ++i) {
    const bool read = (reading == OrderReading::kFirst && i == 0) ||
                      (reading == OrderReading::kLast && i + 1 == text.batch.tokens);
    if (!read && !is_special_at(text, i)) windows.moved.push_back(i);
  }
  return windows;
}

/// Rows of the states that are read: B × d.
Matrix<double> read_states(ConstMatrixView<float> states, std::size_t tokens, OrderReading reading) {
  const std::size_t sequences = states.rows() / tokens, d = states.cols();
  Matrix<double> out(sequences, d);
  for (std::size_t s = 0; s < sequences; ++s) {
    const std::size_t first = reading == OrderReading::kLast ? tokens - 1 : 0;
    const std::size_t end = reading == OrderReading::kFirst ? 1 : tokens;
    for (std::size_t i = first; i < end; ++i)
      for (std::size_t c = 0; c < d; ++c)
        out(s, c) += static_cast<double>(states(s * tokens + i, c)) / static_cast<double>(end - first);
  }
  return out;
}

OrderMeasures measure_windows(const Transformer& transformer, const TextWindows& text, OrderReading reading,
                              const symmetry::OrderOptions& options, const Arena& arena) {
  const Architecture& a = transformer.architecture();
  const std::size_t tokens = text.batch.tokens;
  const std::size_t bytes = 4 * (a.layers + 1) * tokens * a.width;
  const auto run = [&](std::span<const std::int32_t> ids) {
    const TokenBatch batch{.sequences = ids.size() / tokens,
                           .tokens = tokens,
                           .ids = {ids.begin(), ids.end()},
                           .mask = {},
                           .types = {}};
    const Trace trace = transformer.forward(batch, {.hidden = true, .attention = false}, arena);
    std::vector<Matrix<double>> states;
    for (const Matrix<float>& hidden : trace.hidden) states.push_back(read_states(hidden, tokens, reading));
    if (!trace.final_hidden.empty()) states.push_back(read_states(trace.final_hidden, tokens, reading));
    return states;
  };
  return measure_order(order_windows(text, reading), run, options,
                       std::clamp<std::size_t>(kStateBytes / bytes, 1, 512));
}

std::vector<std::string> state_names(std::size_t layers, std::size_t readouts) {
  std::vector<std::string> names{"embedding"};
  for (std::size_t l = 1; l <= layers; ++l) names.push_back(fmt::format("layer {}", l));
  if (readouts > names.size())
    names.emplace_back("output");
  else
    names.back() += ", output";
  return names;
}

symmetry::OrderFindings find_order(const Transformer& transformer, const TextWindows& text,
                                   OrderReading reading, const symmetry::OrderOptions& options,
                                   const Arena& arena) {
  symmetry::OrderFindings findings;
  findings.shuffles = options.shuffles;
  findings.read_at = name_of(reading, text);
  findings.layers = measure_windows(transformer, text, reading, options, arena);
  findings.names = state_names(transformer.architecture().layers, findings.layers.readouts.size());
  return findings;
}

}  // namespace

void add_order(Report& report, const Transformer& transformer, const TextWindows& text, const Arena& arena) {
  constexpr symmetry::OrderOptions kFew{.shuffles = 2, .seed = 1};
  constexpr double kMostFlops = 2e12;
  const std::size_t windows = text.batch.sequences;
  const double passes = static_cast<double>(windows * (1 + 5 * kFew.shuffles));
  if (passes * static_cast<double>(text.batch.tokens) * transformer.flops_per_token() > kMostFlops) {
    report.not_measured.push_back(fmt::format(
        "what order is worth: {:.0f} passes would take long; run telos symmetry measure", passes));
    return;
  }
  const OrderReading reading = resolve(OrderReading::kDefault, transformer.architecture(), text);
  try {
    const symmetry::OrderFindings found = find_order(transformer, text, reading, kFew, arena);
    report.sections.push_back(order_section(found, "order-"));
    report.keys.push_back(order_key(found));
  } catch (const Error& error) {
    // Too few windows, or too short: what the other lenses say is not lost for that.
    if (error.kind() != ErrorKind::kUsage) throw;
    report.not_measured.push_back(fmt::format("what order is worth: {}", error.message()));
    return;
  }
  for (Definition& d : symmetry::order_definitions()) report.definitions.push_back(std::move(d));
}

OrderReading parse_order_reading(const std::string& name, const std::string& where) {
  if (name == "auto") return OrderReading::kDefault;
  if (name == "last") return OrderReading::kLast;
  if (name == "first") return OrderReading::kFirst;
  if (name == "mean") return OrderReading::kMean;
  throw Error(ErrorKind::kUsage, where, fmt::format("expected auto, last, first or mean, found '{}'", name));
}

Report symmetry_measure(const std::string& model, const DiagnoseOptions& options, OrderReading reading,
                        const symmetry::OrderOptions& order, const Arena& arena) {
  const LoadedText loaded = load_text(model, options, arena);
  const Stopwatch clock;
  reading = resolve(reading, loaded.architecture, loaded.text);
  symmetry::OrderFindings findings = find_order(loaded.transformer, loaded.text, reading, order, arena);
  DiagnoseOptions shorter = options;
  for (std::size_t length = kShortest; length < loaded.text.batch.tokens; length *= 2) {
    shorter.windows.length = length;
    const TextWindows text = *windows_of(loaded.checkpoint, loaded.architecture, shorter);
    findings.lengths.push_back(measure_windows(loaded.transformer, text, reading, order, arena));
  }
  PageContext page{.command = "symmetry measure",
                   .subject = subject_of(model),
                   .facts = {model_fact(loaded.checkpoint, loaded.architecture),
                             text_fact(options, loaded.text, "measured in", clock.seconds(), arena)},
                   .provenance = provenance(options.command_line, arena)};
  Report report = order_report(findings, page);
  append(report.not_measured, loaded.left_out);
  return report;
}

}  // namespace telos
