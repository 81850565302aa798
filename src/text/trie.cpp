#include "text/trie.h"

namespace telos::text {

Trie::Trie() : roots_(256, 0), edges_(16), values_(1, -1) {}

std::size_t Trie::slot(std::uint64_t key) const {
  std::uint64_t h = key * 0x9E3779B97F4A7C15u;
  h ^= h >> 32;
  std::size_t i = h & (edges_.size() - 1);
  while (edges_[i].key != 0 && edges_[i].key != key) i = (i + 1) & (edges_.size() - 1);
  return i;
}

std::uint32_t Trie::child(std::uint32_t node, unsigned char byte) const {
  if (node == 0) return roots_[byte];
  return edges_[slot(std::uint64_t{node} << 8 | byte)].child;
}

std::uint32_t Trie::add_child(std::uint32_t node, unsigned char byte) {
  const auto made = static_cast<std::uint32_t>(values_.size());
  values_.push_back(-1);
  if (node == 0) return roots_[byte] = made;
  if ((used_ + 1) * 2 > edges_.size()) {
    std::vector<Edge> old(edges_.size() * 2);
    old.swap(edges_);
    for (const Edge& edge : old)
      if (edge.key != 0) edges_[slot(edge.key)] = edge;
  }
  const std::uint64_t key = std::uint64_t{node} << 8 | byte;
  edges_[slot(key)] = {key, made};
  ++used_;
  return made;
}

void Trie::add(std::string_view string, std::int32_t value) {
  if (string.empty()) return;
  std::uint32_t node = 0;
  for (const char c : string) {
    const auto byte = static_cast<unsigned char>(c);
    const std::uint32_t next = child(node, byte);
    node = next != 0 ? next : add_child(node, byte);
  }
  if (values_[node] < 0) values_[node] = value;
}

Trie::Match Trie::longest(std::string_view text) const {
  Match best;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    node = child(node, static_cast<unsigned char>(text[i]));
    if (node == 0) break;
    if (values_[node] >= 0) best = {i + 1, values_[node]};
  }
  return best;
}

}  // namespace telos::text
