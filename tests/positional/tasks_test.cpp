#include "telos/positional/tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <regex>
#include <set>

#include "positional/tasks_parts.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/positional/complaint.h"
#include "tests/positional/tasks_support.h"

namespace telos::positional {
namespace {

using namespace test_tasks;

Numbers applied(ListTarget target, bool cumulative, const Numbers& x) {
  Numbers y(x.size());
  list_target(target, cumulative, x, y);
  return y;
}

// ---- Targets

const Numbers kOracle{0.5, -1.25, 2, 0.75, -3, 1.5, 1, -0.5};

TEST(Targets, WorkedExample) {
  EXPECT_EQ(applied(ListTarget::kSum, true, kOracle), (Numbers{0.5, -0.75, 1.25, 2, -1, 0.5, 1.5, 1}));
  EXPECT_EQ(applied(ListTarget::kMin, true, kOracle), (Numbers{0.5, -1.25, -1.25, -1.25, -3, -3, -3, -3}));
  EXPECT_EQ(applied(ListTarget::kMedian, true, kOracle),
            (Numbers{0.5, -0.375, 0.5, 0.625, 0.5, 0.625, 0.75, 0.625}));
  EXPECT_EQ(applied(ListTarget::kSort, true, kOracle), (Numbers{-3, -1.25, -0.5, 0.5, 0.75, 1, 1.5, 2}));
  EXPECT_EQ(applied(ListTarget::kMaxsub, true, kOracle),
            (Numbers{0.5, 0.5, 2, 2.75, 2.75, 2.75, 2.75, 2.75}));
  EXPECT_EQ(applied(ListTarget::kMaxsub, true, {-3, -1, -2}), (Numbers{-3, -1, -1}));
}

/// The answer for one list, from the definition.
double by_definition(ListTarget target, Numbers list) {
  const Numbers unsorted = list;
  std::sort(list.begin(), list.end());
  const std::size_t m = list.size();
  switch (target) {
    case ListTarget::kSum:
      return std::accumulate(unsorted.begin(), unsorted.end(), 0.0);
    case ListTarget::kMin:
      return list.front();
    case ListTarget::kMax:
      return list.back();
    case ListTarget::kMedian:
      return m % 2 == 1 ? list[m / 2] : (list[m / 2 - 1] + list[m / 2]) / 2;
    default:
      break;
  }
  double best = unsorted[0];
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = i; j < m; ++j)
      best = std::max(best, std::accumulate(unsorted.begin() + static_cast<std::ptrdiff_t>(i),
                                            unsorted.begin() + static_cast<std::ptrdiff_t>(j) + 1, 0.0));
  return best;
}

TEST(Targets, EqualBruteForce) {
  Random rng(3);
  for (const ListTarget target :
       {ListTarget::kSum, ListTarget::kMin, ListTarget::kMax, ListTarget::kMedian, ListTarget::kMaxsub})
    for (int repeat = 0; repeat < 50; ++repeat) {
      Numbers x(1 + rng.below(12));
      // Multiples of 1/8: sums are exact in any order.
      for (double& entry : x) entry = (static_cast<double>(rng.below(129)) - 64) / 8;
      const Numbers running = applied(target, true, x), whole = applied(target, false, x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const Numbers prefix(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        EXPECT_EQ(running[i], by_definition(target, prefix));
        EXPECT_EQ(whole[i], by_definition(target, x));
      }
    }
}

TEST(Tasks, EveryListTaskAnswersItsOwnEntries) {
  const std::pair<const char*, ListTarget> kTasks[] = {
      {"sum", ListTarget::kSum},       {"min", ListTarget::kMin},   {"max", ListTarget::kMax},
      {"median", ListTarget::kMedian}, {"sort", ListTarget::kSort}, {"maxsub", ListTarget::kMaxsub}};
  for (const auto& [name, target] : kTasks)
    for (const bool cumulative : {true, false}) {
      const auto task = make_task(name, {.nodes = 7, .cumulative = cumulative});
      EXPECT_EQ(task->name(), name);
      EXPECT_TRUE(task->variable_length());
      EXPECT_TRUE(task->homogeneous());
      for (std::size_t length = 1; length <= 7; ++length) {
        const Sample sample = sample_of(*task, 5, 3, Split::kTest, length);
        EXPECT_EQ(sample.y, applied(target, cumulative, sample.x)) << name;
      }
    }
}

TEST(Tasks, MinSumAnswersBothHalves) {
  for (const bool cumulative : {true, false}) {
    const auto task = make_task("minsum", {.nodes = 5, .cumulative = cumulative});
    EXPECT_EQ(task->shape().nodes, 10u);
    const Sample sample = sample_of(*task, 1);
    double best = INFINITY;
    for (std::size_t i = 0; i < 5; ++i) best = std::min(best, sample.x[i] + sample.x[5 + i]);
    double running = INFINITY;
    for (std::size_t i = 0; i < 5; ++i) {
      running = std::min(running, sample.x[i] + sample.x[5 + i]);
      EXPECT_EQ(sample.y[i], cumulative ? running : best);
      EXPECT_EQ(sample.y[5 + i], sample.y[i]);
    }
  }
}

/// Walks from `at` along the edges of x (0: none) and compares the length to each vertex.
void walk(const Sample& sample, std::size_t n, std::size_t start, std::size_t from, std::size_t at,
          double length, std::size_t& visited) {
  ++visited;
  EXPECT_NEAR(sample.y[start * n + at], length, 1e-12);
  for (std::size_t next = 0; next < n; ++next)
    if (next != from && sample.x[at * n + next] != 0) {
      EXPECT_EQ(sample.x[at * n + next], sample.x[next * n + at]);
      walk(sample, n, start, at, next, length + sample.x[at * n + next], visited);
    }
}

TEST(Tasks, PathLengthsEqualAWalk) {
  const std::size_t n = 9;
  const auto task = make_task("path", {.nodes = n});
  EXPECT_EQ(task->shape().in_dim, n);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Sample sample = sample_of(*task, seed);
    for (std::size_t start = 0; start < n; ++start) {
      std::size_t visited = 0;
      walk(sample, n, start, n, start, 0, visited);
      EXPECT_EQ(visited, n);
    }
  }
}

// ---- Distribution

/// Mean and its standard error.
struct Mean {
  double value = 0, error = 0;
};
Mean mean_of(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  const double n = static_cast<double>(values.size()), mean = sum / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (n * (n - 1)))};
}

