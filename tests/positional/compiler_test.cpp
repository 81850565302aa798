// Compiled programs: weights by hand, sizes, exactness on whole numbers, and everything against direct code.
#include "telos/positional/compiler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/io/files.h"
#include "tests/positional/compiler_support.h"
#include "tests/positional/random_program.h"
#include "tests/repeats.h"

namespace telos::positional {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using namespace test_compiler;

// ---- Weights

TEST(Compiler, SmallestExampleWeightByWeight) {
  const CompiledProgram compiled = compile_builtin("cummin", 2);
  const Model& m = compiled.model;
  EXPECT_EQ(m.config.positions(), 3u);
  EXPECT_EQ(m.origin, "compiled: cummin");
  const auto values = [&](const std::string& name) {
    const nn::ParameterInfo& p = m.layout[m.layout.find(name)];
    return List(m.values.begin() + static_cast<std::ptrdiff_t>(p.offset),
                m.values.begin() + static_cast<std::ptrdiff_t>(p.offset + p.size()));
  };
  EXPECT_THAT(values("encoding.weight"), ElementsAre(1));
  EXPECT_THAT(values("layers.0.v.weight"), ElementsAre(1));
  EXPECT_THAT(values("layers.0.o.weight"), ElementsAre(1));
  EXPECT_THAT(values("layers.0.mlp.0.weight"), ElementsAre(1, 0, -1, 0, 1, -1, 0, 0));
  EXPECT_THAT(values("layers.0.mlp.2.weight"), ElementsAre(1, -1, -1, 0));
  EXPECT_THAT(values("decoding.weight"), ElementsAre(1));
  const double no = -1000 * std::sqrt(3.0);  // −1732.0508
  // Queries: column i holds the scores of node i. Both data nodes look at node 0, the sink at itself.
  EXPECT_THAT(values("layers.0.qk.weight"),
              ElementsAre(0, 0, no, no, no, no, no, no, 0, /* keys */ 1, 0, 0, 0, 1, 0, 0, 0, 1));
  for (const auto& entry : m.layout.entries())
    if (entry.vector) {
      EXPECT_THAT(values(entry.name), ::testing::Each(0.0)) << entry.name;
    }
  EXPECT_THAT(execute_one(compiled, {5, 3}), ElementsAre(5, 3));
  EXPECT_THAT(execute_one(compiled, {3, 5}), ElementsAre(3, 3));
}

TEST(Compiler, HeadsAreOneHotToTheLastBit) {
  const CompiledProgram compiled = compile_builtin("sort", 8);
  const auto one_hot = attention_matrices(compiled.model);
  for (const auto& layer : one_hot)
    for (const Matrix<double>& a : layer)
      for (std::size_t i = 0; i < a.rows(); ++i) {
        EXPECT_EQ(std::count(a.row(i), a.row(i) + a.cols(), 1.0), 1);
        EXPECT_EQ(std::count(a.row(i), a.row(i) + a.cols(), 0.0), 8);
      }
  const CompiledProgram medians = compile_builtin("median", 5);
  double halves = 0;
  const auto attention = attention_matrices(medians.model);
  for (const Matrix<double>& a : attention.back())
    for (std::size_t i = 0; i < a.rows(); ++i)
      halves += static_cast<double>(std::count(a.row(i), a.row(i) + 6, 0.5));
  EXPECT_GT(halves, 0);
}

// ---- Sizes

struct Sizes {
  std::string name;
  std::size_t layers, width, heads, hidden, mlp_layers, parameters;
};

TEST(Compiler, SizesOfTheBuiltIns) {
  const std::vector<Sizes> table = {
      {"cumsum-dense", 1, 1, 1, 2, 2, 197},  {"cumsum", 3, 1, 1, 2, 2, 583},
      {"cummin", 3, 1, 1, 4, 2, 607},        {"cummax", 3, 1, 1, 4, 2, 607},
      {"allreduce-min", 3, 1, 1, 4, 2, 607}, {"allreduce-sum", 3, 1, 1, 4, 2, 607},
      {"sort", 7, 4, 4, 6, 2, 5907},         {"maxsub", 4, 16, 4, 40, 3, 19569},
      {"median", 8, 16, 16, 48, 2, 46385},
  };
  for (const Sizes& sizes : table) {
    const CompiledProgram compiled = compile_builtin(sizes.name, 8);
    const CompileReport& r = compiled.report;
    EXPECT_EQ(r.layers, sizes.layers) << sizes.name;
    EXPECT_EQ(r.width, sizes.width) << sizes.name;
    EXPECT_EQ(r.heads, sizes.heads) << sizes.name;
    EXPECT_EQ(r.hidden, sizes.hidden) << sizes.name;
    EXPECT_EQ(r.mlp_layers, sizes.mlp_layers) << sizes.name;
    EXPECT_EQ(r.parameters, sizes.parameters) << sizes.name;
    EXPECT_EQ(compiled.model.values.size(), sizes.parameters) << sizes.name;
    EXPECT_TRUE(r.homogeneous);
    // What the compiler takes when nothing is asked for is never larger.
    const CompileReport& free = compile(compiled.program, {.proof_vectors = 8}).report;
    EXPECT_LE(free.parameters, r.parameters) << sizes.name;
  }
  for (std::size_t n : {1u, 2u, 3u, 9u, 33u}) {
    std::size_t log = 0;
    while ((std::size_t{1} << log) < n) ++log;
    EXPECT_EQ(compile_builtin("cummin", n).report.layers, std::max<std::size_t>(log, 1));
    EXPECT_EQ(compile_builtin("maxsub", n).report.layers, log + 1);
    const std::size_t depth = batcher_network(n).layers.size();
    EXPECT_EQ(compile_builtin("sort", n).report.layers, depth + 1);
    if (n < 10) {
      EXPECT_EQ(compile_builtin("median", n).report.layers, depth + 2);
    }
  }
}

// ---- Values

TEST(Compiler, GivenDecimals) {
  const List x = {0.5, -1.25, 2, 0.75, -3, 1.5, 1, -0.5};
  const auto check = [&](const std::string& name, const List& wanted) {
    const CompiledProgram compiled = compile_builtin(name, 8);
    for (const Execution execution : {Execution::kFloat, Execution::kDouble, Execution::kExactMinMax})
      EXPECT_EQ(execute_one(compiled, x, execution), wanted) << name;
  };
  check("cumsum", {0.5, -0.75, 1.25, 2, -1, 0.5, 1.5, 1});
  check("cummin", {0.5, -1.25, -1.25, -1.25, -3, -3, -3, -3});
  check("median", {0.5, -0.375, 0.5, 0.625, 0.5, 0.625, 0.75, 0.625});
  check("sort", {-3, -1.25, -0.5, 0.5, 0.75, 1, 1.5, 2});
  check("maxsub", {0.5, 0.5, 2, 2.75, 2.75, 2.75, 2.75, 2.75});
}

// More than 10^5 random whole vectors in each of float32 and float64, over all n up to 64: fewer where n is
// large.
TEST(Compiler, WholeNumbersAreExactForEachLength) {
  std::size_t vectors = 0;
  for (std::size_t n = 1; n <= 64; n += repeats(1, 21))
    for (const std::string& name : list_programs()) {
      if (!takes(name, n) || (name == "median" && n > 12)) continue;
      const std::size_t count = std::max<std::size_t>(repeats(60, 6), 6000 / (n * n) + 900 / n);
      const CompiledProgram compiled = compile_builtin(name, n);
      const double largest = std::min(compiled.report.largest_exact_f32.value(), 1e6);
      ASSERT_GT(largest, 1e4) << name << n;
      Matrix<double> x(count, n);
      for (std::size_t s = 0; s < count; ++s) {
        Random rng(n, 5, s);
        // Small numbers for ties, large ones for the bound.
        const auto size = static_cast<std::uint32_t>(s % 3 == 0 ? 3 : s % 3 == 1 ? 1000 : largest);
        for (std::size_t i = 0; i < n; ++i)
          x(s, i) = static_cast<double>(rng.below(2 * size + 1)) - static_cast<double>(size);
      }
      const Matrix<double> in_float = execute(compiled, x, Execution::kFloat);
      const Matrix<double> in_double = execute(compiled, x, Execution::kDouble);
      for (std::size_t s = 0; s < count; ++s) {
        const List wanted = direct(name, {x.row(s), x.row(s) + n});
        ASSERT_TRUE(std::equal(wanted.begin(), wanted.end(), in_float.row(s))) << name << ", n = " << n;
        ASSERT_TRUE(std::equal(wanted.begin(), wanted.end(), in_double.row(s))) << name << ", n = " << n;
      }
      vectors += count;
    }
  EXPECT_GE(vectors, repeats(100'000u, 1'000u));
}

TEST(Compiler, RealNumbersAtAnyScaleWithinTheBound) {
  for (const std::string& name : list_programs())
    for (const double scale : {1.0, 1e6, 1e-6}) {
      const std::size_t n = 8;
      const CompiledProgram compiled = compile_builtin(name, n);
      Matrix<double> x(300, n);
      for (std::size_t s = 0; s < x.rows(); ++s) {
        Random rng(3, 0, s);
        // Rounded to float32: what is measured is the network's rounding, not the input's.
        for (std::size_t i = 0; i < n; ++i) x(s, i) = static_cast<float>(scale * rng.normal());
      }
      const Matrix<double> y = execute(compiled, x, Execution::kFloat);
      for (std::size_t s = 0; s < x.rows(); ++s) {
        const List list(x.row(s), x.row(s) + n), wanted = direct(name, list);
        double size = 0;
        for (const double v : list) size = std::max(size, std::abs(v));
        for (std::size_t i = 0; i < n; ++i)
          ASSERT_LE(std::abs(y(s, i) - wanted[i]), compiled.proof.bound_f32 * size) << name;
      }
    }
}

TEST(Compiler, ExactMinMaxIsBitExactOnReals) {
  for (const std::string name : {"cummin", "cummax", "sort"}) {
    const CompiledProgram compiled = compile_builtin(name, 13);
    Random rng(8);
    List x;
    for (std::size_t i = 0; i < 13; ++i) x.push_back(rng.normal());
    EXPECT_EQ(execute_one(compiled, x, Execution::kExactMinMax), direct(name, x)) << name;
  }
}

TEST(Compiler, DenseCumsumRoundsAndSaysSo) {
  const CompiledProgram compiled = compile_builtin("cumsum-dense", 13, 300);
  EXPECT_FALSE(compiled.report.exact);
  EXPECT_FALSE(compiled.report.largest_exact_f32);
  EXPECT_FALSE(compiled.proof.exact_f32);
  EXPECT_GT(compiled.proof.integer_error_f32, 0);
  EXPECT_LE(compiled.proof.real_error_f32, compiled.proof.bound_f32);
}

TEST(Compiler, MaxsubAndMedianBruteForceOnSmallAlphabets) {
  for (std::size_t n = 1; n <= 5; ++n) {
    std::size_t count = 1;
    for (std::size_t k = 0; k < n; ++k) count *= 5;
    Matrix<double> x(count, n);
    for (std::size_t s = 0; s < count; ++s)
      for (std::size_t i = 0, rest = s; i < n; ++i, rest /= 5) x(s, i) = static_cast<double>(rest % 5) - 2;
    for (const std::string name : {"maxsub", "median", "sort", "cumsum", "cummin"}) {
      const Matrix<double> y = execute(compile_builtin(name, n), x, Execution::kFloat);
      for (std::size_t s = 0; s < count; ++s) {
        const List wanted = direct(name, {x.row(s), x.row(s) + n});
        ASSERT_TRUE(std::equal(wanted.begin(), wanted.end(), y.row(s))) << name;
      }
    }
  }
}

// ---- Any program

TEST(Compiler, RandomProgramsEqualTheirInterpretation) {
  std::size_t exact = 0;
  for (std::uint64_t sample = 0; sample < 400; ++sample) {
    const Program program = random_program(sample);
    const CompiledProgram compiled = compile(program, {.proof_vectors = 8, .seed = sample});
    if (compiled.report.largest_exact_f32.value_or(0) < 1) continue;
    ++exact;
    const auto size = static_cast<std::uint32_t>(std::min(compiled.report.largest_exact_f32.value(), 1e5));
    std::vector<List> given;
    for (std::uint64_t s = 0; s < 10; ++s) given.push_back(random_given(program, 1000 * sample + s, size));
    const Matrix<double> in_float = execute(compiled, rows(given), Execution::kFloat);
    const Matrix<double> in_double = execute(compiled, rows(given), Execution::kDouble);
    for (std::size_t s = 0; s < given.size(); ++s) {
      const List wanted = interpret<double>(compiled.program, given[s]);
      if (program.bits.empty()) {
        ASSERT_EQ(interpret<double>(program, given[s]), wanted);
      }
      ASSERT_EQ(List(in_float.row(s), in_float.row(s) + in_float.cols()), wanted) << print_program(program);
      ASSERT_EQ(List(in_double.row(s), in_double.row(s) + in_double.cols()), wanted)
          << print_program(program);
    }
  }
  EXPECT_GT(exact, 300u);
}

TEST(Compiler, ExamplesGiveWhatTheySay) {
  const std::string folder = std::string(TELOS_TEST_DIR) + "/../examples/positional/";
  const auto run = [&](const std::string& name, const List& given) {
    const CompiledProgram compiled = compile(load_program(folder + name + ".pco"), {.proof_vectors = 50});
    for (const Execution e : {Execution::kFloat, Execution::kExactMinMax})
      EXPECT_EQ(execute_one(compiled, given, e), execute_one(compiled, given)) << name;
    return execute_one(compiled, given);
  };
  const List x = {3, 1, 4, 1, 5, 9, 2, 6};
  EXPECT_THAT(run("cummin", x), ElementsAre(3, 1, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(run("cumsum", x), ElementsAre(3, 4, 8, 9, 14, 23, 25, 31));
  EXPECT_EQ(run("max_of_list", {3, 1, 4, 1, 5, 9, 2, 6, 5, 3}), List(10, 9.0));
  EXPECT_THAT(run("top_two", x),
              ElementsAre(3, 3, 0, 3, 1, 2, 4, 3, 1, 4, 3, 1, 5, 4, 1, 9, 5, 4, 9, 5, 4, 9, 6, 3));
  EXPECT_THAT(run("clip", {-101, -100, -99, 0, 99, 100, 101, 1e6}),
              ElementsAre(-100, -100, -99, 0, 99, 100, 100, 100));
  EXPECT_THAT(run("swap", {3, 1, 1, 1, 4, 0, 1, 0, 5, 1, 9, 1, 2, 0, 6, 0}),
              ElementsAre(1, 3, 4, 1, 9, 5, 2, 6));
  EXPECT_THAT(run("rotate", x), ElementsAre(6, 3, 1, 4, 1, 5, 9, 2));
  const CompiledProgram smooth = compile(load_program(folder + "smooth.pco"), {.proof_vectors = 50});
  EXPECT_NEAR(execute_one(smooth, x)[1], 8.0 / 3, 1e-14);
  EXPECT_NEAR(execute_one(smooth, x)[7], 4, 1e-14);
}

TEST(Compiler, TopTwoOnEveryLength) {
  const std::string path = std::string(TELOS_TEST_DIR) + "/../examples/positional/top_two.pco";
  for (std::size_t n = 1; n <= 20; ++n) {
    const Program program = load_program(path, n);
    Random rng(n);
    List x, wanted, sorted;
    for (std::size_t i = 0; i < n; ++i) {
      x.push_back(rng.below(50));
      sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), x[i], std::greater<>()), x[i]);
      const double second = i == 0 ? sorted[0] : sorted[1];
      wanted.insert(wanted.end(), {sorted[0], second, sorted[0] - second});
    }
    EXPECT_EQ(execute_one(compile(program, {.proof_vectors = 8}), x, Execution::kFloat), wanted) << n;
  }
}

