#include "telos/positional/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "telos/base/error.h"

namespace telos::positional {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

const Figure& figure_of(const Report& report, const std::string& id) {
  for (const Figure& f : report.lead)
    if (f.id == id) return f;
  for (const Section& s : report.sections)
    for (const Figure& f : s.figures)
      if (f.id == id) return f;
  throw std::runtime_error("no figure " + id);
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
  EXPECT_EQ(report.verdict.basis, "measured, 2 runs a model");
  const Table& scales = table_of(report, "scales");
  ASSERT_EQ(scales.rows.size(), 2u);
  EXPECT_EQ(std::get<double>(scales.rows[1][1]), 0.2);
  EXPECT_EQ(std::get<double>(scales.rows[1][4]), 0.5);  // 50/10²
  EXPECT_EQ(table_of(report, "runs").rows.size(), 4u);
  EXPECT_TRUE(report.complete);
}

TEST(TrainingPage, SeveralTasksAreComparedOneByOne) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}), result_of("standard", {1e-3, 50}),
                                      result_of("positional", {1e-3, 4}), result_of("standard", {1e-3, 2})};
  results[2].spec.task = results[3].spec.task = "sum";
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "At 10 times the training range, positional attention errs less than standard attention on 1 of "
            "2 tasks: by 250 times.");
  EXPECT_EQ(report.facts.size(), 3u);  // two models, and the tasks
  EXPECT_THAT(report.facts[2].text, HasSubstr("min, sum"));
}

TEST(TrainingPage, ModelsOfOtherSizesAreNotCompared) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}),
                                      result_of("standard", {1e-3, 50})};
  results[1].spec.model.hidden *= 2;
  EXPECT_THAT(training_report(results, kContext).verdict.sentence, Not(HasSubstr("standard attention")));
  // Both kinds at two sizes: two comparisons, none of different sizes.
  results = {result_of("positional", {1e-3, 1}), result_of("positional", {1e-3, 2}),
             result_of("standard", {1e-3, 10}), result_of("standard", {1e-3, 2})};
  results[1].spec.model.hidden = results[3].spec.model.hidden = 16;
  const Report report = training_report(results, kContext);
  EXPECT_EQ(report.verdict.sentence,
            "At 10 times the training range, positional attention errs less than standard attention in 1 of "
            "2 settings: by 10 times.");
  std::set<std::string> names;
  for (const auto& row : table_of(report, "scales").rows) names.insert(std::get<std::string>(row[0]));
  EXPECT_EQ(names.size(), 4u) << "hidden units tell them apart";
}

TEST(TrainingPage, WithoutScaleOneNothingIsSaidOfScaling) {
  std::vector<TrainResult> one = {result_of("positional", {1e-3, 0.2})};
  one[0].spec.scales = {5, 10};
  EXPECT_EQ(training_report(one, kContext).verdict.sentence,
            "Learned to an error of 0.001 on samples that it has not seen; it is 0.2 at 10 times the "
            "training range.");
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

TEST(TrainingPage, StoppedRunsAreCounted) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2})};
  results[0].runs[0].end = RunResult::End::kStopped;
  EXPECT_EQ(training_report(results, kContext).verdict.basis,
            "measured, 2 runs a model; 1 of 2 stopped by a limit before the last epoch");
}

TEST(TrainingPage, SaysThatNothingIsMeasuredWhereAllDiverged) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}),
                                      result_of("standard", {1e-3, 0.2})};
  for (RunResult& run : results[0].runs) run.end = RunResult::End::kDiverged;
  EXPECT_THAT(training_report(results, kContext).verdict.basis, HasSubstr("2 of 4 runs"));
  for (RunResult& run : results[1].runs) run.end = RunResult::End::kDiverged;
  const Report report = training_report(results, kContext);
  EXPECT_EQ(report.verdict.sentence, "No run finished: training diverged.");
  EXPECT_THAT(report.verdict.basis, HasSubstr("learning rate"));
}

TEST(TrainingPage, EqualErrorsAreCalledAlike) {
  const std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}),
                                            result_of("standard", {1e-3, 0.201})};
  EXPECT_EQ(training_report(results, kContext).verdict.sentence,
            "At 10 times the training range, positional and standard attention err alike.");
}

