// Logistic regression on bags of words: what a linear model makes of the same texts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/clustering/sentiment_lab.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kMostIterations = 500, kHistory = 10;
/// The gradient's norm at which the fit ends, relative to where it began.
constexpr double kTolerance = 1e-5;

struct Entry {
  std::uint32_t other;  ///< the text of a word's entry, the word of a text's entry
  double value;
};

/// Texts as rows of length 1 over words, by rows and by columns: each sum has one owner and a fixed order.
struct Rows {
  std::vector<std::vector<Entry>> by_text, by_word;

  Rows(std::span<const WordBag> bags, std::size_t vocabulary, bool with_words) : by_text(bags.size()) {
    if (with_words) by_word.resize(vocabulary);
    for (std::size_t i = 0; i < bags.size(); ++i) {
      double square = 0;
      for_words(bags[i], vocabulary, [&](std::uint32_t, double n) { square += n * n; });
      for_words(bags[i], vocabulary, [&](std::uint32_t word, double n) {
        by_text[i].push_back({word, n / std::sqrt(square)});
        if (with_words) by_word[word].push_back({static_cast<std::uint32_t>(i), n / std::sqrt(square)});
      });
    }
  }

 private:
  template <class F>
  static void for_words(const WordBag& bag, std::size_t vocabulary, const F& f) {
    for (std::size_t j = 0; j < bag.ids.size(); ++j) {
      if (bag.ids[j] == Vocabulary::kPadding) continue;
      if (bag.ids[j] < 0 || static_cast<std::size_t>(bag.ids[j]) >= vocabulary)
        throw Error(ErrorKind::kUsage, "bag of words",
                    fmt::format("the word number {}, expected below {}", bag.ids[j], vocabulary));
      f(static_cast<std::uint32_t>(bag.ids[j]), static_cast<double>(bag.counts[j]));
    }
  }
};

using Vector = std::vector<double>;  // a weight for each word, then the bias

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

double logit(const std::vector<Entry>& row, const Vector& w) {
  double sum = w.back();
  for (const Entry& e : row) sum += w[e.other] * e.value;
  return sum;
}

double accuracy(const Rows& rows, std::span<const std::uint8_t> labels, const Vector& w) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i)
    right += (logit(rows.by_text[i], w) >= 0) == (labels[i] != 0);
  return labels.empty() ? 0 : static_cast<double>(right) / static_cast<double>(labels.size());
}

/// mean log(1 + e^{−margin}) + penalty/2·‖w‖² (without the bias), and its gradient.
class Objective {
 public:
  Objective(const Rows& rows, std::span<const std::uint8_t> labels, double penalty, const Arena& arena)
      : rows_(rows),
        labels_(labels),
        penalty_(penalty),
        arena_(arena),
        residual_(labels.size()),
        loss_(labels.size()) {}

  double operator()(const Vector& w, Vector& gradient) {
    const double n = static_cast<double>(labels_.size());
    const std::size_t words = w.size() - 1;
    in_pieces(labels_.size(), [&](std::size_t i) {
      const double y = logit(rows_.by_text[i], w), target = labels_[i] != 0 ? 1 : 0;
      residual_[i] = (1 / (1 + std::exp(-y)) - target) / n;
      loss_[i] = std::max(y, 0.0) - target * y + std::log1p(std::exp(-std::abs(y)));
    });
    in_pieces(words, [&](std::size_t word) {
      double sum = penalty_ * w[word];
      for (const Entry& e : rows_.by_word[word]) sum += residual_[e.other] * e.value;
      gradient[word] = sum;
    });
    double loss = 0, square = 0;
    gradient[words] = 0;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      loss += loss_[i] / n;
      gradient[words] += residual_[i];
    }
    for (std::size_t word = 0; word < words; ++word) square += w[word] * w[word];
    return loss + penalty_ / 2 * square;
  }

 private:
  template <class F>
  void in_pieces(std::size_t n, const F& f) const {
    constexpr std::size_t kPiece = 1024;
    arena_.parallel_for((n + kPiece - 1) / kPiece, [&](std::size_t p) {
      for (std::size_t i = p * kPiece; i < std::min(n, (p + 1) * kPiece); ++i) f(i);
    });
  }

  const Rows& rows_;
  std::span<const std::uint8_t> labels_;
  double penalty_;
  const Arena& arena_;
  std::vector<double> residual_, loss_;
};

