// A simulation from its spec: the runs, one by one or on threads, and what they have in common.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/limits.h"
#include "smoothing/lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"
#include "telos/smoothing/lab.h"

namespace telos::smoothing {

namespace {

constexpr double TokenMeasures::*kFields[] = {
    &TokenMeasures::hfc_lfc,      &TokenMeasures::hfc_frac, &TokenMeasures::cos_mean,
    &TokenMeasures::cos_abs_incl, &TokenMeasures::res_1inf, &TokenMeasures::rank1_res,
    &TokenMeasures::stable_rank,  &TokenMeasures::eff_rank, &TokenMeasures::part_ratio,
    &TokenMeasures::dirichlet,    &TokenMeasures::log_norm, &TokenMeasures::max_norm_share};

// X / ‖X‖_F in place, ‖X‖_F scaled by its largest element first; returns ln ‖X‖_F, −inf for X = 0.
double normalise(Matrix<double>& x) {
  double largest = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const double value = x.data()[k];
    if (!std::isfinite(value))
      throw Error(ErrorKind::kNotFinite, "simulate", "the tokens left the range of double within one layer",
                  "scale the weights down");
    largest = std::max(largest, std::abs(value));
  }
  if (largest == 0) return -kInfinity;
  for (std::size_t k = 0; k < x.size(); ++k) x.data()[k] /= largest;
  const double norm = frobenius_norm(x);
  for (std::size_t k = 0; k < x.size(); ++k) x.data()[k] /= norm;
  return std::log(largest) + std::log(norm);
}

/// X, and beside it Y = PX and the mean token m. Each is divided by its norm, whose logarithm is kept: Y and
/// m may grow at rates whose ratio leaves the range of double, and in X the smaller would drown in the
/// rounding of the larger; rows of X of very different lengths would in Y + 1mᵀ.
class LinearStream {
 public:
  LinearStream(const LinearSystem& system, const Arena& arena)
      : system_(system),
        arena_(arena),
        n_(system.tokens.rows()),
        d_(system.tokens.cols()),
        step_(system.weights.copy()),
        x_(system.tokens.copy()),
        varying_(n_, d_),
        attended_(n_, d_),
        mean_(1, d_),
        moved_(1, d_) {
    for (std::size_t j = 0; j < d_; ++j) step_(j, j) += system.residual;
    log_norm_ = normalise(x_);
    varying_ = x_.copy();
    take_mean(varying_, mean_);
    if (is_rounding(varying_)) std::fill_n(varying_.data(), varying_.size(), 0.0);
    log_varying_ = log_norm_ + normalise(varying_);
    log_mean_ = log_norm_ + normalise(mean_);
    const double weights = frobenius_norm(system.weights), attention = frobenius_norm(system.attention);
    // What cancels to less is the rounding of its terms.
    attention_rounding_ = 16 * kEps * attention;
    rounding_ = 16 * kEps * (std::abs(system.residual) + weights * attention);
    mean_rounding_ = 16 * kEps * (std::abs(system.residual) + weights);
  }

  /// Y ← αY + P A Y H, m ← m(αI + H) + uH with u = (1/n) 1ᵀA Y: as A1 = 1, the mean does not act on Y.
  void advance() {
    gemm<double>(Op::kPlain, Op::kPlain, 1, system_.attention, x_, 0, attended_.view(), arena_);
    gemm<double>(Op::kPlain, Op::kPlain, 1, attended_, system_.weights, system_.residual, x_.view(), arena_);
    log_norm_ += normalise(x_);
    gemm<double>(Op::kPlain, Op::kPlain, 1, system_.attention, varying_, 0, attended_.view(), arena_);
    Matrix<double> from_varying(1, d_);
    take_mean(attended_, from_varying);
    if (frobenius_norm(from_varying) <= attention_rounding_) scale(from_varying, 0);
    const double frame = std::max(log_mean_, log_varying_);
    if (frame == -kInfinity) return;
    scale(mean_, std::exp(log_mean_ - frame));
    scale(from_varying, std::exp(log_varying_ - frame));
    const double before = frobenius_norm(mean_);
    gemm<double>(Op::kPlain, Op::kPlain, 1, mean_, step_, 0, moved_.view(), arena_);
    if (frobenius_norm(moved_) <= mean_rounding_ * before) scale(moved_, 0);
    gemm<double>(Op::kPlain, Op::kPlain, 1, from_varying, system_.weights, 1, moved_.view(), arena_);
    std::swap(mean_, moved_);
    log_mean_ = frame + normalise(mean_);

    gemm<double>(Op::kPlain, Op::kPlain, 1, attended_, system_.weights, system_.residual, varying_.view(),
                 arena_);
    take_mean(varying_, from_varying);  // rounding alone
    if (frobenius_norm(varying_) <= rounding_) scale(varying_, 0);
    log_varying_ += normalise(varying_);
  }

  TokenMeasures measures() const {
    TokenMeasures out = measure_tokens(x_);
    out.log_norm = log_norm_;
    out.dirichlet *= std::exp(2 * log_norm_);
    if (log_varying_ == -kInfinity && log_mean_ == -kInfinity) return out;
    const double n = static_cast<double>(n_);
    // mean_ has norm 1 as one row, √n as n of them.
    const double log_ratio = log_varying_ - log_mean_ - std::log(n) / 2;
    out.hfc_lfc = std::exp(log_ratio);
    out.hfc_frac = 1 / (1 + std::exp(-2 * log_ratio));
    out.dirichlet = n * std::exp(2 * log_varying_);
    return out;
  }

  /// X divided by its norm; 0 if nothing is left.
  const Matrix<double>& tokens() const { return x_; }

 private:
  /// The mean row; `x` keeps what is left.
  void take_mean(Matrix<double>& x, Matrix<double>& mean) const {
    std::fill_n(mean.data(), d_, 0.0);
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < d_; ++j) mean(0, j) += x(i, j) / static_cast<double>(n_);
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < d_; ++j) x(i, j) -= mean(0, j);
  }
  /// Whether what take_mean() left of the tokens is no more than its rounding: all are equal.
  bool is_rounding(const Matrix<double>& rest) const {
    const double noise = static_cast<double>(n_) * kEps;
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < d_; ++j)
        if (std::abs(rest(i, j)) > noise * std::abs(mean_(0, j))) return false;
    return true;
  }
  static void scale(Matrix<double>& x, double by) {
    for (std::size_t k = 0; k < x.size(); ++k) x.data()[k] *= by;
  }

  const LinearSystem& system_;
  const Arena& arena_;
  std::size_t n_, d_;
  Matrix<double> step_;  // αI + H
  Matrix<double> x_, varying_;
  Matrix<double> attended_;  // by A: X, then Y
  Matrix<double> mean_, moved_;
  double log_norm_ = 0, log_varying_ = 0, log_mean_ = 0;
  double attention_rounding_ = 0, rounding_ = 0, mean_rounding_ = 0;
};

/// Iterates X ← αX + AXH; fills the measures and the last X, of norm 1.
std::vector<TokenMeasures> run_linear(const LinearSystem& system, const SimulationSpec& spec,
                                      const Arena& arena, Matrix<double>& x) {
  LinearStream stream(system, arena);
  std::vector<TokenMeasures> out;
  for (std::size_t layer = 0;; ++layer) {
    if (layer % 64 == 0) check_interrupt();
    if (is_recorded(layer, spec.layers, spec.record_every)) out.push_back(stream.measures());
    if (layer == spec.layers) break;
    stream.advance();
  }
  x = stream.tokens().copy();
  return out;
}

// Mean and standard error over runs of one field; see LayerRecord for what is left out.
void combine(const std::vector<std::vector<TokenMeasures>>& runs, std::size_t index,
             double TokenMeasures::*field, LayerRecord& record) {
  double sum = 0, squares = 0, count = 0;
  for (const auto& run : runs)
    if (std::isfinite(run[index].*field)) {
      sum += run[index].*field;
      ++count;
    }
  record.mean.*field = count > 0 ? sum / count : runs[0][index].*field;
  for (const auto& run : runs)
    if (std::isfinite(run[index].*field)) squares += std::pow(run[index].*field - record.mean.*field, 2);
  record.standard_error.*field = count > 1 ? std::sqrt(squares / (count - 1) / count) : kNaN;
}

std::vector<LayerRecord> combine_runs(const std::vector<std::vector<TokenMeasures>>& runs,
                                      const SimulationSpec& spec) {
  std::vector<LayerRecord> records;
  for (std::size_t layer = 0; layer <= spec.layers; ++layer) {
    if (!is_recorded(layer, spec.layers, spec.record_every)) continue;
    LayerRecord record;
    record.layer = layer;
    const std::size_t index = records.size();
    for (double TokenMeasures::*field : kFields) combine(runs, index, field, record);
    record.mean.rows = record.standard_error.rows = runs[0][index].rows;
    records.push_back(record);
  }
  return records;
}

