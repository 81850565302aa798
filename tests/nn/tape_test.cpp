// The oracle's own oracle: the tape against derivatives known in closed form, and finite differences.
#include "reference/tape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

namespace telos::reference {
namespace {

TEST(Tape, ProductRuleAndChainRule) {
  Tape tape;
  const Var x = tape.variable(2), y = tape.variable(3), unused = tape.variable(7);
  const Var z = x * y + exp(x) / y - 4 * x;
  EXPECT_DOUBLE_EQ(z.value, 6 + std::exp(2.0) / 3 - 8);
  const std::vector<double> d = tape.backward(z);
  EXPECT_DOUBLE_EQ(d[x.index], 3 + std::exp(2.0) / 3 - 4);
  EXPECT_DOUBLE_EQ(d[y.index], 2 - std::exp(2.0) / 9);
  EXPECT_EQ(d[unused.index], 0);
}

TEST(Tape, ANumberThatIsUsedOftenCollectsFromEveryUse) {
  Tape tape;
  const Var x = tape.variable(1.5);
  Var power = 1;
  for (int i = 0; i < 5; ++i) power = power * x;
  EXPECT_NEAR(tape.backward(power)[x.index], 5 * std::pow(1.5, 4), 1e-13);
}

TEST(Tape, FunctionsAgainstFiniteDifferences) {
  const std::vector<std::function<Var(Var)>> functions = {
      [](Var x) { return exp(x); },        [](Var x) { return log(x); },
      [](Var x) { return log1p(x); },      [](Var x) { return sqrt(x); },
      [](Var x) { return tanh(x); },       [](Var x) { return erf(x); },
      [](Var x) { return abs(x); },        [](Var x) { return -x; },
      [](Var x) { return relu(x - 0.5); }, [](Var x) { return max(x, Var(0.7) * x * x); },
  };
  for (std::size_t i = 0; i < functions.size(); ++i)
    for (const double at : {0.3, 1.1, 2.5}) {
      Tape tape;
      const Var x = tape.variable(at);
      const double t = 1e-5;
      const double slope = (functions[i](Var(at + t)).value - functions[i](Var(at - t)).value) / (2 * t);
      EXPECT_NEAR(tape.backward(functions[i](x))[x.index], slope, 1e-8) << "function " << i << " at " << at;
    }
}

TEST(Tape, ConstantsAndKinks) {
  Tape tape;
  const Var x = tape.variable(0), y = tape.variable(0);
  EXPECT_EQ(tape.backward(relu(x))[x.index], 0);
  EXPECT_EQ(tape.backward(abs(x))[x.index], 0);
  const std::vector<double> d = tape.backward(max(x, y));  // the first of equals
  EXPECT_EQ(d[x.index], 1);
  EXPECT_EQ(d[y.index], 0);
  EXPECT_EQ((Var(2) * Var(3)).tape, nullptr);
  EXPECT_EQ(tape.backward(Var(2) * Var(3))[x.index], 0);
}

TEST(Tape, StraightThroughHasOneValueAndTheOthersDerivative) {
  Tape tape;
  const Var x = tape.variable(0.4);
  const Var y = straight_through(1, x * x);
  EXPECT_EQ(y.value, 1);
  EXPECT_DOUBLE_EQ(tape.backward(y * 3)[x.index], 3 * 0.8);
}

}  // namespace
}  // namespace telos::reference
