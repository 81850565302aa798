#include <gtest/gtest.h>

#include <cmath>

#include "positional/lab_parts.h"
#include "telos/positional/lab.h"
#include "tests/positional/complaint.h"
#include "tests/positional/lab_support.h"

namespace telos::positional {
namespace {

using test_lab::tiny_spec;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// ---- Specs

TEST(Spec, JsonReadsBack) {
  TrainSpec spec = tiny_spec("median", "hybrid");
  spec.task_options.distribution = {-1.5, 0.1, true};
  spec.optimizer.kind = nn::OptimizerOptions::Kind::kAdamW;
  spec.optimizer.weight_decay = 0.1;
  spec.max_seconds = 12.5;
  spec.seed = 0xFFFFFFFFFFFFFFFF;
  const std::string text = spec_json(spec);
  EXPECT_EQ(spec_json(parse_spec(text, "spec.json")), text);
  EXPECT_FALSE(parse_spec(text, "spec.json").hop_model.has_value());
  spec.hop_model = HopModel{.positional = true, .layers = 7};
  EXPECT_EQ(parse_spec(spec_json(spec), "spec.json").hop_model->layers, 7u);
}

TEST(Spec, ErrorsNameTheField) {
  const auto complaint_of = [](const char* json) {
    return test::complaint([&] { parse_spec(json, "spec.json"); });
  };
  EXPECT_THAT(complaint_of(R"({"epoch": 3})"),
              StartsWith("bad_format | spec.json | unknown field \"epoch\" | did you mean \"epochs\"?"));
  EXPECT_EQ(complaint_of(R"({"epochs": -3})"),
            "bad_format | spec.json, field epochs | expected a whole number of at least 0, found -3 | ");
  EXPECT_THAT(complaint_of(R"({"rate": "fast"})"),
              HasSubstr("field rate | expected a number, found \"fast\""));
  EXPECT_THAT(complaint_of(R"({"scales": 3})"), HasSubstr("expected a list of numbers"));
  EXPECT_THAT(complaint_of(R"({"variable_length": 1})"), HasSubstr("expected true or false"));
  EXPECT_THAT(complaint_of(R"({"task": 1})"), HasSubstr("expected a text"));
  EXPECT_THAT(complaint_of(R"({"optimizer": {"kind": "adm"}})"),
              AllOf(HasSubstr("field optimizer, field kind | unknown optimizer \"adm\""), HasSubstr("adam")));
  EXPECT_THAT(complaint_of(R"({"task_options": {"node": 3}})"), HasSubstr("did you mean \"nodes\"?"));
  EXPECT_THAT(complaint_of("[1]"), HasSubstr("expected an object"));
  EXPECT_THAT(complaint_of("{"), HasSubstr("bad_format"));
}

TEST(Spec, ValuesOutOfRange) {
  const auto complaint_of = [](void (*change)(TrainSpec&), const char* task = "min") {
    TrainSpec spec = tiny_spec(task);
    change(spec);
    return test::complaint([&] { train(spec, Arena(1)); });
  };
  EXPECT_EQ(complaint_of([](TrainSpec& s) { s.epochs = 0; }),
            "usage | training, epochs | is 0, expected at least 1 | ");
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.batch = 0; }), HasSubstr("training, batch"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.runs = 0; }), HasSubstr("training, runs"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.runs = 1'000'000; }), HasSubstr("at most 100000"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.rate = NAN; }), HasSubstr("training, rate"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.plateau_factor = 2; }), HasSubstr("plateau_factor"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.tolerance = -1; }), HasSubstr("tolerance"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.max_seconds = NAN; }), HasSubstr("max_seconds"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.scales = {}; }), HasSubstr("scales"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.scales = {1, 0.5}; }), HasSubstr("rejected without end"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) {
                s.scales = {1, 2, 3, 2};
              }),
              HasSubstr("scales | 2 is there twice"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.variable_length = true; }, "path"),
              HasSubstr("one length only"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) {
                s.variable_length = true;
                s.train_samples = 3;
              }),
              HasSubstr("at least one for each of the 4 lengths"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.model.heads = 3; }), HasSubstr("heads"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.hop_model = HopModel{}; }), HasSubstr("hop_model"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.hop_model = HopModel{.heads = 7}; }, "khop"),
              HasSubstr("heads that divide width"));
  EXPECT_THAT(complaint_of(
                  [](TrainSpec& s) {
                    s.scales = {1, 20};
                  },
                  "mixed-min"),
              HasSubstr("written as dd.dd"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.task = "scan(a*b*1e30)"; }),
              HasSubstr("beyond the range of float"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.task = "mni"; }), HasSubstr("did you mean \"min\"?"));
}

