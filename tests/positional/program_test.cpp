// The program language: what it reads, what it refuses and where, what programs compute.
#include "telos/positional/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/positional/random_program.h"
#include "tests/repeats.h"

namespace telos::positional {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string examples() {
  return std::string(TELOS_TEST_DIR) + "/../examples/positional/";
}

/// One program around a round's lines; n = 8, input x, state v = x and w.
std::string with_round(const std::string& lines, const std::string& declarations = "") {
  return "n 8\ninput x\nstate v = x, w\noutput v\n" + declarations + "round\n" + lines + "\nend\n";
}

/// The only problem of a text.
Problem only_problem(const std::string& text, const ParseOptions& options = {}) {
  const ParseResult result = parse_program(text, options);
  EXPECT_EQ(result.problems.size(), 1u) << text;
  for (const Problem& p : result.problems) SCOPED_TRACE(to_string(p));
  return result.problems.empty() ? Problem{} : result.problems[0];
}

std::vector<std::int64_t> run(const std::string& text, const std::vector<std::int64_t>& x,
                              std::size_t n = 0) {
  return interpret<std::int64_t>(read_program(text, "test", {.n = n}), x);
}

TEST(Program, ReadsTenLinesForAnySize) {
  const std::string text =
      "input x\nstate least = x\noutput least\nrepeat r < log2(n)\n  round\n"
      "    recv left from i - 2**r else i\n    least = min(least, left.least)\n  end\nend\n";
  for (std::size_t n = 1; n <= 40; ++n) {
    const Program program = read_program(text, "cummin", {.n = n});
    EXPECT_EQ(program.n, n);
    std::vector<std::int64_t> x, wanted;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back(static_cast<std::int64_t>(i * 7919 % 101) - 50);
      wanted.push_back(i == 0 ? x[0] : std::min(wanted.back(), x[i]));
    }
    EXPECT_EQ(interpret<std::int64_t>(program, x), wanted);
  }
}

