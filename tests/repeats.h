#pragma once

// How often a test repeats itself. A sanitizer takes ten to thirty times as long and looks for errors of
// memory and threads, which the first draws show as well as the last.

#include "base/sanitized.h"

namespace telos {

#ifdef TELOS_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// `full`, or `fewer` under a sanitizer.
template <class T>
constexpr T repeats(T full, T fewer) {
  return kSanitized ? fewer : full;
}

/// Why a test is not run under a sanitizer.
inline constexpr const char* kOnlyNumbers = "many draws for one number; the other tests run the same code";

}  // namespace telos
