#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "text/model.h"

namespace telos::text {

/// Remembers the tokens of words during one call of encode(): in running text most words occur more than
/// once. Direct mapped, of a size that suits the text; the words' bytes must stay where they are.
class WordCache {
 public:
  WordCache(const Model& model, std::size_t text_bytes);
  /// Tokens of `word`; valid until the next call.
  std::span<const WordToken> tokens(std::string_view word);

 private:
  struct Slot {
    std::string_view word;  // empty: free
    std::uint32_t first = 0, count = 0;
  };
  const Model& model_;
  std::vector<Slot> slots_;        // empty for short texts
  std::vector<WordToken> tokens_;  // of the remembered words, one after another
  std::vector<WordToken> scratch_;
};

}  // namespace telos::text
