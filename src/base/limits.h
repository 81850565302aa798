#pragma once

#include <limits>

namespace telos {

inline constexpr double kEps = std::numeric_limits<double>::epsilon();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// "Not known" among measured numbers.
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace telos
