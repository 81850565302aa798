#include "diagnosis/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/base/stopwatch.h"
#include "telos/io/files.h"
#include "telos/report/words.h"
#include "telos/smoothing/page.h"

namespace telos {
namespace {

constexpr std::size_t kDefaultWindow = 128;
/// Attention that is held at once; more windows than fit are left out, and said so.
constexpr std::uint64_t kAttentionBytes = std::uint64_t{1} << 30;

std::size_t windows_that_fit(const Architecture& a, const TokenBatch& batch) {
  const std::uint64_t one =
      std::uint64_t{4} * smoothing::site_of_layer(a).size() * a.heads * batch.tokens * batch.tokens;
  return std::min<std::uint64_t>(
      batch.sequences, std::max<std::uint64_t>(4, kAttentionBytes / std::max<std::uint64_t>(1, one)));
}

template <class T>
void keep_windows(std::vector<T>& values, std::size_t windows, std::size_t tokens) {
  if (!values.empty()) values.resize(windows * tokens);
}

double unknown_share(const TextWindows& text) {
  return static_cast<double>(text.unknown_tokens) /
         static_cast<double>(std::max<std::size_t>(1, text.text_tokens));
}

/// Cuts the text to the windows whose attention fits; returns a line that says so, or nothing.
std::vector<std::string> limit_windows(const Architecture& a, TextWindows& text) {
  const std::size_t all = text.batch.sequences, kept = windows_that_fit(a, text.batch);
  if (kept == all) return {};
  text.batch.sequences = kept;
  keep_windows(text.batch.ids, kept, text.batch.tokens);
  keep_windows(text.batch.mask, kept, text.batch.tokens);
  keep_windows(text.batch.types, kept, text.batch.tokens);
  keep_windows(text.special, kept, text.batch.tokens);
  keep_windows(text.labels, kept, text.batch.tokens);
  return {
      fmt::format("{} of {} windows: their attention matrices would not fit into memory", all - kept, all)};
}

}  // namespace

std::string tokenizer_of(const Checkpoint& checkpoint, const DiagnoseOptions& options) {
  return options.tokenizer_path.empty() ? checkpoint.directory() : options.tokenizer_path;
}

// The text of the options as windows for this model; nothing if there is no text, or if `why` says that the
// model has no forward pass here.
std::optional<TextWindows> windows_of(const Checkpoint& checkpoint, const Architecture& architecture,
                                      const DiagnoseOptions& options) {
  if (!options.text && !options.ids) return std::nullopt;
  WindowOptions windows = options.windows;
  if (windows.length == 0)
    windows.length =
        architecture.context == 0 ? kDefaultWindow : std::min(kDefaultWindow, architecture.context);
  if (!options.text_name.empty()) windows.name = options.text_name;
  if (options.ids) return cut_windows(*options.ids, architecture.context, windows);
  return cut_windows(Tokenizer::load(tokenizer_of(checkpoint, options)), *options.text, architecture.context,
                     windows);
}

// The model for its forward pass, or nothing and the reason if tensors outside the spectra, or a part of
// them, cannot be used for it: the spectra may stand all the same.
std::optional<Transformer> load_transformer(const Checkpoint& checkpoint, const Architecture& architecture,
                                            Reason& why, const Arena& arena) {
  if (!Transformer::supports(architecture, &why.text)) return std::nullopt;
  try {
    return Transformer::load(checkpoint, architecture, arena);
  } catch (const Error& error) {
    switch (error.kind()) {
      case ErrorKind::kNotFinite:
      case ErrorKind::kUnsupported:
      case ErrorKind::kMissingFile:
      case ErrorKind::kTruncated:
      case ErrorKind::kBadFormat:
      case ErrorKind::kShape:
        why = {error.kind(), error.what()};
        return std::nullopt;
      default:
        throw;
    }
  }
}

void require_trace_alone(const DiagnoseOptions& o) {
  const std::pair<bool, const char*> given[] = {{o.text.has_value(), "--text"},
                                                {o.ids.has_value(), "--ids"},
                                                {!o.acts_path.empty(), "--acts"},
                                                {!o.tokenizer_path.empty(), "--tokenizer"},
                                                {o.windows.length != 0, "--window"},
                                                {o.identify.heads.has_value(), "--heads"},
                                                {o.identify.kv_heads.has_value(), "--kv-heads"},
                                                {!o.identify.family.empty(), "--family"},
                                                {!o.identify.map_path.empty(), "--map"}};
  for (const auto& [is_given, name] : given)
    if (is_given)
      throw Error(ErrorKind::kUsage, name, "a recorded trace has no use for it",
                  "it holds a text's states and attention already");
}

LoadedText load_text(const std::string& model, const DiagnoseOptions& options, const Arena& arena) {
  Checkpoint checkpoint = Checkpoint::open(model, {.partial = options.partial});
  Architecture architecture = identify(checkpoint, options.identify);
  std::optional<TextWindows> text = windows_of(checkpoint, architecture, options);
  if (!text)
    throw Error(ErrorKind::kUsage, model, "attention needs a text to run on",
                "give --text FILE or --ids FILE");
  Reason why;
  std::optional<Transformer> transformer = load_transformer(checkpoint, architecture, why, arena);
  if (!transformer) throw Error(why.kind, model, "the forward pass cannot run: " + why.text);
  std::vector<std::string> left_out = limit_windows(architecture, *text);
  return {std::move(checkpoint), std::move(architecture), std::move(*text), std::move(left_out),
          std::move(*transformer)};
}

TracedText trace_of(const std::string& model, const DiagnoseOptions& options, const Taps& taps,
                    const Arena& arena) {
  if (Checkpoint::open(model, {.partial = options.partial}).find("hidden.0") != nullptr) {
    require_trace_alone(options);
    Trace trace = read_trace(model);
    Report::Fact fact = trace_fact(trace, model);
    return {std::move(trace), {}, {}, {}, {}, {std::move(fact)}};
  }
  LoadedText l = load_text(model, options, arena);
  const Stopwatch clock;
  Trace trace = l.transformer.forward(l.text.batch, taps, arena);
  std::vector<Report::Fact> facts = {model_fact(l.checkpoint, l.architecture),
                                     text_fact(options, l.text, "forward", clock.seconds(), arena)};
  return {std::move(trace),         std::move(l.text.batch.ids), std::move(l.text.special),
          std::move(l.text.labels), std::move(l.left_out),       std::move(facts)};
}

void add_attention(Report& report, const Transformer& transformer, const Architecture& architecture,
                   TextWindows text, const Arena& arena) {
  for (const std::string& line : limit_windows(architecture, text))
    append(report.not_measured, {"positions, offsets and clusters of " + line});
  const Trace trace = transformer.forward(text.batch, {.hidden = true, .attention = true}, arena);
  add_positions(report, trace, text.special, arena);
  add_offsets(report, trace, text.batch.ids, text.special, arena);
  add_clusters(report, trace, text.special, text.labels, arena);
}

std::vector<std::string> unknown_remarks(const TextWindows& text) {
  constexpr double kMuch = 0.1;
  if (unknown_share(text) < kMuch) return {};
  return {
      fmt::format("{} of the text's tokens are {}, for what this tokenizer does not know: the numbers are "
                  "those of that one token as much as of the text",
                  percent(unknown_share(text)), text.unknown_text)};
}

Report::Fact model_fact(const Checkpoint& checkpoint, const Architecture& architecture) {
  return {"model", smoothing::architecture_line(architecture), file_remark(checkpoint)};
}

Report::Fact text_fact(const DiagnoseOptions& options, const TextWindows& text, const char* work,
                       double seconds, const Arena& arena) {
  const std::string left =
      text.used_tokens < text.text_tokens
          ? fmt::format(" ({} tokens at its end not read)", format_count(text.text_tokens - text.used_tokens))
          : "";
  const std::string unknown = text.unknown_tokens == 0
                                  ? ""
                                  : fmt::format(" ({} {})", percent(unknown_share(text)), text.unknown_text);
  return {"text",
          fmt::format("{} · {} tokens{} · {} {} of {}{}", options.text_name, format_count(text.text_tokens),
                      unknown, text.batch.sequences, text.batch.sequences == 1 ? "window" : "windows",
                      text.batch.tokens, left),
          fmt::format("{} {} · peak {} · {} {}", work, format_seconds(seconds),
                      format_bytes(static_cast<double>(peak_memory_bytes())), arena.threads(),
                      arena.threads() == 1 ? "thread" : "threads")};
}

Report::Fact trace_fact(const Trace& trace, const std::string& path) {
  const std::string heads =
      trace.attention.empty() ? " · no attention" : fmt::format(" · {} heads", trace.heads);
  return {"trace",
          fmt::format("{} layers · d {} · {} {} of {} tokens{}", trace.layers, trace.width, trace.sequences,
                      trace.sequences == 1 ? "sequence" : "sequences", trace.tokens, heads),
          format_bytes(static_cast<double>(std::filesystem::file_size(path)))};
}

void append(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const std::string& line : more)
    if (std::find(list.begin(), list.end(), line) == list.end()) list.push_back(line);
}

}  // namespace telos
