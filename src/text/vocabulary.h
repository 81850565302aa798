#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace telos::text {

/// Token strings and their ids, both ways. Ids may have holes (the reference allows them), but neither an id
/// nor a token may occur twice, and the largest id is bounded by the number of tokens, so that a hostile file
/// cannot make it allocate more than it is itself long.
class Vocabulary {
 public:
  /// Throws kBadFormat for a negative id or one that is taken, kLimit for one that is out of proportion;
  /// `where` names the file. `entries` is the number of tokens that the file holds.
  Vocabulary(std::size_t entries, std::string where);

  void add(std::string_view token, std::int64_t id);
  /// As add(), but a token that is there already gets the new id, and the old one becomes a hole (lines of a
  /// vocab.txt).
  void add_or_move(std::string_view token, std::int64_t id);

  std::optional<std::int32_t> id(std::string_view token) const;
  std::string_view token(std::int32_t id) const;  ///< empty for a hole or an id out of range
  bool has(std::int32_t id) const;
  std::int32_t max_id() const { return max_id_; }  ///< −1 if empty
  std::size_t size() const { return count_; }      ///< number of tokens

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t id = -1;
  };
  struct Place {
    std::size_t begin = 0;
    std::uint32_t bytes = 0;
    bool used = false;
  };
  std::size_t find(std::string_view token, std::uint32_t hash) const;
  void grow();

  std::string where_;
  std::size_t entries_, count_ = 0;
  std::int32_t max_id_ = -1;
  std::string characters_;     // all tokens, one after another
  std::vector<Place> places_;  // by id
  std::vector<Slot> slots_;    // open addressing, at most half full
};

/// 64-bit hash of a string (FNV-1a with a final mix).
std::uint64_t hash_bytes(std::string_view bytes) noexcept;

}  // namespace telos::text
