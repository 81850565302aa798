#include <algorithm>
#include <array>
#include <string>

#include "clustering/preprocess_parts.h"

namespace telos::clustering {
namespace {

/// NLTK's English stop words (nltk_data, corpora/stopwords/english, the list of 179), sorted.
constexpr std::array<std::string_view, 179> kStopWords{
    "a",        "about",     "above",     "after",     "again",    "against",    "ain",     "all",
    "am",       "an",        "and",       "any",       "are",      "aren",       "aren't",  "as",
    "at",       "be",        "because",   "been",      "before",   "being",      "below",   "between",
    "both",     "but",       "by",        "can",       "couldn",   "couldn't",   "d",       "did",
    "didn",     "didn't",    "do",        "does",      "doesn",    "doesn't",    "doing",   "don",
    "don't",    "down",      "during",    "each",      "few",      "for",        "from",    "further",
    "had",      "hadn",      "hadn't",    "has",       "hasn",     "hasn't",     "have",    "haven",
    "haven't",  "having",    "he",        "her",       "here",     "hers",       "herself", "him",
    "himself",  "his",       "how",       "i",         "if",       "in",         "into",    "is",
    "isn",      "isn't",     "it",        "it's",      "its",      "itself",     "just",    "ll",
    "m",        "ma",        "me",        "mightn",    "mightn't", "more",       "most",    "mustn",
    "mustn't",  "my",        "myself",    "needn",     "needn't",  "no",         "nor",     "not",
    "now",      "o",         "of",        "off",       "on",       "once",       "only",    "or",
    "other",    "our",       "ours",      "ourselves", "out",      "over",       "own",     "re",
    "s",        "same",      "shan",      "shan't",    "she",      "she's",      "should",  "should've",
    "shouldn",  "shouldn't", "so",        "some",      "such",     "t",          "than",    "that",
    "that'll",  "the",       "their",     "theirs",    "them",     "themselves", "then",    "there",
    "these",    "they",      "this",      "those",     "through",  "to",         "too",     "under",
    "until",    "up",        "ve",        "very",      "was",      "wasn",       "wasn't",  "we",
    "were",     "weren",     "weren't",   "what",      "when",     "where",      "which",   "while",
    "who",      "whom",      "why",       "will",      "with",     "won",        "won't",   "wouldn",
    "wouldn't", "y",         "you",       "you'd",     "you'll",   "you're",     "you've",  "your",
    "yours",    "yourself",  "yourselves"};

constexpr std::size_t kLongest = 10;

/// Where the words with each first letter begin.
constexpr std::array<std::uint8_t, 27> kBegin = [] {
  std::array<std::uint8_t, 27> begin{};
  for (const std::string_view word : kStopWords) ++begin[static_cast<std::size_t>(word[0] - 'a') + 1];
  for (std::size_t i = 1; i < begin.size(); ++i)
    begin[i] = static_cast<std::uint8_t>(begin[i] + begin[i - 1]);
  return begin;
}();

}  // namespace

bool in_stop_list(std::string_view word) noexcept {
  if (word.empty() || word.size() > kLongest || word[0] < 'a' || word[0] > 'z') return false;
  const auto letter = static_cast<std::size_t>(word[0] - 'a');
  const auto begin = kStopWords.begin() + kBegin[letter], end = kStopWords.begin() + kBegin[letter + 1];
  // The last letter first: most words fail there, without a call of memcmp.
  return std::any_of(begin, end, [&](std::string_view s) { return s.back() == word.back() && s == word; });
}

bool is_stop_word(std::string_view word) {
  if (word.size() > kLongest) return false;
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return in_stop_list(lower);
}

}  // namespace telos::clustering
