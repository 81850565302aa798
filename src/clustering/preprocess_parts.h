#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "telos/clustering/preprocess.h"

// The steps of the preprocessing. Numbers of steps are those of the published pipeline as
// `PreprocessOptions` lists them.

namespace telos::clustering {

/// Space, tab, line ends, and the separators 0x1C to 0x1F, which Python's str counts among them.
constexpr bool is_ascii_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1C' && c <= '\x1F');
}
constexpr bool is_ascii(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x80;
}
/// Bytes of the white space at `at` that is not ASCII (U+00A0, U+2003, …: what Python's str calls space); 0
/// if there is none.
std::size_t wide_space(std::string_view text, std::size_t at) noexcept;
/// Bytes of the white space at `at`, 0 if there is none.
inline std::size_t space_at(std::string_view text, std::size_t at) noexcept {
  return is_ascii(text[at]) ? (is_ascii_space(text[at]) ? 1 : 0) : wide_space(text, at);
}

/// Steps 1 to 9: ASCII letters (and control characters) in words that blanks divide. Linear in the text.
std::string clean_text(std::string_view text);

/// Step 10, of which cleaning leaves little to do: where the tokenizer of the Penn Treebank divides a word
/// ("can|not", "gon|na", in any case); 0 for all other words.
std::size_t contraction_split(std::string_view word) noexcept;

/// Steps 11 and 13: whether the word, exactly as it is, is in NLTK's English list.
bool in_stop_list(std::string_view word) noexcept;

/// Step 12, the nouns of WordNet, looked up as NLTK's WordNetLemmatizer does.
class NounLemmas {
 public:
  /// Reads index.noun and noun.exc. Throws kMissingFile, kBadFormat.
  explicit NounLemmas(const std::string& folder);
  /// The same from the content of the two files; `folder` is named in errors.
  NounLemmas(std::string nouns, std::string_view exceptions, const std::string& folder);
  NounLemmas(const NounLemmas&) = delete;
  NounLemmas& operator=(const NounLemmas&) = delete;

  /// Exception list first; else the shortest noun among the word and what one rule makes of it (s → nothing,
  /// ses → s, ves → f, …); else of what two rules make; and so on. The word itself if there is none.
  std::string lemma(std::string word) const;

 private:
  void read_nouns(const std::string& path);
  void read_exceptions(std::string_view text, const std::string& path);
  bool is_noun(std::string_view word) const { return nouns_.contains(word); }

  std::string index_;                                        ///< the file, into which nouns_ points
  std::unordered_set<std::string_view> nouns_;               ///< lower case, "_" for blanks
  std::unordered_map<std::string, std::string> exceptions_;  ///< word → its lemma
};

}  // namespace telos::clustering
