#pragma once

#include <optional>
#include <string>
#include <vector>

#include "telos/diagnosis/diagnose.h"
#include "telos/io/checkpoint.h"
#include "telos/model/trace.h"
#include "telos/model/transformer.h"

// What the commands on a model and a text share.

namespace telos {

/// The text of the options as windows for this model; nothing if there is no text.
std::optional<TextWindows> windows_of(const Checkpoint& checkpoint, const Architecture& architecture,
                                      const DiagnoseOptions& options);
/// The model for its forward pass, or nothing and the reason if tensors outside the spectra, or a part of
/// them, cannot be used for it: the spectra may stand all the same.
std::optional<Transformer> load_transformer(const Checkpoint& checkpoint, const Architecture& architecture,
                                            std::string& why, const Arena& arena);

// Header lines of a page.
Report::Fact model_fact(const Checkpoint& checkpoint, const Architecture& architecture);
/// `work` is what took the seconds: "forward".
Report::Fact text_fact(const DiagnoseOptions& options, const TextWindows& text, const char* work,
                       double seconds, const Arena& arena);
Report::Fact trace_fact(const Trace& trace, const std::string& path);

/// Adds to a report how positional the heads are, from a pass of the text (as many windows as fit into
/// memory) or from a recorded trace; nothing where there are not two windows with attention.
void add_positions(Report& report, const Transformer& transformer, const Architecture& architecture,
                   TextWindows text, const Arena& arena);
void add_positions(Report& report, const Trace& trace, const std::vector<std::uint8_t>& exclude,
                   const Arena& arena);

/// Adds the lines that are not there yet.
void append(std::vector<std::string>& list, const std::vector<std::string>& more);

}  // namespace telos
