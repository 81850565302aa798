#include "telos/positional/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "telos/base/error.h"

namespace telos::positional {
namespace {

using testing::HasSubstr;

const PageContext kContext{.command = "positional test", .subject = "s", .facts = {}, .provenance = {}};

/// Every table and figure has a name of its own, and all renderings work.
void expect_sound(const Report& report) {
  std::set<std::string> ids;
  const auto take = [&](const std::string& id) { EXPECT_TRUE(ids.insert(id).second) << id; };
  for (const Figure& f : report.lead) take(f.id);
  for (const Section& s : report.sections) {
    for (const Figure& f : s.figures) take(f.id);
    for (const Table& t : s.tables) {
      take(t.id);
      for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.columns.size()) << t.id;
    }
  }
  EXPECT_FALSE(report.verdict.sentence.empty());
  EXPECT_THAT(render_html(report), HasSubstr("</html>"));
  EXPECT_FALSE(render_terminal(report).empty());
  EXPECT_FALSE(render_json(report).empty());
}

const Table& table_of(const Report& report, const std::string& id) {
  for (const Section& s : report.sections)
    for (const Table& t : s.tables)
      if (t.id == id) return t;
  throw std::runtime_error("no table " + id);
}

TrainResult result_of(const char* kind, std::vector<double> medians) {
  TrainResult r;
  r.spec.task = "min";
  r.spec.model = with_kind({}, kind);
  r.spec.scales = {1, 10};
  r.spec.runs = 2;
  for (std::size_t run = 0; run < 2; ++run) {
    RunResult x;
    x.run = run, x.seed = 1 + run, x.epochs = 3, x.steps = 90, x.seconds = 1.5;
    x.curve = {
        {.epoch = 0, .steps = 30, .rate = 1e-3, .train_loss = 1, .train_loss_sum = 30, .validation = 0.5}};
    x.validation.mse = medians[0];
    for (std::size_t i = 0; i < 2; ++i)
      x.table.push_back({.scale = r.spec.scales[i],
                         .samples = 10,
                         .mse = medians[i],
                         .mse_over_scale2 = medians[i] / (r.spec.scales[i] * r.spec.scales[i])});
    r.runs.push_back(std::move(x));
  }
  r.validation = {medians[0], medians[0], medians[0]};
  for (std::size_t i = 0; i < 2; ++i) {
    r.test.push_back({medians[i], 0.5 * medians[i], 2 * medians[i]});
    r.test_over_scale2.push_back({medians[i] / (i == 0 ? 1 : 100), 0, 1});
  }
  return r;
}

TEST(TrainingPage, ComparesPositionalWithStandard) {
  const std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}),
                                            result_of("standard", {1e-3, 50})};
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_EQ(
      report.verdict.sentence,
      "At 10 times the training range, positional attention errs 250 times less than standard attention.");
  const Table& scales = table_of(report, "scales");
  ASSERT_EQ(scales.rows.size(), 2u);
  EXPECT_EQ(std::get<double>(scales.rows[1][1]), 0.2);
  EXPECT_EQ(std::get<double>(scales.rows[1][4]), 0.5);  // 50/10²
  EXPECT_EQ(table_of(report, "runs").rows.size(), 4u);
  EXPECT_TRUE(report.complete);
}

TEST(TrainingPage, OneModelIsComparedWithScalingItself) {
  const std::vector<TrainResult> one = {result_of("positional", {1e-3, 0.2})};
  EXPECT_EQ(training_report(one, kContext).verdict.sentence,
            "Learned to an error of 0.001; at 10 times the range it is 0.2, 2 times what scaling alone makes "
            "of it.");
}

TEST(TrainingPage, DivergedRunsAreNamedAndMakeTheReportIncomplete) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2})};
  results[0].runs[1].end = RunResult::End::kDiverged;
  results[0].runs[1].note = "loss is not finite at step 5";
  results[0].overflow_scale = 10;
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_FALSE(report.complete);
  EXPECT_THAT(report.not_measured, testing::Contains(HasSubstr("step 5")));
  EXPECT_THAT(report.not_measured, testing::Contains(HasSubstr("overflow")));
}

