#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/draft.h"
#include "text/normalizer.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace telos::text {

struct AddedToken {
  std::string content;
  bool single_word = false;             ///< only where no word character touches it
  bool lstrip = false, rstrip = false;  ///< takes the white space on its left / right along
  bool normalized = true;               ///< looked for in the normalised text, in its own normalised form
  bool special = false;                 ///< left out by decode()
};

/// Tokens that are found in the text before it is cut into words, beside those of the model.
class AddedTokens {
 public:
  /// A token takes the id that it has in `vocabulary`, or the next free one, as in the reference;
  /// `expected_id` is what the file says, and a difference is logged. Throws kLimit for tokens longer than
  /// kMaxBytes.
  void add(const AddedToken& token, const Vocabulary& vocabulary, const Normalizer* normalizer,
           std::optional<std::int64_t> expected_id, const std::string& where);

  /// Cuts the draft at tokens that are looked for in the raw text.
  void split_raw(Draft& draft) const { split(draft, raw_); }
  /// Cuts the draft at tokens that are looked for in the normalised text.
  void split_normalized(Draft& draft) const { split(draft, normalized_); }

  std::optional<std::int32_t> id(std::string_view content) const;
  /// The content of a token; nullptr if the id is not that of an added token.
  const std::string* content(std::int32_t id) const;
  /// What decode() works with: the normalised content where there is one. nullptr as above.
  const std::string* decoded(std::int32_t id) const;
  bool special(std::string_view content) const { return special_.count(std::string(content)) > 0; }
  std::int32_t max_id() const { return max_id_; }

  /// The search costs at most this many steps a byte of the text.
  static constexpr std::size_t kMaxBytes = 4096;

 private:
  struct Known {
    AddedToken token;
    std::string decoded;
  };
  void split(Draft& draft, const Trie& trie) const;
  void split_piece(const Draft& draft, const Piece& piece, const Trie& trie, std::vector<Piece>& out) const;

  std::unordered_map<std::string, std::int32_t> ids_;
  std::unordered_map<std::int32_t, Known> tokens_;
  std::unordered_set<std::string> special_;
  Trie raw_, normalized_;
  std::int32_t max_id_ = -1;
};

}  // namespace telos::text
