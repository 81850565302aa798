#include "telos/base/confidence.h"

#include <gtest/gtest.h>

#include <cmath>

namespace telos {
namespace {

TEST(Confidence, FewSamplesNeedLargerDifferences) {
  // Student's quantiles at the tail that two standard errors leave of a normal law, by scipy.stats.t.ppf.
  EXPECT_NEAR(sigmas(2), 13.967734, 1e-5);
  EXPECT_NEAR(sigmas(5), 2.869309, 1e-5);
  EXPECT_NEAR(sigmas(6), 2.648649, 5e-3);
  EXPECT_NEAR(sigmas(10), 2.319806, 1e-3);
  EXPECT_NEAR(sigmas(31), 2.086844, 1e-4);
  EXPECT_TRUE(std::isinf(sigmas(1)));
}

}  // namespace
}  // namespace telos
