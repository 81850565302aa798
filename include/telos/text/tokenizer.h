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
    std::size_t begin = 0,
                end = 0;  ///< bytes [begin, end) of the input; begin == end for an added special token
  };
  std::vector<std::int32_t> ids;
  std::vector<Range> offsets;
  std::vector<std::uint8_t> special;  ///< 1 for tokens that the template added ([CLS], [SEP], <s>), else 0
};

/// WordPiece (BERT) and BPE tokenizers (byte-level as in GPT-2, RoBERTa, Llama 3, Qwen 2; with byte fallback
/// as in Llama 2, Mistral, Gemma), with the ids and offsets that the reference library `tokenizers` 0.23
/// gives for the same files.
///
/// Parts of a tokenizer.json that are known; any other is Error{kUnsupported} naming it:
/// * models: WordPiece, BPE (without dropout);
/// * normalisers: BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, StripAccents, Strip, Replace, Prepend,
/// ByteLevel,
///   Sequence;
/// * pre-tokenizers: BertPreTokenizer, ByteLevel, Whitespace, WhitespaceSplit, Punctuation, Digits,
/// CharDelimiterSplit,
///   Split, Metaspace, Sequence. Regular expressions (in Split and Replace): those of GPT-2, cl100k, Llama 3
///   and Qwen 2, and short ones such as `\s+` or `\p{N}{1,3}`;
/// * post-processors: TemplateProcessing (its template for one sequence), BertProcessing, RobertaProcessing,
/// ByteLevel,
///   Sequence;
/// * decoders: WordPiece, ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, BPEDecoder, Sequence.
/// `truncation` and `padding` are ignored: encode() returns the whole text.
///
/// Character properties are those of the reference, code point by code point, which follows several versions
/// of Unicode (from 8.0 for BERT's punctuation to 17.0 for lower case).
class Tokenizer {
 public:
  /// `path`: a `tokenizer.json`, a `vocab.txt`, a `vocab.json` (with `merges.txt` beside it), or a directory
  /// that holds one of them (looked for in that order; `tokenizer_config.json` and `special_tokens_map.json`
  /// beside a vocabulary are respected). A vocab.txt is taken for lower-case BERT unless
  /// tokenizer_config.json says otherwise; a vocab.json for RoBERTa if the configuration says so or it holds
  /// <s> and </s> but no <|endoftext|>, else for GPT-2. Throws kMissingFile, kBadFormat, kUnsupported (names
  /// the component, e.g. a Unigram model), kLimit.
  static Tokenizer load(const std::string& path);
  /// From the text of a tokenizer.json; `where` names it in errors.
  static Tokenizer from_json(std::string_view json, const std::string& where);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// `text` is UTF-8; bytes that are not are read as U+FFFD. `add_special` adds what the template adds to one
  /// sequence. Linear in the text's length, or n log n for words of n > 48 characters in BPE (WordPiece caps
  /// words as the file says). Memory: about 20 bytes a byte of text. Texts above 1 GiB are Error{kLimit}.
  /// Safe from several threads.
  Encoding encode(std::string_view text, bool add_special = true) const;
  /// The text of ids; special tokens are left out if `skip_special`, ids without a token are skipped. Throws
  /// kUsage for an id out of range.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  std::size_t vocabulary_size() const;  ///< 1 + the largest id
  /// As the file spells it ("##ing", "Ġthe"); empty for an id without a token. Throws kUsage for an id out of
  /// range.
  std::string_view token(std::int32_t id) const;
  std::optional<std::int32_t> id(std::string_view token) const;
  /// The token that stands for what the vocabulary lacks ("[UNK]"); nothing where no text can need it.
  std::optional<std::int32_t> unknown() const;
  std::string_view kind() const;  ///< "WordPiece", "byte-level BPE" or "BPE"
  /// Number of tokens that encode() puts before and after a single sequence.
  std::size_t prefix_tokens() const;
  std::size_t suffix_tokens() const;

 private:
  Tokenizer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos
