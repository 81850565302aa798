#pragma once

#include <optional>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/diagnosis/diagnose.h"
#include "telos/io/checkpoint.h"
#include "telos/model/trace.h"
#include "telos/model/transformer.h"

// What the commands on a model and a text share.

namespace telos {

/// Where the model's tokenizer lies: --tokenizer, or the model's folder.
std::string tokenizer_of(const Checkpoint& checkpoint, const DiagnoseOptions& options);
/// The text of the options as windows for this model; nothing if there is no text.
std::optional<TextWindows> windows_of(const Checkpoint& checkpoint, const Architecture& architecture,
                                      const DiagnoseOptions& options);
/// Why a model cannot run.
struct Reason {
  ErrorKind kind = ErrorKind::kUnsupported;
  std::string text{};
};
/// The model for its forward pass, or nothing and the reason if tensors outside the spectra, or a part of
/// them, cannot be used for it: the spectra may stand all the same.
std::optional<Transformer> load_transformer(const Checkpoint& checkpoint, const Architecture& architecture,
                                            Reason& why, const Arena& arena);

/// Throws kUsage for what means nothing beside a trace: another text, or how weights and texts are read.
void require_trace_alone(const DiagnoseOptions& options);

/// A model and its text, ready for a pass that records attention.
struct LoadedText {
  Checkpoint checkpoint;
  Architecture architecture;
  TextWindows text;                   ///< as many windows as the limit on attention allows
  std::vector<std::string> left_out;  ///< a line if there were more
  Transformer transformer;
};
/// Throws kUsage without a text, kUnsupported for a model whose forward pass is not known.
LoadedText load_text(const std::string& model, const DiagnoseOptions& options, const Arena& arena);

/// A recorded trace, or that of a model's pass on the text: what commands on attention measure.
struct TracedText {
  Trace trace;
  std::vector<std::int32_t> ids;      ///< B·L; empty for a recorded trace
  std::vector<std::uint8_t> special;  ///< B·L flags of the tokenizer's tokens; empty for a recorded trace
  std::vector<std::string> labels;    ///< B·L token texts; empty for a recorded trace
  std::vector<std::string> left_out;
  std::vector<Report::Fact> facts;
};
TracedText trace_of(const std::string& model, const DiagnoseOptions& options, const Taps& taps,
                    const Arena& arena);

// Header lines of a page.
Report::Fact model_fact(const Checkpoint& checkpoint, const Architecture& architecture);
/// `work` is what took the seconds: "forward".
Report::Fact text_fact(const DiagnoseOptions& options, const TextWindows& text, const char* work,
                       double seconds, const Arena& arena);
/// A line where the tokenizer does not know a good part of the text.
std::vector<std::string> unknown_remarks(const TextWindows& text);
Report::Fact trace_fact(const Trace& trace, const std::string& path);

/// Adds to a report what the positional, the bigram and the clustering lens see in one pass of the text (as
/// many windows as fit into memory).
void add_attention(Report& report, const Transformer& transformer, const Architecture& architecture,
                   TextWindows text, const Arena& arena);
/// How positional the heads are; nothing where there are not two windows with attention.
void add_positions(Report& report, const Trace& trace, const std::vector<std::uint8_t>& exclude,
                   const Arena& arena);
/// How far back heads look, and which of them repeat what followed before.
void add_offsets(Report& report, const Trace& trace, const std::vector<std::int32_t>& ids,
                 const std::vector<std::uint8_t>& exclude, const Arena& arena);
/// How much of what the context adds to the output ignores order; not for models that would take long.
void add_order(Report& report, const Transformer& transformer, const TextWindows& text, const Arena& arena);
/// How hard attention is, whom it follows, and how the stream clusters.
void add_clusters(Report& report, const Trace& trace, const std::vector<std::uint8_t>& exclude,
                  const std::vector<std::string>& labels, const Arena& arena);

/// Adds the lines that are not there yet.
void append(std::vector<std::string>& list, const std::vector<std::string>& more);

}  // namespace telos
