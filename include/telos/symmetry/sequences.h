#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/symmetry/kernel.h"

namespace telos::symmetry {

/// Sequences of tokens, of any lengths.
struct Sequences {
  std::vector<std::vector<Token>> items{};
  std::size_t vocabulary = 0;  ///< all ids but padding are below it

  std::size_t size() const { return items.size(); }
  std::size_t shortest() const;
  std::size_t longest() const;
  /// How many are equal to an earlier one, but for padding at the end.
  std::size_t duplicates(std::optional<Token> padding = {}) const;
};
inline constexpr std::size_t kMostSequences = 1'000'000;

/// One sequence a line, ids divided by blanks, tabs or commas; or an .npy matrix of whole numbers, one
/// sequence a row. `vocabulary` 0: the largest id and one. `padding` is an id that need not be below it.
/// Throws kMissingFile, kBadFormat naming line and column (an empty line, no whole number, an id of
/// `vocabulary` or above), kLimit.
Sequences read_sequences(const std::string& path, std::size_t vocabulary = 0,
                         std::optional<Token> padding = {});
Sequences parse_sequences(std::string_view text, const std::string& where, std::size_t vocabulary = 0,
                          std::optional<Token> padding = {});
/// Sequences of one length, as rows. Throws kBadFormat at `where` naming the line of another length.
Matrix<Token> equal_lengths(const Sequences& sequences, const std::string& where);
/// Independent uniform draws. Throws kUsage for a size out of range.
Sequences draw_sequences(std::size_t n, std::size_t length, std::size_t vocabulary, std::uint64_t seed);

}  // namespace telos::symmetry
