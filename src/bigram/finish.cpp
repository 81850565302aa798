// From the end of a descent to its result.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/error.h"

namespace telos::bigram {
namespace {

/// Rounds of least squares: a few tell which positions to drop, all of them are for the result.
constexpr std::size_t kPruningRounds = 2, kRounds = 10, kScreenings = 3;
/// The standard error that a refit's weights should have, and the samples that it may add for that, in units
/// of those asked for.
constexpr double kPrecision = 0.02;
constexpr std::uint64_t kMostMore = 4;
/// Weights above this that may have been missed are worth a note.
constexpr double kSmallWeight = 0.11;
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

/// Refits on samples that are drawn once: those asked for, and more of the last tokens whose weights they
/// leave uncertain.
class Refitting {
 public:
  Refitting(const Instance& instance, const TrainOptions& options, const Sampler& sampler, const Arena& arena)
      : tokens_(instance.tokens()),
        paper_(options.algorithm == Algorithm::kPaper),
        asked_(options.refit_samples),
        sampler_(sampler),
        arena_(arena),
        samples_(sample_range(0, asked_)) {}

  /// Least squares on `columns`, of which what is not significant is dropped.
  SparseModel fit(std::vector<Column> columns) {
    for (;;) {
      const SparseSamples samples(sampler_, Stream::kRefit, samples_, columns, arena_);
      SparseModel model = rounds(samples, std::move(columns), kPruningRounds);
      if (paper_) return model;
      if (drop_insignificant(model) == 0 && !draw_more(samples, model)) {
        model = rounds(samples, std::move(model.columns), kRounds - kPruningRounds);
        if (drop_insignificant(model) == 0) return model;
      }
      columns = std::move(model.columns);
    }
  }
  std::uint64_t samples() const { return samples_.size(); }

 private:
  SparseModel rounds(const SparseSamples& samples, std::vector<Column> columns, std::size_t count) const {
    return least_squares(samples, tokens_, std::move(columns), count, paper_, arena_);
  }

  /// Once: standard errors fall like 1/√n.
  bool draw_more(const SparseSamples& samples, const SparseModel& model) {
    if (drawn_more_) return false;
    drawn_more_ = true;
    std::vector<double> ratios(tokens_);
    std::vector<std::uint64_t> counts(tokens_);
    for (std::size_t k = 0; k < tokens_; ++k) {
      ratios[k] = *std::ranges::max_element(model.errors[k]) / kPrecision;
      counts[k] = samples.with_last(k).size();
    }
    const std::vector<std::uint64_t> more =
        further_samples(sampler_, Stream::kRefit, asked_, ratios, counts, kMostMore * asked_);
    samples_.insert(samples_.end(), more.begin(), more.end());
    return !more.empty();
  }

  std::size_t tokens_;
  bool paper_;
  std::uint64_t asked_;
  const Sampler& sampler_;
  const Arena& arena_;
  std::vector<std::uint64_t> samples_;
  bool drawn_more_ = false;
};

/// Last tokens whose smallest weight that would have been found is not small.
void note_blind_columns(const Instance& instance, const std::vector<double>& least, TrainResult& result) {
  std::vector<std::size_t> blind;
  double most = 0;
  for (std::size_t k = 0; k < least.size(); ++k)
    if (least[k] > kSmallWeight) {
      blind.push_back(k);
      most = std::max(most, least[k]);
    }
  if (!blind.empty())
    result.notes.push_back(fmt::format("positions with weights below {:.2g} may have been missed of: {}",
                                       std::min(most, 1.0), name_columns(instance, blind)));
}

/// Least squares on the columns found; with screening until nothing is added.
void fit(const Instance& instance, const TrainOptions& options, const Sampler& sampler, TrainResult& result,
         const Arena& arena) {
  for (Column& column : result.columns) scale_to_one(column);
  Refitting refitting(instance, options, sampler, arena);
  SparseModel model = refitting.fit(result.columns);
  const bool screens = options.screen && options.screen_samples > 0 && options.algorithm != Algorithm::kPaper;
  std::uint64_t next = 0;
  std::vector<double> least;
  for (std::size_t i = 0; i < kScreenings && screens; ++i) {
    Screening found = screen(instance, sampler, model, next, options.screen_samples, i == 0, arena);
    next = found.next;
    if (i == 0) least = std::move(found.least);
    result.screen_samples += found.samples;
    if (found.added == 0) break;
    result.screened_in += found.added;
    model = refitting.fit(std::move(model.columns));
  }
  for (const std::uint32_t k : sampler.left_out())
    if (!least.empty()) least[k] = 0;
  note_blind_columns(instance, least, result);
  result.refit_samples = refitting.samples();
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
    result.notes.push_back(
        fmt::format("the supports of these last tokens had not settled{}: {}",
                    instance.known() ? " (`telos bigram plan` says about how many samples that takes)" : "",
                    name_columns(instance, unstable)));
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
  result.samples = samples_after(options, state.steps);
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
  const Loss loss = held_out_loss(sampler, result.model, options.held_out, arena, instance.mu);
  result.held_out = loss.mean;
  result.held_out_error = loss.error;
  result.gain = loss.gain;
  result.gain_error = loss.gain_error;
  return result;
}

}  // namespace telos::bigram
