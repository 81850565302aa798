// A text that is read in parts.
#include <fmt/format.h>

#include <limits>
#include <utility>

#include "symmetry/corpus_parts.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

/// A text in parts of whole windows, the last with the rest.
class WindowReader {
 public:
  WindowReader(TokenStream& text, std::size_t length) : text_(text), length_(length) { text.rewind(); }

  /// Makes the next part; empty at the end.
  void read() {
    const std::span<const std::uint16_t> rest = std::span<const std::uint16_t>(tokens_).subspan(whole_);
    std::vector<std::uint16_t> next(rest.begin(), rest.end());
    while (!ended_ && next.size() < kLeast) {
      check_interrupt();
      const std::span<const std::uint16_t> more = text_.next();
      ended_ = more.empty();
      next.insert(next.end(), more.begin(), more.end());
    }
    whole_ = ended_ ? next.size() : next.size() - next.size() % length_;
    tokens_ = std::move(next);
  }
  std::span<const std::uint16_t> part() const { return std::span(tokens_).first(whole_); }

 private:
  static constexpr std::size_t kLeast = std::size_t{1} << 20;

  TokenStream& text_;
  std::size_t length_;
  std::vector<std::uint16_t> tokens_;
  std::size_t whole_ = 0;
  bool ended_ = false;
};

}  // namespace

void read_once(TokenStream& text, std::size_t length, const std::vector<Take>& takers,
               const std::string& task, const Arena& arena) {
  const auto require = [](bool unchanged) {
    if (!unchanged)
      throw Error(ErrorKind::kIo, "text", "the text changed while it was read",
                  "run it again on a copy that stays as it is");
  };
  const std::uint64_t size = text.size();
  Progress progress(task, "tokens", static_cast<double>(size));
  WindowReader reader(text, length);
  std::uint64_t read = 0;
  for (reader.read(); !reader.part().empty();) {
    const std::vector<std::uint16_t> part(reader.part().begin(), reader.part().end());
    read += part.size();
    require(read <= size);
    arena.parallel_for(takers.size() + 1, [&](std::size_t i) {
      check_interrupt();
      if (i == 0)
        reader.read();
      else
        takers[i - 1](part);
    });
    progress.advance(static_cast<double>(part.size()));
  }
  require(read == size);
}

void require_tokens(std::uint64_t tokens) {
  if (tokens > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::kLimit, "text",
                fmt::format("{} tokens, at most 4,294,967,295 can be measured at once", tokens));
}

}  // namespace telos::symmetry
