#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace telos {

/// The tokens of a text in reading order, a part at a time, from the beginning as often as needed: a text
/// that need not fit into memory.
class TokenStream {
 public:
  virtual ~TokenStream() = default;
  /// How often each token comes.
  virtual const std::vector<std::uint64_t>& counts() const = 0;
  virtual void rewind() = 0;
  /// The next part; empty at the end only. Valid until the next call.
  virtual std::span<const std::uint16_t> next() = 0;

  std::uint64_t size() const { return std::accumulate(counts().begin(), counts().end(), std::uint64_t{0}); }
};

/// Tokens that somebody else holds, in parts of at most `part`.
class MemoryTokens final : public TokenStream {
 public:
  static constexpr std::size_t kPart = std::size_t{1} << 20;
  explicit MemoryTokens(std::span<const std::uint16_t> tokens, std::size_t part = kPart);

  const std::vector<std::uint64_t>& counts() const override { return counts_; }
  void rewind() override { at_ = 0; }
  std::span<const std::uint16_t> next() override;

 private:
  std::span<const std::uint16_t> tokens_;
  std::vector<std::uint64_t> counts_;
  std::size_t part_, at_ = 0;
};

}  // namespace telos
