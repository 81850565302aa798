#include "bigram/dirichlet.h"

#include <algorithm>
#include <cmath>

namespace telos::bigram {
namespace {

/// Uniform on (0, 1].
double positive_uniform(Random& random) {
  return 1 - random.uniform();
}

}  // namespace

double log_gamma_variate(Random& random, double shape) {
  if (shape == 1) return std::log(-std::log(positive_uniform(random)));
  if (shape < 1) {
    const double larger = log_gamma_variate(random, shape + 1);
    return larger + std::log(positive_uniform(random)) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(positive_uniform(random)) < x * x / 2 + d * (1 - v + std::log(v))) return std::log(d * v);
  }
}

void normalise_logs(std::span<double> logs) {
  const double most = std::ranges::max(logs);
  double sum = 0;
  for (double& value : logs) sum += value = std::exp(value - most);
  for (double& value : logs) value /= sum;
}

}  // namespace telos::bigram
