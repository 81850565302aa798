#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/clustering/preprocess.h"

namespace telos::clustering {
namespace {

constexpr std::string_view kPaddingWord = "<PAD>";
constexpr std::size_t kMaxWords = std::numeric_limits<std::int32_t>::max();

}  // namespace

Vocabulary::Vocabulary() : Vocabulary(std::vector<std::string>{}) {}

Vocabulary::Vocabulary(std::vector<std::string> words, std::vector<std::uint64_t> counts)
    : words_(std::move(words)), counts_(std::move(counts)) {
  if (!counts_.empty() && counts_.size() != words_.size())
    throw Error(ErrorKind::kUsage, "vocabulary",
                fmt::format("{} words with {} counts", words_.size(), counts_.size()));
  if (words_.size() >= kMaxWords)
    throw Error(ErrorKind::kLimit, "vocabulary",
                fmt::format("{} words, above the limit of {}", words_.size(), kMaxWords - 1));
  words_.insert(words_.begin(), std::string(kPaddingWord));
  counts_.insert(counts_.begin(), 0);
  counts_.resize(words_.size());
  ids_.reserve(words_.size());
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if (words_[i].empty()) throw Error(ErrorKind::kUsage, "vocabulary", fmt::format("word {} is empty", i));
    const auto [found, added] = ids_.emplace(words_[i], static_cast<std::int32_t>(i));
    if (!added)
      throw Error(
          ErrorKind::kUsage, "vocabulary",
          fmt::format("the word \"{}\" has the ids {} and {}", printable(words_[i], 40), found->second, i));
  }
}

Vocabulary Vocabulary::count(std::span<const std::vector<std::string>> documents, std::uint64_t min_count,
                             std::size_t max_words) {
  std::unordered_map<std::string_view, std::size_t> index;  // by first appearance
  std::vector<std::string_view> found;
  std::vector<std::uint64_t> counts;
  for (const std::vector<std::string>& words : documents) {
    check_interrupt();
    for (const std::string& word : words) {
      const auto [at, added] = index.try_emplace(word, found.size());
      if (added) {
        found.push_back(word);
        counts.push_back(0);
      }
      ++counts[at->second];
    }
  }
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return counts[a] > counts[b]; });
  std::vector<std::string> words;
  std::vector<std::uint64_t> kept;
  for (const std::size_t i : order) {
    if (counts[i] < min_count || (max_words > 0 && words.size() == max_words)) break;
    words.emplace_back(found[i]);
    kept.push_back(counts[i]);
  }
  return Vocabulary(std::move(words), std::move(kept));
}

std::int32_t Vocabulary::id(std::string_view word) const {
  const auto found = ids_.find(word);
  return found == ids_.end() ? -1 : found->second;
}

}  // namespace telos::clustering