std::vector<double> squares_at(const Task& task, double scale, std::size_t count) {
  const Dataset data = draw(task, 11, 3, scale, Split::kTest, 1, 0, count);
  std::vector<double> squares;
  for (std::size_t i = 0; i < count; ++i) squares.push_back(std::pow(data.x(i, 0), 2));
  return squares;
}

// u, v ~ U[−a, a] and x ~ U[min, max] have E x² = E(u² + uv + v²)/3 = 2a²/9. Rejection at scale c takes away
// the share 1/c² of pairs that lie in the training square: E x² = (2(ca)²/9 − (2a²/9)/c²)/(1 − 1/c²). Without
// it the mean would be 2(ca)²/9, which differs by 40 standard errors at c = 2.
TEST(Distribution, SecondMomentIsThatOfRejection) {
  const auto task = make_task("sum", {.nodes = 1});
  const double inner = 2.0 * 4 / 9;
  for (const double c : {1.0, 1.5, 2.0, 5.0, 10.0}) {
    const double expected = c == 1 ? inner : (inner * c * c - inner / (c * c)) / (1 - 1 / (c * c));
    const Mean mean = mean_of(squares_at(*task, c, 40000));
    EXPECT_LT(std::abs(mean.value - expected), 5 * mean.error) << c;
    if (c == 2) {
      EXPECT_GT(std::abs(mean.value - inner * c * c), 20 * mean.error);
    }
  }
}

TEST(Distribution, ScaleOneIsTheTrainingLaw) {
  const auto task = make_task("min", {});
  const Dataset train = draw(*task, 7, 5, 1, Split::kTrain, 8, 1, 100);
  const Dataset test = draw(*task, 7, 5, 1, Split::kTest, 8, 1, 100);
  EXPECT_TRUE(std::equal(train.x.data(), train.x.data() + train.x.size(), test.x.data()));
  for (std::size_t i = 0; i < train.x.size(); ++i) EXPECT_LE(std::abs(train.x.data()[i]), 2);
}

TEST(Distribution, EachSampleHasAnIntervalOfItsOwn) {
  const auto task = make_task("sum", {.nodes = 64});
  std::vector<double> widths;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const Sample sample = sample_of(*task, seed);
    const auto [low, high] = std::minmax_element(sample.x.begin(), sample.x.end());
    widths.push_back((*high - *low) * 65 / 63);
  }
  // E|u − v| = 4/3; the spread of 64 uniform numbers is 63/65 of their interval on average.
  const Mean mean = mean_of(widths);
  EXPECT_LT(std::abs(mean.value - 4.0 / 3), 5 * mean.error);
}

