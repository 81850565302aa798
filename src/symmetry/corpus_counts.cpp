// Counts of windows, and the covariances they give.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/symmetry/corpus.h"

namespace telos::symmetry {
namespace {

PairTables<std::uint32_t> make_tables(std::size_t letters, std::size_t length) {
  require_memory(table_bytes(letters, length), "corpus", "keep fewer letters, or take shorter windows");
  return {letters, length};
}

}  // namespace

double table_bytes(std::size_t letters, std::size_t length) {
  if (length < kLeastLength || length > kMostLength)
    throw Error(
        ErrorKind::kUsage, "length",
        fmt::format("expected windows of {} to {} tokens, found {}", kLeastLength, kMostLength, length));
  if (letters == 0 || letters > kMostLetters)
    throw Error(ErrorKind::kUsage, "letters",
                fmt::format("expected 1 to {} letters, found {}", kMostLetters, letters));
  const double k = static_cast<double>(letters), l = static_cast<double>(length);
  return 4 * k * k * l * (l - 1) / 2;
}

WindowCounts::WindowCounts(std::size_t letters, std::size_t length)
    : pairs_(make_tables(letters, length)), singles_(letters * length) {}

void WindowCounts::add(std::span<const std::uint16_t> tokens) {
  const std::size_t letters = this->letters(), length = this->length(), windows = tokens.size() / length;
  if (windows > std::numeric_limits<std::uint32_t>::max() - windows_)
    throw Error(ErrorKind::kLimit, "corpus", "more than 4,294,967,295 windows in one count",
                "count it in parts");
  std::vector<std::size_t> line(length), column(length);  // of the letters of a window
  std::uint32_t* const singles = singles_.data();
  std::uint32_t* const pairs = pairs_.values().data();
  for (std::size_t n = 0; n < windows; ++n) {
    const std::uint16_t* const x = tokens.data() + n * length;
    std::size_t found = 0;
    for (std::size_t b = 0; b < length; ++b) {
      line[found] = pairs_.line(b, x[b]);
      column[found] = b * letters + x[b];
      found += x[b] < letters;
    }
    for (std::size_t i = 0; i < found; ++i) {
      ++singles[column[i]];
      for (std::size_t j = i + 1; j < found; ++j) ++pairs[line[i] + column[j]];
    }
  }
  windows_ += windows;
}

void WindowCounts::require_same_shape(const WindowCounts& other) const {
  if (other.letters() != letters() || other.length() != length())
    throw Error(ErrorKind::kShape, "corpus",
                fmt::format("counts of {} letters in windows of {} and of {} in windows of {} do not add up",
                            letters(), length(), other.letters(), other.length()));
}

WindowCounts& WindowCounts::operator+=(const WindowCounts& other) {
  require_same_shape(other);
  if (other.windows_ > std::numeric_limits<std::uint32_t>::max() - windows_)
    throw Error(ErrorKind::kLimit, "corpus", "more than 4,294,967,295 windows in one count");
  windows_ += other.windows_;
  std::transform(singles_.begin(), singles_.end(), other.singles_.begin(), singles_.begin(), std::plus<>());
  std::transform(pairs_.values().begin(), pairs_.values().end(), other.pairs_.values().begin(),
                 pairs_.values().begin(), std::plus<>());
  return *this;
}

WindowCounts& WindowCounts::operator-=(const WindowCounts& other) {
  require_same_shape(other);
  windows_ -= other.windows_;
  std::transform(singles_.begin(), singles_.end(), other.singles_.begin(), singles_.begin(), std::minus<>());
  std::transform(pairs_.values().begin(), pairs_.values().end(), other.pairs_.values().begin(),
                 pairs_.values().begin(), std::minus<>());
  return *this;
}

Covariance::Covariance(const WindowCounts& counts) : Covariance(counts.letters(), counts.length()) {
  if (counts.windows() == 0) throw Error(ErrorKind::kUsage, "corpus", "there is no window to take a mean of");
  const double n = static_cast<double>(counts.windows());
  const std::size_t k = letters();
  for (std::size_t b = 0; b < length(); ++b)
    for (std::size_t v = 0; v < k; ++v) means(b, v) = counts.single(b, v) / n;
  for (std::size_t b = 0; b < length(); ++b)
    for (std::size_t v = 0; v < k; ++v) {
      const std::size_t line = pairs.line(b, v);
      for (std::size_t c = b + 1; c < length(); ++c)
        for (std::size_t w = 0; w < k; ++w) {
          const std::size_t at = line + c * k + w;
          pairs.values()[at] = counts.pairs().values()[at] / n - means(b, v) * means(c, w);
        }
    }
}

}  // namespace telos::symmetry
