// A text that is read in parts.
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "symmetry/corpus_nulls.h"
#include "telos/symmetry/corpus_lags.h"
#include "tests/symmetry/corpus_support.h"

namespace telos::symmetry {
namespace {

TEST(CorpusStream, SameBitsForAnySizeOfTheParts) {
  const Text text = sticky_text(1'200'000, 9, 0.4, 12);  // more than is taken at once
  CorpusOptions options;
  options.letters = 8;
  options.length = 7;
  options.shuffles = 3;
  const Arena arena(2);
  const auto numbers = [&](std::size_t part) {
    MemoryTokens tokens(text, part);
    std::vector<double> all = numbers_of(measure_corpus(tokens, options, arena));
    for (const LengthEstimate& e : measure_lengths(tokens, 8, {4, 9}, 20, arena))
      for (const Estimate& f : e.fractions) all.insert(all.end(), {f.value, f.error});
    return all;
  };
  const std::vector<double> whole = numbers(text.size());
  EXPECT_EQ(whole, numbers(1009));
  EXPECT_EQ(whole, numbers(700'001));
}

TEST(CorpusStream, TheTextMayNotChange) {
  /// Has one token fewer, or more, than it says.
  class Changing final : public TokenStream {
   public:
    explicit Changing(int more) : counts_{3000, 3000}, size_(static_cast<std::size_t>(6000 + more)) {}
    const std::vector<std::uint64_t>& counts() const override { return counts_; }
    void rewind() override { ended_ = false; }
    std::span<const std::uint16_t> next() override {
      return std::span(tokens_).first(std::exchange(ended_, true) ? 0 : size_);
    }

   private:
    std::vector<std::uint64_t> counts_;
    Text tokens_ = Text(6001, 1);
    std::size_t size_;
    bool ended_ = false;
  };
  const Arena arena(1);
  CorpusOptions options;
  options.letters = 2;
  options.shuffles = 0;
  for (const int more : {-1, 1}) {
    Changing text(more);
    expect_error([&] { measure_corpus(text, options, arena); }, ErrorKind::kIo, "the text changed");
  }
}

TEST(CorpusUrn, DrawsEveryOrderAlike) {
  // 3!/2! · … = 60 orders of three, two and one token; χ² of 59 degrees of freedom has mean 59, deviation 11.
  CorpusOptions options;
  options.letters = 2;
  constexpr int kDraws = 30'000;
  std::map<Text, int> orders;
  for (int draw = 0; draw < kDraws; ++draw) {
    options.seed = static_cast<std::uint64_t>(draw);
    Urn urn({3, 2, 0, 1}, options);  // token 3 is no letter
    Text order;
    for (const std::size_t n : {2, 4}) {
      const auto part = urn.draw(n);
      order.insert(order.end(), part.begin(), part.end());
    }
    ++orders[order];
  }
  ASSERT_EQ(orders.size(), 60u);
  double chi = 0;
  for (const auto& [order, n] : orders) chi += (n - kDraws / 60.0) * (n - kDraws / 60.0) / (kDraws / 60.0);
  EXPECT_LT(chi, 59 + 4 * 11);
}

}  // namespace
}  // namespace telos::symmetry