TEST(TrainingPage, ManyModelsAreOneARow) {
  std::vector<TrainResult> results;
  for (std::size_t i = 0; i < 9; ++i) {
    results.push_back(result_of("positional", {1e-3, 0.1 + static_cast<double>(i)}));
    results.back().spec.model.nodes = 2 + i;
    results.back().runs[0].curve.push_back(
        {.epoch = 1, .steps = 60, .rate = 1e-3, .train_loss = 1, .train_loss_sum = 30, .validation = 0.25});
  }
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "From n = 2 to n = 10 the error at 10 times the training range goes from 0.1 to 8.1.");
  const Table& scales = table_of(report, "scales");
  ASSERT_EQ(scales.rows.size(), 9u);
  EXPECT_EQ(std::get<double>(scales.rows[2][3]), 2.1);
  const Figure& curves = figure_of(report, "learning-curves");
  EXPECT_EQ(curves.data.rows.size(), 8u * 2) << "validation of eight models";
  EXPECT_EQ(curves.title, "Validation loss of positional · n 2 goes from 0.5 at step 30 to 0.25 at step 60");
}

TEST(TrainingPage, ASingleFarScaleIsPartOfTheSweep) {
  std::vector<TrainResult> results = {result_of("positional", {1e-3, 0.2}),
                                      result_of("positional", {2e-3, 0.4})};
  results[1].spec.model.nodes = 16;
  for (TrainResult& r : results) {
    r.spec.scales = {3};
    r.test.resize(1), r.test_over_scale2.resize(1);
  }
  EXPECT_EQ(training_report(results, kContext).verdict.sentence,
            "From n = 8 to n = 16 the error at 3 times the training range goes from 0.001 to 0.002.");
  EXPECT_EQ(figure_of(training_report(results, kContext), "by-n").data.rows.size(), 4u);
  results.pop_back();
  EXPECT_EQ(
      training_report(results, kContext).verdict.sentence,
      "Learned to an error of 0.001 on samples that it has not seen; it is 0.001 at 3 times the training "
      "range.");
}

TEST(TrainingPage, ClassesHaveCrossEntropyAndAccuracy) {
  std::vector<TrainResult> results = {result_of("positional", {1.5, 1.6})};
  results[0].spec.task = "khop", results[0].classes = true;
  results[0].runs[0].validation.within = 0.5, results[0].runs[1].validation.within = 0.7;
  results[0].spec.scales = {1};
  results[0].test.resize(1), results[0].test_over_scale2.resize(1);
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "Learned to a cross-entropy of 1.5: 60 % of its answers on new samples are right.");
  EXPECT_THAT(report.keys[0].note, HasSubstr("cross-entropy; accuracy 60 %"));
}

