#include "telos/smoothing/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "smoothing/page_parts.h"
#include "telos/base/philox.h"
#include "tests/model/golden_models.h"
#include "tests/model/layouts.h"

namespace telos::smoothing {
namespace {

using telos::test::tiny_layout;
using telos::test::tiny_model;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SmoothingDiagnosis diagnose_golden(const std::string& name, bool with_text) {
  const std::string directory = telos::testing::golden_directory(name);
  const Arena arena(1);
  const Checkpoint checkpoint = Checkpoint::open(directory);
  const Architecture architecture = identify(checkpoint);
  DiagnosisInput input;
  input.checkpoint = &checkpoint;
  input.architecture = &architecture;
  if (!with_text) return diagnose_smoothing(input, {}, arena);
  const Transformer transformer = Transformer::load(checkpoint, architecture, arena);
  TextWindows text;
  text.batch = telos::testing::read_batch(Checkpoint::open(directory + "/expected.safetensors"));
  input.transformer = &transformer;
  input.text = &text;
  return diagnose_smoothing(input, {}, arena);
}

std::vector<const Table*> all_tables(const Report& report) {
  std::vector<const Table*> out;
  for (const Section& section : report.sections) {
    for (const Table& table : section.tables) out.push_back(&table);
    for (const Figure& figure : section.figures) out.push_back(&figure.data);
  }
  return out;
}

/// What every page must be, whatever was measured.
void expect_sound(const Report& report) {
  EXPECT_THAT(report.verdict.sentence, Not(IsEmpty()));
  EXPECT_THAT(report.verdict.basis, AnyOf(HasSubstr("measured on"), HasSubstr("weights only: a tendency")));
  EXPECT_GE(report.keys.size(), 2u);
  EXPECT_LE(report.keys.size(), 6u);
  std::set<std::string> ids;
  for (const Table* table : all_tables(report)) {
    EXPECT_FALSE(table->rows.empty()) << table->id;
    for (const auto& row : table->rows) EXPECT_EQ(row.size(), table->columns.size()) << table->id;
  }
  for (const Section& section : report.sections) {
    EXPECT_TRUE(ids.insert(section.id).second) << section.id;
    EXPECT_THAT(section.title, Not(IsEmpty())) << section.id;
    for (const Figure& figure : section.figures) {
      EXPECT_TRUE(ids.insert(figure.id).second) << figure.id;
      EXPECT_GT(figure.marks, 0u) << figure.id;
      EXPECT_THAT(figure.title, Not(IsEmpty()));
      EXPECT_THAT(figure.caption, Not(IsEmpty()));
      EXPECT_THAT(figure.alt, Not(IsEmpty()));
    }
  }
  const std::string terminal = render_terminal(report);
  EXPECT_LE(std::count(terminal.begin(), terminal.end(), '\n'), 45);
  EXPECT_THAT(terminal, HasSubstr(report.verdict.sentence));
  for (const std::string& text : {terminal, render_json(report)}) {
    EXPECT_THAT(text, Not(HasSubstr(" good")));
    EXPECT_THAT(text, Not(HasSubstr(" bad")));
    EXPECT_THAT(text, Not(HasSubstr("healthy")));
  }
  EXPECT_LT(render_html(report).size(), 2u << 20);
  for (const Definition& d : report.definitions)
    EXPECT_THAT(d.text, AnyOf(HasSubstr("auge-invariant"), HasSubstr("invariant under"),
                              HasSubstr("2401.04301"), HasSubstr("rescaled")))
        << d.term << " does not say what it is invariant under";
}

TEST(Page, OfAMeasuredEncoder) {
  const SmoothingDiagnosis d = diagnose_golden("bert", true);
  const Report report =
      smoothing_report(d, {.command = "diagnose", .subject = "tiny", .facts = {}, .provenance = {}});
  expect_sound(report);
  EXPECT_EQ(report.lead.size(), 1u);
  ASSERT_FALSE(report.sections.empty());
  const Table& layers = report.sections[0].tables[0];
  EXPECT_TRUE(layers.in_terminal);
  EXPECT_EQ(layers.rows.size(), d.measures->layers + 1);
  EXPECT_EQ(std::get<std::string>(layers.rows[0][0]), "input");
  std::set<std::string> figures;
  for (const Section& section : report.sections)
    for (const Figure& figure : section.figures) figures.insert(figure.id);
  for (const char* id : {"varying_share", "stable_rank", "eigenvalues", "copy_score", "gain_map"})
    EXPECT_THAT(figures, Contains(id));
  // The same numbers in text and table.
  EXPECT_EQ(std::get<double>(layers.rows.back()[1]), d.measures->depth.back().all.cos_mean.mean);
  EXPECT_THAT(report.keys[0].value, HasSubstr(fixed(d.measures->depth.back().all.cos_mean.mean, 2)));
}

TEST(Page, OfAMeasuredDecoder) {
  const Report report =
      smoothing_report(diagnose_golden("llama", true),
                       {.command = "diagnose", .subject = "tiny", .facts = {}, .provenance = {}});
  expect_sound(report);
  EXPECT_THAT(report.keys[0].note, HasSubstr("without token 0"));
}

TEST(Page, OfWeightsAlone) {
  for (const char* name : {"bert", "gpt2"}) {
    const Report report =
        smoothing_report(diagnose_golden(name, false),
                         {.command = "smoothing spectrum", .subject = "tiny", .facts = {}, .provenance = {}});
    expect_sound(report);
    EXPECT_EQ(report.verdict.basis, "weights only: a tendency");
    EXPECT_THAT(report.lead, IsEmpty());
  }
}

TEST(Page, ConditionsAreShownWhereAskedFor) {
  const Arena arena(1);
  const Checkpoint checkpoint = Checkpoint::open(telos::testing::golden_directory("gpt2"));
  const Architecture architecture = identify(checkpoint);
  for (const bool asked : {false, true}) {
    const Table t = heads_table(weight_spectra(checkpoint, architecture, {.conditions = asked}, arena));
    EXPECT_EQ(t.columns.back().name, asked ? "κ" : "note");
    for (const auto& row : t.rows) ASSERT_EQ(row.size(), t.columns.size());
    if (asked) {
      EXPECT_GE(std::get<double>(t.rows[0].back()), 1);
    }
  }
}

TEST(Page, OfATraceAlone) {
  Trace trace;
  trace.sequences = 2;
  trace.tokens = 5;
  trace.width = 6;
  trace.layers = 2;
  Random random(1);
  for (std::size_t l = 0; l <= 2; ++l) {
    trace.hidden.emplace_back(10, 6);
    for (std::size_t i = 0; i < 60; ++i) trace.hidden[l].data()[i] = static_cast<float>(random.normal());
  }
  DiagnosisInput input;
  input.trace = &trace;
  const SmoothingDiagnosis d = diagnose_smoothing(input, {}, Arena(1));
  const Report report =
      smoothing_report(d, {.command = "smoothing trace", .subject = "trace", .facts = {}, .provenance = {}});
  expect_sound(report);
  EXPECT_THAT(report.not_measured, Contains(HasSubstr("no attention matrices")));
}

TEST(Page, OfAPartlyUsableModelNamesWhatIsMissing) {
  const Arena arena(1);
  telos::test::TinyFile file = tiny_layout("gpt2").write(tiny_model());
  for (telos::test::TinyTensor& tensor : file.tensors)
    if (tensor.name.find("h.1.attn.c_proj.weight") != std::string::npos)
      tensor.values[3] = std::numeric_limits<float>::quiet_NaN();
  telos::test::TinyDirectory directory;
  telos::test::write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture architecture = identify(checkpoint);
  DiagnosisInput input;
  input.checkpoint = &checkpoint;
  input.architecture = &architecture;
  const SmoothingDiagnosis d = diagnose_smoothing(input, {}, arena);
  const Report report = smoothing_report(
      d, {.command = "smoothing spectrum", .subject = "tiny", .facts = {}, .provenance = {}});
  expect_sound(report);
  EXPECT_THAT(report.not_measured, Contains(HasSubstr("NaN")));
  EXPECT_THAT(render_terminal(report), HasSubstr("NaN"));
}

TEST(Page, OfSimulations) {
  for (const char* name : {"t1", "t3", "t4", "t8", "pre-smooth", "post-sharp-causal"}) {
    SimulationSpec spec = preset(name);
    spec.layers = 24;
    const SimulationResult result = simulate(spec);
    const Report report = simulate_report(
        spec, result, {.command = "smoothing simulate", .subject = name, .facts = {}, .provenance = {}});
    EXPECT_THAT(report.verdict.sentence, Not(IsEmpty()));
    EXPECT_EQ(report.lead.size(), 1u);
    EXPECT_GT(report.lead[0].marks, 0u);
    for (const Table* table : all_tables(report)) {
      EXPECT_FALSE(table->rows.empty()) << table->id;
      for (const auto& row : table->rows) EXPECT_EQ(row.size(), table->columns.size()) << table->id;
    }
    const std::string terminal = render_terminal(report);
    EXPECT_LE(std::count(terminal.begin(), terminal.end(), '\n'), 40);
    EXPECT_EQ(result.prediction.has_value(), !report.verdict.evidence.empty());
  }
  SimulationSpec t1 = preset("t1");
  t1.layers = 50;
  EXPECT_EQ(simulate_report(t1, simulate(t1), {}).verdict.sentence, "Tokens collapse to one direction.");
}

// Nearly equal tokens that part: their cosine is still high when it has fallen.
TEST(Page, OfTokensThatPartFromOneDirection) {
  SimulationSpec spec = preset("t3");
  spec.layers = 4;
  Matrix<double>& tokens = std::get<LinearSystem>(spec.system).tokens;
  for (std::size_t i = 0; i < tokens.rows(); ++i)
    for (std::size_t j = 0; j < tokens.cols(); ++j) tokens(i, j) = (j == 0 ? 1 : -0.5) + 0.02 * tokens(i, j);
  const SimulationResult result = simulate(spec);
  ASSERT_GT(result.records.back().mean.cos_mean, kCollapsed);
  ASSERT_GT(result.records.back().mean.hfc_lfc, result.records.front().mean.hfc_lfc);
  EXPECT_EQ(simulate_report(spec, result, {}).verdict.sentence, "Tokens grow apart.");
}

TEST(Words, NumbersWithErrors) {
  const auto text = [](double mean, double error, bool sign = false) {
    return plus_minus({mean, error, 10}, sign);
  };
  EXPECT_EQ(text(-0.1834, 0.0123), "−0.18 ± 0.01");
  EXPECT_EQ(text(0.0612, 0.0098, true), "+0.06 ± 0.01");
  EXPECT_EQ(text(-0.0612, 0.0098, true), "−0.06 ± 0.01");
  EXPECT_EQ(text(0.5, 0.00042), "0.5000 ± 0.0004");
  EXPECT_EQ(text(3.2, 1.4), "3 ± 1");
  EXPECT_EQ(text(0.25, kNaN), "0.25");
  EXPECT_EQ(text(0.25, 0), "0.25 ± 0");
  EXPECT_EQ(text(-0.001, 0.01), "0.00 ± 0.01");  // no negative zero
  EXPECT_EQ(text(kNaN, 0.1), "–");
  EXPECT_EQ(fixed(-0.004, 2), "0.00");
  EXPECT_EQ(percent(0.613), "61 %");
  EXPECT_EQ(count_of(1, "layer", "layers"), "1 layer");
  EXPECT_EQ(count_of(2, "layer", "layers"), "2 layers");
}

TEST(Words, ArchitectureLine) {
  Architecture a;
  a.family = "bert";
  a.layers = 6;
  a.width = 384;
  a.heads = a.kv_heads = 12;
  a.head_width = 32;
  a.block = BlockKind::kPost;
  a.norm = NormKind::kLayerNorm;
  EXPECT_EQ(architecture_line(a), "BERT encoder · 6 layers · d 384 · 12 heads × 32 · " +
                                      std::string(to_string(a.block)) + " (LayerNorm)");
  a.kv_heads = 4;
  EXPECT_THAT(architecture_line(a), HasSubstr("12 heads × 32 (4 for keys and values)"));
}

}  // namespace
}  // namespace telos::smoothing
