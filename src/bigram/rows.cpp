// What is done to one column of attention.
#include <algorithm>
#include <cmath>

#include "bigram/train_parts.h"
#include "telos/linalg/vecmath.h"

namespace telos::bigram {
namespace {

void shift_to_one(std::span<double> a) {
  const double shift = (1 - vec_sum(std::span<const double>(a))) / static_cast<double>(a.size());
  for (double& x : a) x += shift;
}

void drop_below(std::span<double> a, double least) {
  for (double& x : a) x = x >= least ? x : 0;
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void shrink(std::span<double> a, double threshold) {
  const double uniform = 1 / static_cast<double>(a.size());
  for (double& x : a) {
    const double e = x - uniform;
    x = std::copysign(std::max(std::abs(e) - threshold, 0.0), e) + uniform;
  }
  shift_to_one(a);
}

void keep_large(std::span<double> a, double least) {
  drop_below(a, least);
  shift_to_one(a);
}

void round_small(std::span<double> a, double least) {
  drop_below(a, least);
  const double sum = vec_sum(std::span<const double>(a));
  if (sum > 0)
    for (double& x : a) x /= sum;
}

void project_simplex(std::span<double> a) {
  // a − τ clipped at 0, with τ such that the sum is 1: entries at or below τ leave the sum for good.
  double sum = vec_sum(std::span<const double>(a)), tau = 0;
  for (std::size_t active = a.size(), before = 0; active != before;) {
    before = active;
    tau = (sum - 1) / static_cast<double>(active);
    sum = 0;
    active = 0;
    for (const double x : a) {
      sum += x > tau ? x : 0;
      active += x > tau;
    }
  }
  for (double& x : a) x = std::max(x - tau, 0.0);
}

double robust_scale(std::span<const double> a) {
  std::vector<double> values(a.begin(), a.end());
  const double centre = median(values);
  for (double& x : values) x = std::abs(x - centre);
  return 1.4826 * median(values);
}

}  // namespace telos::bigram
