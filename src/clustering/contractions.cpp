#include <algorithm>
#include <array>

#include "clustering/preprocess_parts.h"

namespace telos::clustering {

std::size_t contraction_split(std::string_view word) noexcept {
  // The Treebank's others have an apostrophe, which cleaning takes away ("d'ye", "more'n", "'tis").
  constexpr std::array<std::string_view, 6> kJoined{"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"};
  constexpr std::size_t kFirstPart = 3;  // can, gim, gon, got, lem, wan
  if (word.size() < 5 || word.size() > 6) return 0;
  const auto same = [](char a, char b) { return (a | 0x20) == b; };
  for (const std::string_view joined : kJoined)
    if (std::equal(word.begin(), word.end(), joined.begin(), joined.end(), same)) return kFirstPart;
  return 0;
}

}  // namespace telos::clustering