TEST(Compiler, HomogeneousToTheBit) {
  const CompiledProgram compiled = compile_builtin("maxsub", 9);
  Random rng(4);
  List x;
  for (std::size_t i = 0; i < 9; ++i) x.push_back(static_cast<float>(rng.normal()));
  const List y = execute_one(compiled, x, Execution::kFloat);
  for (const double c : {0.125, 4.0, 1048576.0}) {
    List scaled = x, wanted = y;
    for (double& v : scaled) v *= c;
    for (double& v : wanted) v *= c;
    EXPECT_EQ(execute_one(compiled, scaled, Execution::kFloat), wanted);
  }
}

TEST(Compiler, MoreScratchPositionsChangeNothing) {
  Builtin made = builtin("sort", {.n = 5});
  made.options.scratch = 3;
  const CompiledProgram compiled = compile(made.program, made.options);
  EXPECT_EQ(compiled.model.config.positions(), 8u);
  EXPECT_THAT(execute_one(compiled, {3, -1, 4, 1, -5}, Execution::kFloat), ElementsAre(-5, -1, 1, 3, 4));
}

TEST(Compiler, ReportNamesHeadsAndSlots) {
  const CompiledProgram compiled = compile_builtin("maxsub", 8);
  const std::vector<LayerInfo>& layers = compiled.report.diagram;
  ASSERT_EQ(layers.size(), 4u);
  EXPECT_EQ(layers[0].name, "round 1");
  EXPECT_EQ(layers[3].name, "select");
  ASSERT_EQ(layers[1].heads.size(), 4u);
  const HeadInfo& head = layers[1].heads[0];
  EXPECT_EQ(head.source, "own");
  EXPECT_EQ(head.channels.size(), 4u);
  EXPECT_EQ(head.row.size(), 8u);
  ASSERT_EQ(layers[0].slots.size(), 8u);
  EXPECT_EQ(layers[0].slots[0].channel, "sum");
  EXPECT_EQ(layers[0].slots[0].roles, "keep");
  EXPECT_EQ(layers[0].slots[1].roles, "combine");
  EXPECT_EQ(layers[0].slots[1].formula, "left.sum + sum");
  EXPECT_EQ(compiled.report.encoder.size(), 4u);
  EXPECT_EQ(layers[0].hidden_used.size(), 2u);
}

