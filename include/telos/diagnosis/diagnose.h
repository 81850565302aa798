#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/bigram/heads.h"
#include "telos/clustering/measure.h"
#include "telos/model/architecture.h"
#include "telos/model/windows.h"
#include "telos/positional/measure.h"
#include "telos/report/report.h"
#include "telos/smoothing/measure.h"
#include "telos/symmetry/order.h"

namespace telos {

/// What a diagnosis reads besides the model. At most one of `text` and `ids` may be given; with neither, only
/// the weights speak.
struct DiagnoseOptions {
  std::optional<std::string> text;               ///< UTF-8
  std::optional<std::vector<std::int32_t>> ids;  ///< a text as token ids, for models without a tokenizer file
  std::string acts_path;       ///< a trace recorded from this model, instead of a text: see read_trace
  std::string text_name;       ///< as the report calls it: "notes.txt"
  std::string tokenizer_path;  ///< empty: the model's directory
  WindowOptions windows{.length = 0};  ///< length 0: 128, or the model's context if that is shorter
  IdentifyOptions identify;
  bool partial = false;  ///< use what a cut-off download or missing shards leave
  smoothing::DiagnosisOptions smoothing;
  std::string command_line;  ///< for the provenance
};

/// Every lens that applies to a model (a `.safetensors` file, a Hugging Face directory, or a recorded trace)
/// and, if given, a text: one report. The main job of telos; reads the weights once for spectra, once for the
/// forward pass. Throws Error as Checkpoint::open, identify, Tokenizer::load, cut_windows and
/// weight_spectra do; what can be left out without losing the rest is named in Report::not_measured instead:
/// a text whose forward pass is not known or whose weights cannot be loaded, layers, and single heads.
Report diagnose(const std::string& model, const DiagnoseOptions& options, const Arena& arena);

/// The weights alone: one row a head, one a layer. Report::command is "smoothing spectrum".
Report smoothing_spectrum(const std::string& model, const DiagnoseOptions& options, const Arena& arena);

/// A recorded trace (see read_trace) alone. Report::command is "smoothing trace".
Report smoothing_trace(const std::string& trace, const DiagnoseOptions& options, const Arena& arena);

/// How much of each head's attention the positions of query and key explain, on a text or in a recorded
/// trace. Report::command is "positional heads". Attention matrices are held in memory: at most 1 GiB,
/// windows beyond are left out and named. Throws as diagnose(), kUsage without a text, kUnsupported for a
/// model whose forward pass is not known.
Report positional_heads(const std::string& model, const DiagnoseOptions& options,
                        positional::PositionOptions positions, const Arena& arena);

/// How hard each head's attention is and whom it follows, how the residual stream clusters, and whether the
/// hardmax system on the first states predicts that, on a text or in a recorded trace. Report::command is
/// "clustering heads". Limits and errors as positional_heads().
Report clustering_heads(const std::string& model, const DiagnoseOptions& options,
                        clustering::ClusterMeasureOptions clusters, const Arena& arena);

/// How far back each head looks, how that depends on the token it looks from, which heads repeat what
/// followed before, and, for a text, whether they look where its next token is informed: the sparse
/// contextual bigram is fitted to the first 200,000 tokens of the text, of which the `vocabulary` most
/// frequent are told apart. Report::command is "bigram heads". Limits and errors as positional_heads();
/// kUsage (vocabulary).
Report bigram_heads(const std::string& model, const DiagnoseOptions& options, bigram::HeadOptions heads,
                    std::size_t vocabulary, const Arena& arena);

/// Where a model's state is read, and which token so keeps its place.
enum class OrderReading {
  kDefault,  ///< the first token where the tokenizer puts its own there and attention sees all; else the last
  kLast,
  kFirst,
  kMean,  ///< mean over all tokens: none keeps its place but the tokenizer's own
};
/// "auto", "last", "first", "mean". Throws kUsage at `where`.
OrderReading parse_order_reading(const std::string& name, const std::string& where);

/// How much of what a context adds to the state ignores the order of its tokens, by layer, and at the output
/// by length of the window (16, 32, … below the one asked for): see symmetry::measure_order. Report::command
/// is "symmetry measure". Runs each window 1 + 5M times. Throws as positional_heads() and measure_order().
Report symmetry_measure(const std::string& model, const DiagnoseOptions& options, OrderReading reading,
                        const symmetry::OrderOptions& order, const Arena& arena);

/// What changes when heads that positions explain are replaced by their mean attention: see
/// positional::what_if_static. Report::command is "positional whatif".
Report positional_whatif(const std::string& model, const DiagnoseOptions& options,
                         positional::StaticHeadOptions heads, const Arena& arena);

/// What a model's file holds, and what a diagnosis would read, need and take. Reads headers only.
Report inspect(const std::string& model, const DiagnoseOptions& options, const Arena& arena);

/// A list of token ids from text: whole numbers separated by white space, commas or brackets. Throws
/// kBadFormat with the line of the first thing that is not one.
std::vector<std::int32_t> parse_ids(const std::string& text, const std::string& where);

}  // namespace telos