TEST(TrainingPage, BlocksOfHopsAreToldApart) {
  std::vector<TrainResult> results;
  for (const bool positional : {true, false})
    for (const std::size_t layers : {1u, 3u}) {
      results.push_back(result_of("positional", {1.5, 1.6}));
      results.back().spec.task = "khop", results.back().classes = true;
      results.back().spec.hop_model = HopModel{.positional = positional, .layers = layers};
    }
  const Report report = training_report(results, kContext);
  expect_sound(report);
  for (const char* name :
       {"positional · 1 layer", "positional · 3 layers", "standard · 1 layer", "standard · 3 layers"})
    EXPECT_THAT(report.verdict.evidence, Contains(testing::StartsWith(std::string(name) + ":")));
  EXPECT_THAT(report.verdict.sentence, Not(HasSubstr("From layers"))) << "of two kinds";
  results.resize(2);
  EXPECT_THAT(training_report(results, kContext).verdict.sentence,
              HasSubstr("From layers = 1 to layers = 3"));
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

TEST(EvaluationPage, OverflowIsNotExact) {
  EvalResult result;
  result.rows = {{.scale = 1, .samples = 6, .length = 8, .mse = 0, .overflowed = 9}};
  const Model model = initial_model({.nodes = 8, .width = 8, .heads = 1, .hidden = 8}, 1);
  const Report report = evaluation_report(result, model, capacity(model), kContext);
  EXPECT_THAT(report.verdict.sentence, Not(HasSubstr("Exact")));
}

TEST(EvaluationPage, ScalesAreComparedOnListsOfOneLength) {
  const CompiledProgram compiled = compile(builtin("cummin", {.n = 4}).program);
  EvalResult result{.task = "min", .kind = "positional", .origin = "compiled: cummin"};
  const auto row = [](double scale, std::size_t length, double mse) {
    return ErrorRow{.scale = scale, .samples = 7, .length = length, .mse = mse};
  };
  result.rows = {row(1, 1, 0.5), row(1, 4, 0.25), row(2, 1, 8), row(2, 4, 4)};
  const auto sentence = [&] {
    return evaluation_report(result, compiled.model, capacity(compiled.model), kContext).verdict.sentence;
  };
  EXPECT_EQ(sentence(), "The mean square error on lists of 4 goes from 0.25 at c = 1 to 4 at c = 2.");
  result.rows.resize(2);
  EXPECT_EQ(sentence(), "The mean square error on lists of 4 is 0.25.");
}

TEST(EvaluationPage, OneScaleIsNotARange) {
  const CompiledProgram compiled = compile(builtin("cummin", {.n = 4}).program);
  EvalResult result{.task = "min", .kind = "positional", .origin = "compiled: cummin"};
  result.rows = {{.scale = 1, .samples = 7, .length = 4, .mse = 0.5}};
  const Report report = evaluation_report(result, compiled.model, capacity(compiled.model), kContext);
  expect_sound(report);
  EXPECT_EQ(report.keys[0].value, "0.5");
  EXPECT_EQ(report.verdict.basis, "measured on 7 samples a scale");
  result.given_data = true, result.rows[0].samples = 1234;
  EXPECT_EQ(evaluation_report(result, compiled.model, capacity(compiled.model), kContext).verdict.basis,
            "measured on 1,234 samples of the data held back");
  EXPECT_TRUE(report.lead.empty()) << "a figure of one point says nothing";
  result.classes = true, result.rows[0].within = 0.25;
  EXPECT_EQ(evaluation_report(result, compiled.model, capacity(compiled.model), kContext).verdict.sentence,
            "25 % of the answers are right; the cross-entropy is 0.5.");
}

TEST(EvaluationPage, QueriesAndKeysAreNamedWhereAModelHasThem) {
  const auto said = [](const char* kind) {
    const Model model = initial_model(with_kind({.nodes = 3, .width = 4, .hidden = 4, .layers = 1}, kind), 1);
    return render_json(evaluation_report({.task = "min"}, model, capacity(model), kContext));
  };
  EXPECT_THAT(said("standard"), HasSubstr("Queries and keys enter every layer"));
  EXPECT_THAT(said("positional"), HasSubstr("Queries and keys do not enter"));
  for (const char* kind : {"gcn", "gin"})
    EXPECT_THAT(said(kind), AllOf(HasSubstr("no queries and keys"), Not(HasSubstr("Queries and keys"))));
}

TEST(CapacityPage, PutsModelsSideBySide) {
  const CompiledProgram compiled = compile(builtin("cummin", {.n = 4}).program);
  const std::vector<CapacityReport> reports = {capacity(compiled.model),
                                               capacity(convert_to_standard(compiled.model))};
  const Report report = capacity_report(reports, kContext);
  expect_sound(report);
  const Table& t = table_of(report, "capacity");
  ASSERT_EQ(t.rows.size(), 2u);
  EXPECT_EQ(std::get<double>(t.rows[0][3]), reports[0].log10_product);
  EXPECT_LT(std::get<double>(t.rows[0][3]), std::get<double>(t.rows[1][3]));
  EXPECT_EQ(report.remarks.size(), 1u) << "what holds for both is said once";
  const std::vector<std::string> names = {"small", "large"};
  const Report named = capacity_report(reports, kContext, names);
  expect_sound(named);
  EXPECT_THAT(named.verdict.sentence, HasSubstr("An output of small moves at most"));
  EXPECT_THAT(named.verdict.sentence, HasSubstr("one of large at most"));
  EXPECT_EQ(named.keys[1].label, "large");
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

CompiledProgram compiled_text(const std::string& text) {
  return compile(read_program(text, "test"));
}

TEST(CompiledPage, SaysWhereSumsOutgrowThePrecision) {
  const auto doubled = [](int rounds) {
    return compiled_text("n 2\ninput x\nstate s = x\noutput s\nrepeat r < " + std::to_string(rounds) +
                         "\nround\ns = s + s\nend\nend\n");
  };
  EXPECT_THAT(compiled_report(doubled(3), kContext).verdict.sentence,
              HasSubstr("up to 2,097,152 in float32"));
  EXPECT_THAT(compiled_report(doubled(30), kContext).verdict.sentence,
              HasSubstr("in float32 its sums round"));
  EXPECT_THAT(compiled_report(doubled(60), kContext).verdict.sentence, HasSubstr("no whole number but 0"));
  const Report third =
      compiled_report(compiled_text("n 2\ninput x\nstate s = x\noutput s\nround\ns = s/3\nend\n"), kContext);
  EXPECT_THAT(third.verdict.sentence, HasSubstr("up to rounding"));
  EXPECT_EQ(third.keys[1].value, "–");
}

TEST(CompiledPage, IdleHeadsAreNotDrawnWhateverTheScratch) {
  const auto maps = [](std::size_t scratch) {
    Builtin made = builtin("maxsub", {.n = 4});
    made.options.scratch = scratch;
    made.options.proof_vectors = 8;
    const Report report = compiled_report(compile(made.program, made.options), kContext);
    std::size_t figures = 0;
    for (const Section& section : report.sections)
      if (section.id == "attention") figures = section.figures.size();
    return figures;
  };
  EXPECT_GT(maps(1), 0u);
  EXPECT_EQ(maps(2), maps(1));
}

TEST(CompiledPage, ConstantsBeyondThePrecisionAreSaid) {
  const auto page = [](const std::string& value) {
    return compiled_report(
        compiled_text("n 1\ninput x\nconstant one\nstate v = x\noutput v\nround\nv = " + value + "\nend\n"),
        kContext);
  };
  const Report odd = page("v + 16777217");
  expect_sound(odd);
  EXPECT_THAT(odd.verdict.sentence,
              AllOf(HasSubstr("in float64"), HasSubstr("in float32 its constants round")));
  EXPECT_EQ(odd.keys[1].value.rfind("none", 0), 0u);
  EXPECT_THAT(page("v + 1e20").verdict.sentence, HasSubstr("no whole number: its constants make"));
}

TEST(CompiledPage, LargeProgramsSayWhatIsNotDrawn) {
  const Report report = compiled_report(compile(builtin("cummin", {.n = 70}).program), kContext);
  expect_sound(report);
  EXPECT_TRUE(report.lead.empty());
  ASSERT_FALSE(report.sections[0].paragraphs.empty());
  EXPECT_THAT(report.sections[0].paragraphs[0], HasSubstr("at most 64 nodes"));
  EXPECT_THAT(report.sections[1].paragraphs.back(), HasSubstr("more than 40 nodes are not drawn"));
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

TEST(Pages, DefineWhatTheyUse) {
  PageContext context = kContext;
  const auto terms = [&](const char* command) {
    context.command = command;
    std::set<std::string> out;
    for (const Definition& d : positions_report(two_heads(), context).definitions) out.insert(d.term);
    return out;
  };
  EXPECT_EQ(terms("positional heads"), (std::set<std::string>{"share of the pair", "static head"}));
  EXPECT_EQ(terms("positional compile"), (std::set<std::string>{"positional attention", "growth"}));
  EXPECT_EQ(terms("another page").size(), positional_definitions().size());
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

TEST(PositionsPage, NamesStaticHeads) {
  const Report report = positions_report(two_heads(), kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "Positions alone explain 50 % of attention's structure; 1 of 2 heads is static.");
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
  EXPECT_EQ(report.verdict.sentence, "With 1 of 2 heads static, embeddings keep a cosine of 0.995 ± 0.001.");
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
  EXPECT_EQ(report.sections[1].paragraphs[0], "A 2024: Counts.");
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
  EXPECT_THAT(report.verdict.sentence, HasSubstr("A positional step takes "));
  const std::vector<StepTiming> two = {timings[0], timings[0]};
  EXPECT_THAT(timing_report(two, kContext).verdict.sentence, HasSubstr(" here, a positional step "));
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
