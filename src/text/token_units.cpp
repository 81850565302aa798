// The ids of a text that is read in parts.
#include "telos/text/token_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/error.h"

namespace telos {
namespace {

/// Tokens in a row that two encodings must have in common to be joined.
constexpr std::size_t kAgreement = 16;

/// Bytes that were encoded together.
struct Stretch {
  std::string text;
  Encoding tokens;

  std::size_t size() const { return tokens.ids.size(); }
};

/// First tokens p of `left` and q of `right`, p ≥ from, from which on kAgreement tokens are the same; `shift`
/// bytes of `left` are before `right`. left.size() if there are none.
std::pair<std::size_t, std::size_t> find_agreement(const Encoding& left, const Encoding& right,
                                                   std::size_t from, std::size_t shift) {
  const auto same = [&](std::size_t p, std::size_t q) {
    return left.ids[p] == right.ids[q] && left.offsets[p].begin == right.offsets[q].begin + shift &&
           left.offsets[p].end == right.offsets[q].end + shift;
  };
  std::size_t q = 0;
  for (std::size_t p = from; p + kAgreement <= left.ids.size(); ++p) {
    while (q < right.ids.size() && right.offsets[q].begin + shift < left.offsets[p].begin) ++q;
    if (q + kAgreement > right.ids.size()) break;
    std::size_t agreed = 0;
    while (agreed < kAgreement && same(p + agreed, q + agreed)) ++agreed;
    if (agreed == kAgreement) return {p, q};
  }
  return {left.ids.size(), 0};
}

class TokenUnits final : public UnitSource {
 public:
  TokenUnits(Tokenizer tokenizer, std::unique_ptr<TextParts> text, std::size_t overlap)
      : tokenizer_(std::move(tokenizer)), parts_(std::move(text)), overlap_(std::max(overlap, kAgreement)) {}

  std::string unit() const override { return "token"; }
  void rewind() override {
    parts_->rewind();
    stretch_ = {};
    sent_ = 0;
    ended_ = false;
  }
  std::span<const std::uint32_t> next() override {
    found_.clear();
    while (found_.empty() && !ended_) {
      const std::string_view part = parts_->next();
      ended_ = part.empty();
      if (ended_)
        send(stretch_.size());
      else
        advance(part);
    }
    return found_;
  }
  std::string name(std::uint32_t unit) const override {
    return std::string(tokenizer_.token(static_cast<std::int32_t>(unit)));
  }
  bool before(std::uint32_t a, std::uint32_t b) const override { return a < b; }
  void keep(const std::vector<std::uint32_t>& units) override {
    rank_.assign(tokenizer_.vocabulary_size(), static_cast<std::uint32_t>(units.size()));
    for (std::uint32_t i = 0; i < units.size(); ++i) rank_[units[i]] = i;
  }
  double bytes() const override { return parts_->bytes(); }
  double bytes_read() const override { return parts_->bytes_read(); }

 private:
  void send(std::size_t end) {
    for (; sent_ < end; ++sent_) {
      const auto id = static_cast<std::uint32_t>(stretch_.tokens.ids[sent_]);
      found_.push_back(rank_.empty() ? id : rank_[id]);
    }
  }
  /// Goes on to a stretch with the next part, and sends what comes before the place where it is joined.
  void advance(std::string_view part) {
    if (stretch_.size() > sent_ + overlap_) {
      const std::size_t from = stretch_.size() - overlap_, shift = stretch_.tokens.offsets[from].begin;
      Stretch next = encoded(stretch_.text.substr(shift).append(part));
      if (const auto [p, q] = find_agreement(stretch_.tokens, next.tokens, from, shift);
          p < stretch_.size()) {
        send(p);
        stretch_ = std::move(next);
        sent_ = q;
        return;
      }
    }
    if (stretch_.text.size() > kLongestUnit)
      throw Error(ErrorKind::kLimit, "corpus",
                  fmt::format("{} MiB without a place to cut", kLongestUnit >> 20), "is it a text?");
    stretch_ = encoded(stretch_.text.append(part));
  }
  Stretch encoded(std::string text) const {
    Encoding tokens = tokenizer_.encode(text, false);
    return {std::move(text), std::move(tokens)};
  }

  Tokenizer tokenizer_;
  std::unique_ptr<TextParts> parts_;
  std::size_t overlap_;
  Stretch stretch_;
  std::size_t sent_ = 0;  // tokens of it
  bool ended_ = false;
  std::vector<std::uint32_t> rank_, found_;
};

}  // namespace

std::unique_ptr<UnitSource> token_units(Tokenizer tokenizer, std::unique_ptr<TextParts> text,
                                        std::size_t overlap) {
  return std::make_unique<TokenUnits>(std::move(tokenizer), std::move(text), overlap);
}

}  // namespace telos
