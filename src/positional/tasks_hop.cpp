#include <fmt/format.h>

#include <cmath>

#include "positional/tasks_parts.h"
#include "telos/base/error.h"
#include "telos/positional/studies.h"

namespace telos::positional {
namespace {

/// k-hop induction heads. Tokens: 0 … K the number of hops, then the letters of training, those of the test,
/// '~' (no such place), '_' (before the first letter). A sample is k and all but the last two letters of a
/// random string; its target '_' and the same letters of hop_k.
class HopTask final : public Task {
 public:
  explicit HopTask(const TaskOptions& options)
      : hops_(options.hops), letters_(options.hop_letters), sequence_(options.sequence) {
    if (sequence_ < 3 || sequence_ > 1 << 16)
      throw Error(ErrorKind::kUsage, "task khop",
                  fmt::format("sequence is {}, expected 3 to 65536", sequence_));
    if (letters_ < 2 || letters_ > 13)
      throw Error(
          ErrorKind::kUsage, "task khop",
          fmt::format("hop_letters is {}, expected 2 to 13 (neighbours differ; training and test have "
                      "letters of their own)",
                      letters_));
    if (hops_ > 64)
      throw Error(ErrorKind::kUsage, "task khop", fmt::format("hops is {}, expected 0 to 64", hops_));
  }
  std::string name() const override { return "khop"; }
  SampleShape shape() const override {
    return {.nodes = sequence_ - 1,
            .tokens = true,
            .vocabulary = vocabulary(),
            .classes = true,
            .classes_count = vocabulary()};
  }
  void generate(Random& rng, double, Split split, std::size_t length, std::span<double> x,
                std::span<double> y) const override {
    const auto count = static_cast<std::uint32_t>(letters_);
    const char first = static_cast<char>('a' + (split == Split::kTest ? letters_ : 0));
    std::string letters(sequence_, first);
    std::uint32_t letter = rng.below(count);
    for (std::size_t i = 0; i < sequence_; ++i) {
      // The next letter is one of the others, each as likely.
      if (i > 0) letter = (letter + 1 + rng.below(count - 1)) % count;
      letters[i] = static_cast<char>(first + static_cast<char>(letter));
    }
    const std::size_t hops = rng.below(static_cast<std::uint32_t>(hops_ + 1));
    const std::string answer = hop_string(letters, hops);
    x[0] = static_cast<double>(hops);
    y[0] = static_cast<double>(vocabulary() - 1);
    for (std::size_t i = 1; i < length; ++i) {
      x[i] = token(letters[i - 1]);
      y[i] = token(answer[i - 1]);
    }
  }
  bool scalable() const override { return false; }
  bool unseen_test() const override { return true; }

 private:
  std::size_t vocabulary() const { return hops_ + 1 + 2 * letters_ + 2; }
  double token(char c) const {
    if (c == '~') return static_cast<double>(vocabulary() - 2);
    return static_cast<double>(hops_ + 1) + (c - 'a');
  }

  std::size_t hops_, letters_, sequence_;
};

}  // namespace

std::string hop_string(std::string_view letters, std::size_t hops) {
  std::string out;
  for (const std::size_t position : find_hops(letters, hops))
    out += position == 0 ? '~' : letters[position - 1];
  return out;
}

std::unique_ptr<Task> make_hop_task(const TaskOptions& options) {
  return std::make_unique<HopTask>(options);
}

}  // namespace telos::positional
