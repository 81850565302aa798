#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace telos::text {

/// A token of a word: the next `bytes` bytes of it.
struct WordToken {
  std::int32_t id;
  std::uint32_t bytes;
};

/// Cuts one word (a piece that the pre-tokenizer made) into tokens. Immutable once built: safe from several
/// threads.
class Model {
 public:
  virtual ~Model() = default;
  /// Appends the tokens of `word`, which is not empty.
  virtual void tokenize(std::string_view word, std::vector<WordToken>& out) const = 0;
  virtual std::string_view kind() const = 0;
  /// What stands for a part that is not in the vocabulary; nothing if there is no such token.
  virtual std::optional<std::int32_t> unknown() const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 protected:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  Vocabulary vocabulary_;
};

struct WordPieceOptions {
  std::string unknown = "[UNK]";
  std::string continuing_prefix = "##";
  std::uint64_t max_characters = 100;  ///< longer words become the unknown token
};
/// Greedy longest match from the left (Wu et al. 2016); a word with a part that is not in the vocabulary is
/// unknown as a whole. Throws kBadFormat if the unknown token is not in the vocabulary.
std::unique_ptr<Model> make_wordpiece(Vocabulary vocabulary, const WordPieceOptions& options,
                                      const std::string& where);

struct BpeOptions {
  std::string unknown;  ///< empty: characters that are not in the vocabulary are dropped
  std::string continuing_prefix, end_suffix;
  bool fuse_unknown = false;
  bool byte_fallback = false;  ///< write characters that are not in the vocabulary as <0xNN>
  bool ignore_merges = false;  ///< a word that is in the vocabulary is that token, whatever the merges say
  bool byte_level = false;     ///< only for kind()
};
using Merge = std::pair<std::string, std::string>;
/// Byte-pair encoding (Sennrich et al. 2016): of the neighbours that have a merge, the pair of the lowest
/// rank, and of these the leftmost, is joined, until none has. Throws kBadFormat for a merge of unknown
/// tokens.
std::unique_ptr<Model> make_bpe(Vocabulary vocabulary, const std::vector<Merge>& merges,
                                const BpeOptions& options, const std::string& where);

}  // namespace telos::text