/// L-BFGS (Nocedal and Wright, algorithm 7.4): −H·gradient from the last steps and gradient changes.
class Memory {
 public:
  Vector direction(const Vector& gradient) const {
    Vector q = gradient;
    std::vector<double> share(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      share[i] = dot(pairs_[i].step, q) / pairs_[i].curvature;
      add(q, -share[i], pairs_[i].change);
    }
    if (!pairs_.empty()) {
      const double scale = pairs_.back().curvature / dot(pairs_.back().change, pairs_.back().change);
      for (double& x : q) x *= scale;
    }
    for (std::size_t i = 0; i < pairs_.size(); ++i)
      add(q, share[i] - dot(pairs_[i].change, q) / pairs_[i].curvature, pairs_[i].step);
    for (double& x : q) x = -x;
    return q;
  }
  void remember(Vector step, Vector change) {
    const double curvature = dot(step, change);
    if (!(curvature > 0)) return;
    pairs_.push_back({std::move(step), std::move(change), curvature});
    if (pairs_.size() > kHistory) pairs_.pop_front();
  }
  static void add(Vector& to, double factor, const Vector& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
  }

 private:
  struct Pair {
    Vector step, change;
    double curvature;
  };
  std::deque<Pair> pairs_;
};

/// Minimises from 0 by steps that halve until they lower the objective enough (Armijo); returns the steps
/// taken.
std::size_t minimise(Objective& objective, Vector& w) {
  Vector gradient(w.size()), next_gradient(w.size());
  double value = objective(w, gradient);
  const double enough = kTolerance * std::sqrt(dot(gradient, gradient));
  Memory memory;
  for (std::size_t iteration = 0; iteration < kMostIterations; ++iteration) {
    check_interrupt();
    if (std::sqrt(dot(gradient, gradient)) <= enough) return iteration;
    const Vector direction = memory.direction(gradient);
    const double slope = dot(direction, gradient);
    double length = 1, next_value = 0;
    Vector next;
    for (;; length /= 2) {
      next = w;
      Memory::add(next, length, direction);
      next_value = objective(next, next_gradient);
      if (next_value <= value + 1e-4 * length * slope) break;
      if (length < 1e-12) return iteration;  // rounding: there is nothing left to gain
    }
    Vector step = next, change = next_gradient;
    Memory::add(step, -1, w);
    Memory::add(change, -1, gradient);
    memory.remember(std::move(step), std::move(change));
    w = std::move(next);
    std::swap(gradient, next_gradient);
    value = next_value;
  }
  return kMostIterations;
}

}  // namespace

BagRegression bag_regression(std::span<const WordBag> train, std::span<const std::uint8_t> train_labels,
                             std::span<const WordBag> test, std::span<const std::uint8_t> test_labels,
                             std::size_t vocabulary, double penalty, const Arena& arena) {
  if (train.size() != train_labels.size() || test.size() != test_labels.size())
    throw Error(ErrorKind::kShape, "regression on bags of words", "there are not as many labels as texts");
  if (train.empty() || !(penalty > 0))
    throw Error(ErrorKind::kUsage, "regression on bags of words",
                fmt::format("{} texts and the penalty {}, expected at least 1 and a number above 0",
                            train.size(), penalty));
  const Rows rows(train, vocabulary, true), test_rows(test, vocabulary, false);
  Objective objective(rows, train_labels, penalty, arena);
  Vector w(vocabulary + 1);
  BagRegression out;
  out.penalty = penalty;
  out.iterations = minimise(objective, w);
  out.train_accuracy = accuracy(rows, train_labels, w);
  out.test_accuracy = accuracy(test_rows, test_labels, w);
  return out;
}

}  // namespace telos::clustering
