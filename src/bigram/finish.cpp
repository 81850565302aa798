// From the end of a descent to its result.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/error.h"

namespace telos::bigram {
namespace {

constexpr std::size_t kRounds = 10, kScreenings = 3;
/// Positions of a column that go on: more would be no support, and a refit takes their square.
constexpr std::size_t kMostCandidates = 32;

bool has_refit(const TrainOptions& options) {
  return options.refit && options.algorithm != Algorithm::kPsgd && options.algorithm != Algorithm::kSgd &&
         options.algorithm != Algorithm::kSoftmax;
}

Column column_of(std::span<const double> a, int sign, double keep, std::size_t most) {
  Column column;
  column.positions = find_support(a, sign, keep).positions;
  if (column.positions.size() > most) {
    std::ranges::stable_sort(column.positions, [&](std::uint32_t s, std::uint32_t t) { return a[s] > a[t]; });
    column.positions.resize(most);
    std::ranges::sort(column.positions);
  }
  for (const std::uint32_t t : column.positions) column.weights.push_back(a[t]);
  return column;
}

void scale_to_one(Column& column) {
  double sum = 0;
  for (const double x : column.weights) sum += x;
  for (double& x : column.weights) x /= sum;
}

/// "a", "b", "c" and 5 more
std::string name_columns(const Instance& instance, const std::vector<std::size_t>& columns) {
  constexpr std::size_t kNamed = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(columns.size(), kNamed); ++i)
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", printable(instance.name(columns[i])));
  if (columns.size() > kNamed) text += fmt::format(" and {} more", columns.size() - kNamed);
  return text;
}

/// Least squares on the columns found; with screening until nothing is added.
void fit(const Instance& instance, const TrainOptions& options, const Sampler& sampler, TrainResult& result,
         const Arena& arena) {
  const bool paper = options.algorithm == Algorithm::kPaper;
  const auto fitted = [&](std::vector<Column> columns) {
    for (;;) {
      const SparseSamples samples(sampler, Stream::kRefit, 0, options.refit_samples, columns, arena);
      SparseModel model = least_squares(samples, instance.tokens(), columns, kRounds, paper, arena);
      if (paper || drop_insignificant(model) == 0) return model;
      columns = std::move(model.columns);
    }
  };
  for (Column& column : result.columns) scale_to_one(column);
  SparseModel model = fitted(result.columns);
  for (std::size_t i = 0; i < kScreenings && options.screen && options.screen_samples > 0 && !paper; ++i) {
    const std::size_t added =
        screen(instance, sampler, model, i * options.screen_samples, options.screen_samples, arena);
    if (added == 0) break;
    result.screened_in += added;
    model = fitted(std::move(model.columns));
  }
  result.model = dense(model, instance.length);
  result.columns = std::move(model.columns);
}

void find_columns(const Instance& instance, const TrainOptions& options, const RunState& state,
                  TrainResult& result) {
  const std::size_t n = instance.tokens(), most = std::max(kMostCandidates, 2 * instance.sparsity());
  std::vector<std::size_t> unstable, cut;
  for (std::size_t k = 0; k < n; ++k) {
    const std::span<const double> a(result.model.a.row(k), instance.length);
    result.columns.push_back(column_of(a, 1, options.keep, most));
    result.columns[k].stable = state.history.stable(k, state.steps);
    if (state.history.is_left_out(k)) continue;
    if (!result.columns[k].stable) unstable.push_back(k);
    if (result.columns[k].positions.size() == most) cut.push_back(k);
  }
  if (!unstable.empty())
    result.notes.push_back("the supports of these last tokens had not settled: " +
                           name_columns(instance, unstable));
  if (!cut.empty())
    result.notes.push_back(
        fmt::format("only the {} largest weights are looked at of: {}", most, name_columns(instance, cut)));
}

/// Last tokens that were left out look everywhere.
void spread_left_out(const Sampler& sampler, TrainResult& result) {
  for (const std::uint32_t k : sampler.left_out()) {
    result.columns[k] = {};
    std::fill_n(result.model.a.row(k), sampler.length(), 1 / static_cast<double>(sampler.length()));
  }
}

/// What only a known truth gives.
void compare_with_truth(const Instance& instance, TrainResult& result) {
  for (std::size_t k = 0; k < instance.tokens(); ++k)
    result.columns[k].exact = result.columns[k].positions == instance.q[k].positions;
  result.population = population_loss(instance, result.model);
  result.signals = signals(instance, result.model);
  result.excess = excess(constants(instance), instance.length, result.signals);
}

}  // namespace

TrainResult finish_run(const Instance& instance, const TrainOptions& options, const Sampler& sampler,
                       const RunState& state, std::vector<std::string> notes, const Arena& arena) {
  TrainResult result;
  result.algorithm = options.algorithm;
  result.notes = std::move(notes);
  result.steps = state.steps;
  result.samples = state.steps * options.batch;
  result.samples_to_support = state.history.exact_since() * options.batch;
  result.curve = state.curve;
  result.descended = {state.model.v.copy(), state.model.a.copy()};
  result.mirrored = options.algorithm != Algorithm::kMoments && orientation(state.model.a, arena) < 0;
  const bool turn = result.mirrored && options.fix_mirror && keeps_sums(options.algorithm);
  result.model =
      turn ? mirrored(state.model, instance.mu) : Model{state.model.v.copy(), state.model.a.copy()};
  if (turn)
    result.notes.push_back(
        "the descent ended in the mirror solution (2μ1ᵀ − V, 2·11ᵀ/T − A), and was turned");
  if (options.algorithm == Algorithm::kPaper && state.lambda == 0)
    result.notes.push_back("the second stage never began: no column stood out of its noise everywhere");

  find_columns(instance, options, state, result);
  if (has_refit(options)) fit(instance, options, sampler, result, arena);
  spread_left_out(sampler, result);
  if (instance.known()) compare_with_truth(instance, result);
  result.mu = instance.mu;
  const double norm = values_norm(result.model.v, instance.mu);
  result.knowledge = norm * norm;
  const Loss loss = held_out_loss(sampler, result.model, options.held_out, arena);
  result.held_out = loss.mean;
  result.held_out_error = loss.error;
  return result;
}

}  // namespace telos::bigram
