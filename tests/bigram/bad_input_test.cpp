// What training says of input that it cannot use, word for word; readers are tested with their files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "telos/bigram/data.h"
#include "telos/bigram/train.h"
#include "telos/io/files.h"
#include "tests/bigram/oracle.h"
#include "tests/bigram/training.h"
#include "tests/io/support.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using ::testing::ElementsAre;

TEST(BadInput, Sizes) {
  EXPECT_EQ(complaint([] { generate({.tokens = 3, .length = 4, .sparsity = 9}); }),
            "usage | sparsity | is 9, expected 1 to the length 4 | ");
  EXPECT_EQ(complaint([] { generate({.tokens = 3, .length = 0, .sparsity = 1}); }),
            "usage | length | is 0, expected 1 to 4294967295 | ");
  EXPECT_EQ(complaint([] { generate({.tokens = 65536, .length = 4, .sparsity = 1}); }),
            "usage | tokens | is 65536, expected 2 to 65535 | ");
}

TEST(BadInput, Options) {
  const Instance instance = test::oracle();
  const Arena arena(1);
  TrainOptions options;
  options.batch = 0;
  EXPECT_EQ(complaint([&] { TrainRun(instance, options, arena); }),
            "usage | batch | expected above 0, found 0 | ");
  EXPECT_EQ(complaint([&] { plan(instance, 0.1, 0); }), "usage | batch | is 0, expected at least 1 | ");
  EXPECT_EQ(complaint([&] { plan(instance, -1, 16); }),
            "usage | eta | is -1, expected a finite number above 0 | ");
}

TEST(BadInput, RatesAboveTheirBound) {
  const Instance instance = test::oracle();
  const Arena arena(1);
  TrainOptions options;
  options.algorithm = Algorithm::kSgd;
  options.eta_a = 50;
  options.eta_v = 1;
  options.held_out = 0;
  TrainRun run(instance, options, arena);
  EXPECT_EQ(complaint([&] {
              while (run.descending()) run.step();
            }),
            "not_finite | step 4 | the attention of the last token \"0\" blew up: the sum of its absolute "
            "values is 2.2e+07 | the rate 50 of A is above its bound 3.76");
  EXPECT_EQ(run.finish().notes.front(), "the rate 50 of A is above its bound 3.76: the run may blow up");
}

TEST(BadInput, TransferBetweenShapes) {
  const Instance task = test::oracle();
  const Model other = initial_model(random_instance(3, 5, 2, 1)),
              wider = initial_model(random_instance(4, 4, 2, 1));
  EXPECT_EQ(complaint([&] { transfer_start(other, task, Keep::kBoth, 1); }),
            "shape | transfer | the learned A is 3 × 5, this task needs 3 × 4 | ");
  EXPECT_EQ(complaint([&] { transfer_start(wider, task, Keep::kValues, 1); }),
            "shape | transfer | the learned V is 4 × 4, this task needs 3 × 3 | ");
}

TEST(BadInput, CutFiles) {
  const telos::test::ScratchDirectory directory;
  const std::string path = directory / "data.safetensors";
  write_samples(draw_samples(test::oracle(), 1, 50, Arena(1)), path);
  const std::string whole = read_file(path);
  write_file_atomically(path, whole.substr(0, whole.size() - 100));
  EXPECT_EQ(
      complaint([&] { read_samples(path); }),
      "truncated | " + path +
          " | the file is cut short: header declares 300 bytes of tensors, the file holds 200 (66 %); first "
          "tensor that is missing: tokens | the download is incomplete; fetch it again, or use --partial");
}

}  // namespace
}  // namespace telos::bigram