TEST(Spec, SizesBeyondAnyMachineAreRefusedBeforeMemoryIsTaken) {
  const auto complaint_of = [](void (*change)(TrainSpec&), const char* task = "min") {
    TrainSpec spec = tiny_spec(task);
    change(spec);
    return test::complaint([&] { train(spec, Arena(1)); });
  };
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.train_samples = SIZE_MAX; }),
              HasSubstr("usage | training, train_samples | is 1.8"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.test_samples = SIZE_MAX; }), HasSubstr("at most 4294967295"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.task_options.nodes = SIZE_MAX; }),
              HasSubstr("usage | task min"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.task_options.nodes = 60000; }),
              HasSubstr("is 60001, expected at most 16384 positions"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.model.width = s.model.heads = SIZE_MAX; }),
              HasSubstr("width"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.model.layers = SIZE_MAX; }), HasSubstr("layers"));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.model.scratch = SIZE_MAX; }), HasSubstr("scratch"));
  const auto many_paths = [](TrainSpec& s) {
    s.task_options.nodes = 4000;
    s.train_samples = 4'000'000'000;
  };
  EXPECT_THAT(complaint_of(many_paths, "path"), AllOf(HasSubstr("limit | training of path | needs "),
                                                      HasSubstr("of memory, this machine has")));
  // Few samples and parameters, but attention matrices of 16,000² in each of 1600 heads.
  const auto many_scores = [](TrainSpec& s) {
    s.task_options.nodes = 16000;
    s.train_samples = s.test_samples = s.batch = 1;
    s.model = with_kind({.width = 16, .heads = 8, .hidden = 4, .layers = 200}, "standard");
    s.model.encoding = Encoding::kSinusoidal;
    s.model.encoding_dim = 4;
  };
  EXPECT_THAT(complaint_of(many_scores), HasSubstr("limit | training of min | needs "));
  EXPECT_THAT(complaint_of([](TrainSpec& s) { s.hop_model = HopModel{.layers = SIZE_MAX}; }, "khop"),
              HasSubstr("usage | training, hop_model"));
  EXPECT_THAT(
      complaint_of([](TrainSpec& s) { s.hop_model = HopModel{.heads = 1, .width = SIZE_MAX}; }, "khop"),
      HasSubstr("usage | training, hop_model"));
  EXPECT_THAT(
      complaint_of([](TrainSpec& s) { s.hop_model = HopModel{.layers = 1024, .heads = 1, .width = 65536}; },
                   "khop"),
      HasSubstr("limit | training of khop"));
  EXPECT_THAT(
      test::complaint([] { draw(*make_task("min", {}), 1, 2, 1, Task::Split::kTrain, 8, 1, SIZE_MAX); }),
      HasSubstr("limit | task min, 18446744073709551615 samples"));
}

// ---- Published experiments

/// The keys of the published files.
std::string params(const std::string& changed = "") {
  return R"({"n": [8], "num_train_samples": [30000], "num_test_samples": 1000, "num_additional_node": 1,
    "lr": 0.0005, "batch_size": 1000, "shuffling": true, "low_train": -2, "high_train": 2,
    "low_test": [-2, -6, -20], "high_test": [2, 6, 20], "cumulative": true, "use_integer": false,
    "embed_dim": 64, "num_heads": 2, "mlp_hidden_dim": 64, "mlp_num_layers": 2, "epochs": 2001, "runs": 10,
    "weight_decay": 0.0000)" +
         changed + "}";
}

TEST(Params, PublishedFilesMakeThePublishedSpec) {
  const auto specs = parse_params(params(R"(, "RoPE": false, "variable_length": false)"), "scale.json", {});
  ASSERT_EQ(specs.size(), 1u);
  TrainSpec expected = experiment("scale", "sum", "positional")[0];
  expected.scales = {1, 3, 10};
  EXPECT_EQ(spec_json(specs[0]), spec_json(expected));
  EXPECT_EQ(layout(specs[0].model).size(), 84577u);
  const auto standard = parse_params(params(), "scale.json", {.task = "min", .kind = "standard"});
  EXPECT_EQ(standard[0].task, "min");
  EXPECT_EQ(layout(standard[0].model).size(), 150273u);
}

TEST(Params, ListsMakeOneSpecEach) {
  const auto specs = parse_params(
      R"({"n": [2, 4, 8], "num_train_samples": [5000, 10000], "low_test": [-6], "high_test": [6],
          "model_num_layers": 2, "pos_enc_type": "binary", "variable_length": true})",
      "size.json", {});
  ASSERT_EQ(specs.size(), 6u);
  EXPECT_EQ(specs[3].task_options.nodes, 4u);
  EXPECT_EQ(specs[3].train_samples, 10000u);
  EXPECT_EQ(specs[3].scales, std::vector<double>{3});
  EXPECT_EQ(specs[5].model.layers, 2u);
  EXPECT_EQ(specs[5].model.encoding, Encoding::kBinary);
  EXPECT_TRUE(specs[5].variable_length);
}

