#include "tests/model/gauge.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <tuple>

#include "tests/model/golden_models.h"
#include "tests/repeats.h"

namespace telos {
namespace {

using testing::Gauge;
using testing::GaugeChange;

/// New weights are rounded to float: a relative change of 2⁻²⁴ times a condition number of at most 4 in each
/// of the ten or so maps that a layer chains, amplified by softmax and norms of a few layers. 1e-4 is a
/// hundred times that, and a hundred times less than what a map in the wrong basis does.
constexpr double kUnchanged = 1e-5, kChanged = 1e-2;

constexpr Taps kTaps{.hidden = true, .attention = false, .sublayers = false, .logits = true};

Matrix<float> times(ConstMatrixView<float> x, const Matrix<double>& r) {
  Matrix<float> result(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) {
      double sum = 0;
      for (std::size_t p = 0; p < x.cols(); ++p) sum += static_cast<double>(x(i, p)) * r(p, j);
      result(i, j) = static_cast<float>(sum);
    }
  return result;
}

/// Columns of the old logits in the order of the new labels.
Matrix<float> relabelled(const Matrix<float>& logits, const std::vector<std::int32_t>& to) {
  Matrix<float> result(logits.rows(), logits.cols());
  for (std::size_t i = 0; i < logits.rows(); ++i)
    for (std::size_t j = 0; j < to.size(); ++j) result(i, static_cast<std::size_t>(to[j])) = logits(i, j);
  return result;
}

/// Relative change of the last hidden state and, where there are logits, of them: the larger one.
double change_of_output(const Trace& before, const Trace& after, const GaugeChange& change) {
  const Matrix<float>& last = before.hidden.back();
  double result = change.stream.empty()
                      ? testing::relative_error(after.hidden.back(), last)
                      : testing::relative_error(after.hidden.back(), times(last, change.stream));
  if (before.logits.empty()) return result;
  return std::max(result,
                  change.relabel.empty()
                      ? testing::relative_error(after.logits, before.logits)
                      : testing::relative_error(after.logits, relabelled(before.logits, change.relabel)));
}

/// Runs the model in `directory` before and after a change; `run(transformer, relabel)` makes a trace.
template <class Run>
void check(const std::string& directory, Gauge gauge, const Run& run) {
  const Arena arena(2);
  testing::Editable model(directory);
  const Architecture architecture = identify(Checkpoint::open(directory + "/model.safetensors"));
  const Trace before = run(testing::load_transformer(directory + "/model.safetensors", arena), {});
  const GaugeChange change = testing::apply_gauge(model, architecture, gauge, 17);
  const testing::Editable old(directory);
  bool differs = false;
  for (const auto& [name, tensor] : model.tensors)
    differs |= !old.has(name) || tensor.values != old.tensors.at(name).values;
  ASSERT_EQ(differs, change.applied);  // equal weights would prove nothing
  if (!change.applied) return;         // the family has no such freedom
  const testing::TemporaryDirectory folder;
  model.write(folder.path());
  const Trace after = run(testing::load_transformer(folder.path().string(), arena), change.relabel);
  const double found = change_of_output(before, after, change);
  if (change.symmetry)
    EXPECT_LT(found, kUnchanged);
  else
    EXPECT_GT(found, kChanged);
  ::testing::Test::RecordProperty("relative_change", std::to_string(found * 1e6) + "e-6");
}

class GaugeOfTinyModels : public ::testing::TestWithParam<std::tuple<std::string, Gauge>> {};

TEST_P(GaugeOfTinyModels, OutputIsUnchanged) {
  const std::string& name = std::get<0>(GetParam());
  const Gauge& gauge = std::get<1>(GetParam());
  const std::string directory = testing::golden_directory(name);
  check(directory, gauge, [&](const Transformer& transformer, const std::vector<std::int32_t>& relabel) {
    if (relabel.empty()) return testing::run_golden(name, transformer, kTaps, Arena(1));
    TokenBatch batch = testing::read_batch(Checkpoint::open(directory + "/expected.safetensors"));
    for (std::int32_t& id : batch.ids) id = relabel[static_cast<std::size_t>(id)];
    return transformer.forward(batch, kTaps, Arena(1));
  });
}

INSTANTIATE_TEST_SUITE_P(Models, GaugeOfTinyModels,
                         ::testing::Combine(::testing::ValuesIn(testing::golden_models()),
                                            ::testing::ValuesIn(testing::kGauges)),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" +
                                  std::string(to_string(std::get<1>(test.param)));
                         });

class GaugeOfRealModels : public ::testing::TestWithParam<std::tuple<std::string, Gauge>> {};

TEST_P(GaugeOfRealModels, OutputIsUnchanged) {
  if (kSanitized) GTEST_SKIP() << "the tiny models run the same code";
  const auto data = testing::environment("TELOS_TEST_DATA");
  if (!data) GTEST_SKIP() << "set TELOS_TEST_DATA to the folder that holds models/";
  const auto& [name, gauge] = GetParam();
  check(*data + "/models/" + name, gauge,
        [](const Transformer& transformer, const std::vector<std::int32_t>& relabel) {
          TokenBatch batch{1, 48, {}, {}, {}};
          for (std::int32_t i = 0; i < 48; ++i) {
            const std::int32_t id = 3 + i * 37 % 500;
            batch.ids.push_back(relabel.empty() ? id : relabel[static_cast<std::size_t>(id)]);
          }
          return transformer.forward(batch, kTaps, Arena(2));
        });
}

INSTANTIATE_TEST_SUITE_P(Models, GaugeOfRealModels,
                         ::testing::Combine(::testing::Values("tinystories-260k-llama", "rxnmapper-albert"),
                                            ::testing::ValuesIn(testing::kGauges)),
                         [](const auto& test) {
                           return (std::get<0>(test.param)[0] == 't' ? "tinystories_" : "rxnmapper_") +
                                  std::string(to_string(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace telos
