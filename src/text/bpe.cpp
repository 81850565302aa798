#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <queue>

#include "telos/base/error.h"
#include "text/model.h"
#include "text/unicode.h"

namespace telos::text {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

/// (left id, right id) → rank of their merge. Open addressing, at most half full.
class MergeTable {
 public:
  explicit MergeTable(std::size_t merges) {
    std::size_t size = 16;
    while (size < merges * 2 + 2) size *= 2;
    slots_.resize(size);
  }
  /// The last of several merges of one pair counts, as in the reference.
  void set(std::int32_t left, std::int32_t right, std::uint32_t rank) {
    Slot& slot = slots_[find(key(left, right))];
    slot = {key(left, right), rank};
  }
  std::uint32_t rank(std::int32_t left, std::int32_t right) const {
    return slots_[find(key(left, right))].rank;
  }

 private:
  struct Slot {
    std::uint64_t key = std::numeric_limits<std::uint64_t>::max();
    std::uint32_t rank = kNone;
  };
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t find(std::uint64_t key) const {
    std::uint64_t h = key * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    std::size_t i = h & (slots_.size() - 1);
    while (slots_[i].rank != kNone && slots_[i].key != key) i = (i + 1) & (slots_.size() - 1);
    return i;
  }
  std::vector<Slot> slots_;
};

/// A part of the word being merged; parts form a doubly linked list, and `bytes` == 0 marks one that was
/// swallowed.
struct Part {
  std::int32_t id;
  std::uint32_t bytes;
  std::uint32_t previous, next;
};

class Bpe final : public Model {
 public:
  Bpe(Vocabulary vocabulary, const std::vector<Merge>& merges, const BpeOptions& options,
      const std::string& where)
      : Model(std::move(vocabulary)), options_(options), where_(where), table_(merges.size()) {
    if (!options.unknown.empty()) unknown_ = vocabulary_.id(options.unknown);
    add_merges(merges);
    for (char32_t c = 0; c < single_.size(); ++c) single_[c] = lookup(c, false, false);
    if (!options.byte_fallback) return;
    for (unsigned byte = 0; byte < 256; ++byte) {
      constexpr char kHex[] = "0123456789ABCDEF";
      const char name[] = {'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'};
      fallback_[byte] = vocabulary_.id(std::string_view(name, sizeof name)).value_or(-1);
    }
  }

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    if (options_.ignore_merges)
      if (const auto whole = vocabulary_.id(word)) {
        out.push_back({*whole, static_cast<std::uint32_t>(word.size())});
        return;
      }
    const std::vector<WordToken>::size_type before = out.size();
    characters(word, out);
    const std::size_t n = out.size() - before;
    if (n < 2) return;
    if (distinct_ && n <= kShort)
      merge_short(out, before);
    else
      merge_long(out, before);
  }

  std::string_view kind() const override { return options_.byte_level ? "byte-level BPE" : "BPE"; }
  /// Bytes are all in the vocabulary: GPT-2's unk_token separates documents.
  std::optional<std::int32_t> unknown() const override {
    return options_.byte_level ? std::nullopt : unknown_;
  }

 private:
  static constexpr std::size_t kShort = 48;  // a scan of so few ranks beats a heap

