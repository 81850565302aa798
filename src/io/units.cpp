// A text as a sequence of tokens.
#include "telos/io/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/utf8.h"

namespace telos {
namespace {

// ---- Ids

class IdUnits final : public UnitSource {
 public:
  IdUnits(std::span<const std::int32_t> ids, const std::function<std::string(std::int32_t)>& name)
      : ids_(ids.begin(), ids.end()), name_(name) {
    std::sort(ids_.begin(), ids_.end());
    ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
    std::unordered_map<std::int32_t, std::uint32_t> number;
    for (const std::int32_t id : ids_) number.emplace(id, static_cast<std::uint32_t>(number.size()));
    units_.reserve(ids.size());
    for (const std::int32_t id : ids) units_.push_back(number.find(id)->second);
  }

  std::string unit() const override { return "token"; }
  void rewind() override { ended_ = false; }
  std::span<const std::uint32_t> next() override {
    if (std::exchange(ended_, true)) return {};
    return units_;
  }
  std::string name(std::uint32_t unit) const override { return name_(ids_[unit]); }
  bool before(std::uint32_t a, std::uint32_t b) const override { return a < b; }
  void keep(const std::vector<std::uint32_t>& units) override {
    std::vector<std::uint32_t> rank(ids_.size(), static_cast<std::uint32_t>(units.size()));
    for (std::uint32_t i = 0; i < units.size(); ++i) rank[units[i]] = i;
    for (std::uint32_t& unit : units_) unit = rank[unit];
  }
  double bytes() const override { return static_cast<double>(units_.size()); }
  double bytes_read() const override { return ended_ ? bytes() : 0; }

 private:
  std::vector<std::int32_t> ids_;  // different ones, ascending
  std::vector<std::uint32_t> units_;
  const std::function<std::string(std::int32_t)>& name_;
  bool ended_ = false;
};

// ---- The most frequent ones

/// Blanks can be seen, everything else as printable() has it.
std::string visible(std::string_view unit) {
  if (unit == " ") return "␣";
  if (unit == "\n") return "\\n";
  if (unit == "\t") return "\\t";
  if (unit == "\r") return "\\r";
  return printable(unit, 40);
}

std::vector<std::uint64_t> count_units(UnitSource& source) {
  constexpr double kMegabyte = 1e6;
  Progress progress("counting " + source.unit() + "s", "MB", source.bytes() / kMegabyte);
  std::vector<std::uint64_t> counts;
  double read = 0;
  source.rewind();
  for (auto part = source.next(); !part.empty(); part = source.next()) {
    check_interrupt();
    for (const std::uint32_t unit : part) {
      if (unit >= counts.size()) counts.resize(unit + std::size_t{1});
      ++counts[unit];
    }
    const double now = source.bytes_read();
    progress.advance((now - std::exchange(read, now)) / kMegabyte);
  }
  return counts;
}

/// Units that came, the `most` most frequent ones first.
std::vector<std::uint32_t> rank_units(const std::vector<std::uint64_t>& counts, const UnitSource& source,
                                      std::size_t most) {
  std::vector<std::uint32_t> ranked;
  for (std::uint32_t unit = 0; unit < counts.size(); ++unit)
    if (counts[unit] > 0) ranked.push_back(unit);
  const auto sorted = ranked.begin() + static_cast<std::ptrdiff_t>(std::min(most, ranked.size()));
  std::partial_sort(ranked.begin(), sorted, ranked.end(), [&](std::uint32_t a, std::uint32_t b) {
    return counts[a] != counts[b] ? counts[a] > counts[b] : source.before(a, b);
  });
  return ranked;
}

[[noreturn]] void refuse_units(ErrorKind kind, const std::string& message, const std::string& hint = {}) {
  throw Error(kind, "corpus", message, hint);
}

void require_utf8(std::string_view text) {
  const std::size_t valid = valid_utf8_prefix(text);
  if (valid != text.size())
    refuse_units(ErrorKind::kBadFormat, fmt::format("byte {} is not UTF-8", valid),
                 "convert the text, or leave out what is not text");
}

}  // namespace

UnitStream::UnitStream(std::unique_ptr<UnitSource> source, std::size_t vocabulary)
    : source_(std::move(source)) {
  if (vocabulary < 2 || vocabulary > kMostVocabulary)
    refuse_units(ErrorKind::kUsage, fmt::format("expected a vocabulary of 2 to {} tokens, found {}",
                                                kMostVocabulary, vocabulary));
  const std::vector<std::uint64_t> all = count_units(*source_);
  std::vector<std::uint32_t> ranked = rank_units(all, *source_, vocabulary);
  const std::string unit = source_->unit();
  if (ranked.size() < 2)
    refuse_units(ErrorKind::kBadFormat,
                 ranked.empty()
                     ? fmt::format("there is no {} in it", unit)
                     : fmt::format("it is one {} throughout, {}", unit, visible(source_->name(ranked[0]))),
                 "take a text of two different ones at least");
  corpus_.unit = unit;
  corpus_.distinct = ranked.size();
  ranked.resize(ranked.size() <= vocabulary ? ranked.size() : vocabulary - 1);
  corpus_.others = std::accumulate(all.begin(), all.end(), std::uint64_t{0});
  for (const std::uint32_t kept : ranked) {
    corpus_.names.push_back(visible(source_->name(kept)));
    counts_.push_back(all[kept]);
    corpus_.others -= all[kept];
  }
  if (ranked.size() < corpus_.distinct) {
    corpus_.names.emplace_back(kOther);
    counts_.push_back(corpus_.others);
  }
  source_->keep(ranked);
  source_->rewind();
}

std::span<const std::uint16_t> UnitStream::next() {
  part_.clear();
  // What came into the text since it was counted has no token, and counts as one of the others.
  for (const std::uint32_t unit : source_->next())
    part_.push_back(static_cast<std::uint16_t>(std::min<std::size_t>(unit, counts_.size() - 1)));
  return part_;
}

Corpus collect(UnitStream& stream) {
  Corpus corpus = stream.corpus();
  corpus.tokens.reserve(stream.size());
  stream.rewind();
  for (auto part = stream.next(); !part.empty(); part = stream.next())
    corpus.tokens.insert(corpus.tokens.end(), part.begin(), part.end());
  return corpus;
}

Corpus read_units(std::string_view text, Unit unit, std::size_t vocabulary) {
  require_utf8(text);
  UnitStream stream(text_units(text_parts(text), unit), vocabulary);
  return collect(stream);
}

Corpus keep_frequent(std::span<const std::int32_t> ids, std::size_t vocabulary,
                     const std::function<std::string(std::int32_t)>& name) {
  UnitStream stream(std::make_unique<IdUnits>(ids, name), vocabulary);
  return collect(stream);
}

// ---- Tokens in memory

MemoryTokens::MemoryTokens(std::span<const std::uint16_t> tokens, std::size_t part)
    : tokens_(tokens), part_(part) {
  for (const std::uint16_t token : tokens) {
    if (token >= counts_.size()) counts_.resize(token + std::size_t{1});
    ++counts_[token];
  }
}

std::span<const std::uint16_t> MemoryTokens::next() {
  const std::span<const std::uint16_t> part = tokens_.subspan(at_, std::min(part_, tokens_.size() - at_));
  at_ += part.size();
  return part;
}

}  // namespace telos