TEST(Program, TablesSayWhereToReceiveFrom) {
  const auto table = [](const std::string& from, std::size_t n = 4) {
    const Program p = read_program(
        "n " + std::to_string(n) + "\ninput x\nstate v = x\noutput v\nround\nrecv a from " + from + "\nend\n",
        "t");
    std::vector<int> out;
    for (const auto& row : p.rounds[0].receives[0].table)
      out.push_back(row.empty() ? -1 : static_cast<int>(row[0].node));
    return out;
  };
  EXPECT_THAT(table("i - 1 else sink"), ElementsAre(-1, 0, 1, 2));
  EXPECT_THAT(table("i + 2 else i"), ElementsAre(2, 3, 2, 3));
  EXPECT_THAT(table("i ^ 1"), ElementsAre(1, 0, 3, 2));
  EXPECT_THAT(table("n - 1 - i"), ElementsAre(3, 2, 1, 0));
  EXPECT_THAT(table("0 if i % 2 == 0 else i - 2 else sink"), ElementsAre(0, -1, 0, 1));
  EXPECT_THAT(table("i if i > 1 and not i == 3 else sink"), ElementsAre(-1, -1, 2, -1));
  EXPECT_THAT(table("[3, -,\n 0, 1]"), ElementsAre(3, -1, 0, 1));
  EXPECT_THAT(table("min(i * i, 3)"), ElementsAre(0, 1, 3, 3));
  EXPECT_THAT(table("max(i - 2, -i + 1) else sink"), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(table("(i / 2) ^ (i % 2)"), ElementsAre(0, 1, 1, 0));
  EXPECT_THAT(table("abs(i - 2)"), ElementsAre(2, 1, 0, 1));
  EXPECT_THAT(table("(i - 3) % n"), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(table("-(i / -2)"), ElementsAre(0, 1, 1, 2));  // quotients round towards −∞
  EXPECT_THAT(table("log2(i + 1)", 6), ElementsAre(0, 1, 2, 2, 3, 3));
  EXPECT_THAT(table("2**2**0 - 1 ", 3), ElementsAre(1, 1, 1));
}

TEST(Program, WeightsOfEach) {
  const Program p = read_program(with_round("recv a from each j where j <= i weight 1/(i + 1)"), "t");
  const auto& table = p.rounds[0].receives[0].table;
  ASSERT_EQ(table[2].size(), 3u);
  EXPECT_EQ(table[2][1], (Source{1, 1.0 / 3}));
  const Program q = read_program(with_round("recv a from [{0: 0.5, 1: 0.25}, 1, 2, 3, 4, 5, 6, -]"), "t");
  EXPECT_EQ(q.rounds[0].receives[0].table[0], (std::vector<Source>{{0, 0.5}, {1, 0.25}}));
}

TEST(Program, WeightsAndValuesComputeWithReals) {
  const auto weight_of = [](const std::string& weight) {
    const Program p = read_program(with_round("recv a from each j where j < 2 weight " + weight), "t");
    return p.rounds[0].receives[0].table[0].at(0).weight;
  };
  EXPECT_EQ(weight_of("min(1/2, 1/4)"), 0.25);
  EXPECT_EQ(weight_of("abs(-1/2)"), 0.5);
  EXPECT_EQ(weight_of("(7/2) % 2 / 4"), 0.375);
  EXPECT_EQ(weight_of("2**-1"), 0.5);
  const auto once = [](const std::string& value) {
    const std::vector<double> x = {8};
    return interpret<double>(
        read_program("n 1\ninput x\nconstant one\nstate v = x\noutput v\nround\nv = " + value + "\nend\n",
                     "t"),
        x)[0];
  };
  EXPECT_EQ(once("(1/2)**2 * v"), 2);
  EXPECT_EQ(once("v + (7/2) % 2"), 9.5);
  EXPECT_EQ(once("v + (0 - 7/2) % 2"), 8.5);
  EXPECT_EQ(once("v + ((n + 5) ^ (n + 2))"), 13);
}

TEST(Program, RolesAndSimultaneousAssignments) {
  const std::string text =
      "n 5\ninput x, y\nstate a = x, b = y\noutput a, b\nround\n"
      "  role swap if i < 2\n    a = b\n    b = a\n"
      "  role double at [1, 4]\n    a = 2*a\n"  // node 1 is taken
      "  role rest if i == 3\n    b = abs(a) - relu(-b) / 1 + max(a)\nend\n";
  EXPECT_THAT(run(text, {1, 10, 2, 20, 3, 30, -4, -40, 5, 50}),
              ElementsAre(10, 1, 20, 2, 3, 30, -4, -40, 10, 50));
}

TEST(Program, ConstantsStartsAndOutputs) {
  const std::string text =
      "n 2\ninput x\nconstant one\nstate v = 2*x - 3, w = one\noutput s = v + w + 10, d = v - w\nround\n"
      "v = max(-2, min(v, n*3)) + 1/2 + 0.5\nend\n";
  EXPECT_THAT(run(text, {0, 100}), ElementsAre(-1 + 1 + 10, -2, 7 + 1 + 10, 6));
  EXPECT_THAT(run("n 1\ninput x\nstate v = x\noutput v\nround\nv = 0\nend", {5}), ElementsAre(0));
}

TEST(Program, SelectTakesBits) {
  const std::string text = with_round("recv p from i ^ 1\nv = select(c, p.v, v)", "bit c\nbound 100\n");
  const std::vector<std::int64_t> given = {1, 1, 2, 1, 3, 0, 4, 0, 5, 1, 6, 0, 7, 0, 8, 1};
  EXPECT_THAT(run(text, given), ElementsAre(2, 1, 3, 4, 6, 6, 7, 7));
}

TEST(Program, IntegersAreExactOrRefused) {
  const std::string text = "n 1\ninput x\nstate v = x\noutput v\nrepeat r < 62\nround\nv = 2*v\nend\nend\n";
  EXPECT_THAT(run(text, {1}), ElementsAre(std::int64_t{1} << 62));
  EXPECT_THAT(run(text, {-2}), ElementsAre(std::numeric_limits<std::int64_t>::min()));
  try {
    run(text, {2});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
  }
  const Program halves = read_program(with_round("v = 0.5*v"), "t");
  try {
    interpret<std::int64_t>(halves, std::vector<std::int64_t>(8, 2));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
  EXPECT_EQ(interpret<double>(halves, std::vector<double>(8, 3.0))[0], 1.5);
  EXPECT_EQ(interpret<float>(halves, std::vector<float>(8, 3.0F))[0], 1.5F);
}

TEST(Program, InterpreterRefusesWhatItWasNotGiven) {
  const Program p = read_program(with_round("v = select(c, w, v)", "bit c\nbound 10\n"), "t");
  const auto kind = [&](const std::vector<double>& given) {
    try {
      network_inputs(p, given);
      interpret<double>(p, given);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind(std::vector<double>(15, 0.0)), ErrorKind::kShape);
  std::vector<double> given(16, 0.0);
  given[3] = 0.5;  // node 1's bit
  EXPECT_EQ(kind(given), ErrorKind::kUsage);
  EXPECT_THROW(interpret<double>(p, given), Error);
  given[3] = 1;
  given[4] = 10.5;  // node 2's value, above the bound
  EXPECT_EQ(kind(given), ErrorKind::kUsage);
  given[4] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(kind(given), ErrorKind::kNotFinite);
  try {
    interpret<double>(p, std::vector<double>(3));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kShape);
  }
}

// ---- What is wrong, and where

TEST(Program, ListsEveryProblemAtOnce) {
  const std::string path = std::string(TELOS_TEST_DIR) + "/positional/programs/wrong.pco";
  const ParseResult result = parse_program(read_text(path));
  std::vector<std::string> found;
  for (const Problem& p : result.problems) found.push_back(to_string(p));
  EXPECT_THAT(found, ElementsAre("line 5, column 18: expected an input, found 'y'",
                                 "line 6, column 7: 'v' is declared twice",
                                 "line 7, column 11: expected a channel, found 'most'",
                                 "line 10, column 20: node 0 receives from node -1, r = 0, expected 0 to 7",
                                 "line 11, column 26: '^' beside '+' without brackets",
                                 "line 12, column 16: expected a channel after the dot, found 'z'",
                                 "line 13, column 11: a product of two values is not piecewise linear",
                                 "line 14, column 5: expected a channel, found 'x'",
                                 "line 18, column 17: expected 8 entries, one for each node, found 3",
                                 "line 19, column 17: the weights sum to 2, expected at most 1",
                                 "line 20, column 17: expected a condition, found a number",
                                 "line 21, column 13: the constant 3 without a constant channel",
                                 "line 23, column 9: select() without 'bound'",
                                 "line 24, column 9: expected a function, found 'mni'",
                                 "line 25, column 9: 'i' is no value, because all nodes share one network",
                                 "line 26, column 11: expected ')', found the end of the line",
                                 "line 28, column 1: 'end' closes nothing"));
  try {
    load_program(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
    EXPECT_EQ(error.where(), path);
    EXPECT_THAT(error.message(), HasSubstr("line 5, column 18"));
    EXPECT_THAT(error.message(), HasSubstr("and 16 more"));
    EXPECT_THAT(error.message(), HasSubstr("line 25, column 9"));
    EXPECT_LT(error.message().size(), 1000u);
  }
}

struct Wrong {
  std::string text;
  std::size_t line, column;
  std::string message, hint;
};

TEST(Program, SaysWhereAndWhatToDo) {
  const std::string head = "n 8\ninput x\nstate v = x\noutput v\n";
  const std::vector<Wrong> cases = {
      {"input x\nstate v = x\noutput v\n", 1, 1, "number of nodes is not given", "n 8"},
      {"n 0\ninput x\nstate v = x\noutput v\n", 1, 1, "expected n from 1 to 4096, found 0", ""},
      {"n 5000\ninput x\nstate v = x\noutput v\n", 1, 1, "found 5000", ""},
      {"n 2.5\ninput x\nstate v = x\noutput v\n", 1, 1, "found 2.5", ""},
      {"n 8\nbound 4\nbound 5\ninput x\nstate v = x\noutput v\n", 3, 1, "'bound' is declared twice", ""},
      {"n 8\nn 9\ninput x\nstate v = x\noutput v\n", 2, 1, "declared twice", ""},
      {"n 8\ninput x\noutput v = 0\n", 1, 1, "no state", "state v = x"},
      {"n 8\ninput x\nstate v = x\n", 1, 1, "no output", "output v"},
      {"n 8\nstate v\noutput v\n", 1, 1, "no input", "input x"},
      {head + "stat w\n", 5, 1, "expected a statement, found 'stat'", "state"},
      {head + "v = 3\n", 5, 1, "expected a statement, found 'v'", "between 'round' and 'end'"},
      {head + "state min\n", 5, 7, "found 'min'", "word of the language"},
      {head + "bound 0\n", 5, 1, "above 0", ""},
      {head + "round\n v = v\n", 7, 1, "'end' for the 'round' of line 5", "its 'end'"},
      {head + "repeat r < 2\nround\nend\n", 8, 1, "'end' for the 'repeat' of line 5", ""},
      {head + "repeat 3\nround\nend\nend\n", 5, 8, "a name that counts", "repeat r < log2(n)"},
      {head + "repeat r < 2\nstate w\nend\n", 6, 1, "expected 'round', 'repeat' or 'end'", "outside"},
      {head + "repeat v < 2\nround\nend\nend\n", 5, 8, "declared already", ""},
      {head + "repeat r < 99999\nround\nend\nend\n", 5, 12, "repetitions", ""},
      {head + "repeat a < 4000\nrepeat b < 4000\nround\nend\nend\nend\n", 7, 1, "more than 4096 rounds", ""},
      {head + "constant one\nconstant two\n", 6, 10, "second constant", "3*one"},
      {head + "state w = min(x, x)\n", 5, 11, "linear", "round"},
      {head + "output w = relu(v)\n", 5, 12, "linear", "round"},
      {head + "output w = v + 1\n", 5, 16, "without a constant", "declare constant"},
      {head + "output v\n", 5, 8, "declared twice", ""},
      {"n 8\ninput x\nstate v = x + \"a\"\noutput v\n", 3, 15, "found the string \"a\"", ""},
      {"n 8\ninput x\nstate v = x \xe2\x88\x92 x\noutput v\n", 3, 13, "found the character", "are allowed"},
      {"n 8\ninput x\nstate v = 1e999*x\noutput v\n", 3, 11, "no float64", ""},
      {with_round("recv a from i + 1"), 6, 13, "node 7 receives from node 8, expected 0 to 7", "else sink"},
      {with_round("recv a from [0, 1, 2, 3, 4, 5, 6, 8]"), 6, 35, "expected a node from 0 to 7, found 8", ""},
      {with_round("recv a from [0, 1, 2, 3, 4, 5, 6, 1.5]"), 6, 35, "found 1.5", ""},
      {with_round("recv a from [0, 1, 2, 3, 4, 5, 6, {1: 0.5, 1: 0.5}]"), 6, 35, "appears twice", ""},
      {with_round("recv a from each j where j == i weight i - 3"), 6, 42,
       "the weight of node 0 at node 0 is -3", "subtract"},
      {with_round("recv a from each v where v == i weight 1"), 6, 13, "declared already",
       "call the other node j"},
      {with_round("recv a from each j weight 1"), 6, 20, "expected 'where'", ""},
      {with_round("recv a from 2 ^ i"), 6, 15, "could be meant as a power", "2**r"},
      {with_round("recv a from i / 0"), 6, 15, "division by zero", ""},
      {with_round("recv a from i % (i - i)"), 6, 15, "division by zero", ""},
      {with_round("recv a from i ** -1"), 6, 15, "exponent -1", ""},
      {with_round("recv a from 10 ** 60"), 6, 16, "2^53", ""},
      {with_round("recv a from log2(i)"), 6, 13, "log2 of 0", ""},
      {with_round("recv a from log(i)"), 6, 13, "expected a function of formulas, found 'log'", "log2"},
      {with_round("recv a from min()"), 6, 13, "at least one value", ""},
      {with_round("recv a from (0 - 1) ^ i"), 6, 21, "exclusive or of -1", ""},
      {with_round("recv a from m"), 6, 13, "expected a number or a name with a value, found 'm'", ""},
      {with_round("recv a from w.v"), 6, 13, "found a received value", "fixed before"},
      {with_round("recv a from self"), 6, 13, "found 'self'", "write i"},
      {with_round("recv a from i < 2"), 6, 15, "found '<'", ""},
      {with_round("recv a from i if i else sink"), 6, 18, "expected a condition", ""},
      {with_round("recv a from perm \"p\""), 6, 13, "no file", "write the list"},
      {with_round("recv a from i\nrecv a from i"), 7, 6, "received twice", ""},
      {with_round("recv v from i"), 6, 6, "declared already", ""},
      {with_round("v = w\nrecv a from i"), 7, 1, "after assignments", "put it first"},
      {with_round("v = w\nrole a\nv = w"), 7, 1, "before the first 'role'", ""},
      {with_round("v = w\nv = w"), 7, 1, "assigned twice", ""},
      {with_round("v = a.v"), 6, 5, "nothing is received as 'a'", "add recv a"},
      {with_round("recv abc from i\nv = abd.v"), 7, 5, "nothing is received as 'abd'", "abc"},
      {with_round("recv a from i\nv = a"), 7, 5, "expected a channel, found 'a'", "a.CHANNEL"},
      {with_round("v = v / w"), 6, 7, "quotient", "number"},
      {with_round("v = v % 2"), 6, 7, "'%' of a value is not piecewise linear", "numbers"},
      {with_round("v = v / 0"), 6, 7, "division by zero", ""},
      {with_round("v = v < w"), 6, 7, "found a condition", "role"},
      {with_round("v = not w"), 6, 5, "found a condition", "role"},
      {with_round("v = relu(v, w)"), 6, 5, "takes one value", ""},
      {with_round("v = 1e308 * v * 1e308"), 6, 15, "not finite", ""},
      {with_round("v = select(w, v, w)", "bound 4\n"), 7, 12, "own bits", "declare bit"},
      {with_round("c = v", "bit c\n"), 7, 1, "cannot be assigned", ""},
      {with_round("v w"), 6, 3, "expected '=' and a value", "CHANNEL"},
      {with_round("role a at [9]\nv = w"), 6, 12, "expected a node", ""},
      {with_round("role a at [-]\nv = w"), 6, 12, "expected a node", ""},
      {with_round("role a if i + \nv = w"), 6, 15, "the end of the line", ""},
      {with_round("recv a from perm \"p\" "), 6, 13, "no file", ""},
  };
  for (const Wrong& wrong : cases) {
    SCOPED_TRACE(wrong.text);
    const Problem found = only_problem(wrong.text);
    EXPECT_EQ(found.line, wrong.line);
    EXPECT_EQ(found.column, wrong.column);
    EXPECT_THAT(found.message, HasSubstr(wrong.message));
    EXPECT_THAT(found.hint, HasSubstr(wrong.hint));
  }
}

TEST(Program, FilesOfPermutations) {
  const std::string text = with_round("recv a from perm \"p.txt\"\nv = a.v");
  const auto with = [&](const std::string& content) {
    return ParseOptions{.read_file = [content](const std::string&) { return content; }};
  };
  const Program p = read_program(text, "t", with("7 6 5 4\n3, 2, 1, 0\n"));
  EXPECT_EQ(p.rounds[0].receives[0].table[0], (std::vector<Source>{{7, 1}}));
  EXPECT_THAT(only_problem(text, with("0 1 2")).message, HasSubstr("has 3 entries, expected 8"));
  EXPECT_THAT(only_problem(text, with("0 1 2 3 4 5 6 8")).message, HasSubstr("entry 7"));
  EXPECT_THAT(only_problem(text, with("0 1 2 3 4 5 6 x")).message, HasSubstr("entry 7"));
  EXPECT_THAT(only_problem(text, with("0 1 2 3 4 5 6 6")).message, HasSubstr("names node 6 twice"));
  const Problem missing = only_problem(text, {.read_file = [](const std::string&) -> std::string {
                                         throw Error(ErrorKind::kMissingFile, "p.txt", "is not there");
                                       }});
  EXPECT_THAT(missing.message, HasSubstr("p.txt"));
}

TEST(Program, LimitsAreProblemsNotCrashes) {
  std::string deep = "n 1\ninput x\nstate v = x\noutput v\nround\nv = ";
  for (int k = 0; k < 1000; ++k) deep += "(";
  EXPECT_THAT(only_problem(deep + "\nend\n").message, HasSubstr("64 deep"));
  std::string long_sum = with_round("v = v" + [] {
    std::string out;
    for (int k = 0; k < 3000; ++k) out += " + v";
    return out;
  }());
  EXPECT_THAT(only_problem(long_sum).message, HasSubstr("2000 parts"));
  EXPECT_THAT(only_problem(std::string(2'000'000, '\n')).message, HasSubstr("1 MiB"));
  const std::string many =
      "n 4096\ninput x\nstate v = x\noutput v\nrepeat r < 4000\nround\nrecv a from i\nend\nend\n";
  EXPECT_THAT(only_problem(many).message, HasSubstr("rows and sources"));
  std::string lines;
  for (int k = 0; k < 500; ++k) lines += "?\n";
  EXPECT_EQ(parse_program(lines, {.max_problems = 10}).problems.size(), 10u);
  std::string channels = "n 1\ninput x\nstate v = x\noutput v\nstate ";
  for (int k = 0; k < 300; ++k) channels += (k == 0 ? "a" : ", a") + std::to_string(k);
  EXPECT_THAT(only_problem(channels + "\n").message, HasSubstr("more than 256 channels"));
  std::string nested;
  for (int k = 0; k < 20; ++k) nested += "repeat r" + std::to_string(k) + " < 2\n";
  EXPECT_FALSE(parse_program(nested).problems.empty());
}

TEST(Program, WorkEndsAtItsLimit) {
  if (kSanitized) GTEST_SKIP() << "many steps of what other programs do too";
  const std::string work =
      "n 1500\ninput x\nstate v = x\noutput v\nrepeat r < 99\nround\nrecv a from each j where j % 7 + i % 3 "
      "+ j * i < 0 "
      "weight 1\nend\nend\n";
  EXPECT_THAT(only_problem(work).message, HasSubstr("steps"));
  // Repetitions of nothing end, whatever their number.
  for (const std::string inner : {"repeat f < 4000\nend\n", "repeat a < 4000\nround\nend\nend\n"}) {
    std::string repeats = "n 1\ninput x\nstate v = x\noutput v\n", ends;
    for (const char name : std::string("abcde")) {
      repeats += std::string("repeat ") + name + " < 4000\n";
      ends += "end\n";
    }
    EXPECT_FALSE(parse_program(repeats + inner + ends).problems.empty());
  }
}

// ---- Programs as text and back

TEST(Program, PrintedProgramsReadTheSame) {
  for (const char* name :
       {"cummin", "cumsum", "max_of_list", "top_two", "clip", "swap", "rotate", "smooth"}) {
    const Program program = load_program(examples() + name + ".pco");
    EXPECT_EQ(read_program(print_program(program), name), program);
  }
}

TEST(Program, RandomProgramsReadTheSameAndAreSound) {
  for (std::uint64_t sample = 0; sample < 300; ++sample) {
    const Program program = random_program(sample);
    ASSERT_TRUE(check_program(program).empty()) << check_program(program)[0].message << sample;
    const std::string text = print_program(program);
    const Program again = read_program(text, "random");  // without 0*v, min(v) and sums in sums
    EXPECT_EQ(read_program(print_program(again), "random"), again);
    const std::vector<double> given = random_given(program, sample, 100);
    EXPECT_EQ(interpret<double>(again, given), interpret<double>(program, given)) << text;
  }
}

TEST(Program, CheckerOfProgramsMadeByCode) {
  const Program good =
      read_program(with_round("recv a from i\nv = select(c, v, a.v)", "bit c\nbound 2\n"), "t");
  EXPECT_TRUE(check_program(good).empty());
  const auto wrong = [&](auto&& change, const std::string& message) {
    Program p = good;
    change(p);
    const std::vector<Problem> problems = check_program(p);
    ASSERT_FALSE(problems.empty()) << message;
    EXPECT_THAT(problems[0].message, HasSubstr(message));
    EXPECT_THROW(require_sound(p), Error);
  };
  using P = Program;
  wrong([](P& p) { p.n = 0; }, "expected n from 1");
  wrong([](P& p) { p.channels.clear(); }, "channels");
  wrong([](P& p) { p.outputs.clear(); }, "outputs");
  wrong([](P& p) { p.bound = -1; }, "bound");
  wrong([](P& p) { p.bound = 0; }, "select without a bound");
  wrong(
      [](P& p) {
        p.inputs.clear();
        p.bits.clear();
      },
      "no input");
  wrong([](P& p) { p.name = "a b"; }, "is no name");
  wrong([](P& p) { p.channels[0].name = "min"; }, "is no name");
  wrong([](P& p) { p.channels[0].name = "x"; }, "declared twice");
  wrong([](P& p) { p.channels[0].start = {}; }, "start weight");
  wrong([](P& p) { std::swap(p.channels[2], p.channels[3]); }, "out of order");
  wrong([](P& p) { p.channels[2].start[1] = 2; }, "does not start as its column");
  wrong([](P& p) { p.outputs[0].weights[0] = 1.0 / 0.0; }, "finite weight");
  wrong([](P& p) { p.outputs[0].weights[3] = 1; }, "complement");
  wrong([](P& p) { p.rounds[0].receives[0].name = "v"; }, "declared already");
  wrong([](P& p) { p.rounds[0].receives[0].table.pop_back(); }, "rows");
  wrong([](P& p) { p.rounds[0].receives[0].table[1] = {{8, 1}}; }, "receives from node 8");
  wrong([](P& p) { p.rounds[0].receives[0].table[1] = {{1, 0.7}, {2, 0.7}}; }, "more than 1");
  wrong([](P& p) { p.rounds[0].receives[0].table[1] = {{1, -1}}; }, "weights above 0");
  wrong([](P& p) { p.rounds[0].role_of.pop_back(); }, "role for each node");
  wrong([](P& p) { p.rounds[0].role_of[3] = 1; }, "not there");
  wrong([](P& p) { p.rounds[0].role_of[3] = Round::kKeep; }, "no name of a role");
  wrong([](P& p) { p.rounds[0].roles[0].assignments[0].channel = 2; }, "no state");
  wrong([](P& p) { p.rounds[0].roles[0].assignments.push_back(p.rounds[0].roles[0].assignments[0]); },
        "assigned twice");
  wrong([](P& p) { p.rounds[0].roles[0].assignments[0].value = Expr::own(9); }, "not there");
  wrong([](P& p) { p.rounds[0].roles[0].assignments[0].value = Expr::own(3); }, "wrong");
  wrong([](P& p) { p.rounds[0].roles[0].assignments[0].value = Expr::received(1, 0); }, "wrong");
  wrong([](P& p) { p.rounds[0].roles[0].assignments[0].value = Expr::min({}); }, "wrong");
  wrong([](P& p) { p.rounds[0].roles[0].assignments[0].value = Expr::sum({1}, {}); }, "wrong");
  wrong(
      [](P& p) {
        Expr e = Expr::own(0);
        for (int k = 0; k < 200; ++k) e = Expr::relu(std::move(e));
        p.rounds[0].roles[0].assignments[0].value = std::move(e);
      },
      "160 deep");
}

}  // namespace
}  // namespace telos::positional