[[noreturn]] void refuse(const std::string& field, const std::string& expected, const std::string& found) {
  throw Error(ErrorKind::kUsage, field, "expected " + expected + ", found " + found);
}

void check_count(const std::string& field, std::size_t value, std::size_t least, std::size_t most) {
  if (value < least || value > most)
    refuse(field, "a number from " + std::to_string(least) + " to " + std::to_string(most),
           std::to_string(value));
}

void check_finite(const std::string& field, double value) {
  if (!std::isfinite(value)) refuse(field, "a finite number", std::to_string(value));
}

void check(const LinearSystem& system) {
  const std::size_t n = system.attention.rows(), d = system.weights.rows();
  const auto shape = [](const Matrix<double>& m) {
    return std::to_string(m.rows()) + "×" + std::to_string(m.cols());
  };
  check_count("linear.attention rows", n, 1, kLargestSize);
  check_count("linear.weights rows", d, 1, kLargestSize);
  if (system.attention.cols() != n) refuse("linear.attention", "a square matrix", shape(system.attention));
  if (system.weights.cols() != d) refuse("linear.weights", "a square matrix", shape(system.weights));
  if (system.tokens.rows() != n || system.tokens.cols() != d)
    refuse("linear.tokens", std::to_string(n) + "×" + std::to_string(d) + " as attention and weights have it",
           shape(system.tokens));
  check_finite("linear.residual", system.residual);
}

void check(const TransformerSystem& system) {
  check_count("transformer.tokens", system.tokens, 1, kLargestSize);
  check_count("transformer.width", system.width, 1, kLargestSize);
  check_count("transformer.heads", system.heads, 1, system.width);
  check_count("transformer.seeds", system.seeds, 1, kMostSeeds);
  if (system.width % system.heads != 0)
    refuse("transformer.heads", "a divisor of the width " + std::to_string(system.width),
           std::to_string(system.heads));
  check_finite("transformer.gamma", system.gamma);
  check_finite("transformer.residual", system.residual);
  check_finite("transformer.logit_scale", system.logit_scale);
  const Interventions& use = system.interventions;
  check_finite("interventions.attn_scale", use.attn_scale);
  check_finite("interventions.feat_scale_low", use.feat_scale_low);
  check_finite("interventions.feat_scale_high", use.feat_scale_high);
  check_finite("interventions.contra_norm", use.contra_norm);
  check_finite("interventions.neutreno", use.neutreno);
}

void simulate_linear(const SimulationSpec& spec, const LinearSystem& system, const Arena& arena,
                     SimulationResult& out) {
  // First the theory: it also refuses NaN and rows that do not sum to 1.
  out.prediction =
      analyse_modes(mode_table(system.attention, system.weights, system.tokens, system.residual));
  out.records = combine_runs({run_linear(system, spec, arena, out.final_tokens)}, spec);
}

void simulate_transformer(const SimulationSpec& spec, const TransformerSystem& system, const Arena& arena,
                          SimulationResult& out) {
  out.runs = system.seeds;
  std::vector<std::vector<TokenMeasures>> runs(system.seeds);
  Progress progress("simulate " + printable(spec.name), "seed", static_cast<double>(system.seeds));
  arena.parallel_for(runs.size(), [&](std::size_t run) {
    runs[run] =
        run_transformer(system, static_cast<std::uint32_t>(run), spec.layers, spec.record_every, arena);
    progress.advance();
  });
  out.records = combine_runs(runs, spec);
}

}  // namespace

void check_spec(const SimulationSpec& spec) {
  check_count("layers", spec.layers, 0, kMostLayers);
  check_count("record_every", spec.record_every, 1, kMostLayers);
  std::visit([](const auto& system) { check(system); }, spec.system);
  const auto* stack = std::get_if<TransformerSystem>(&spec.system);
  const std::size_t records = (spec.layers / spec.record_every + 2) * (stack ? stack->seeds : 1);
  if (records > kMostRecords)
    refuse("record_every",
           "at most " + std::to_string(kMostRecords) + " records of all layers and seeds together",
           std::to_string(records));
}

SimulationResult simulate(const SimulationSpec& spec, const Arena& arena) {
  check_spec(spec);
  SimulationResult out;
  out.name = spec.name;
  if (const auto* linear = std::get_if<LinearSystem>(&spec.system))
    simulate_linear(spec, *linear, arena, out);
  else
    simulate_transformer(spec, std::get<TransformerSystem>(spec.system), arena, out);
  return out;
}

SimulationResult simulate(const SimulationSpec& spec) {
  return simulate(spec, Arena(1));
}

}  // namespace telos::smoothing
