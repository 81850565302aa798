#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/bigram/population.h"
#include "telos/bigram/sample.h"

// Samples written down: those of a task, or your own (x_1 … x_T, last token, output), of which no truth is
// known.

namespace telos::bigram {

/// Below so many samples a last token's attention is not learned from a file.
inline constexpr std::uint32_t kFewestSamples = 20;

struct Samples {
  std::size_t tokens = 0;                ///< N
  std::size_t length = 0;                ///< T
  std::vector<std::string> names{};      ///< of the tokens, or empty
  std::vector<std::uint8_t> contexts{};  ///< x row by row, width() bytes a token, little-endian
  std::vector<std::uint16_t> last{}, output{};

  std::size_t size() const { return last.size(); }
  std::size_t width() const { return tokens <= 256 ? 1 : 2; }
  /// x of one sample at position t.
  std::uint16_t token(std::size_t sample, std::size_t t) const {
    const std::size_t at = sample * length + t;
    if (width() == 1) return contexts[at];
    return static_cast<std::uint16_t>(contexts[2 * at] | contexts[2 * at + 1] << 8);
  }
};

/// The first `count` training samples of a task and seed. Throws kUsage (count 0), kLimit (memory).
Samples draw_samples(const Instance& instance, std::uint64_t seed, std::uint64_t count, const Arena& arena);

/// One safetensors file: "tokens" [n, T], "last" [n], "output" [n], all U8 where N ≤ 256 and else U16, with
/// the metadata telos.bigram.samples ("1"), telos.bigram.tokens (N), telos.bigram.names (JSON), and
/// telos.bigram.sha256 of the bytes of the three tensors. Throws kIo.
void write_samples(const Samples& samples, const std::string& path);
/// Names and checksum may be missing. Throws kBadFormat (metadata, types; a token that is not below N; a
/// checksum that is not that of the bytes), kShape, kTruncated, kMissingFile, kIo, kLimit.
Samples read_samples(const std::string& path);
/// SHA-256 of the bytes of the three tensors as 64 hex digits.
std::string sample_checksum(const Samples& samples);

/// What of a file is learned from, in which order, and what is held out.
struct SampleSplit {
  std::vector<std::uint32_t> train, held_out;  ///< rows of the file
  std::vector<std::uint32_t> count;            ///< samples by last token, in the whole file
  std::vector<std::uint32_t>
      left_out;  ///< last tokens with fewer than kFewestSamples: none of them in `train`
};
/// A random order of the rows, from stream 8 of the seed; `held_out` of them, but at most a tenth, are held
/// out. Throws kUsage where nothing is left to learn from.
SampleSplit split_samples(const Samples& samples, std::uint64_t held_out, std::uint64_t seed);

/// What is known of the task of a file: T, the names, and μ from the frequencies of all tokens of `rows` (½
/// added to each count). P and q are empty.
Instance unknown_task(const Samples& samples, std::span<const std::uint32_t> rows, const Arena& arena);

/// What V says of P: its columns moved to the nearest laws (≥ 0, sum 1).
Matrix<double> learned_transitions(const Model& model);
/// What read_instance_tables reads: learned_transitions as a line a token, with a line and a column of names
/// if there are any; and the lines "token position weight" of weights moved to the nearest law, a column
/// without positions as one that looks everywhere alike. Throw kIo.
void write_transitions(const Model& model, const std::vector<std::string>& names, const std::string& path);
void write_positions(std::span<const SparseColumn> columns, std::size_t length,
                     const std::vector<std::string>& names, const std::string& path);

/// A model on a task or on samples.
struct Evaluation {
  double held_out = 0, held_out_error = 0;  ///< loss and its standard error
  double gain = 0, gain_error = 0;          ///< of the loss below that of predicting μ, on the same samples
  std::uint64_t samples = 0;                ///< of the held-out loss
  double knowledge = 0;                     ///< ‖V − μ1ᵀ‖²_μ, the K_P that the model believes in
  std::vector<SparseColumn> columns;        ///< where each last token looks
  // Of a known task alone:
  double population = 0;
  Signals signals{};
  Excess excess{};
  std::vector<bool> exact;  ///< by last token: the true positions
};
/// Exact on the task, with `held_out` samples of the held-out stream of `seed`. A last token looks where its
/// weights are not 0; where all are, above a quarter of the largest. Throws kShape naming both shapes.
Evaluation evaluate(const Instance& instance, const Model& model, std::uint64_t held_out, std::uint64_t seed,
                    const Arena& arena);
/// On all samples of a file. Throws kShape.
Evaluation evaluate(const Samples& samples, const Model& model, const Arena& arena);

}  // namespace telos::bigram
