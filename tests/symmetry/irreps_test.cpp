#include "telos/symmetry/irreps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "reference/symmetry_irreps.h"
#include "tests/positional/complaint.h"
#include "tests/repeats.h"

namespace telos::symmetry {
namespace {

using telos::test::complaint;
using ::testing::ElementsAre;
namespace ref = reference::symmetry;

ref::Shape plain(const Partition& p) {
  return {p.begin(), p.end()};
}

std::int64_t whole(const Natural& n) {
  return n.to_int64().value();
}

Natural power(std::uint32_t base, std::uint32_t exponent) {
  Natural product = 1;
  for (std::uint32_t i = 0; i < exponent; ++i) product *= base;
  return product;
}

Natural factorial(std::uint32_t n) {
  Natural product = 1;
  for (std::uint32_t i = 2; i <= n; ++i) product *= i;
  return product;
}

TEST(Natural, Arithmetic) {
  EXPECT_EQ(Natural(0).digits(), "0");
  EXPECT_EQ(factorial(30).digits(), "265252859812191058636308480000000");
  EXPECT_EQ(power(10, 40).digits(), "1" + std::string(40, '0'));
  EXPECT_EQ(power(2, 64).to_int64(), std::nullopt);
  EXPECT_EQ(power(2, 63).to_int64(), std::nullopt);
  EXPECT_EQ(power(2, 62).to_int64(), std::int64_t{1} << 62);
  Natural doubled = power(2, 95);
  doubled += doubled;
  EXPECT_EQ(doubled, power(2, 96));
  Natural carried = 0xFFFF'FFFF'FFFF'FFFF;
  carried += 1;
  EXPECT_EQ(carried, power(2, 64));
  Natural none = factorial(30);
  none *= 0;
  EXPECT_EQ(none, Natural(0));
  EXPECT_NEAR(power(3, 1000).log(), 1000 * std::log(3), 1e-12 * 1000 * std::log(3));
  EXPECT_EQ(Natural(0).log(), -INFINITY);
  EXPECT_EQ(short_text(79360), "79,360");
  EXPECT_EQ(short_text(factorial(64)), "1.269 · 10^89");
  EXPECT_EQ(short_text(power(10, 50)), "1.000 · 10^50");
}

TEST(Partitions, AreAllInOrderOfDegree) {
  EXPECT_THAT(partitions(4), ElementsAre(Partition{4}, Partition{3, 1}, Partition{2, 2}, Partition{2, 1, 1},
                                         Partition{1, 1, 1, 1}));
  EXPECT_THAT(partitions(64, 2),
              ElementsAre(Partition{64}, Partition{63, 1}, Partition{62, 2}, Partition{62, 1, 1}));
  EXPECT_EQ(partitions(30).size(), 5604u);
  for (int n = 1; n <= 9; ++n) {
    std::vector<ref::Shape> found;
    for (const Partition& p : partitions(static_cast<std::uint32_t>(n))) found.push_back(plain(p));
    EXPECT_EQ(found, ref::shapes(n));
  }
}

TEST(Irreps, PrintedDimensions) {
  std::vector<std::int64_t> four;
  for (const Partition& p : partitions(4)) four.push_back(whole(dimension(p)));
  EXPECT_THAT(four, ElementsAre(1, 3, 2, 3, 1));
  const auto seven = [](std::uint32_t length) {
    std::vector<std::int64_t> f;
    for (const Partition& p : partitions(length, 3)) f.push_back(whole(dimension(p)));
    return f;
  };
  EXPECT_THAT(seven(64), ElementsAre(1, 63, 1952, 1953, 39648, 79360, 39711));
  EXPECT_THAT(seven(512), ElementsAre(1, 511, 130304, 130305, 22107904, 44216320, 22108415));
}

TEST(Irreps, PrintedMultiplicities) {
  const auto m = [](std::uint32_t length, std::uint32_t vocabulary) {
    std::vector<std::int64_t> all;
    for (const Partition& p : partitions(length)) all.push_back(whole(multiplicity(p, vocabulary)));
    return all;
  };
  EXPECT_THAT(m(4, 2), ElementsAre(5, 3, 1, 0, 0));
  EXPECT_THAT(m(4, 3), ElementsAre(15, 15, 6, 3, 0));
  EXPECT_THAT(m(4, 4), ElementsAre(35, 45, 20, 15, 1));
  // (6) (51) (42) (411) (33) (321) (3111) (222)
  const std::vector<std::int64_t> six = m(6, 3);
  EXPECT_THAT(std::vector(six.begin(), six.begin() + 8), ElementsAre(28, 35, 27, 10, 10, 8, 0, 1));
}

TEST(Irreps, HooksCountTableaux) {
  for (std::uint32_t length = 1; length <= 7; ++length)
    for (const Partition& p : partitions(length)) {
      EXPECT_EQ(whole(dimension(p)), ref::standard_tableaux(plain(p))) << to_text(p);
      for (int letters = 1; letters <= 4; ++letters)
        EXPECT_EQ(whole(multiplicity(p, static_cast<std::uint32_t>(letters))),
                  ref::semistandard_tableaux(plain(p), letters))
            << to_text(p);
    }
}

TEST(Irreps, SquaresOfDimensionsSumToTheGroup) {
  for (const std::uint32_t length : {1u, 2u, 12u, 20u}) {
    Natural sum;
    for (const Partition& p : partitions(length)) {
      const std::int64_t f = whole(dimension(p));
      Natural square = static_cast<std::uint64_t>(f);
      square *= static_cast<std::uint32_t>(f);  // below 2^32 at L = 20
      ASSERT_LT(f, std::int64_t{1} << 32);
      sum += square;
    }
    EXPECT_EQ(sum, factorial(length)) << length;
  }
}

TEST(Irreps, FillAllFunctions) {
  for (const std::uint32_t vocabulary : {1u, 3u, 50u, 100'000u}) {
    Natural sum;
    for (const Partition& p : partitions(12)) {
      Natural term = multiplicity(p, vocabulary);
      term *= static_cast<std::uint32_t>(whole(dimension(p)));
      sum += term;
    }
    EXPECT_EQ(sum, power(vocabulary, 12)) << vocabulary;
  }
}

// By formula for any length, far above 64 bits: f = Π (L − …)/…, and f(L−m,ν) ~ f^ν L^m/m!.
TEST(Irreps, LongSequences) {
  EXPECT_EQ(whole(dimension({9'998, 2})), 10'000LL * 9'997 / 2);
  EXPECT_EQ(dimension({5'000, 5'000}).digits().size(), 3005u);  // Catalan number of 5,000
  EXPECT_NEAR(dimension({5'000, 5'000}).log(), std::lgamma(10'001) - std::lgamma(5'001) - std::lgamma(5'002),
              1e-8);
  EXPECT_NEAR(dimension({9'990, 4, 3, 2, 1}).log(),
              std::log(whole(dimension({4, 3, 2, 1}))) + 10 * std::log(10'000) - std::lgamma(11), 1e-2);
}

TEST(Kostka, CountsTableaux) {
  for (int n = 1; n <= 6; ++n)
    for (const ref::Shape& shape : ref::shapes(n))
      for (const ref::Shape& content : ref::shapes(n)) {
        const Partition p(shape.begin(), shape.end()), counts(content.begin(), content.end());
        EXPECT_EQ(whole(kostka(p, counts)), ref::semistandard_tableaux(shape, content))
            << to_text(p) << to_text(counts);
      }
}

TEST(Kostka, OrderAndZerosDoNotMatter) {
  const std::vector<std::uint32_t> sorted{3, 2, 2, 1}, mixed{2, 0, 1, 3, 0, 2};
  for (const Partition& p : partitions(8)) EXPECT_EQ(kostka(p, sorted), kostka(p, mixed)) << to_text(p);
}

TEST(Kostka, OrderingsOfABag) {
  const std::vector<std::uint32_t> counts{4, 3, 2, 1};
  std::int64_t sum = 0;
  for (const Partition& p : partitions(10)) sum += whole(kostka(p, counts)) * whole(dimension(p));
  EXPECT_EQ(sum, 3'628'800 / (24 * 6 * 2));
  EXPECT_EQ(kostka({4, 3, 2}, std::vector<std::uint32_t>(9, 1)), dimension({4, 3, 2}));
  EXPECT_EQ(whole(kostka({999, 1}, std::vector<std::uint32_t>(500, 2))), 499);
}

TEST(Characters, PrintedRow) {
  std::vector<std::int64_t> row;
  for (const Partition& cycles : partitions(5)) row.push_back(character({3, 1, 1}, cycles));
  EXPECT_THAT(row, ElementsAre(1, 0, 0, 0, -2, 0, 6));
}

TEST(Characters, ByPermutationModules) {
  for (std::uint32_t length = 1; length <= 6; ++length) {
    const std::vector<std::vector<long>> expected = ref::characters(static_cast<int>(length));
    const Matrix<std::int64_t> table = character_table(length);
    ASSERT_EQ(table.rows(), expected.size());
    for (std::size_t i = 0; i < table.rows(); ++i)
      EXPECT_EQ(std::vector<long>(table.row(i), table.row(i) + table.cols()), expected[i]);
  }
}

TEST(Characters, AreOrthogonal) {
  constexpr std::uint32_t kLength = 9;
  const std::vector<Partition> all = partitions(kLength);
  const Matrix<std::int64_t> table = character_table(kLength);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j) {
      std::int64_t rows = 0, columns = 0;
      for (std::size_t k = 0; k < all.size(); ++k) {
        rows += whole(class_size(all[k])) * table(i, k) * table(j, k);
        columns += table(k, i) * table(k, j);
      }
      EXPECT_EQ(rows, i == j ? 362'880 : 0);
      EXPECT_EQ(columns * whole(class_size(all[i])), i == j ? 362'880 : 0);
    }
}

TEST(Characters, OfLongSequences) {
  // Fixed points less one.
  EXPECT_EQ(character({9'999, 1}, Partition(5'000, 2)), -1);
  Partition swap(9'999, 1);
  swap[0] = 2;
  EXPECT_EQ(character({9'999, 1}, swap), 9'997);
  // The sign of a cycle of 100.
  EXPECT_EQ(character(Partition(100, 1), {100}), -1);
}

TEST(ClassSums, ArePrinted) {
  for (const std::int64_t length : {6, 64, 10'000}) {
    const auto n = static_cast<std::uint32_t>(length);
    EXPECT_EQ(class_sums({n}).transpositions, length * (length - 1) / 2);
    EXPECT_EQ(class_sums({n}).three_cycles, length * (length - 1) * (length - 2) / 3);
    EXPECT_EQ(class_sums({n - 1, 1}).transpositions, length * (length - 3) / 2);
    EXPECT_EQ(class_sums({n - 2, 2}).transpositions, (length - 1) * (length - 4) / 2);
    EXPECT_EQ(class_sums({n - 2, 1, 1}).transpositions, length * (length - 5) / 2);
  }
  EXPECT_EQ(class_sums({4, 1, 1}).transpositions, 3);
  EXPECT_EQ(class_sums({3, 3}).transpositions, 3);
}

// |class| χ(class)/f, the factor by which a class sum multiplies an irrep.
TEST(ClassSums, AreCharacters) {
  for (std::uint32_t length = 3; length <= 8; ++length) {
    Partition swap(length - 1, 1), three(length - 2, 1);
    swap[0] = 2;
    three[0] = 3;
    for (const Partition& p : partitions(length)) {
      const std::int64_t f = whole(dimension(p));
      EXPECT_EQ(class_sums(p).transpositions * f, whole(class_size(swap)) * character(p, swap));
      EXPECT_EQ(class_sums(p).three_cycles * f, whole(class_size(three)) * character(p, three));
    }
  }
}

TEST(ClassSums, TellIrrepsApart) {
  for (std::uint32_t length = 4; length <= 12; ++length) {
    std::set<std::pair<std::int64_t, std::int64_t>> pairs;
    std::set<std::int64_t> transpositions;
    const std::vector<Partition> all = partitions(length);
    for (const Partition& p : all) {
      const ClassSums sums = class_sums(p);
      pairs.insert({sums.transpositions, sums.three_cycles});
      transpositions.insert(sums.transpositions);
    }
    EXPECT_EQ(pairs.size(), all.size()) << length;
    EXPECT_EQ(transpositions.size() == all.size(), length <= 5 || length == 7) << length;
  }
}

TEST(Partitions, ReadAndWrite) {
  EXPECT_EQ(parse_partition("6,2", "--partition"), (Partition{6, 2}));
  EXPECT_EQ(parse_partition("(6,2)", "--partition"), (Partition{6, 2}));
  EXPECT_EQ(to_text({6, 2}), "(6,2)");
  EXPECT_EQ(degree_of({6, 1, 1}), 2u);
  const auto read = [](const char* text) { return complaint([&] { parse_partition(text, "--partition"); }); };
  for (const char* text : {"", "()", "6,", "6,,2", "6;2", "a", "-1", "99999999999", "6 2"})
    EXPECT_EQ(read(text), "usage | --partition | expected the parts of a partition, like 6,2, found \"" +
                              std::string(text) + "\" | ");
  EXPECT_EQ(read("2,6"), "usage | --partition | part 2 is 6, after 2; expected the largest first | ");
  EXPECT_EQ(read("2,0"), "usage | --partition | part 2 is 0, expected at least 1 | ");
  EXPECT_EQ(
      read("9999,2"),
      "usage | --partition | the parts sum to more than 10,000, which is as far as irreps are counted | ");
}

TEST(BadInput, Irreps) {
  EXPECT_EQ(complaint([] { partitions(0); }), "usage | length | expected 1 to 10,000, found 0 | ");
  EXPECT_EQ(complaint([] { partitions(10'001); }), "usage | length | expected 1 to 10,000, found 10001 | ");
  EXPECT_EQ(
      complaint([] { partitions(200); }),
      "limit | length | 200 has more than 100,000 irreps of the degree asked for | ask for a lower degree");
  EXPECT_EQ(complaint([] { dimension({}); }), "usage | partition | expected a partition, found no parts | ");
  EXPECT_EQ(complaint([] {
              class_size({1, 2});
            }),
            "usage | cycles | part 2 is 2, after 1; expected the largest first | ");
  EXPECT_EQ(complaint([] {
              multiplicity({2, 1}, 0);
            }),
            "usage | vocabulary | expected 1 to 10,000,000, found 0 | ");
  EXPECT_EQ(complaint([] {
              kostka({3, 1}, std::vector<std::uint32_t>{2, 1});
            }),
            "usage | counts | sum to 3, the irrep (3,1) has length 4 | ");
  EXPECT_EQ(complaint([] {
              character({3, 1}, {3});
            }),
            "usage | cycles | (3) has length 3, the irrep (3,1) has 4 | ");
  EXPECT_EQ(
      complaint([] { character_table(19); }),
      "usage | length | expected 1 to 18 for a whole character table, found 19 | the characters of one irrep "
      "can be had for longer sequences");
}

// Told, never wrong and never without an end.
TEST(BadInput, TooMuchToCount) {
  EXPECT_EQ(complaint([] { character({20, 20}, Partition(40, 1)); }), "no error");
  EXPECT_EQ(complaint([] {
              character({40, 40}, Partition(80, 1));
            }),
            "limit | character of (40,40) | does not fit in 64 bits | ");
}

TEST(BadInput, CountingEndsAtItsLimit) {
  if (kSanitized) GTEST_SKIP() << "many steps of what other counts do too";
  const Partition staircase = [] {
    Partition p(30);
    std::iota(p.rbegin(), p.rend(), 1u);
    return p;
  }();
  EXPECT_EQ(complaint([&] { kostka(staircase, std::vector<std::uint32_t>(465, 1)); }).substr(0, 25),
            "limit | Kostka number of ");
  Partition cycles(155, 3);
  EXPECT_EQ(complaint([&] { character(staircase, cycles); }).substr(0, 22), "limit | character of (");
}

}  // namespace
}  // namespace telos::symmetry
