#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

namespace telos {

/// Different strings, numbered in the order in which they came. About 30 bytes each, beside their own.
class UnitTable {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFu;

  std::size_t size() const { return entries_.size(); }
  std::string_view operator[](std::uint32_t index) const { return entries_[index].text; }
  /// kNone if it is not there.
  std::uint32_t find(std::string_view text) const;
  /// Throws kLimit above 2³¹ strings.
  std::uint32_t find_or_add(std::string_view text);

 private:
  struct Entry {
    std::string_view text;
    std::uint32_t hash;
  };
  static std::uint32_t hash_of(std::string_view text);
  std::size_t slot_of(std::string_view text, std::uint32_t hash) const;
  void grow();
  std::string_view stored(std::string_view text);

  std::deque<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // by hash, the next free one if it is taken; kNone: free
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t free_ = 0;  // bytes of the last block
};

}  // namespace telos
