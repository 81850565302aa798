#include "text/word_cache.h"

#include <algorithm>

namespace telos::text {
namespace {

constexpr std::size_t kMinTextBytes = 1024;  // below, words hardly repeat
constexpr std::size_t kMaxSlots = 1u << 15;
constexpr std::size_t kMaxWordBytes = 64;     // long words hardly repeat, too
constexpr std::size_t kMaxTokens = 4u << 20;  // bounds the memory: 32 MB

}  // namespace

WordCache::WordCache(const Model& model, std::size_t text_bytes) : model_(model) {
  if (text_bytes < kMinTextBytes) return;
  std::size_t size = 256;
  while (size < kMaxSlots && size < text_bytes / 8) size *= 2;
  slots_.resize(size);
}

std::span<const WordToken> WordCache::tokens(std::string_view word) {
  if (slots_.empty() || word.size() > kMaxWordBytes || tokens_.size() > kMaxTokens) {
    scratch_.clear();
    model_.tokenize(word, scratch_);
    return scratch_;
  }
  Slot& slot = slots_[hash_bytes(word) & (slots_.size() - 1)];
  if (slot.word != word) {
    const std::size_t first = tokens_.size();
    model_.tokenize(word, tokens_);
    slot = {word, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(tokens_.size() - first)};
  }
  return std::span(tokens_).subspan(slot.first, slot.count);
}

}  // namespace telos::text
