#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// From the text of a review to word ids, as the published preprocessing does it (DCN-FAU-AvH,
// clustering-hardmax-transformers, data/preprocess.py), natively.

namespace telos::clustering {

struct PreprocessOptions {
  bool clean = true;         ///< links, HTML, punctuation, digits, non-ASCII, repeated letters (steps 1 to 9)
  bool lower_case = true;    ///< the published code keeps case
  bool stop_words = true;    ///< NLTK's 179 English stop words are dropped (matched with case, as published)
  bool contractions = true;  ///< "cannot" → "can not", "gonna" → "gon na" (Treebank)
  /// Folder with WordNet's index.noun and noun.exc (Debian: wordnet-base, /usr/share/wordnet): noun
  /// lemmatisation; empty: none. Its content is not stored with a model, its path is.
  std::string wordnet{};
  bool operator==(const PreprocessOptions&) const = default;
};
/// The published settings: case kept, WordNet lemmas if `wordnet` is given.
PreprocessOptions published_preprocessing(const std::string& wordnet = {});

/// Text → words. Thread-safe once made. Throws kMissingFile, kBadFormat for the WordNet files.
class Preprocessor {
 public:
  explicit Preprocessor(PreprocessOptions options);
  ~Preprocessor();
  Preprocessor(Preprocessor&&) noexcept;
  Preprocessor& operator=(Preprocessor&&) noexcept;
  std::vector<std::string> words(std::string_view text) const;
  const PreprocessOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
/// Whether a word (any case) is one of the stop words: for flags of explanations.
bool is_stop_word(std::string_view word);

/// Words with ids 1, 2, … by decreasing count, ties by first appearance; 0 is padding, "<PAD>".
class Vocabulary {
 public:
  static constexpr std::int32_t kPadding = 0;
  Vocabulary();
  /// Throws kUsage for an empty or repeated word.
  explicit Vocabulary(std::vector<std::string> words, std::vector<std::uint64_t> counts = {});
  static Vocabulary count(std::span<const std::vector<std::string>> documents, std::uint64_t min_count = 1,
                          std::size_t max_words = 0);
  std::size_t size() const { return words_.size(); }  ///< with padding
  const std::string& word(std::int32_t id) const { return words_[static_cast<std::size_t>(id)]; }
  std::int32_t id(std::string_view word) const;                     ///< −1 if unknown
  const std::vector<std::string>& words() const { return words_; }  ///< words()[0] is "<PAD>"
  const std::vector<std::uint64_t>& counts() const { return counts_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::vector<std::string> words_;
  std::vector<std::uint64_t> counts_;
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
};

}  // namespace telos::clustering
