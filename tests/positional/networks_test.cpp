// Comparator networks, and compiled and trained models as standard transformers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "tests/positional/compiler_support.h"
#include "tests/repeats.h"

namespace telos::positional {
namespace {

using namespace test_compiler;
using ::testing::HasSubstr;

// ---- Conversion

TEST(Convert, StandardTransformerComputesTheSame) {
  for (const std::string name : {"cumsum", "cummin", "sort", "maxsub", "median"}) {
    const CompiledProgram compiled = compile_builtin(name, 8);
    const Model standard = convert_to_standard(compiled.model);
    EXPECT_EQ(kind_of(standard.config), "standard");
    Matrix<double> x(repeats(200u, 20u), 9);
    for (std::size_t s = 0; s < x.rows(); ++s) {
      Random rng(6, 0, s);
      for (std::size_t i = 0; i < 8; ++i) x(s, i) = static_cast<double>(rng.below(2001)) - 1000;
    }
    const Matrix<double> a = evaluate<double>(compiled.model, x, 8, serial());
    const Matrix<double> b = evaluate<double>(standard, x, 8, serial());
    const Matrix<double> c = evaluate<float>(standard, x, 8, serial());
    for (std::size_t s = 0; s < x.rows(); ++s)
      for (std::size_t i = 0; i < 9; ++i) {
        ASSERT_EQ(a(s, i), b(s, i)) << name;
        ASSERT_EQ(a(s, i), c(s, i)) << name;
      }
  }
}

TEST(Convert, TrainedModelsWithBiasesAgree) {
  for (const std::size_t mlp_layers : {2u, 3u}) {
    ModelConfig config{
        .nodes = 5, .width = 12, .heads = 3, .hidden = 7, .mlp_layers = mlp_layers, .layers = 2};
    Model model = initial_model(config, 3);
    Random rng(11);
    for (double& v : model.values) v += 0.1 * rng.normal();  // biases of queries and keys too
    const Model standard = convert_to_standard(model);
    EXPECT_EQ(standard.config.width % standard.config.heads, 0u);
    Matrix<double> x(50, 6);
    for (std::size_t s = 0; s < 50; ++s)
      for (std::size_t i = 0; i < 5; ++i) x(s, i) = rng.normal();
    const Matrix<double> a = evaluate<double>(model, x, 5, serial());
    const Matrix<double> b = evaluate<double>(standard, x, 5, serial());
    double size = 0;
    for (std::size_t s = 0; s < 50; ++s)
      for (std::size_t i = 0; i < 6; ++i) size = std::max(size, std::abs(a(s, i)));
    // Sums of at most 100 terms through 6 products, in another order.
    for (std::size_t s = 0; s < 50; ++s)
      for (std::size_t i = 0; i < 6; ++i) ASSERT_NEAR(a(s, i), b(s, i), 600 * 2.3e-16 * std::max(size, 1.0));
  }
}

TEST(Convert, RefusesWhatIsNotPositional) {
  const ModelConfig config{.nodes = 4, .width = 4, .heads = 2, .hidden = 4, .layers = 1};
  for (const char* kind : {"standard", "hybrid", "m1", "direct", "hard", "gcn"}) {
    try {
      convert_to_standard(initial_model(with_kind(config, kind), 1));
      FAIL() << kind;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << kind;
    }
  }
  ModelConfig binary = config;
  binary.encoding = Encoding::kBinary;
  EXPECT_THROW(convert_to_standard(initial_model(binary, 1)), Error);
}

// ---- Comparator networks

TEST(Networks, BatcherSortsForEachNumberOfWires) {
  const std::size_t depths[] = {0, 0, 1, 3, 3, 5, 6, 6, 6};
  for (std::size_t n = 1; n <= 20; ++n) {
    const ComparatorNetwork network = batcher_network(n);
    EXPECT_TRUE(is_sorting_network(network)) << n;
    if (n <= 8) {
      EXPECT_LE(network.layers.size(), depths[n]) << n;
    }
  }
  std::size_t comparators = 0;
  for (const auto& layer : batcher_network(8).layers) comparators += layer.size();
  EXPECT_EQ(comparators, 19u);
}

TEST(Networks, FilesOfComparators) {
  const std::string text =
      "# depth 6\n(0,2)(1,3)(4,6)(5,7)\n(0,4)(1,5)(2,6)(3,7)\n0:1 2:3 4:5 6:7\n(2,4)(3,5)\n[1 4; 3 "
      "6]\n(1,2)(3,4)(5,6)\n";
  const ComparatorNetwork network = parse_network(text, 8, "net");
  EXPECT_EQ(network.layers.size(), 6u);
  EXPECT_TRUE(is_sorting_network(network));
  for (const std::string name : {"sort", "median"}) {
    Builtin made = builtin(name, {.n = 8, .network = text});
    const CompiledProgram compiled = compile(made.program, made.options);
    const List x = {5, -3, 8, 0, 0, 7, -9, 2};
    EXPECT_EQ(execute_one(compiled, x), direct(name, x));
  }
  std::vector<int> counterexample;
  EXPECT_FALSE(is_sorting_network(parse_network("(0,1)(1,2)", 3, "net"), &counterexample));
  std::vector<int> v = counterexample;
  for (const auto& [a, b] : {std::pair{0, 1}, {1, 2}})
    if (v[a] > v[b]) std::swap(v[a], v[b]);
  EXPECT_FALSE(std::is_sorted(v.begin(), v.end()));
  EXPECT_THROW(is_sorting_network(batcher_network(21)), Error);
}

struct BadNetwork {
  std::string text, message;
};
TEST(Networks, BadFilesSayWhere) {
  for (const BadNetwork& bad :
       {BadNetwork{"(0,1)\n(2", "line 2, column 2: wire 2 has no partner"},
        BadNetwork{"(0,0)", "line 1, column 2: wire 0 is compared with itself"},
        BadNetwork{"(0,9)", "line 1, column 4: expected a wire from 0 to 3"},
        BadNetwork{"(0,99999999999999999999999)", "expected a wire from 0 to 3"},
        BadNetwork{"(0,x)", "line 1, column 4: expected a wire's number, found 'x'"}}) {
    try {
      parse_network(bad.text, 4, "net");
      FAIL() << bad.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
      EXPECT_THAT(error.message(), HasSubstr(bad.message));
    }
  }
}

}  // namespace
}  // namespace telos::positional
