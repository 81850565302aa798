#include "telos/symmetry/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "symmetry/order_parts.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/symmetry/irreps.h"
#include "telos/symmetry/order_page.h"

namespace telos::symmetry {
namespace {

constexpr std::size_t kWindowTokens = 6;

/// Windows of random letters, the last of which stays.
OrderWindows random_windows(std::size_t count, std::uint32_t vocabulary, std::uint64_t seed) {
  OrderWindows windows{.tokens = kWindowTokens, .ids = {}, .moved = {0, 1, 2, 3, 4}};
  Random random(seed);
  for (std::size_t i = 0; i < count * kWindowTokens; ++i)
    windows.ids.push_back(static_cast<std::int32_t>(random.below(vocabulary)));
  return windows;
}

using WindowFunction = std::function<std::vector<double>(std::span<const std::int32_t>)>;

OrderModel model_of(const WindowFunction& f, std::size_t tokens = kWindowTokens) {
  return [f, tokens](std::span<const std::int32_t> ids) {
    const std::size_t n = ids.size() / tokens;
    Matrix<double> values(n, f(ids.first(tokens)).size());
    for (std::size_t i = 0; i < n; ++i) std::ranges::copy(f(ids.subspan(i * tokens, tokens)), values.row(i));
    std::vector<Matrix<double>> readouts;
    readouts.push_back(std::move(values));
    return readouts;
  };
}

double letter(std::int32_t id) {
  return std::sin(1 + id);
}

/// The same energies by all orders of every window: E|f|², its trivial and its standard part by characters.
struct ExactEnergies {
  double total = 0, invariant = 0, standard = 0;
};
ExactEnergies enumerate(const OrderWindows& windows, const WindowFunction& f) {
  const std::size_t k = windows.moved.size(), n = windows.ids.size() / windows.tokens;
  ExactEnergies sum;
  double runs = 0;
  for (std::size_t w = 0; w < n; ++w) {
    std::vector<std::vector<double>> values;
    std::vector<std::vector<std::size_t>> orders;
    std::vector<std::size_t> order(k);
    std::iota(order.begin(), order.end(), std::size_t{0});
    do {
      std::vector<std::int32_t> ids(
          windows.ids.begin() + static_cast<std::ptrdiff_t>(w * windows.tokens),
          windows.ids.begin() + static_cast<std::ptrdiff_t>((w + 1) * windows.tokens));
      for (std::size_t i = 0; i < k; ++i)
        ids[windows.moved[i]] = windows.ids[w * windows.tokens + windows.moved[order[i]]];
      values.push_back(f(ids));
      orders.push_back(order);
    } while (std::next_permutation(order.begin(), order.end()));
    for (std::size_t a = 0; a < values.size(); ++a)
      for (std::size_t b = 0; b < values.size(); ++b) {
        double fixed = 0, product = 0;
        for (std::size_t i = 0; i < k; ++i) fixed += orders[a][i] == orders[b][i];
        for (std::size_t c = 0; c < values[a].size(); ++c) product += values[a][c] * values[b][c];
        if (a == b) sum.total += product * static_cast<double>(values.size());
        sum.invariant += product;
        sum.standard += (static_cast<double>(k) - 1) * (fixed - 1) * product;  // character of (K−1,1)
      }
    runs += static_cast<double>(values.size() * values.size());
  }
  sum.total /= runs;
  sum.invariant /= runs;
  sum.standard /= runs;
  return sum;
}

OrderReadout measured(const OrderWindows& windows, const WindowFunction& f, std::size_t shuffles = 8) {
  return measure_order(windows, model_of(f), {.shuffles = shuffles, .seed = 3}).readouts.at(0);
}

void expect_share(const OrderShare& share, double expected, const char* what) {
  EXPECT_NEAR(share.value, expected, 4 * share.error + 1e-9) << what;
  EXPECT_LT(share.error, 0.2) << what;
}

TEST(SymmetryOrder, CountsAreInvariant) {
  const OrderReadout r = measured(random_windows(60, 4, 1), [](auto x) {
    double sum = 0;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) sum += letter(x[i]);
    return std::vector<double>{sum};
  });
  EXPECT_NEAR(r.symmetric.value, 1, 1e-9);
  EXPECT_NEAR(r.standard.value, 0, 1e-9);
  expect_share(r.fixed, 0, "query");
  EXPECT_TRUE(std::isnan(r.written.value)) << "there is no order to compare";
}

TEST(SymmetryOrder, TheQueryAloneIsFixed) {
  const OrderReadout r =
      measured(random_windows(60, 4, 2), [](auto x) { return std::vector<double>{letter(x.back())}; });
  EXPECT_NEAR(r.fixed.value, 1, 1e-9);
  EXPECT_TRUE(std::isnan(r.symmetric.value)) << "the context contributes nothing";
}

/// The mean over many texts, of a numerator without bias.
TEST(SymmetryOrder, OfAFunctionOfTheContextNothingStaysOnAverage) {
  constexpr std::uint64_t kTexts = 2000;
  double sum = 0, squares = 0, variance = 0;
  for (std::uint64_t text = 0; text < kTexts; ++text) {
    const OrderReadout r =
        measure_order(random_windows(9, 4, 100 + text),
                      model_of([](auto x) { return std::vector<double>{letter(x[2])}; }), {.shuffles = 2})
            .readouts[0];
    const double fixed = r.fixed.value * r.variance;
    sum += fixed / kTexts;
    squares += fixed * fixed / kTexts;
    variance += r.variance / kTexts;
  }
  const double error = std::sqrt((squares - sum * sum) / kTexts);
  EXPECT_LT(error, 0.01 * variance);
  EXPECT_NEAR(sum, 0, 4 * error);
}

TEST(SymmetryOrder, ACopiedPositionHasOnePartInK) {
  // Of the energy of a letter at one place 1/K is invariant, for letters independent of each other.
  const OrderReadout r = measured(random_windows(400, 4, 5), [](auto x) {
    return std::vector<double>{letter(x[2]), 1.0};
  });
  expect_share(r.invariant, 0.2, "invariant");
  expect_share(r.standard, 0.8, "standard");
  expect_share(r.rest, 0, "rest");
  expect_share(r.written, 1, "written");
}

TEST(SymmetryOrder, AgreesWithAllOrders) {
  const WindowFunction f = [](auto x) {
    double pairs = letter(x[0]) - letter(x[3]);
    for (std::size_t i = 0; i + 1 < 5; ++i) pairs += letter(x[i]) * letter(x[i + 1] + 2);
    return std::vector<double>{pairs, letter(x[1]) * letter(x[2]) * letter(x[4])};
  };
  const OrderWindows windows = random_windows(60, 5, 6);
  const OrderReadout r = measured(windows, f, 1000);
  const ExactEnergies exact = enumerate(windows, f);
  // What stays contributes nothing here: the constant is all that the variance lacks.
  const double spread = exact.total - exact.invariant;
  const double moving = 1 - r.fixed.value - r.invariant.value;
  EXPECT_NEAR(r.variance * moving, spread, 0.03 * spread);
  const double standard = exact.standard / spread;
  EXPECT_NEAR(r.standard.value / moving, standard, 0.08);
  EXPECT_GT(standard, 0.1);
  EXPECT_LT(standard, 0.9);
}

TEST(SymmetryOrder, DegreesOfLongContexts) {
  constexpr std::size_t kLong = 24;
  OrderWindows windows{.tokens = kLong, .ids = {}, .moved = {}};
  Random random(11);
  for (std::size_t i = 0; i < 200 * kLong; ++i)
    windows.ids.push_back(static_cast<std::int32_t>(random.below(7)));
  for (std::size_t i = 0; i < kLong; ++i) windows.moved.push_back(i);
  const auto shares = [&](const WindowFunction& f) {
    return measure_order(windows, model_of(f, kLong), {.shuffles = 16, .seed = 2}).readouts.at(0);
  };
  // One place: what two orders share grows as the places in which they agree.
  const OrderReadout one = shares([](auto x) { return std::vector<double>{letter(x[7])}; });
  expect_share(one.standard, 1 - 1.0 / kLong, "standard");
  expect_share(one.kept[0], 6.0 / 23, "a quarter");
  expect_share(one.kept[2], 18.0 / 23, "three quarters");
  // On the page it lies on the line of degree one.
  OrderFindings findings{.layers = {.windows = 200, .tokens = kLong, .moved = kLong, .readouts = {one}},
                         .names = {"output"},
                         .lengths = {},
                         .read_at = "the last token",
                         .shuffles = 16};
  const Report page = order_report(findings, {});
  const Table& drawn = page.sections.at(0).figures.at(0).data;
  EXPECT_EQ(std::get<double>(drawn.rows.at(1).at(1)), 6.0 / 23);
  EXPECT_EQ(std::get<double>(drawn.rows.at(3).at(1)), 18.0 / 23);
  // A product of centred letters of two places: as their square.
  double mean = 0;
  for (int id = 0; id < 7; ++id) mean += letter(id) / 7;
  const OrderReadout two =
      shares([&](auto x) { return std::vector<double>{(letter(x[7]) - mean) * (letter(x[11]) - mean)}; });
  expect_share(two.kept[1], 0.25, "half");
  EXPECT_GT(two.rest.value, 0.8);
}

TEST(SymmetryOrder, DegreesAreToldApart) {
  for (std::size_t k = 4; k <= 20; ++k)
    for (const Partition& irrep : partitions(static_cast<std::uint32_t>(k), 5)) {
      // What is left of the irrep's energy where t of K tokens keep their places: copies of it among the
      // orderings of a bag in which t tokens are told apart.
      const auto common = [&](std::size_t t) {
        std::vector<std::uint32_t> counts(t + 1, 1);
        counts[0] = static_cast<std::uint32_t>(k - t);
        return std::exp(kostka(irrep, counts).log() - dimension(irrep).log());
      };
      const double found = first_degree(k, common(kept_slots(k)[0]), common(kept_slots(k)[1]));
      switch (degree_of(irrep)) {
        case 0:
          break;  // what does not depend on the order is taken off before
        case 1:
          EXPECT_NEAR(found, 1, 1e-12) << to_text(irrep);
          break;
        case 2:
          EXPECT_NEAR(found, 0, 1e-12) << to_text(irrep);
          break;
        default:
          EXPECT_LE(found, 1e-12) << to_text(irrep);
          EXPECT_GE(found, -0.125 - 1e-12) << to_text(irrep);
      }
    }
}

TEST(SymmetryOrder, TheWrittenOrderCanDiffer) {
  OrderWindows windows = random_windows(80, 9, 7);
  for (std::size_t w = 0; w < 80; ++w)
    std::sort(windows.ids.begin() + static_cast<std::ptrdiff_t>(w * kWindowTokens),
              windows.ids.begin() + static_cast<std::ptrdiff_t>(w * kWindowTokens + 5));
  const OrderReadout r = measured(windows, [](auto x) {
    double inversions = 0;
    for (std::size_t i = 0; i < 5; ++i)
      for (std::size_t j = i + 1; j < 5; ++j) inversions += x[i] > x[j];
    return std::vector<double>{inversions};
  });
  EXPECT_GT(r.written.value, 3);
}

TEST(SymmetryOrder, SameForAnyBatch) {
  const OrderWindows windows = random_windows(20, 4, 8);
  const auto f = model_of([](auto x) { return std::vector<double>{letter(x[0]), letter(x[5])}; });
  const OrderReadout one = measure_order(windows, f, {}, 1).readouts[0];
  const OrderReadout many = measure_order(windows, f, {}, 1000).readouts[0];
  EXPECT_EQ(one.symmetric.value, many.symmetric.value);
  EXPECT_EQ(one.fixed.error, many.fixed.error);
}

TEST(SymmetryOrder, WithoutAQueryNothingIsFixed) {
  OrderWindows windows = random_windows(30, 4, 9);
  for (std::size_t w = 0; w < 30; ++w) windows.ids[w * kWindowTokens + 5] = 1;
  const OrderMeasures m =
      measure_order(windows, model_of([](auto x) { return std::vector<double>{letter(x[0])}; }), {});
  EXPECT_EQ(m.readouts[0].fixed.value, 0);
  EXPECT_EQ(m.passes, 30u * 17);
}

TEST(SymmetryOrder, AConstantOutputHasNoShares) {
  const OrderReadout r = measured(random_windows(10, 4, 10), [](auto) { return std::vector<double>{2.5}; });
  EXPECT_TRUE(std::isnan(r.invariant.value));
}

TEST(SymmetryOrder, RefusesWhatCannotBeMeasured) {
  const auto f = model_of([](auto x) { return std::vector<double>{letter(x[0])}; });
  const auto kind_of = [&](const OrderWindows& windows, const OrderOptions& options,
                           const OrderModel& model) {
    try {
      measure_order(windows, model, options);
    } catch (const Error& e) {
      return e.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of(random_windows(3, 4, 1), {}, f), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(random_windows(8, 4, 1), {.shuffles = 1}, f), ErrorKind::kUsage);
  OrderWindows short_one = random_windows(8, 4, 1);
  short_one.moved = {1, 2, 3};
  EXPECT_EQ(kind_of(short_one, {}, f), ErrorKind::kUsage);
  short_one.moved = {1, 1, 2, 3};
  EXPECT_EQ(kind_of(short_one, {}, f), ErrorKind::kUsage);
  short_one.moved = {1, 2, 3, 6};
  EXPECT_EQ(kind_of(short_one, {}, f), ErrorKind::kUsage);
  EXPECT_EQ(
      kind_of(random_windows(8, 4, 1), {}, model_of([](auto) { return std::vector<double>{std::nan("")}; })),
      ErrorKind::kNotFinite);
}

}  // namespace
}  // namespace telos::symmetry
