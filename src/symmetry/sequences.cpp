#include "telos/symmetry/sequences.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"
#include "telos/io/files.h"

namespace telos::symmetry {
namespace {

constexpr std::size_t kMostTokenIds = 0x80000000;
constexpr std::uint32_t kSequenceStream = 0x53794B01;

/// Adds tokens with a place for each complaint.
class SequenceBuilder {
 public:
  SequenceBuilder(std::string where, std::size_t vocabulary, std::optional<Token> padding)
      : where_(std::move(where)), limit_(vocabulary == 0 ? kMostTokenIds : vocabulary), padding_(padding) {}

  void begin() {
    if (out_.items.size() == kMostSequences)
      throw Error(ErrorKind::kLimit, where_, fmt::format("more than {} sequences", kMostSequences));
    out_.items.emplace_back();
  }
  void add(double id, std::size_t line, std::size_t column) {
    const bool padding = padding_ && id == *padding_;
    if (!padding && (!(id >= 0 && id < static_cast<double>(limit_)) || id != std::floor(id)))
      refuse(line,
             fmt::format("column {}: expected a token id of 0 to {}, found {}", column, limit_ - 1, id));
    if (out_.items.back().size() == kMostPositions)
      refuse(line, fmt::format("more than {} tokens", kMostPositions));
    out_.items.back().push_back(static_cast<Token>(id));
    if (!padding) out_.vocabulary = std::max(out_.vocabulary, static_cast<std::size_t>(id) + 1);
  }
  [[noreturn]] void refuse(std::size_t line, const std::string& message) const {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, line {}", where_, line), message,
                "write one sequence a line, token ids divided by blanks or commas");
  }
  Sequences finish() {
    if (out_.items.empty()) throw Error(ErrorKind::kBadFormat, where_, "there is no sequence in it");
    if (limit_ != kMostTokenIds) out_.vocabulary = limit_;
    return std::move(out_);
  }

 private:
  std::string where_;
  std::size_t limit_;
  std::optional<Token> padding_;
  Sequences out_{.items = {}, .vocabulary = 1};
};

void parse_sequence_line(std::string_view text, std::size_t line, SequenceBuilder& builder) {
  const auto blank = [](char c) { return c == ' ' || c == ',' || c == '\t' || c == '\r'; };
  builder.begin();
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (blank(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && !blank(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    std::uint64_t id = 0;
    const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc{} || rest != word.data() + word.size())
      builder.refuse(
          line, fmt::format("column {}: expected a token id, found \"{}\"", at + 1, printable(word, 40)));
    builder.add(static_cast<double>(id), line, at + 1);
    ++count;
    at = end;
  }
  if (count == 0) builder.refuse(line, "the sequence is empty");
}

void require_draw_size(const char* option, std::size_t value, std::size_t least, std::size_t most) {
  if (value < least || value > most)
    throw Error(ErrorKind::kUsage, option, fmt::format("expected {} to {}, found {}", least, most, value));
}

}  // namespace

std::size_t Sequences::shortest() const {
  std::size_t length = kMostPositions;
  for (const auto& s : items) length = std::min(length, s.size());
  return length;
}

std::size_t Sequences::longest() const {
  std::size_t length = 0;
  for (const auto& s : items) length = std::max(length, s.size());
  return length;
}

std::size_t Sequences::duplicates(std::optional<Token> padding) const {
  std::vector<std::span<const Token>> order;
  order.reserve(items.size());
  for (const auto& s : items) {
    std::size_t length = s.size();
    while (padding && length > 0 && s[length - 1] == *padding) --length;
    order.emplace_back(s.data(), length);
  }
  std::ranges::sort(order, [](auto a, auto b) { return std::ranges::lexicographical_compare(a, b); });
  std::size_t equal = 0;
  for (std::size_t i = 1; i < order.size(); ++i) equal += std::ranges::equal(order[i], order[i - 1]);
  return equal;
}

Sequences parse_sequences(std::string_view text, const std::string& where, std::size_t vocabulary,
                          std::optional<Token> padding) {
  SequenceBuilder builder(where, vocabulary, padding);
  std::size_t line = 1;
  for (std::size_t at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    parse_sequence_line(text.substr(at, end - at), line, builder);
    at = end + 1;
  }
  return builder.finish();
}

Sequences read_sequences(const std::string& path, std::size_t vocabulary, std::optional<Token> padding) {
  if (!path.ends_with(".npy")) return parse_sequences(read_text(path), path, vocabulary, padding);
  const Matrix<double> ids = read_npy(path);
  SequenceBuilder builder(path, vocabulary, padding);
  for (std::size_t i = 0; i < ids.rows(); ++i) {
    builder.begin();
    if (ids.cols() == 0) builder.refuse(i + 1, "the sequence is empty");
    for (std::size_t j = 0; j < ids.cols(); ++j) builder.add(ids(i, j), i + 1, j + 1);
  }
  return builder.finish();
}

Matrix<Token> equal_lengths(const Sequences& sequences, const std::string& where) {
  const std::size_t length = sequences.items.empty() ? 0 : sequences.items.front().size();
  Matrix<Token> rows(sequences.size(), length);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const std::vector<Token>& item = sequences.items[i];
    if (item.size() != length)
      throw Error(ErrorKind::kBadFormat, fmt::format("{}, line {}", where, i + 1),
                  fmt::format("{} tokens, expected {} as in the first line", item.size(), length));
    std::copy(item.begin(), item.end(), rows.row(i));
  }
  return rows;
}

Sequences draw_sequences(std::size_t n, std::size_t length, std::size_t vocabulary, std::uint64_t seed) {
  require_draw_size("--random", n, 1, kMostSequences);
  require_draw_size("--length", length, 1, kMostPositions);
  require_draw_size("--vocab", vocabulary, 1, kMostTokenIds);
  require_memory(4.0 * static_cast<double>(n) * static_cast<double>(length), "--random",
                 "draw fewer or shorter sequences");
  Sequences out;
  out.vocabulary = vocabulary;
  for (std::size_t i = 0; i < n; ++i) {
    Random random(seed, kSequenceStream, i);
    auto& tokens = out.items.emplace_back(length);
    for (Token& t : tokens) t = random.below(static_cast<std::uint32_t>(vocabulary));
  }
  return out;
}

}  // namespace telos::symmetry
