#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace telos::text {

/// A set of strings with values, searched for the longest one that a text starts with. One hash look-up a
/// byte walked.
class Trie {
 public:
  Trie();
  /// A string that is there already keeps its value. The empty string is ignored.
  void add(std::string_view string, std::int32_t value);

  struct Match {
    std::size_t bytes = 0;  ///< 0: no string of the set starts `text`
    std::int32_t value = -1;
  };
  Match longest(std::string_view text) const;
  bool empty() const { return values_.size() == 1; }
  /// Can a string start with this byte?
  bool starts(char byte) const { return roots_[static_cast<unsigned char>(byte)] != 0; }

 private:
  struct Edge {
    std::uint64_t key = 0;  // parent << 8 | byte; 0 marks an empty slot (edges from the root are in roots_)
    std::uint32_t child = 0;
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;
  std::uint32_t add_child(std::uint32_t node, unsigned char byte);
  std::size_t slot(std::uint64_t key) const;

  std::vector<std::uint32_t> roots_;  // children of the root by byte, 0 for none
  std::vector<Edge> edges_;           // open addressing, at most half full
  std::vector<std::int32_t> values_;  // by node, −1 inside a string
  std::size_t used_ = 0;
};

}  // namespace telos::text
