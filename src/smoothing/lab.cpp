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

// Iterates X ← αX + AXH with X divided by its norm in each layer; fills the measures and the last X.
std::vector<TokenMeasures> run_linear(const LinearSystem& system, const SimulationSpec& spec,
                                      const Arena& arena, Matrix<double>& x) {
  const std::size_t n = system.tokens.rows(), d = system.tokens.cols();
  x = system.tokens.copy();
  Matrix<double> ax(n, d);
  double log_norm = normalise(x);
  std::vector<TokenMeasures> out;
  for (std::size_t layer = 0;; ++layer) {
    if (layer % 64 == 0) check_interrupt();
    if (is_recorded(layer, spec.layers, spec.record_every)) {
      TokenMeasures measures = measure_tokens(x);
      measures.log_norm = log_norm;
      measures.dirichlet *= std::exp(2 * log_norm);
      out.push_back(measures);
    }
    if (layer == spec.layers) return out;
    gemm<double>(Op::kPlain, Op::kPlain, 1, system.attention, x, 0, ax.view(), arena);
    gemm<double>(Op::kPlain, Op::kPlain, 1, ax, system.weights, system.residual, x.view(), arena);
    log_norm += normalise(x);
  }
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
