#include "diagnosis/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/io/files.h"
#include "telos/smoothing/page.h"

namespace telos {

constexpr std::size_t kDefaultWindow = 128;

// The text of the options as windows for this model; nothing if there is no text, or if `why` says that the
// model has no forward pass here.
std::optional<TextWindows> windows_of(const Checkpoint& checkpoint, const Architecture& architecture,
                                      const DiagnoseOptions& options) {
  if (!options.text && !options.ids) return std::nullopt;
  WindowOptions windows = options.windows;
  if (windows.length == 0)
    windows.length =
        architecture.context == 0 ? kDefaultWindow : std::min(kDefaultWindow, architecture.context);
  if (options.ids) return cut_windows(*options.ids, architecture.context, windows);
  const std::string path = options.tokenizer_path.empty() ? checkpoint.directory() : options.tokenizer_path;
  return cut_windows(Tokenizer::load(path), *options.text, architecture.context, windows);
}

// The model for its forward pass, or nothing and the reason if tensors outside the spectra, or a part of
// them, cannot be used for it: the spectra may stand all the same.
std::optional<Transformer> load_transformer(const Checkpoint& checkpoint, const Architecture& architecture,
                                            std::string& why, const Arena& arena) {
  if (!Transformer::supports(architecture, &why)) return std::nullopt;
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
        why = error.what();
        return std::nullopt;
      default:
        throw;
    }
  }
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
  return {"text",
          fmt::format("{} · {} tokens · {} {} of {}{}", options.text_name, format_count(text.text_tokens),
                      text.batch.sequences, text.batch.sequences == 1 ? "window" : "windows",
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