TEST(Compiler, GrowthBoundsEverySum) {
  // v = 2^10·x: 2^14 is the largest whole x whose image is exact in float32.
  const Program p =
      read_program("n 1\ninput x\nstate v = x\noutput v\nrepeat r < 10\nround\nv = v + v\nend\nend\n", "t");
  const CompiledProgram compiled = compile(p);
  EXPECT_EQ(compiled.report.growth, 1024);
  EXPECT_EQ(compiled.report.largest_exact_f32, 16384);
  EXPECT_EQ(compiled.report.largest_exact_f64, std::ldexp(1.0, 43));
  EXPECT_TRUE(compiled.proof.exact_f32 && compiled.proof.exact_f64);
  const Program constant =
      read_program("n 1\ninput x\nconstant one\nstate v = x\noutput v\nround\nv = 3*v + 1000\nend\n", "t");
  const CompileReport with_offset = compile(constant).report;
  EXPECT_EQ(with_offset.growth, 3);
  EXPECT_EQ(with_offset.offset, 1000);
  EXPECT_FALSE(with_offset.homogeneous);
  EXPECT_EQ(with_offset.largest_exact_f32, std::floor((16777216.0 - 1000) / 3));
}

// Two roles make two variants, and the row of eighths is split between them: {0: 1/8, sink: 7/8} rounds.
TEST(Compiler, SplitRowsAreExactByTheirOwnWeights) {
  const auto report = [](const std::string& parity) {
    return compile(read_program("n 8\ninput x\nstate v = x\noutput v\nround\nrole a if " + parity +
                                    "\nv = 2*v\nrole b\nv = 3*v\nend\nround\n"
                                    "recv all from each j where j < n weight 1/8\nv = all.v\nend\n",
                                "t"),
                   {.proof_vectors = 50})
        .report;
  };
  EXPECT_FALSE(report("i == 0").exact);
  EXPECT_FALSE(report("i == 0").largest_exact_f64);
  EXPECT_FALSE(report("i < 4").exact);  // four eighths, and a half for the sink
  EXPECT_TRUE(report("i >= 0").exact);
}

