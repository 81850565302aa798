#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/draft.h"
#include "text/pattern.h"

namespace telos::text {

/// Rewrites a text before it is cut into words. Linear time; safe from several threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Replaces `text`.
  virtual void apply(Aligned& text) const = 0;
};

struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  std::optional<bool> strip_accents;  ///< nothing: as `lowercase`
  bool lowercase = true;
};
std::unique_ptr<Normalizer> bert_normalizer(const BertNormalizerOptions& options);
std::unique_ptr<Normalizer> lowercase_normalizer();
std::unique_ptr<Normalizer> normal_form_normalizer(NormalForm form);
std::unique_ptr<Normalizer> strip_accents_normalizer();  ///< drops combining marks; does not decompose
std::unique_ptr<Normalizer> strip_normalizer(bool left, bool right);
std::unique_ptr<Normalizer> replace_normalizer(std::unique_ptr<Pattern> pattern, std::string content);
std::unique_ptr<Normalizer> prepend_normalizer(std::string prefix);
std::unique_ptr<Normalizer> byte_level_normalizer();
std::unique_ptr<Normalizer> sequence_normalizer(std::vector<std::unique_ptr<Normalizer>> steps);

/// Applies the normaliser (nullptr: none) to each piece that is not a token yet.
void normalize_pieces(Draft& draft, const Normalizer* normalizer);
/// Replaces the draft's text: each piece that is not a token goes through rewrite(piece, out), which appends
/// what it becomes; tokens are copied, and pieces that become empty vanish.
template <class F>
void rewrite_pieces(Draft& draft, F&& rewrite);

/// Each match of `pattern` replaced by `content`, whose characters share the span of the match's last byte.
void replace_matches(Aligned& text, const Pattern& pattern, std::string_view content);
/// `prefix` put before the text, on the span of its first character. Does nothing to an empty text.
void prepend(Aligned& text, std::string_view prefix);
/// Bytes as characters, the alphabet of byte-level BPE: printable Latin-1 stands for itself, the other 68
/// bytes for U+0100 … U+0143.
void to_byte_level(const Aligned& text, std::size_t begin, std::size_t end, Aligned& out);
/// The byte that a character of this alphabet stands for, −1 if it is not one.
int byte_of_level(char32_t c) noexcept;
/// U+0120, the space of this alphabet.
constexpr char32_t kByteLevelSpace = 0x120;

template <class F>
void rewrite_pieces(Draft& draft, F&& rewrite) {
  Draft out;
  out.text.bytes.reserve(draft.text.bytes.size() + draft.text.bytes.size() / 4);
  out.text.origin.reserve(draft.text.origin.size() + draft.text.origin.size() / 4);
  out.pieces.reserve(draft.pieces.size());
  for (const Piece& piece : draft.pieces) {
    const auto begin = static_cast<std::uint32_t>(out.text.bytes.size());
    if (piece.token >= 0)
      out.text.append(draft.text, piece.begin, piece.end);
    else
      rewrite(piece, out.text);
    const auto end = static_cast<std::uint32_t>(out.text.bytes.size());
    if (end > begin) out.pieces.push_back({begin, end, piece.token});
  }
  draft = std::move(out);
}

}  // namespace telos::text
