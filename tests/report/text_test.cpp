#include <gtest/gtest.h>
#include "telos/report/report.h"
TEST(Format, a) {
  EXPECT_EQ(telos::format_number(0.5), "0.5");
}
