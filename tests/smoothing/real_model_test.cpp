#include <gtest/gtest.h>

#include "telos/io/files.h"
#include "telos/smoothing/measure.h"
#include "telos/text/tokenizer.h"
#include "tests/model/golden_models.h"

namespace telos::smoothing {
namespace {

/// all-MiniLM-L6-v2 on the text that the repository provides. What is asserted does not depend on the text's
/// details.
TEST(RealModel, MiniLm) {
  const auto path = telos::testing::environment("TELOS_TEST_MINILM");
  if (!path) GTEST_SKIP() << "TELOS_TEST_MINILM (the directory of all-MiniLM-L6-v2) is not set";
  const Arena arena(2);
  const Checkpoint checkpoint = Checkpoint::open(*path);
  const Architecture architecture = identify(checkpoint);
  const Transformer transformer = Transformer::load(checkpoint, architecture, arena);
  const std::string text = read_text(std::string(TELOS_TEST_DIR) + "/../examples/text/origin.txt");
  const TextWindows windows =
      cut_windows(Tokenizer::load(*path), text, architecture.context, {.length = 64, .max_windows = 8});
  DiagnosisInput input;
  input.checkpoint = &checkpoint;
  input.architecture = &architecture;
  input.transformer = &transformer;
  input.text = &windows;
  const SmoothingDiagnosis d = diagnose_smoothing(input, {}, arena);
  ASSERT_TRUE(d.spectra && d.measures);
  EXPECT_EQ(d.spectra->heads(), 72u);
  EXPECT_TRUE(d.problems.empty());
  EXPECT_FALSE(d.spectra->half_plane);
  EXPECT_EQ(d.measures->without_text, "special tokens");
  EXPECT_LT(d.measures->law1, 1e-5);
  EXPECT_LT(d.measures->law2, 1e-5);
  // A sentence encoder pools its tokens: they approach each other, and do not collapse.
  EXPECT_GT(d.measures->depth.back().without.cos_mean.mean, d.measures->depth.front().without.cos_mean.mean);
  EXPECT_NE(d.verdict.trend, Trend::kCollapsing);
  EXPECT_TRUE(d.verdict.measured);
}

}  // namespace
}  // namespace telos::smoothing