TEST(TrainingPage, SweepsOverSizeGetAFigure) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}),
                                      result_of("positional", {2e-3, 0.4})};
  results[1].spec.model.nodes = 16;
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_THAT(render_json(report), HasSubstr("by-n"));
  EXPECT_THROW(training_report({}, kContext), Error);
}

TEST(EvaluationPage, ExactModelsAreCalledExact) {
  const CompiledProgram compiled = compile(builtin("cummin", {.n = 4}).program);
  EvalResult result{.task = "min", .kind = "positional", .origin = "compiled: cummin"};
  result.rows = {{.scale = 1, .samples = 7, .length = 4}, {.scale = 2, .samples = 7, .length = 4}};
  Report report = evaluation_report(result, compiled.model, capacity(compiled.model), kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence, "Exact on all 14 samples.");
  result.rows[1].mse = 0.25;
  result.overflow_scale = 2;
  report = evaluation_report(result, compiled.model, capacity(compiled.model), kContext);
  EXPECT_EQ(report.verdict.sentence, "The mean square error goes from 0 at c = 1 to 0.25 at c = 2.");
  EXPECT_THAT(report.not_measured, testing::Contains(HasSubstr("float32 from c = 2")));
}

TEST(CapacityPage, PutsModelsSideBySide) {
  const CompiledProgram compiled = compile(builtin("cummin", {.n = 4}).program);
  const std::vector<CapacityReport> reports = {capacity(compiled.model),
                                               capacity(convert_to_standard(compiled.model))};
  const Report report = capacity_report(reports, kContext);
  expect_sound(report);
  const Table& t = table_of(report, "capacity");
  ASSERT_EQ(t.rows.size(), 2u);
  EXPECT_EQ(std::get<double>(t.rows[0][2]), reports[0].log10_product);
  EXPECT_LT(std::get<double>(t.rows[0][2]), std::get<double>(t.rows[1][2]));
  EXPECT_THROW(capacity_report({}, kContext), Error);
}

TEST(CompiledPage, ShowsWiresAndProof) {
  const CompiledProgram compiled = compile(builtin("sort", {.n = 4}).program);
  const Report report = compiled_report(compiled, kContext);
  expect_sound(report);
  EXPECT_THAT(report.verdict.sentence, HasSubstr("runs exactly on whole numbers up to "));
  ASSERT_EQ(report.lead.size(), 1u);
  EXPECT_GT(report.lead[0].marks, 4 * compiled.report.layers);
  EXPECT_EQ(table_of(report, "layers").rows.size(), compiled.report.layers);
  EXPECT_EQ(std::get<double>(table_of(report, "proof").rows[0][3]), 0);
}

TEST(CompiledPage, RoundingTablesAreNotCalledExact) {
  const Report report = compiled_report(compile(builtin("cumsum-dense", {.n = 3}).program), kContext);
  expect_sound(report);
  EXPECT_THAT(report.verdict.sentence, HasSubstr("up to rounding"));
}

TEST(ExecutionPage, GivesARowASampleAndNode) {
  Matrix<double> outputs(2, 4);
  outputs(1, 3) = -5;
  const std::vector<std::string> names = {"a", "b"};
  const Report report = execution_report(outputs, names, 2, "float64", kContext);
  expect_sound(report);
  const Table& t = table_of(report, "outputs");
  ASSERT_EQ(t.rows.size(), 4u);
  EXPECT_EQ(std::get<double>(t.rows[3][3]), -5);
}

