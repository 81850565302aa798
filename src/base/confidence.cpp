#include "telos/base/confidence.h"

#include <array>
#include <cmath>
#include <limits>

namespace telos {

double sigmas(std::size_t samples) {
  if (samples < 2) return std::numeric_limits<double>::infinity();
  constexpr std::array kFew = {13.967734, 4.526537, 3.306822, 2.869309};
  const std::size_t freedom = samples - 1;
  if (freedom <= kFew.size()) return kFew[freedom - 1];
  // Cornish and Fisher's expansion, off by less than 0.2 % from five degrees of freedom on.
  const double z = kSigmas, v = static_cast<double>(freedom);
  return z + (std::pow(z, 3) + z) / (4 * v) +
         (5 * std::pow(z, 5) + 16 * std::pow(z, 3) + 3 * z) / (96 * v * v) +
         (3 * std::pow(z, 7) + 19 * std::pow(z, 5) + 17 * std::pow(z, 3) - 15 * z) / (384 * v * v * v);
}

}  // namespace telos
