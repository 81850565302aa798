#pragma once

#include <cstddef>

namespace telos {

/// What counts as a difference: more than so many standard errors of a mean over many samples.
inline constexpr double kSigmas = 2;
/// The same for a mean over few: Student's quantile with samples − 1 degrees of freedom at the tail that
/// kSigmas leaves of a normal law (14.0 for two samples, 2.32 for ten). +inf below two samples.
double sigmas(std::size_t samples);

}  // namespace telos