TEST(Compiler, OnlyHalvesAreExactHalves) {
  for (const double weight : {0.4999999999, 0.5, 0.5 + 1e-16}) {
    Program program =
        read_program("n 2\ninput x\nstate v = x\noutput v\nround\nrecv a from 0\nv = a.v\nend\n", "t");
    for (auto& row : program.rounds[0].receives[0].table) row = {{0, weight}, {1, weight}};
    const CompiledProgram compiled = compile(program, {.proof_vectors = 50});
    EXPECT_EQ(compiled.report.exact, weight == 0.5) << weight;
  }
}

// No whole number is exact in float32 where the constant alone is beyond its mantissa.
TEST(Compiler, ConstantsBeyondTheMantissaRound) {
  const auto compiled = [](const std::string& constant) {
    return compile(
        read_program(
            "n 1\ninput x\nconstant one\nstate v = x\noutput v\nround\nv = v + " + constant + "\nend\n", "t"),
        {.proof_vectors = 50});
  };
  const CompiledProgram odd = compiled("16777217");
  EXPECT_TRUE(odd.report.exact);
  EXPECT_FALSE(odd.report.largest_exact_f32);
  EXPECT_GT(odd.report.largest_exact_f64, 1e15);
  EXPECT_GT(odd.proof.integer_error_f32, 0);
  EXPECT_TRUE(odd.proof.exact_f64);
  EXPECT_EQ(compiled("16777216").report.largest_exact_f32, 0);
  EXPECT_FALSE(compiled("1e20").report.largest_exact_f64);
}

