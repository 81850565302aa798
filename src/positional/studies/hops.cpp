#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "positional/studies/parts.h"

namespace telos::positional {
namespace {

/// Entry i for position i = 1 … n; entry 0 is "none", which stays none.
using Pointers = std::vector<std::size_t>;

Pointers one_hop(std::string_view text) {
  std::array<std::size_t, 256> after{};  // position after the last earlier occurrence of a letter
  Pointers f(text.size() + 1, 0);
  for (std::size_t i = 1; i <= text.size(); ++i) {
    // j ≤ i with X_{j−1} = X_i: occurrences up to position i − 1 count.
    f[i] = after[static_cast<unsigned char>(text[i - 1])];
    after[static_cast<unsigned char>(text[i - 1])] = i + 1;
  }
  return f;
}

Pointers identity(std::size_t n) {
  Pointers f(n + 1);
  std::iota(f.begin(), f.end(), std::size_t{0});
  return f;
}

Pointers compose(const Pointers& f, const Pointers& g) {
  Pointers h(f.size());
  for (std::size_t i = 0; i < f.size(); ++i) h[i] = f[g[i]];
  return h;
}

std::vector<std::size_t> without_none(const Pointers& f) {
  return {f.begin() + 1, f.end()};
}

}  // namespace

std::vector<std::size_t> find_hops(std::string_view text, std::size_t k) {
  const Pointers f = one_hop(text);
  Pointers result = identity(text.size());
  // A hop leads to an earlier position or to none, or stays for good (equal neighbours): n hops end all.
  for (std::size_t hop = 0; hop < std::min(k, text.size() + 1); ++hop) result = compose(f, result);
  return without_none(result);
}

HopDoubling find_hops_by_doubling(std::string_view text, std::size_t k) {
  Pointers power = one_hop(text), product = identity(text.size());
  HopDoubling result;
  bool started = false;  // whether `product` is more than the identity
  for (std::size_t digits = k; digits != 0; digits >>= 1) {
    const bool last = digits == 1;
    if ((digits & 1) != 0) {
      product = compose(power, product);
      // The squaring of this round runs beside; only the last product can need a round of its own.
      if (last && started) ++result.rounds;
      started = true;
    }
    if (last) break;
    power = compose(power, power);
    ++result.rounds;
  }
  result.positions = without_none(product);
  return result;
}

std::pair<std::string, std::string> hop_sample(std::string_view text, std::size_t k) {
  const std::string_view letters = text.substr(0, text.size() < 2 ? 0 : text.size() - 2);
  return {std::to_string(k) + std::string(letters), "_" + hop_string(letters, k)};
}

namespace studies {
namespace {

/// Letters uniform, consecutive ones distinct.
std::string hop_text(std::size_t length, std::uint32_t letters, Random& random) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) {
    const std::uint32_t draw = random.below(i == 0 ? letters : letters - 1);
    const auto taken = i == 0 ? letters : static_cast<std::uint32_t>(text.back() - 'a');
    text += static_cast<char>('a' + (draw >= taken ? draw + 1 : draw));
  }
  return text;
}

}  // namespace

void run_hops(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kTexts = 500, kLength = 100, kMost = 16;
  struct Outcome {
    bool equal = true;
    std::size_t reached = 0;
  };
  std::vector<std::array<Outcome, kMost + 1>> outcomes(kTexts);
  arena.parallel_for(kTexts, [&](std::size_t i) {
    Random random(seed, 0, i);
    const std::string text = hop_text(kLength, 4, random);
    for (std::size_t k = 0; k <= kMost; ++k) {
      const auto hops = find_hops(text, k);
      outcomes[i][k] = {find_hops_by_doubling(text, k).positions == hops,
                        kLength - static_cast<std::size_t>(std::ranges::count(hops, std::size_t{0}))};
    }
  });
  result.table = {"Texts of 100 letters out of 4: hops by doubling against hop by hop",
                  {"k", "rounds", "⌈log2 k⌉", "equal texts", "share of positions with k hops"},
                  {}};
  result.holds = true;
  for (std::size_t k = 0; k <= kMost; ++k) {
    std::size_t equal = 0, reached = 0;
    for (const auto& outcome : outcomes) {
      equal += outcome[k].equal;
      reached += outcome[k].reached;
    }
    const std::size_t rounds = find_hops_by_doubling("ab", k).rounds;
    const std::size_t expected = k < 2 ? 0 : static_cast<std::size_t>(std::bit_width(k - 1));
    result.table.rows.push_back({static_cast<double>(k), static_cast<double>(rounds),
                                 static_cast<double>(expected), static_cast<double>(equal),
                                 static_cast<double>(reached) / (kTexts * kLength)});
    result.holds = result.holds && equal == kTexts && rounds == expected;
  }
  result.measured = fmt::format("{} texts and k = 0 … {}: equal everywhere: {}; 16 hops in {} rounds", kTexts,
                                kMost, result.holds ? "yes" : "no", find_hops_by_doubling("ab", 16).rounds);
}

}  // namespace studies
}  // namespace telos::positional
