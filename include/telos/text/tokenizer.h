#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace telos {

/// A text as token ids. Vectors have one entry a token.
struct Encoding {
  struct Range {
    std::size_t begin = 0, end = 0;  ///< bytes [begin, end) of the input; begin == end for an added special token
  };
  std::vector<std::int32_t> ids;
  std::vector<Range> offsets;
  std::vector<std::uint8_t> special;  ///< 1 for tokens that the template added ([CLS], [SEP], <s>), else 0
};

/// WordPiece (BERT) and byte-level BPE (GPT-2, RoBERTa, Llama 3, Qwen) tokenizers, with the ids that the reference
/// library `tokenizers` gives for the same files.
class Tokenizer {
 public:
  /// `path`: a `tokenizer.json`, a `vocab.txt`, a `vocab.json` (with `merges.txt` beside it), or a directory that holds
  /// one of them (looked for in that order; `tokenizer_config.json` and `special_tokens_map.json` beside them are
  /// respected). Throws kMissingFile, kBadFormat, kUnsupported (names the component, e.g. a Unigram model), kLimit.
  static Tokenizer load(const std::string& path);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// `text` is UTF-8; bytes that are not are read as U+FFFD. `add_special` adds what the template adds to one sequence.
  /// Linear in the text's length (words are capped as the file says).
  Encoding encode(std::string_view text, bool add_special = true) const;
  /// The text of ids; special tokens are left out if `skip_special`. Throws kUsage for an id out of range.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  std::size_t vocabulary_size() const;                     ///< 1 + the largest id
  std::string_view token(std::int32_t id) const;           ///< as the file spells it ("##ing", "Ġthe")
  std::optional<std::int32_t> id(std::string_view token) const;
  std::string_view kind() const;                           ///< "WordPiece" or "byte-level BPE"
  /// Number of tokens that encode() puts before and after a single sequence.
  std::size_t prefix_tokens() const;
  std::size_t suffix_tokens() const;

 private:
  Tokenizer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos
