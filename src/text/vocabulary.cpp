#include "text/vocabulary.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "telos/base/error.h"

namespace telos::text {
namespace {

constexpr std::int64_t kSlack = 1'000'000;  // ids that may be missing in a vocabulary however small

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) noexcept {
  std::uint64_t h = 0xcbf29ce484222325u ^ bytes.size();
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    bytes.remove_prefix(8);
  }
  std::uint64_t word = 0;
  if (!bytes.empty()) std::memcpy(&word, bytes.data(), bytes.size());
  h = (h ^ word) * 0x9E3779B97F4A7C15u;
  h ^= h >> 32;
  h *= 0xD6E8FEB86659FD93u;
  return h ^ h >> 32;
}

Vocabulary::Vocabulary(std::size_t entries, std::string where)
    : where_(std::move(where)), entries_(entries), slots_(16) {}

std::size_t Vocabulary::find(std::string_view token, std::uint32_t hash) const {
  std::size_t i = hash & (slots_.size() - 1);
  while (slots_[i].id >= 0 && (slots_[i].hash != hash || this->token(slots_[i].id) != token))
    i = (i + 1) & (slots_.size() - 1);
  return i;
}

void Vocabulary::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    std::size_t i = slot.hash & (slots_.size() - 1);
    while (slots_[i].id >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

void Vocabulary::add(std::string_view token, std::int64_t id) {
  if (this->id(token))
    throw Error(ErrorKind::kBadFormat, where_, "the token '" + printable(token) + "' occurs twice",
                "the file is damaged; fetch it again");
  add_or_move(token, id);
}

void Vocabulary::add_or_move(std::string_view token, std::int64_t id) {
  if (id < 0)
    throw Error(ErrorKind::kBadFormat, where_,
                "the token '" + printable(token) + "' has the id " + std::to_string(id) + "; ids start at 0",
                "the file is damaged; fetch it again");
  const std::int64_t bound = std::min<std::int64_t>(static_cast<std::int64_t>(entries_) * 4 + kSlack,
                                                    std::numeric_limits<std::int32_t>::max());
  if (id >= bound)
    throw Error(ErrorKind::kLimit, where_,
                "the token '" + printable(token) + "' has the id " + std::to_string(id) +
                    ", but there are only " + std::to_string(entries_) + " tokens (limit " +
                    std::to_string(bound - 1) + ")",
                "the file is damaged or hostile; fetch it again");
  const auto at = static_cast<std::size_t>(id);
  if (at < places_.size() && places_[at].used)
    throw Error(ErrorKind::kBadFormat, where_,
                "the id " + std::to_string(id) + " belongs to both '" +
                    printable(this->token(static_cast<std::int32_t>(id))) + "' and '" + printable(token) +
                    "'",
                "the file is damaged; fetch it again");
  if (token.size() > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::kLimit, where_, "a token of " + std::to_string(token.size()) + " bytes");
  if (at >= places_.size()) places_.resize(std::max(at + 1, std::min(entries_, places_.size() * 2)));
  places_[at] = {characters_.size(), static_cast<std::uint32_t>(token.size()), true};
  characters_.append(token);
  max_id_ = std::max(max_id_, static_cast<std::int32_t>(id));

  const auto hash = static_cast<std::uint32_t>(hash_bytes(token));
  const std::size_t slot = find(token, hash);
  if (slots_[slot].id >= 0) {
    places_[static_cast<std::size_t>(slots_[slot].id)].used = false;
    slots_[slot].id = static_cast<std::int32_t>(id);
    return;
  }
  slots_[slot] = {hash, static_cast<std::int32_t>(id)};
  if (++count_ * 2 > slots_.size()) grow();
}

std::optional<std::int32_t> Vocabulary::id(std::string_view token) const {
  const Slot& slot = slots_[find(token, static_cast<std::uint32_t>(hash_bytes(token)))];
  if (slot.id < 0) return std::nullopt;
  return slot.id;
}

bool Vocabulary::has(std::int32_t id) const {
  return id >= 0 && static_cast<std::size_t>(id) < places_.size() &&
         places_[static_cast<std::size_t>(id)].used;
}

std::string_view Vocabulary::token(std::int32_t id) const {
  if (!has(id)) return {};
  const Place& place = places_[static_cast<std::size_t>(id)];
  return std::string_view(characters_).substr(place.begin, place.bytes);
}

}  // namespace telos::text
