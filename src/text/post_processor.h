#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telos/text/tokenizer.h"

namespace telos::text {

/// A token with what the last steps need to know of it.
struct TokenOut {
  std::int32_t id = 0;
  Encoding::Range range;  ///< in the text that the caller gave
  /// White space (U+0120 included) at the start and end of the token's own text, in characters.
  std::uint32_t leading = 0, trailing = 0;
  bool special = false;
};

/// White space at both ends of a token's text, in characters.
void count_spaces(std::string_view token_text, std::uint32_t& leading, std::uint32_t& trailing);

/// One step after the model: trims offsets, and puts special tokens around the sequence.
struct PostStep {
  bool trim = false;  ///< offsets leave out white space at the ends of a token
  bool add_prefix_space =
      false;  ///< for trimming: one leading space of the first token was put in, and stays
  std::vector<std::int32_t> before, after;
};

/// Applies the steps in order; special tokens only if `add_special`. `text` is what the caller gave: trimming
/// moves offsets by characters of it.
void post_process(const std::vector<PostStep>& steps, std::string_view text, bool add_special,
                  std::vector<TokenOut>& tokens);

}  // namespace telos::text
