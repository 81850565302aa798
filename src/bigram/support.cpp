// Where a column of attention looks, and since when.
#include <algorithm>
#include <cmath>

#include "bigram/train_parts.h"

namespace telos::bigram {
namespace {

/// What a set must be above, as a multiple of the largest weight outside of it.
constexpr double kSeparation = 3;

struct Tails {
  double positive = 0, negative = 0;
};

/// Σ max(±e, 0)⁴
Tails fourth_powers(std::span<const double> a) {
  const double uniform = 1 / static_cast<double>(a.size());
  Tails sum;
  for (const double x : a) {
    const double e = x - uniform, square = e * e;
    (e > 0 ? sum.positive : sum.negative) += square * square;
  }
  return sum;
}

std::span<const double> row(ConstMatrixView<double> a, std::size_t k) {
  return {a.row(k), a.cols()};
}

}  // namespace

int orientation(ConstMatrixView<double> a, const Arena& arena) {
  std::vector<Tails> tails(a.rows());
  arena.parallel_for(a.rows(), [&](std::size_t k) { tails[k] = fourth_powers(row(a, k)); });
  Tails sum;
  for (const Tails& t : tails) {
    sum.positive += t.positive;
    sum.negative += t.negative;
  }
  return sum.negative > sum.positive ? -1 : 1;
}

Support find_support(std::span<const double> a, int sign, double keep) {
  // 1/T + sign·(a − 1/T) = offset + sign·a
  const double s = sign, offset = (1 - s) / static_cast<double>(a.size());
  double largest = offset + s * a[0];
  for (const double x : a) largest = std::max(largest, offset + s * x);
  const double least = keep * largest;
  Support found;
  double smallest_kept = largest, largest_dropped = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    const double x = offset + s * a[t];
    if (x > least) {
      found.positions.push_back(static_cast<std::uint32_t>(t));
      smallest_kept = std::min(smallest_kept, x);
    } else {
      largest_dropped = std::max(largest_dropped, x);
    }
  }
  found.separated = !found.positions.empty() && found.positions.size() < a.size() &&
                    smallest_kept >= kSeparation * largest_dropped;
  return found;
}

bool is_exact(std::span<const double> a, std::span<const std::uint32_t> truth) {
  const double uniform = 1 / static_cast<double>(a.size());
  double least = std::abs(a[truth[0]] - uniform);
  for (const std::uint32_t t : truth) least = std::min(least, std::abs(a[t] - uniform));
  std::size_t above = 0;
  for (const double x : a) above += std::abs(x - uniform) >= least;
  return above == truth.size();
}

// ---- History

void SupportHistory::look(const Instance& instance, ConstMatrixView<double> a, double keep,
                          std::uint64_t step, const Arena& arena) {
  const int sign = orientation(a, arena);
  std::vector<std::uint8_t> exact(a.rows());
  arena.parallel_for(a.rows(), [&](std::size_t k) {
    Support found = find_support(row(a, k), sign, keep);
    if (found.positions != sets_[k]) {
      sets_[k] = std::move(found.positions);
      since_[k] = step;
    }
    separated_[k] = found.separated;
    exact[k] = instance.known() && is_exact(row(a, k), instance.q[k].positions);
  });
  if (std::ranges::count(exact, 0) != 0)
    exact_since_ = 0;
  else if (exact_since_ == 0)
    exact_since_ = step;
}

bool SupportHistory::stable(std::size_t column, std::uint64_t step) const {
  return separated_[column] != 0 && step >= since_[column] + kStable;
}

bool SupportHistory::all_stable(std::uint64_t step) const {
  for (std::size_t k = 0; k < sets_.size(); ++k)
    if (!is_left_out(k) && !stable(k, step)) return false;
  return true;
}

void SupportHistory::leave_out(std::span<const std::uint32_t> columns) {
  left_out_.assign(sets_.size(), 0);
  for (const std::uint32_t k : columns) left_out_[k] = 1;
}

bool SupportHistory::is_left_out(std::size_t column) const {
  return !left_out_.empty() && left_out_[column] != 0;
}

std::vector<std::uint64_t> SupportHistory::state() const {
  std::vector<std::uint64_t> state{exact_since_};
  for (std::size_t k = 0; k < sets_.size(); ++k) {
    state.insert(state.end(), {since_[k], separated_[k], sets_[k].size()});
    state.insert(state.end(), sets_[k].begin(), sets_[k].end());
  }
  return state;
}

bool SupportHistory::restore(std::span<const std::uint64_t> state) {
  if (state.empty()) return false;
  exact_since_ = state[0];
  state = state.subspan(1);
  for (std::size_t k = 0; k < sets_.size(); ++k) {
    if (state.size() < 3 || state[2] > state.size() - 3) return false;
    since_[k] = state[0];
    separated_[k] = state[1] != 0;
    const auto positions = state.subspan(3, state[2]);
    sets_[k].clear();
    for (const std::uint64_t t : positions) sets_[k].push_back(static_cast<std::uint32_t>(t));
    state = state.subspan(3 + positions.size());
  }
  return state.empty();
}

}  // namespace telos::bigram
