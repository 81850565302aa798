#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "positional/tasks_parts.h"
#include "telos/base/error.h"

// Mixed text and numbers. Published: eight categories with their prices as text, two distractors, a question
// about four of them; 130 characters of a vocabulary of 74, one character of its own for each of 40
// categories, 20 of which only tests use. The order of the vocabulary is telos's own; a space is token 0,
// which is also what scratch positions hold. Prices are drawn in whole cents, so that texts and targets
// agree.

namespace telos::positional {
namespace {

constexpr std::string_view kCharacters = " ,.0123456789+-*_CFadefgimnorstucx";
constexpr std::size_t kCategories = 40;
constexpr std::size_t kVocabulary = kCharacters.size() + kCategories;
static_assert(kVocabulary == 74);
constexpr double kMaxPrice = 99.99;

/// A text under construction, as token ids.
class TokenText {
 public:
  explicit TokenText(std::span<double> out) : out_(out) {}
  TokenText& operator<<(std::string_view text) {
    for (const char c : text) put(kCharacters.find(c));
    return *this;
  }
  /// The character of a category.
  TokenText& operator<<(std::size_t category) {
    put(kCharacters.size() + category);
    return *this;
  }
  std::size_t size() const { return size_; }

 private:
  void put(std::size_t token) { out_[size_++] = static_cast<double>(token); }
  std::span<double> out_;
  std::size_t size_ = 0;
};

/// `count` of 0 … n−1 in random order.
std::vector<std::size_t> choose(Random& rng, std::size_t n, std::size_t count) {
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (std::size_t i = 0; i < count; ++i)
    std::swap(all[i], all[i + rng.below(static_cast<std::uint32_t>(n - i))]);
  all.resize(count);
  return all;
}

class MixedTask final : public Task {
 public:
  MixedTask(std::string name, MixedQuestion question, const TaskOptions& options)
      : name_(std::move(name)),
        question_(question),
        categories_(options.categories),
        queried_(options.queried),
        limit_(options.price_limit) {
    if (categories_ < 2 || categories_ > kCategories / 2)
      refuse(fmt::format("categories is {}, expected 2 to {}", categories_, kCategories / 2));
    if (queried_ < 2 || queried_ > categories_)
      refuse(fmt::format("queried is {}, expected 2 to {} (the categories)", queried_, categories_));
    if (!(limit_ > 0 && limit_ <= kMaxPrice))
      refuse(fmt::format("price_limit is {}, expected above 0 and at most {}", limit_, kMaxPrice));
  }
  std::string name() const override { return name_; }
  SampleShape shape() const override {
    return {.nodes = length(), .tokens = true, .vocabulary = kVocabulary, .loss_rows = 1};
  }
  void generate(Random& rng, double scale, Split split, std::size_t, std::span<double> x,
                std::span<double> y) const override {
    if (!(scale >= 1) || scale * limit_ > kMaxPrice)
      throw Error(
          ErrorKind::kUsage, fmt::format("task {}, scale {}", name_, scale),
          fmt::format("expected 1 to {}: prices are written as dd.dd", std::floor(kMaxPrice / limit_)));
    std::fill(y.begin(), y.end(), 0.0);
    TokenText text(x);
    const std::vector<std::size_t> category = draw_categories(rng, split);
    const std::vector<long> cents = draw_prices(rng, scale);
    write_listing(text, rng, split, category, cents);
    y[0] = write_question(text, rng, category, cents);
  }
  bool unseen_test() const override { return true; }

 private:
  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(ErrorKind::kUsage, fmt::format("task {}", name_), message);
  }

  /// "Cat" with its character and "dd.dd" for each category, "Cat" with a sign and a character for each
  /// distractor, and the question.
  std::size_t length() const {
    const std::size_t listing = categories_ * (4 + 5) + 2 * 5;
    const std::size_t question = std::string_view("Find min of categories ").size() + 4 * queried_ +
                                 2 * (queried_ - 2) + std::string_view(" and ").size();
    return listing + question;
  }

  std::vector<std::size_t> draw_categories(Random& rng, Split split) const {
    std::vector<std::size_t> chosen = choose(rng, kCategories / 2, categories_);
    std::sort(chosen.begin(), chosen.end());
    for (std::size_t& category : chosen) category += split == Split::kTest ? kCategories / 2 : 0;
    return chosen;
  }

  std::vector<long> draw_prices(Random& rng, double scale) const {
    const double u = scale * limit_ * rng.uniform(), v = scale * limit_ * rng.uniform();
    const auto [low, high] = std::minmax(u, v);
    std::vector<long> cents(categories_);
    for (long& price : cents) price = std::lround(100 * (low + (high - low) * rng.uniform()));
    return cents;
  }

  /// Labels and prices in turn, with the distractors at two places among them.
  void write_listing(TokenText& text, Random& rng, Split split, const std::vector<std::size_t>& category,
                     const std::vector<long>& cents) const {
    const std::string_view signs = split == Split::kTest ? "*_" : "+-";
    const std::vector<std::size_t> copied = choose(rng, categories_, 2);
    const std::vector<std::size_t> places = choose(rng, 2 * categories_ + 2, 2);
    std::size_t distractor = 0, item = 0;
    for (std::size_t place = 0; place < 2 * categories_ + 2; ++place) {
      if (std::find(places.begin(), places.end(), place) != places.end()) {
        text << "Cat" << signs.substr(rng.below(2), 1) << category[copied[distractor++]];
      } else if (item % 2 == 0) {
        text << "Cat" << category[item++ / 2];
      } else {
        const long price = cents[item++ / 2];
        text << fmt::format("{:02}.{:02}", price / 100, price % 100);
      }
    }
  }

  /// Returns the answer.
  double write_question(TokenText& text, Random& rng, const std::vector<std::size_t>& category,
                        const std::vector<long>& cents) const {
    MixedQuestion question = question_;
    if (question == MixedQuestion::kMulti)
      question = rng.below(2) == 0 ? MixedQuestion::kMin : MixedQuestion::kMax;
    const std::vector<std::size_t> asked = choose(rng, categories_, queried_);
    const std::string_view word = question == MixedQuestion::kSum   ? "sum"
                                  : question == MixedQuestion::kMin ? "min"
                                                                    : "max";
    text << "Find " << word << " of categories ";
    long answer = question == MixedQuestion::kSum ? 0 : cents[asked[0]];
    for (std::size_t i = 0; i < queried_; ++i) {
      if (i > 0) text << (i + 1 == queried_ ? " and " : ", ");
      text << "Cat" << category[asked[i]];
      const long price = cents[asked[i]];
      if (question == MixedQuestion::kSum) answer += price;
      if (question == MixedQuestion::kMin) answer = std::min(answer, price);
      if (question == MixedQuestion::kMax) answer = std::max(answer, price);
    }
    return static_cast<double>(answer) / 100;
  }

  std::string name_;
  MixedQuestion question_;
  std::size_t categories_, queried_;
  double limit_;
};

}  // namespace

std::string mixed_text(std::span<const double> tokens) {
  std::string text;
  for (const double token : tokens) {
    const auto id = static_cast<std::size_t>(token);
    if (id < kCharacters.size())
      text += kCharacters[id];
    else
      text += fmt::format("<{}>", id - kCharacters.size());
  }
  return text;
}

std::unique_ptr<Task> make_mixed_task(std::string name, MixedQuestion question, const TaskOptions& options) {
  return std::make_unique<MixedTask>(std::move(name), question, options);
}

}  // namespace telos::positional
