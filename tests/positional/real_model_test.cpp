#include <gtest/gtest.h>

#include <algorithm>

#include "telos/base/philox.h"
#include "telos/io/files.h"
#include "telos/model/windows.h"
#include "telos/positional/measure.h"
#include "tests/model/golden_models.h"

namespace telos::positional {
namespace {

/// all-MiniLM-L6-v2 on the text that the repository provides: head 0.2 attends by offset alone, whatever the
/// text, and is not missed. What is asserted does not depend on the text's details.
TEST(RealModel, MiniLmHasAStaticHead) {
  const auto path = telos::testing::environment("TELOS_TEST_MINILM");
  if (!path) GTEST_SKIP() << "TELOS_TEST_MINILM (the directory of all-MiniLM-L6-v2) is not set";
  const Arena arena(2);
  const Transformer transformer = telos::testing::load_transformer(*path, arena);
  const std::string text = read_text(std::string(TELOS_TEST_DIR) + "/../examples/text/origin.txt");
  const TextWindows windows = cut_windows(Tokenizer::load(*path), text, transformer.architecture().context,
                                          {.length = 48, .max_windows = 12});
  StaticHeadOptions options;
  options.positions.exclude = windows.special;
  const StaticHeads r = what_if_static(transformer, windows.batch, options, arena);
  const HeadPositions& head = r.fit.all[2];
  EXPECT_EQ(head.name, "0.2");
  EXPECT_GT(head.pair.value, 0.97);
  EXPECT_GT(head.offset.value, 0.97);
  EXPECT_LT(head.key.value, 0.1);
  EXPECT_TRUE(head.is_static);
  EXPECT_LT(r.replaced.size(), 10u) << "most heads read the text";
  EXPECT_GT(r.embedding_cosine.value, 0.99);
  EXPECT_GT(r.embedding_cosine.value, r.control_embedding_cosine.value);
  EXPECT_FALSE(r.has_logits);
  // With the special tokens, on which many heads rest, keys explain a good part.
  options.positions.exclude.clear();
  const StaticHeads all = what_if_static(transformer, windows.batch, options, arena);
  EXPECT_GT(all.fit.pair.value, r.fit.pair.value);
  EXPECT_GT(all.fit.key.value, 0.3);
  EXPECT_LT(r.fit.key.value, 0.1);
}

/// A GPT-2 of three layers that sorts six letters: no head is static, and making all of them so costs.
TEST(RealModel, SortingGptReadsItsLetters) {
  const auto data = telos::testing::environment("TELOS_TEST_DATA");
  if (!data) GTEST_SKIP() << "TELOS_TEST_DATA is not set";
  const Arena arena(2);
  const Transformer transformer = telos::testing::load_transformer(*data + "/models/gpt-nano-sort", arena);
  TokenBatch batch{60, 11, {}, {}, {}};
  Random random(5);
  for (std::size_t w = 0; w < batch.sequences; ++w) {
    std::vector<std::int32_t> letters;
    for (int i = 0; i < 6; ++i) letters.push_back(static_cast<std::int32_t>(random.below(3)));
    batch.ids.insert(batch.ids.end(), letters.begin(), letters.end());
    std::ranges::sort(letters);
    batch.ids.insert(batch.ids.end(), letters.begin(), letters.end() - 1);
  }
  StaticHeadOptions options;
  for (std::size_t l = 0; l < 3; ++l)
    for (std::size_t h = 0; h < 3; ++h) options.heads.emplace_back(l, h);
  const StaticHeads r = what_if_static(transformer, batch, options, arena);
  EXPECT_EQ(r.fit.static_heads(), 0u);
  EXPECT_GT(r.kl.value, 3 * r.kl.error);
  EXPECT_LT(r.same_top.value, 0.99);
}

}  // namespace
}  // namespace telos::positional
