#include "symmetry/all_sequences.h"

#include <fmt/format.h>

#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/symmetry/enumeration.h"

namespace telos::symmetry {
namespace {

std::size_t count_sequences(std::uint32_t vocabulary, std::uint32_t length, std::uint32_t queries) {
  check_sequences(vocabulary, length);
  const std::size_t tokens = std::size_t{length} + queries;
  std::size_t n = 1;
  for (std::size_t a = 0; a < tokens && n <= kMostEnumerated; ++a) n *= vocabulary;
  if (n > kMostEnumerated || tokens > kMostEnumerated)
    throw Error(ErrorKind::kLimit, "length",
                fmt::format("{}^{} sequences are too many to write down, at most {}", vocabulary, tokens,
                            kMostEnumerated),
                "take fewer letters or positions; two letters: --method binary; more: --method zonal");
  return n;
}

}  // namespace

AllSequences::AllSequences(std::uint32_t vocabulary, std::uint32_t length, std::uint32_t queries)
    : vocabulary_(vocabulary),
      length_(length),
      tokens_(count_sequences(vocabulary, length, queries), std::size_t{length} + queries) {
  std::size_t place = 1;
  for (std::size_t a = 0; a < tokens_.cols(); ++a, place *= vocabulary) {
    places_.push_back(place);
    if (a < length_) contexts_ *= vocabulary;
    for (std::size_t i = 0; i < tokens_.rows(); ++i)
      tokens_(i, a) = static_cast<std::uint32_t>(i / place % vocabulary);
  }
}

std::size_t AllSequences::turned(std::size_t i) const {
  for (std::size_t p = 0; p + 1 < length_; ++p) i = exchanged(i, p, p + 1);
  return i;
}

}  // namespace telos::symmetry
