#pragma once

#include <span>

#include "telos/base/philox.h"

namespace telos::bigram {

/// Logarithm of a Gamma(shape, 1) variate (Marsaglia and Tsang 2000): small shapes underflow otherwise.
double log_gamma_variate(Random& random, double shape);
/// Weights in proportion to exp(logs), sum 1.
void normalise_logs(std::span<double> logs);

}  // namespace telos::bigram
