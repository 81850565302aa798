#include "telos/symmetry/simplified_block.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "telos/base/error.h"

namespace telos::symmetry {

void require_valid(const SimplifiedBlock& block) {
  for (const auto& [name, value] :
       {std::pair{"token variance", block.token}, {"position variance", block.position}})
    if (!(value >= 0) || !std::isfinite(value))
      throw Error(ErrorKind::kUsage, name,
                  fmt::format("expected a finite number of at least 0, found {}", value));
  if (block.token == 0 && block.position == 0)
    throw Error(ErrorKind::kUsage, "block",
                "neither tokens nor positions have a variance above 0: the kernel is 0");
}

double average_factor(AttentionAverage average, double length_x, double length_y) {
  const double product = length_x * length_y;
  if (average == AttentionAverage::kNone) return 1;
  return average == AttentionAverage::kRoot ? 1 / std::sqrt(product) : 1 / product;
}

PairCoefficients pair_coefficients(const SimplifiedBlock& block, std::size_t length) {
  const double l = static_cast<double>(length), e = block.token, s = block.position,
               n = average_factor(block.average, l, l);
  return {n * e * e, n * 2 * e * s, n * s * s * l};
}

}  // namespace telos::symmetry
