#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdint>

#include "telos/base/error.h"
#include "telos/positional/compiler.h"

namespace telos::positional {
namespace {

constexpr std::size_t kMaxTestedWires = 20;

/// Puts each comparator into the first layer after the last one that touches its wires.
class Stager {
 public:
  explicit Stager(std::size_t wires) : free_from_(wires, 0) { network_.wires = wires; }
  void add(std::size_t a, std::size_t b) {
    const std::size_t layer = std::max(free_from_[a], free_from_[b]);
    if (layer == network_.layers.size()) network_.layers.emplace_back();
    network_.layers[layer].emplace_back(a, b);
    free_from_[a] = free_from_[b] = layer + 1;
  }
  ComparatorNetwork take() { return std::move(network_); }

 private:
  ComparatorNetwork network_{};
  std::vector<std::size_t> free_from_;
};

/// Reads wire numbers with any of "()[],:;" and white space between them.
class NetworkReader {
 public:
  NetworkReader(std::string_view text, std::size_t wires, const std::string& where)
      : text_(text), wires_(wires), where_(where) {}

  ComparatorNetwork run() {
    Stager stager(wires_);
    std::size_t a = 0, b = 0;
    while (next(a)) {
      const std::size_t line = line_, column = column_;
      if (!next(b)) fail(line, column, "wire " + std::to_string(a) + " has no partner");
      if (a == b) fail(line, column, "wire " + std::to_string(a) + " is compared with itself");
      stager.add(a, b);
    }
    return stager.take();
  }

 private:
  [[noreturn]] void fail(std::size_t line, std::size_t column, const std::string& message) const {
    throw Error(ErrorKind::kBadFormat, where_,
                "line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + message,
                "comparators are written (0,1) (2,3), the smaller value goes to the first wire");
  }

  bool next(std::size_t& wire) {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        line_start_ = at_ + 1;
      } else if (c == '#') {
        while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
      } else if (std::string_view(" \t\r,:;()[]").find(c) == std::string_view::npos) {
        break;
      }
    }
    column_ = at_ - line_start_ + 1;
    if (at_ == text_.size()) return false;
    const auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), wire);
    if (status == std::errc::invalid_argument)
      fail(line_, column_, "expected a wire's number, found '" + printable(text_.substr(at_, 1)) + "'");
    if (status != std::errc{} || wire >= wires_)
      fail(line_, column_, "expected a wire from 0 to " + std::to_string(wires_ - 1));
    at_ = static_cast<std::size_t>(end - text_.data());
    return true;
  }

  std::string_view text_;
  std::size_t wires_;
  const std::string& where_;
  std::size_t at_ = 0, line_ = 1, line_start_ = 0, column_ = 1;
};

}  // namespace

// Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M: merge exchange.
ComparatorNetwork batcher_network(std::size_t wires) {
  Stager stager(wires);
  if (wires < 2) return stager.take();
  const std::size_t top = std::bit_ceil(wires) / 2;
  for (std::size_t p = top; p > 0; p /= 2)
    for (std::size_t q = top, r = 0, d = p;;) {
      for (std::size_t i = 0; i + d < wires; ++i)
        if ((i & p) == r) stager.add(i, i + d);
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  return stager.take();
}

ComparatorNetwork parse_network(std::string_view text, std::size_t wires, const std::string& where) {
  return NetworkReader(text, wires, where).run();
}

// 64 vectors at once: word w of wire k holds bit k of the vectors 64w … 64w + 63.
bool is_sorting_network(const ComparatorNetwork& network, std::vector<int>* counterexample) {
  const std::size_t n = network.wires;
  if (n > kMaxTestedWires)
    throw Error(
        ErrorKind::kLimit, "comparator network",
        std::to_string(n) + " wires, expected at most 20: all 2^n vectors of zeros and ones are tried");
  static constexpr std::uint64_t kLow[6] = {0xAAAAAAAAAAAAAAAAu, 0xCCCCCCCCCCCCCCCCu, 0xF0F0F0F0F0F0F0F0u,
                                            0xFF00FF00FF00FF00u, 0xFFFF0000FFFF0000u, 0xFFFFFFFF00000000u};
  const std::uint64_t vectors = std::uint64_t{1} << n;
  std::vector<std::uint64_t> wires(n);
  for (std::uint64_t first = 0; first < vectors; first += 64) {
    for (std::size_t k = 0; k < n; ++k)
      wires[k] = k < 6 ? kLow[k] : ((first >> k) & 1) != 0 ? ~std::uint64_t{0} : 0;
    for (const auto& layer : network.layers)
      for (const auto& [a, b] : layer) {
        const std::uint64_t low = wires[a] & wires[b];
        wires[b] |= wires[a];
        wires[a] = low;
      }
    std::uint64_t wrong = 0;
    for (std::size_t k = 0; k + 1 < n; ++k) wrong |= wires[k] & ~wires[k + 1];
    if (vectors < 64) wrong &= (std::uint64_t{1} << vectors) - 1;
    if (wrong == 0) continue;
    if (counterexample != nullptr) {
      const std::uint64_t vector = first + static_cast<std::uint64_t>(std::countr_zero(wrong));
      counterexample->clear();
      for (std::size_t k = 0; k < n; ++k) counterexample->push_back(static_cast<int>((vector >> k) & 1));
    }
    return false;
  }
  return true;
}

}  // namespace telos::positional