TEST(Distribution, IntegersAreUniformWithoutRejection) {
  TaskOptions options{.nodes = 8};
  options.distribution.integers = true;
  const auto task = make_task("sum", options);
  const Dataset data = draw(*task, 1, 1, 2, Split::kTest, 8, 0, 5000);
  std::map<double, double> counts;
  for (std::size_t i = 0; i < data.x.size(); ++i) counts[data.x.data()[i]] += 1;
  ASSERT_EQ(counts.size(), 8u);  // −4 … 3
  double chi2 = 0;
  for (const auto& [value, count] : counts) {
    EXPECT_EQ(value, std::round(value));
    chi2 += std::pow(count - 5000, 2) / 5000;
  }
  EXPECT_EQ(counts.begin()->first, -4);
  EXPECT_LT(chi2, 24.3);  // 7 degrees of freedom, 0.1 %
  // All whole numbers of [0, 0.5) and of [1, 2.5).
  const auto largest = [](double low, double high) {
    std::vector<double> x(100);
    Random rng(2);
    draw_entries({.low = low, .high = high, .integers = true}, rng, 1, x);
    return *std::max_element(x.begin(), x.end());
  };
  EXPECT_EQ(largest(0, 0.5), 0);
  EXPECT_EQ(largest(1, 2.5), 2);
}

TEST(Distribution, ScalesThatCannotBeDrawn) {
  const Distribution d{};
  const std::string inside = test::complaint([&] { check_scale(d, 0.5); });
  EXPECT_EQ(inside,
            "usage | scale 0.5 | the test interval [-1, 1] lies inside the training interval [-2, 2]: each "
            "draw would be rejected without end | choose a scale above 1");
  EXPECT_THAT(test::complaint([&] { check_scale(d, 0); }), testing::HasSubstr("above 0"));
  EXPECT_THAT(test::complaint([&] { check_scale(d, -3); }), testing::HasSubstr("above 0"));
  EXPECT_THAT(test::complaint([&] { check_scale(d, NAN); }), testing::HasSubstr("finite"));
  EXPECT_THAT(test::complaint([&] { check_scale(d, 1 + 1e-9); }), testing::HasSubstr("so little beyond"));
  EXPECT_THAT(test::complaint([&] { check_scale(d, 1e39); }),
              testing::HasSubstr("beyond the range of float"));
  EXPECT_EQ(test::complaint([&] { check_scale({.low = 1, .high = 2}, 0.5); }), "no error");
  EXPECT_EQ(test::complaint([&] { check_scale(d, 1.001); }), "no error");
  EXPECT_THAT(test::complaint([&] { make_task("sum", {.distribution = {.low = 2, .high = -2}}); }),
              testing::HasSubstr("low < high"));
  EXPECT_THAT(test::complaint([&] { make_task("sum", {.nodes = 0}); }), testing::HasSubstr("n is 0"));
  const auto task = make_task("sum", {});
  EXPECT_THAT(test::complaint([&] { draw(*task, 1, 1, 0.5, Split::kTest, 8, 1, 1); }),
              testing::HasSubstr("without end"));
}

// ---- k-hop

TEST(Hop, PublishedStrings) {
  const std::string x = "abacabcabdacbadb";
  EXPECT_EQ(hop_string(x, 0), x);
  EXPECT_EQ(hop_string(x, 1), "~~b~caabc~badcaa");
  EXPECT_EQ(hop_string(x, 2), "~~~~~bcaa~cb~abc");
  EXPECT_EQ(hop_string(x, 3), "~~~~~~~bc~aa~bca");
  EXPECT_EQ(hop_string(x, 4), "~~~~~~~~~~cb~aab");
  EXPECT_EQ(hop_string(x, 5), "~~~~~~~~~~~~~bca");
}

/// find^k by repeated squaring of the table of find¹, from the definition; positions from 1, 0: none.
std::string by_doubling(const std::string& x, std::size_t hops) {
  const std::size_t n = x.size();
  std::vector<std::size_t> power(n + 1, 0), at(n + 1);
  for (std::size_t i = 1; i <= n; ++i)
    for (std::size_t j = 2; j <= i; ++j)
      if (x[j - 2] == x[i - 1]) power[i] = j;
  std::iota(at.begin(), at.end(), std::size_t{0});
  for (; hops > 0; hops /= 2) {
    const std::vector<std::size_t> half = power;
    if (hops % 2 == 1)
      for (std::size_t& position : at) position = half[position];
    for (std::size_t& position : power) position = half[position];
  }
  std::string out;
  for (std::size_t i = 1; i <= n; ++i) out += at[i] == 0 ? '~' : x[at[i] - 1];
  return out;
}

