#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telos/model/transformer.h"
#include "telos/text/tokenizer.h"

namespace telos {

/// How a text becomes windows of equal length for the forward pass.
struct WindowOptions {
  std::size_t length = 128;      ///< L, special tokens included
  std::size_t max_windows = 16;  ///< further text is left out, and said so
  std::string name = "text";     ///< what errors call the text
};

/// A text cut into B windows of L tokens. Each window carries the special tokens that the tokenizer puts
/// around one sequence, as the model saw them in training; the content is consecutive and does not overlap. A
/// last window that would be shorter than L is dropped, unless it is the only one: then L is its length.
struct TextWindows {
  TokenBatch batch;
  std::vector<std::uint8_t> special;  ///< B·L, 1 for tokens that the tokenizer added
  std::vector<std::string> labels;    ///< B·L token texts as the tokenizer spells them, or the ids
  std::string special_text;           ///< the tokenizer's names of them: "[CLS] and [SEP]"; empty if none
  std::size_t text_tokens = 0;        ///< tokens of the whole text, special ones not counted
  std::size_t used_tokens = 0;        ///< of these, inside a window
  std::size_t unknown_tokens = 0;     ///< of the whole text, those that the vocabulary lacks
  std::string unknown_text;  ///< how the tokenizer spells them: "[UNK]"; empty without unknown tokens
};

/// Throws kBadFormat for a text of less than two tokens, kUsage for a window that its special tokens fill,
/// kLimit for a window longer than `context` (the model's longest sequence; 0 = unknown).
TextWindows cut_windows(const Tokenizer& tokenizer, std::string_view text, std::size_t context,
                        const WindowOptions& options);
/// The same for a text that is token ids already; no special tokens are added.
TextWindows cut_windows(const std::vector<std::int32_t>& ids, std::size_t context,
                        const WindowOptions& options);

}  // namespace telos