  void add_merges(const std::vector<Merge>& merges) {
    results_.reserve(merges.size());
    std::vector<bool> made(static_cast<std::size_t>(vocabulary_.max_id()) + 1);
    const auto need = [&](const std::string& token, std::size_t rank) {
      const auto id = vocabulary_.id(token);
      if (!id)
        throw Error(ErrorKind::kBadFormat, where_,
                    "merge " + std::to_string(rank + 1) + " needs the token '" + printable(token) +
                        "', which is not in the vocabulary",
                    "vocabulary and merges do not belong together; fetch both again");
      return *id;
    };
    const std::size_t cut = options_.continuing_prefix.size();
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [a, b] = merges[rank];
      const std::int32_t left = need(a, rank), right = need(b, rank);
      if (b.size() < cut)
        throw Error(ErrorKind::kBadFormat, where_,
                    "merge " + std::to_string(rank + 1) + ": '" + printable(b) +
                        "' lacks the continuing_subword_prefix");
      const std::int32_t result = need(a + b.substr(cut), rank);
      table_.set(left, right, static_cast<std::uint32_t>(rank));
      results_.push_back(result);
      if (made[static_cast<std::size_t>(result)]) distinct_ = false;
      made[static_cast<std::size_t>(result)] = true;
    }
  }

  std::int32_t lookup(char32_t c, bool first, bool last) const {
    std::string token = first ? std::string() : options_.continuing_prefix;
    append_utf8(token, c);
    if (last) token += options_.end_suffix;
    return vocabulary_.id(token).value_or(-1);
  }

  /// The word as single characters. An unknown token waits for its successor, with which it may fuse, and
  /// bytes that fall back overtake it: both as the reference does.
  void characters(std::string_view word, std::vector<WordToken>& out) const {
    std::optional<WordToken> waiting;
    const bool plain = options_.continuing_prefix.empty() && options_.end_suffix.empty();
    for (std::size_t at = 0; at < word.size();) {
      const Decoded c = decode_utf8(word.data() + at);
      const bool first = at == 0, last = at + c.bytes == word.size();
      std::int32_t id = -1;
      if (plain)
        id = c.value < single_.size() ? single_[c.value]
                                      : vocabulary_.id(word.substr(at, c.bytes)).value_or(-1);
      else
        id = lookup(c.value, first, last);
      if (id >= 0) {
        if (waiting) out.push_back(*waiting);
        waiting.reset();
        out.push_back({id, c.bytes});
      } else if (!fall_back(word.substr(at, c.bytes), out)) {
        add_unknown(c.bytes, waiting, out);
      }
      at += c.bytes;
    }
    if (waiting) out.push_back(*waiting);
  }

  bool fall_back(std::string_view character, std::vector<WordToken>& out) const {
    if (!options_.byte_fallback) return false;
    for (const char byte : character)
      if (fallback_[static_cast<unsigned char>(byte)] < 0) return false;
    for (const char byte : character) out.push_back({fallback_[static_cast<unsigned char>(byte)], 1});
    return true;
  }

  void add_unknown(std::uint32_t bytes, std::optional<WordToken>& waiting,
                   std::vector<WordToken>& out) const {
    if (options_.unknown.empty()) return;
    if (!unknown_)
      throw Error(ErrorKind::kBadFormat, where_,
                  "the text has a character that is not in the vocabulary, and neither is unk_token '" +
                      printable(options_.unknown) + "'",
                  "name a token of the vocabulary as unk_token");
    if (waiting && options_.fuse_unknown) {
      waiting->bytes += bytes;
      return;
    }
    if (waiting) out.push_back(*waiting);
    waiting = WordToken{*unknown_, bytes};
  }

  /// Joins the lowest rank, leftmost first, by scanning. Only where no two merges make the same token: there
  /// the order is that of merge_long().
  void merge_short(std::vector<WordToken>& out, std::size_t before) const {
    std::array<std::uint32_t, kShort> ranks;
    WordToken* parts = out.data() + before;
    std::size_t n = out.size() - before;
    for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = table_.rank(parts[i].id, parts[i + 1].id);
    while (n > 1) {
      const auto end = ranks.begin() + static_cast<std::ptrdiff_t>(n - 1);
      const auto best = std::min_element(ranks.begin(), end);
      if (*best == kNone) break;
      const auto i = static_cast<std::size_t>(best - ranks.begin());
      parts[i] = {results_[*best], parts[i].bytes + parts[i + 1].bytes};
      std::copy(parts + i + 2, parts + n, parts + i + 1);
      std::copy(best + 1, end, best);
      --n;
      if (i + 1 < n) ranks[i] = table_.rank(parts[i].id, parts[i + 1].id);
      if (i > 0) ranks[i - 1] = table_.rank(parts[i - 1].id, parts[i].id);
    }
    out.resize(before + n);
  }

  /// The same with a queue, O(n log n). An entry of the queue may be out of date; as in the reference it
  /// still counts if the pair that stands there now makes the same token.
  void merge_long(std::vector<WordToken>& out, std::size_t before) const {
    const auto n = static_cast<std::uint32_t>(out.size() - before);
    std::vector<Part> parts(n);
    for (std::uint32_t i = 0; i < n; ++i)
      parts[i] = {out[before + i].id, out[before + i].bytes, i - 1, i + 1 < n ? i + 1 : kNone};
    std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>>
        queue;  // rank << 32 | position
    const auto push = [&](std::uint32_t left, std::uint32_t right) {
      const std::uint32_t rank = table_.rank(parts[left].id, parts[right].id);
      if (rank != kNone) queue.push(std::uint64_t{rank} << 32 | left);
    };
    for (std::uint32_t i = 0; i + 1 < n; ++i) push(i, i + 1);
    while (!queue.empty()) {
      const auto at = static_cast<std::uint32_t>(queue.top());
      const std::int32_t result = results_[queue.top() >> 32];
      queue.pop();
      Part& left = parts[at];
      if (left.bytes == 0 || left.next == kNone) continue;
      Part& right = parts[left.next];
      const std::uint32_t now = table_.rank(left.id, right.id);
      if (now == kNone || results_[now] != result) continue;
      left = {result, left.bytes + right.bytes, left.previous, right.next};
      right.bytes = 0;
      if (left.next != kNone) parts[left.next].previous = at;
      if (left.previous != kNone) push(left.previous, at);
      if (left.next != kNone) push(at, left.next);
    }
    std::size_t kept = before;
    for (const Part& part : parts)
      if (part.bytes != 0) out[kept++] = {part.id, part.bytes};
    out.resize(kept);
  }

  BpeOptions options_;
  std::string where_;
  MergeTable table_;
  std::vector<std::int32_t> results_;  // by rank
  bool distinct_ = true;               // no two merges make the same token
  std::optional<std::int32_t> unknown_;
  std::array<std::int32_t, 0x200> single_{};  // id of a character alone; holds the byte-level alphabet
  std::array<std::int32_t, 256> fallback_{};
};

}  // namespace

std::unique_ptr<Model> make_bpe(Vocabulary vocabulary, const std::vector<Merge>& merges,
                                const BpeOptions& options, const std::string& where) {
  if (options.byte_fallback && !(options.continuing_prefix.empty() && options.end_suffix.empty()))
    throw Error(ErrorKind::kUnsupported, where,
                "byte_fallback together with continuing_subword_prefix or end_of_word_suffix",
                "no known tokenizer combines them; remove one from the file");
  return std::make_unique<Bpe>(std::move(vocabulary), merges, options, where);
}

}  // namespace telos::text