std::string hop_text(const Numbers& tokens) {
  std::string text;
  for (const double token : tokens) text += "0123abcdefghij~_"[static_cast<std::size_t>(token)];
  return text;
}

TEST(Hop, SamplesFollowTheDefinition) {
  const auto task = make_task("khop", {});
  EXPECT_EQ(task->shape().vocabulary, 16u);
  EXPECT_EQ(task->shape().nodes, 99u);
  EXPECT_TRUE(task->shape().classes);
  std::map<char, int> hops;
  for (const Split split : {Split::kTrain, Split::kTest})
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
      const Sample sample = sample_of(*task, seed, 1, split);
      const std::string x = hop_text(sample.x), y = hop_text(sample.y), letters = x.substr(1);
      ++hops[x[0]];
      EXPECT_EQ(y, "_" + by_doubling(letters, static_cast<std::size_t>(x[0] - '0'))) << x;
      EXPECT_EQ(letters.find_first_not_of(split == Split::kTrain ? "abcde" : "fghij"), std::string::npos);
      EXPECT_EQ(std::adjacent_find(letters.begin(), letters.end()), letters.end());
    }
  EXPECT_EQ(hops.size(), 4u);
}

TEST(Hop, OfficialPair) {
  const std::string letters = "abacabcabdacba";
  EXPECT_EQ("_" + hop_string(letters, 2), "_~~~~~bcaa~cb~a");
}

TEST(Hop, DoublingEqualsIteration) {
  Random rng(1);
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::string x(1, static_cast<char>('a' + rng.below(5)));
    while (x.size() < 60) {
      const char next = static_cast<char>('a' + rng.below(5));
      if (next != x.back()) x += next;
    }
    for (std::size_t k = 0; k <= 16; ++k) EXPECT_EQ(hop_string(x, k), by_doubling(x, k));
  }
}

TEST(Hop, BadOptions) {
  EXPECT_THAT(test::complaint([] { make_task("khop", {.sequence = 2}); }),
              testing::HasSubstr("sequence is 2"));
  EXPECT_THAT(test::complaint([] { make_task("khop", {.hop_letters = 1}); }),
              testing::HasSubstr("hop_letters is 1"));
  EXPECT_THAT(test::complaint([] { make_task("khop", {.hops = 65}); }), testing::HasSubstr("hops is 65"));
}

// ---- Mixed text and numbers

TEST(Mixed, TextsHoldTheirAnswer) {
  for (const char* question : {"min", "max", "sum"}) {
    const auto task = make_task(std::string("mixed-") + question, {});
    EXPECT_EQ(task->shape().nodes, 130u);
    EXPECT_EQ(task->shape().vocabulary, 74u);
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      const Split split = seed % 2 == 0 ? Split::kTrain : Split::kTest;
      const Sample sample = sample_of(*task, seed, 3, split);
      std::string text = mixed_text(sample.x);
      // Without the distractors, each category is followed by its price.
      std::smatch match;
      int distractors = 0;
      const std::regex distractor(split == Split::kTrain ? R"(Cat[+-]<\d+>)" : R"(Cat[*_]<\d+>)");
      for (; std::regex_search(text, match, distractor); ++distractors)
        text.erase(static_cast<std::size_t>(match.position()), static_cast<std::size_t>(match.length()));
      EXPECT_EQ(distractors, 2);
      std::map<std::string, double> price;
      const std::regex item(R"(^Cat<(\d+)>(\d\d\.\d\d))");
      for (int last = -1; std::regex_search(text, match, item); text = match.suffix()) {
        const int category = std::stoi(match[1]);
        EXPECT_GT(category, last);
        EXPECT_EQ(category >= 20, split == Split::kTest);
        last = category;
        price[match[1]] = std::stod(match[2]);
      }
      EXPECT_EQ(price.size(), 8u);
      const std::regex asked(std::string("^Find ") + question +
                             R"( of categories Cat<(\d+)>, Cat<(\d+)>, Cat<(\d+)> and Cat<(\d+)>$)");
      ASSERT_TRUE(std::regex_match(text, match, asked)) << text;
      Numbers chosen;
      for (std::size_t i = 1; i <= 4; ++i) chosen.push_back(price.at(match[i]));
      const ListTarget target = question == std::string("min")   ? ListTarget::kMin
                                : question == std::string("max") ? ListTarget::kMax
                                                                 : ListTarget::kSum;
      EXPECT_NEAR(sample.y[0], by_definition(target, chosen), 1e-9);
      EXPECT_TRUE(std::all_of(sample.y.begin() + 1, sample.y.end(), [](double v) { return v == 0; }));
    }
  }
}

