#include "io/unit_table.h"

#include <algorithm>
#include <functional>

#include "telos/base/error.h"

namespace telos {

std::uint32_t UnitTable::hash_of(std::string_view text) {
  const std::uint64_t hash = std::hash<std::string_view>()(text);
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

std::size_t UnitTable::slot_of(std::string_view text, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  for (; slots_[slot] != kNone; slot = (slot + 1) & mask)
    if (const Entry& entry = entries_[slots_[slot]]; entry.hash == hash && entry.text == text) break;
  return slot;
}

void UnitTable::grow() {
  std::vector<std::uint32_t> slots(std::max<std::size_t>(64, 2 * slots_.size()), kNone);
  slots_.swap(slots);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    std::size_t slot = entries_[i].hash & mask;
    while (slots_[slot] != kNone) slot = (slot + 1) & mask;
    slots_[slot] = i;
  }
}

std::string_view UnitTable::stored(std::string_view text) {
  constexpr std::size_t kBlock = std::size_t{1} << 18;
  if (text.size() > free_) {
    free_ = std::max(kBlock, text.size());
    blocks_.push_back(std::make_unique<char[]>(free_));
    std::swap(blocks_.back(), blocks_[0]);
  }
  char* const to = blocks_[0].get() + free_ - text.size();  // from the end of the block
  std::copy(text.begin(), text.end(), to);
  free_ -= text.size();
  return {to, text.size()};
}

std::uint32_t UnitTable::find(std::string_view text) const {
  return slots_.empty() ? kNone : slots_[slot_of(text, hash_of(text))];
}

std::uint32_t UnitTable::find_or_add(std::string_view text) {
  constexpr std::size_t kMost = std::size_t{1} << 31;
  if (3 * (entries_.size() + 1) > 2 * slots_.size()) grow();
  const std::uint32_t hash = hash_of(text);
  std::uint32_t& slot = slots_[slot_of(text, hash)];
  if (slot != kNone) return slot;
  if (entries_.size() == kMost)
    throw Error(ErrorKind::kLimit, "corpus", "more than 2,147,483,648 different units");
  slot = static_cast<std::uint32_t>(entries_.size());
  entries_.push_back({stored(text), hash});
  return slot;
}

}  // namespace telos