TEST(Compiler, HiddenDepthFollowsTheNesting) {
  const auto layers = [](const std::string& value) {
    return compile(read_program("n 2\ninput x\nstate v = x\noutput v\nround\nrecv a from i ^ 1\nv = " +
                                    value + "\nend\n",
                                "t"),
                   {.proof_vectors = 8})
        .report.mlp_layers;
  };
  EXPECT_EQ(layers("v + a.v"), 2u);
  EXPECT_EQ(layers("max(v, a.v)"), 2u);
  EXPECT_EQ(layers("max(v, a.v, -v)"), 3u);
  EXPECT_EQ(layers("max(v, a.v, -v, -a.v)"), 3u);
  EXPECT_EQ(layers("relu(v - relu(a.v - relu(v)))"), 4u);
}

// ---- What is refused

void expect_refused(const std::function<void()>& call, ErrorKind kind, const std::string& message,
                    const std::string& hint = "") {
  try {
    call();
    FAIL() << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(std::string(error.what()), HasSubstr(message));
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  }
}

TEST(Compiler, RefusesWhatItCannotDo) {
  expect_refused([] { builtin("cumsun"); }, ErrorKind::kUsage, "'cumsun' is not known", "cumsum");
  expect_refused([] { builtin("sort", {.n = 0}); }, ErrorKind::kUsage, "n is 0");
  expect_refused([] { builtin("median", {.n = 300}); }, ErrorKind::kUsage, "expected 1 to 256");
  expect_refused([] { builtin("allreduce-min", {.n = 6}); }, ErrorKind::kUsage, "power of two",
                 "prefix scan");
  expect_refused([] { builtin("benes", {.n = 6}); }, ErrorKind::kUsage, "power of two", "append");
  expect_refused([] { builtin("benes", {.n = 4, .bound = 0}); }, ErrorKind::kUsage, "bound");
  expect_refused([] { builtin("cumsum", {.network = "(0,1)"}); }, ErrorKind::kUsage, "no comparator network");
  expect_refused([] { builtin("sort", {.n = 3, .network = "(0,1)(1,2)"}); }, ErrorKind::kUsage,
                 "does not sort", "Batcher");
  expect_refused([] { builtin("median", {.n = 2, .network = "(1,0)"}); }, ErrorKind::kUsage, "a < b");
  expect_refused([] { builtin("sort", {.n = 24, .network = "(0,1)"}); }, ErrorKind::kUsage, "does not sort");
  expect_refused([] { compile(builtin("sort").program, {.scratch = 0}); }, ErrorKind::kUsage, "scratch is 0",
                 "zeros");
  expect_refused([] { compile(builtin("sort").program, {.max_parameters = 1000}); }, ErrorKind::kLimit,
                 "parameters, expected at most 1000", "smaller n");
  expect_refused([] { compile(builtin("sort").program, {.head_width = SIZE_MAX / 2}); }, ErrorKind::kUsage,
                 "head width is");
  const std::string doubled =
      "n 2\ninput x\nstate s = x\noutput s\nrepeat r < 200\nround\ns = s + s\nend\nend\n";
  expect_refused([&] { compile(read_program(doubled, "doubled")); }, ErrorKind::kLimit,
                 "beyond what float32 can hold", "fewer rounds");
  expect_refused([] { compile(Program{}); }, ErrorKind::kUsage, "expected n");
  const CompiledProgram compiled = compile_builtin("cummin", 4);
  expect_refused([&] { execute(compiled, rows({{1, 2, 3}})); }, ErrorKind::kShape, "expected 4 nodes");
  expect_refused(
      [&] {
        execute(compiled, rows({{1, 2, 3, 4}, {1, 2, std::nan(""), 4}}));
      },
      ErrorKind::kNotFinite, "sample 1, node 2, column x");
}