TEST(Params, MixedTexts) {
  const auto specs = parse_params(
      R"({"num_train_samples": 50000, "num_test_samples": 1000, "num_cats": 8, "num_query_cats": 4,
          "num_additional_node": 1, "low_train": 0, "high_train": 5, "low_test": [0, 0], "high_test": [5, 50],
          "model_num_layers": 3, "embed_dim": 32, "mlp_hidden_dim": 32})",
      "mixed.json", {.task = "mixed-min"});
  ASSERT_EQ(specs.size(), 1u);
  TrainSpec expected = experiment("mixed", "mixed-min", "positional")[0];
  expected.scales = {1, 10};
  EXPECT_EQ(spec_json(specs[0]), spec_json(expected));
  EXPECT_EQ(specs[0].model.positions(), 131u);
  EXPECT_EQ(specs[0].model.vocabulary, 74u);
}

TEST(Params, RopeIsRefusedWithTheReason) {
  const std::string text = params(R"(, "RoPE": true)");
  EXPECT_THAT(test::complaint([&] { parse_params(text, "rope.json", {}); }),
              AllOf(HasSubstr("bad_format | rope.json, field RoPE"), HasSubstr("by the index of the head"),
                    HasSubstr("compat-rope-noop")));
  const auto specs = parse_params(text, "rope.json", {.kind = "standard", .compat_rope_noop = true});
  EXPECT_EQ(specs[0].model.rope, ModelConfig::Rope::kNoOp);
}

TEST(Params, ErrorsNameTheKey) {
  const auto complaint_of = [](const std::string& text) {
    return test::complaint([&] { parse_params(text, "p.json", {}); });
  };
  EXPECT_THAT(complaint_of(params(R"(, "embed_dims": 3)")),
              AllOf(HasSubstr("unknown field \"embed_dims\""), HasSubstr("did you mean \"embed_dim\"?")));
  EXPECT_THAT(complaint_of(R"({"low_test": [-4], "high_test": [4, 6]})"),
              HasSubstr("has 1 entries and high_test 2"));
  EXPECT_THAT(complaint_of(R"({"low_test": [4], "high_test": [-4]})"), HasSubstr("low < high"));
  EXPECT_THAT(complaint_of(R"({"low_train": 2, "high_train": -2})"), HasSubstr("low < high"));
  EXPECT_THAT(
      complaint_of(R"({"low_test": [-1], "high_test": [1]})"),
      HasSubstr("field low_test[0] | the test interval [-1, 1] lies inside the training interval [-2, 2]"));
  EXPECT_THAT(complaint_of(R"({"low_test": [-4], "high_test": [6]})"), HasSubstr("is no multiple"));
  EXPECT_THAT(complaint_of(R"({"n": []})"), HasSubstr("the list is empty"));
  EXPECT_THAT(complaint_of(R"({"n": [0]})"), HasSubstr("field n | is 0, expected a whole number from 1"));
  EXPECT_THAT(complaint_of(R"({"n": ["8"]})"), HasSubstr("expected a number or a list of numbers"));
  EXPECT_THAT(complaint_of(R"({"num_heads": 7})"), HasSubstr("heads"));
  EXPECT_THAT(complaint_of(R"({"embed_dim": 6.5})"), HasSubstr("expected a whole number"));
  EXPECT_THAT(complaint_of(R"({"shuffling": false})"), HasSubstr("not supported"));
  EXPECT_THAT(complaint_of(R"({"pos_enc_type": "one_hot"})"), HasSubstr("did you mean \"onehot\"?"));
  EXPECT_THAT(complaint_of(R"({"lr": 0})"), HasSubstr("rate"));
  EXPECT_THAT(complaint_of("not json"), HasSubstr("bad_format"));
}

TEST(Experiments, PublishedSizes) {
  const TrainSpec scale = experiment("scale", "sum", "positional")[0];
  EXPECT_EQ(scale.epochs * (scale.train_samples / scale.batch), 60'030u);
  EXPECT_EQ(experiment("small", "sum", "standard").size(), 8u);
  EXPECT_EQ(experiment("size", "sort", "positional").back().model.nodes, 32u);
  EXPECT_EQ(experiment("samples", "min", "positional").size(), 10u);
  EXPECT_TRUE(experiment("variable-length", "min", "positional")[0].variable_length);
  for (const ExperimentInfo& info : experiment_list())
    for (const TrainSpec& spec : experiment(info.name, "min", "positional"))
      check_spec(spec, *make_task(spec.task, spec.task_options));
  EXPECT_THAT(test::complaint([] { experiment("khop", "", "hybrid"); }),
              HasSubstr("kind is \"hybrid\", expected positional or standard"));
  EXPECT_THAT(test::complaint([] { experiment("scael", "sum", "positional"); }),
              HasSubstr("did you mean \"scale\"?"));
  EXPECT_THAT(test::complaint([] { experiment("scale", "sum", "positionl"); }), HasSubstr("positional"));
}

}  // namespace
}  // namespace telos::positional
