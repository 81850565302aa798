#pragma once

// Before the first Highway header of a file that uses foreach_target.h: which instruction sets are compiled.
// Only those with fused multiply-add are worth a copy of the code; the baseline (std::fma lane by lane)
// serves the rest. AVX3_DL adds nothing that these kernels use. Sanitizers look at the baseline and AVX2: the
// other copies are the same source, and take most of a build's time.
#include <hwy/detect_targets.h>

#include "base/sanitized.h"
#undef HWY_DISABLED_TARGETS
#ifdef TELOS_SANITIZED
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_AVX3)
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