TEST(Compiler, WhatNoOutputReadsIsLeftOut) {
  const Program p = read_program(
      "n 2\ninput x\nbit b\nbound 4\nstate v = x, w = x\noutput v\nround\nv = 2*v\nw = select(b, 1000*w, "
      "v)\nend\n",
      "t");
  const CompiledProgram compiled = compile(p, {.proof_vectors = 8});
  EXPECT_EQ(compiled.program.rounds[0].roles[0].assignments.size(), 1u);
  EXPECT_EQ(compiled.report.width, 1u);
  EXPECT_THAT(execute_one(compiled, {3, 1, 4, 0}), ElementsAre(6, 8));
}

TEST(Compiler, BoundsBelowTheProgramsOwnConstants) {
  const auto text = [](int bound) {
    return "n 1\ninput x\nconstant one\nbit b\nbound " + std::to_string(bound) +
           "\nstate v = x\noutput v\nround\nv = select(b, 100, v)\nend\n";
  };
  expect_refused([&] { compile(read_program(text(50), "t")); }, ErrorKind::kUsage, "beyond the bound 50",
                 "larger");
  const CompiledProgram compiled = compile(read_program(text(500), "t"));
  EXPECT_EQ(compiled.report.largest_select, 400);
  EXPECT_THAT(execute_one(compiled, {7, 1}, Execution::kFloat), ElementsAre(100));
  EXPECT_THAT(execute_one(compiled, {7, 0}, Execution::kFloat), ElementsAre(7));
}

TEST(Compiler, AFailedProofIsAnError) {
  CompiledProgram compiled = compile_builtin("cummin", 4);
  compiled.model.values[compiled.model.layout[compiled.model.layout.find("layers.1.mlp.2.weight")].offset] =
      1.5;
  expect_refused([&] { prove(compiled); }, ErrorKind::kInternal, "differs from its program");
}

TEST(Compiler, AProofSeesNaNAmongGoodNumbers) {
  CompiledProgram compiled = compile_builtin("cummin", 4);
  // Node 0's query in the last layer: its result is NaN, those of the others are right.
  const std::string name = "layers." + std::to_string(compiled.report.layers - 1) + ".qk.weight";
  compiled.model.values[compiled.model.layout[compiled.model.layout.find(name)].offset] = std::nan("");
  expect_refused([&] { prove(compiled); }, ErrorKind::kInternal, "by nan");
}

}  // namespace
}  // namespace telos::positional