TEST(Mixed, MultiAsksForEither) {
  const auto task = make_task("mixed-multi", {});
  int lowest = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    lowest += mixed_text(sample_of(*task, seed).x).find("Find min") != std::string::npos ? 1 : 0;
  EXPECT_GT(lowest, 65);  // 5 standard deviations around 100
  EXPECT_LT(lowest, 135);
}

TEST(Mixed, BadOptions) {
  const auto task = make_task("mixed-min", {});
  EXPECT_THAT(test::complaint([&] { sample_of(*task, 1, 20); }),
              testing::HasSubstr("prices are written as dd.dd"));
  EXPECT_THAT(test::complaint([] { make_task("mixed-min", {.categories = 21}); }),
              testing::HasSubstr("categories is 21"));
  EXPECT_THAT(test::complaint([] { make_task("mixed-min", {.queried = 9}); }),
              testing::HasSubstr("queried is 9"));
  EXPECT_THAT(test::complaint([] { make_task("mixed-min", {.price_limit = 100}); }),
              testing::HasSubstr("price_limit is 100"));
}

// ---- Names and draws

TEST(Tasks, UnknownNamesGetTheNearest) {
  EXPECT_THAT(test::complaint([] { make_task("medain", {}); }),
              testing::AllOf(testing::HasSubstr("usage | task | unknown task \"medain\""),
                             testing::HasSubstr("did you mean \"median\"?")));
}

TEST(Tasks, ListHoldsEachNameOnce) {
  std::set<std::string> names;
  for (const TaskInfo& info : task_list()) {
    EXPECT_TRUE(names.insert(info.name).second);
    const auto task = make_task(info.name, {});
    EXPECT_EQ(task->name(), info.name);
    EXPECT_EQ(task->exact_program(), info.exact_program);
    EXPECT_FALSE(info.summary.empty());
  }
}

TEST(Tasks, ExactProgramsOfWholeLists) {
  EXPECT_EQ(make_task("min", {.nodes = 8, .cumulative = false})->exact_program(), "allreduce-min");
  EXPECT_EQ(make_task("min", {.nodes = 6, .cumulative = false})->exact_program(), "");
  EXPECT_EQ(make_task("whole(sum)", {.nodes = 4})->exact_program(), "allreduce-sum");
  EXPECT_EQ(make_task("sort", {.nodes = 6, .cumulative = false})->exact_program(), "sort");
}

TEST(Draw, SamplesDependOnTheirNumberAlone) {
  const auto task = make_task("sum", {});
  const Dataset all = draw(*task, 2, 1, 4, Split::kTest, 5, 2, 20);
  const Dataset part = draw(*task, 2, 1, 4, Split::kTest, 5, 2, 6, 10);
  EXPECT_TRUE(std::equal(part.x.data(), part.x.data() + part.x.size(), all.x.row(10)));
  EXPECT_TRUE(std::equal(part.y.data(), part.y.data() + part.y.size(), all.y.row(10)));
  EXPECT_EQ(all.x(3, 5), 0);
  EXPECT_EQ(all.y(3, 6), 0);
  EXPECT_NE(draw(*task, 2, 2, 4, Split::kTest, 5, 2, 1).x(0, 0), all.x(0, 0));
  EXPECT_NE(draw(*task, 3, 1, 4, Split::kTest, 5, 2, 1).x(0, 0), all.x(0, 0));
}

TEST(Draw, LengthsThatTheTaskHasNot) {
  const auto list = make_task("sum", {}), hop = make_task("khop", {});
  EXPECT_THAT(test::complaint([&] { draw(*list, 1, 1, 1, Split::kTrain, 9, 1, 1); }),
              testing::HasSubstr("length is 9, expected 1 to 8"));
  EXPECT_THAT(test::complaint([&] { draw(*list, 1, 1, 1, Split::kTrain, 0, 1, 1); }),
              testing::HasSubstr("length is 0"));
  EXPECT_THAT(test::complaint([&] { draw(*hop, 1, 1, 1, Split::kTrain, 98, 1, 1); }),
              testing::HasSubstr("length is 98, expected 99"));
}

}  // namespace
}  // namespace telos::positional