PositionMeasures two_heads() {
  PositionMeasures m;
  m.windows = 4, m.tokens = 3, m.layers = 1, m.heads = 2;
  m.pair = {0.5, 0.01}, m.offset = {0.4, 0.01}, m.key = {0.1, 0.01};
  for (std::size_t h = 0; h < 2; ++h) {
    HeadPositions head;
    head.head = h, head.name = "0." + std::to_string(h), head.deviation = 1;
    head.pair = {h == 0 ? 0.95 : 0.1, 0.01}, head.offset = {0.1, 0.1}, head.key = {0, 0.1};
    head.content = {1 - head.pair.value, 0.01};
    head.is_static = h == 0;
    m.all.push_back(head);
    Matrix<double> mean(3, 3);
    for (std::size_t i = 0; i < 3; ++i) mean(i, 0) = 1;
    m.mean.push_back(std::move(mean));
  }
  return m;
}

TEST(PositionsPage, NamesStaticHeads) {
  const Report report = positions_report(two_heads(), kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "Positions alone explain 50 % of attention's structure; 1 of 2 heads are static.");
  EXPECT_EQ(std::get<std::string>(table_of(report, "heads").rows[0][10]), "static");
  EXPECT_EQ(positions_section(two_heads(), "position-").tables[0].id, "position-layers");
}

TEST(StaticHeadsPage, SpeaksOfLogitsOrEmbeddings) {
  StaticHeads r;
  r.replaced = {{0, 0}}, r.total = 2, r.fit_windows = 3, r.check_windows = 3;
  r.fit = two_heads();
  r.token_cosine = {0.99, 0.001}, r.embedding_cosine = {0.995, 0.001};
  r.flops = 100, r.flops_saved = 25;
  Report report = static_heads_report(r, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence, "With 1 of 2 heads static embeddings keep a cosine of 0.995 ± 0.001.");
  r.has_logits = r.causal = true;
  r.kl = {0.02, 0.001}, r.same_top = {0.9, 0.01}, r.loss_before = {2, 0.1}, r.loss_after = {2.1, 0.1};
  r.perplexity_before = std::exp(2), r.perplexity_after = std::exp(2.1);
  report = static_heads_report(r, kContext);
  expect_sound(report);
  EXPECT_THAT(report.verdict.sentence, HasSubstr("0.020 ± 0.001 nats"));
  r.replaced.clear();
  EXPECT_THAT(static_heads_report(r, kContext).verdict.sentence, HasSubstr("No head"));
}

TEST(StudiesPage, CountsTheClaimsThatHold) {
  std::vector<StudyResult> results(2);
  results[0].info = {"counting", "Counting", "A 2024", "Counts."};
  results[0].measured = "60 of 60", results[0].holds = true;
  results[0].table = {"t", {"length", "exact"}, {{512, 1}}};
  results[1].info = {"hops", "Hops", "B 2024", "Hops."};
  const Report report = studies_report(results, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence, "1 of 2 claims hold on what was run.");
}

TEST(TimingPage, TimesAndExplainsPlans) {
  ModelConfig config = with_kind({}, "positional");
  config.nodes = 3, config.width = 4, config.hidden = 4;
  const std::vector<StepTiming> timings = {time_step(config, 10, 0, Arena(1))};
  EXPECT_GE(timings[0].steps, 5u);
  EXPECT_LE(timings[0].least_seconds, timings[0].median_seconds);
  const Report report = timing_report(timings, kContext);
  expect_sound(report);
  EXPECT_EQ(table_of(report, "plans").rows.size(), timings[0].plans.size());
  EXPECT_THROW(time_step(config, 0, 0, Arena(1)), Error);
  EXPECT_THROW(time_step(config, SIZE_MAX / 2 + 1, 0, Arena(1)), Error);  // rows would wrap around to 0
}

TEST(TasksPage, ListsWhatThereIs) {
  const Report report = tasks_report(kContext);
  expect_sound(report);
  EXPECT_GE(table_of(report, "tasks").rows.size(), 8u);
  EXPECT_GE(table_of(report, "programs").rows.size(), 10u);
}

}  // namespace
}  // namespace telos::positional
