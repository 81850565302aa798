// Tokenizers: the first byte chooses. 0: the rest is a tokenizer.json, which loads or is one clear error, and
// encodes a few texts if it loads. Otherwise: the rest is a text for one of four small tokenizers, and the
// laws of encoding hold.
#include <array>
#include <string>

#include "support.h"
#include "telos/text/tokenizer.h"
#include "text/unicode.h"

namespace {

using telos::Encoding;
using telos::Tokenizer;

constexpr std::string_view kWordPiece = R"({"normalizer": {"type": "BertNormalizer"},
  "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
  "added_tokens": [{"id": 0, "content": "[UNK]", "special": true, "normalized": false},
                   {"id": 1, "content": "[CLS]", "special": true, "normalized": false, "lstrip": true}],
  "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[CLS]", 1]},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "a": 2, "##a": 3, "e": 4,
            "##e": 5, "aa": 6, "##b": 7, "b": 8, "!": 9, "\u4e2d": 10, "##\u0131": 11}}})";

/// Byte-level BPE with all 256 characters and a few merges; decode(encode(text)) is the text.
std::string byte_level() {
  std::string vocab;
  int id = 0;
  for (char32_t c = 0x21; c < 0x144; ++c) {
    const bool itself = c <= 0x7E || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
    if (!itself && c < 0x100) continue;
    std::string token;
    if (c == '"' || c == '\\') token = "\\";
    telos::text::append_utf8(token, c);
    vocab += "\"" + token + "\": " + std::to_string(id++) + ", ";
  }
  return R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "behavior": "Isolated",
    "pattern": {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]}, "decoder": {"type": "ByteLevel"},
    "post_processor": {"type": "ByteLevel", "trim_offsets": true, "add_prefix_space": false},
    "model": {"type": "BPE", "ignore_merges": true, "vocab": {)" +
         vocab + R"("aa": 500, "aab": 501, "ab": 502, "Ġa": 503, "ÃĊ": 504},
    "merges": ["a a", "aa b", "a b", "Ġ a", "Ã Ċ"]}})";
}

constexpr std::string_view kByteFallback =
    R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"},
  {"type": "Prepend", "prepend": "_"}, {"type": "Replace", "pattern": {"Regex": " {1,}"}, "content": "_"}]},
  "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
  "added_tokens": [{"id": 0, "content": "<s>", "single_word": true, "normalized": true},
                   {"id": 6, "content": "aa", "rstrip": true, "lstrip": true, "normalized": true}],
  "model": {"type": "BPE", "unk_token": "u", "fuse_unk": true, "byte_fallback": true, "merges": ["a b", "_ a"],
            "vocab": {"<s>": 0, "u": 1, "a": 2, "b": 3, "ab": 4, "_": 5, "_a": 7, "<0xC3>": 8, "<0xA9>": 9}}})";

constexpr std::string_view kMixed = R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip"},
  {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "Digits"},
    {"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Metaspace", "replacement": "e"}]},
  "decoder": {"type": "Metaspace", "replacement": "e"},
  "model": {"type": "BPE", "unk_token": "u", "continuing_subword_prefix": "@", "end_of_word_suffix": "w",
            "merges": ["a @bw"], "vocab": {"u": 0, "a": 1, "@bw": 2, "abw": 3, "@a": 4}}})";

const Tokenizer& fixed(std::size_t which) {
  static const std::array<Tokenizer, 4> all = {
      Tokenizer::from_json(kWordPiece, "wordpiece"), Tokenizer::from_json(byte_level(), "byte level"),
      Tokenizer::from_json(kByteFallback, "byte fallback"), Tokenizer::from_json(kMixed, "mixed")};
  return all[which];
}

void check(const Tokenizer& tokenizer, std::string_view text) {
  using telos::fuzz::require;
  const Encoding e = tokenizer.encode(text);
  require(e.offsets.size() == e.ids.size() && e.special.size() == e.ids.size(), "vectors of unequal length");
  for (std::size_t i = 0; i < e.ids.size(); ++i) {
    require(e.offsets[i].begin <= e.offsets[i].end && e.offsets[i].end <= text.size(),
            "offsets outside the text");
    require(e.ids[i] >= 0, "a negative id");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  if (size == 0) return 0;
  const std::string_view rest = fuzz::as_text(data + 1, size - 1);
  if (data[0] == 0) {
    fuzz::accepts([&] {
      const Tokenizer tokenizer = Tokenizer::from_json(rest, "a.json");
      fuzz::require(tokenizer.vocabulary_size() < 3'000'000, "a vocabulary larger than the file allows");
      check(tokenizer, "a bc  <s>\u00e9\n12 abab\xFF");
      check(tokenizer, rest.substr(0, 200));
    });
    return 0;
  }
  const std::size_t which = data[0] % 4;
  const Tokenizer& tokenizer = fixed(which);
  check(tokenizer, rest);
  if (which == 1) {
    const Encoding e = tokenizer.encode(rest);
    fuzz::require(tokenizer.decode(e.ids) == text::lossy_utf8(rest),
                  "byte-level BPE does not give the text back");
  }
  tokenizer.decode(tokenizer.encode(rest).ids, data[0] & 4);
  return 0;
}
