#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "positional/studies/parts.h"
#include "telos/base/error.h"

namespace telos::positional {
namespace {

void check_tokens(std::string_view tokens) {
  bool inside = false;
  const auto refuse = [](std::size_t at, const std::string& what) {
    throw Error(ErrorKind::kUsage, "contextual counting", "token " + std::to_string(at) + ": " + what);
  };
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const char c = tokens[i];
    if (c == '[' && inside) refuse(i, "'[' inside of a region");
    if (c == ']' && !inside) refuse(i, "']' outside of a region");
    if (c != '0' && c != '1' && c != '[' && c != ']')
      refuse(i, "expected 0, 1, [ or ], found " + printable({&c, 1}));
    if (c == '[') inside = true;
    if (c == ']') inside = false;
  }
  if (inside) refuse(tokens.size(), "the last region is not closed");
}

/// The number whose reciprocal head a shows, as the MLP decodes it.
std::size_t decode_reciprocal(double output) {
  return static_cast<std::size_t>(std::llround(1 / output - 1));
}

}  // namespace

ContextualCount contextual_count(std::string_view tokens) {
  check_tokens(tokens);
  ContextualCount result;
  // Layer 1, causal. Uniform attention to a set of tokens is a mean over those of them seen so far.
  double brackets = 0, open = 0, close = 0;
  for (std::size_t i = 0; i <= tokens.size(); ++i) {  // i = 0 is BOS
    if (i > 0 && tokens[i - 1] == '[') ++open;
    if (i > 0 && tokens[i - 1] == ']') ++close;
    brackets = open + close;
    result.opened.push_back(1 / (1 + open));
    result.inside.push_back((open - close) / (1 + brackets));
  }
  // The MLP: region = brackets opened, inside = head b above 0; then the decoder's query for each region.
  const std::size_t regions = decode_reciprocal(result.opened.back());
  std::vector<double> ones(regions, 0.0);
  for (std::size_t i = 1; i <= tokens.size(); ++i)
    if (tokens[i - 1] == '1' && result.inside[i] > 0) ++ones[decode_reciprocal(result.opened[i]) - 1];
  for (const double count : ones) {
    result.output.push_back(1 / (1 + count));
    result.counts.push_back(decode_reciprocal(result.output.back()));
  }
  return result;
}

std::string counting_string(std::size_t length, std::size_t regions, Random& random) {
  if (length < 2 * regions)
    throw Error(ErrorKind::kUsage, "contextual counting",
                std::to_string(regions) + " regions do not fit into " + std::to_string(length) + " tokens");
  // Which of the tokens are brackets: a uniform subset, in order open, close, open, …
  std::string tokens(length, '0');
  std::size_t left = 2 * regions;
  bool open = true;
  for (std::size_t i = 0; i < length; ++i) {
    if (random.below(static_cast<std::uint32_t>(length - i)) < left) {
      tokens[i] = open ? '[' : ']';
      open = !open;
      --left;
    } else {
      tokens[i] = random.below(2) == 1 ? '1' : '0';
    }
  }
  return tokens;
}

namespace studies {
namespace {

std::vector<std::size_t> count_directly(std::string_view tokens) {
  std::vector<std::size_t> counts;
  bool inside = false;
  for (const char c : tokens) {
    if (c == '[') counts.push_back(0);
    if (c == '[' || c == ']') inside = c == '[';
    if (c == '1' && inside) ++counts.back();
  }
  return counts;
}

}  // namespace

void run_counting(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kStrings = 60;
  constexpr std::array<std::pair<std::size_t, std::size_t>, 6> kSizes{
      {{64, 2}, {512, 4}, {1024, 8}, {4096, 1}, {4096, 8}, {4096, 32}}};
  result.table = {"Strings whose counts are all exact", {"length", "regions", "strings", "exact"}, {}};
  result.holds = true;
  std::size_t all = 0;
  for (std::size_t s = 0; s < kSizes.size(); ++s) {
    const std::size_t length = kSizes[s].first, regions = kSizes[s].second;
    std::vector<std::uint8_t> exact(kStrings);
    arena.parallel_for(kStrings, [&](std::size_t i) {
      Random random(seed, static_cast<std::uint32_t>(s), i);
      const std::string tokens = counting_string(length, regions, random);
      exact[i] = contextual_count(tokens).counts == count_directly(tokens);
    });
    const auto right = static_cast<std::size_t>(std::ranges::count(exact, 1));
    all += right;
    result.holds = result.holds && right == kStrings;
    result.table.rows.push_back({static_cast<double>(length), static_cast<double>(regions),
                                 static_cast<double>(kStrings), static_cast<double>(right)});
  }
  result.measured = fmt::format("{} of {} strings of up to 4096 tokens and 32 regions counted exactly", all,
                                kStrings * kSizes.size());
}

}  // namespace studies
}  // namespace telos::positional
