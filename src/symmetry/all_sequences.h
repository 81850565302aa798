#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

namespace telos::symmetry {

/// All sequences of `length` tokens that are permuted and `queries` after them that are not, numbered by
/// their tokens as digits, the first token the lowest.
class AllSequences {
 public:
  /// Throws kUsage, kLimit (above kMostEnumerated).
  AllSequences(std::uint32_t vocabulary, std::uint32_t length, std::uint32_t queries);

  std::size_t size() const { return tokens_.rows(); }
  /// Of the tokens that are permuted alone: sequence i has the context i mod contexts().
  std::size_t contexts() const { return contexts_; }
  std::uint32_t vocabulary() const { return vocabulary_; }
  std::size_t length() const { return length_; }
  std::size_t queries() const { return tokens_.cols() - length_; }
  const Matrix<std::uint32_t>& tokens() const { return tokens_; }
  std::span<const std::uint32_t> operator[](std::size_t i) const { return {tokens_.row(i), tokens_.cols()}; }
  std::span<const std::uint32_t> context(std::size_t i) const { return {tokens_.row(i), length_}; }
  /// V^position, what a token counts in the number.
  std::size_t place(std::size_t position) const { return places_[position]; }
  /// Of sequence i with the tokens of two positions exchanged.
  std::size_t exchanged(std::size_t i, std::size_t p, std::size_t q) const {
    const std::size_t x = tokens_(i, p), y = tokens_(i, q);
    return i + (y - x) * places_[p] + (x - y) * places_[q];
  }
  /// Of sequence i with each of the tokens that are permuted one position further on.
  std::size_t turned(std::size_t i) const;

 private:
  std::uint32_t vocabulary_;
  std::size_t length_, contexts_ = 1;
  Matrix<std::uint32_t> tokens_;
  std::vector<std::size_t> places_;
};

}  // namespace telos::symmetry
