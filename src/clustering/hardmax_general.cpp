#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "clustering/hardmax_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos::clustering {
namespace {

/// P with z' = z + P (m − z): (I + V)⁻¹ V, or sI.
Matrix<double> step_matrix(std::size_t d, double alpha, ConstMatrixView<double> v) {
  Matrix<double> p(d, d);
  if (v.empty()) {
    for (std::size_t i = 0; i < d; ++i) p(i, i) = alpha / (1 + alpha);
    return p;
  }
  Matrix<double> shifted(d, d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) shifted(i, j) = v(i, j) + (i == j ? 1 : 0);
  try {
    p = solve(shifted, v);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoConvergence) throw;
    throw Error(ErrorKind::kNoConvergence, "hardmax", "I + V is singular", "no layer of such a V is defined");
  }
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!std::isfinite(p.data()[i]))
      throw Error(ErrorKind::kNoConvergence, "hardmax", "I + V is singular to working precision");
  return p;
}

/// Tokens are run with norms below 1. Beyond this, squares and scores would overflow.
constexpr double kLargestNorm = 1e150;

/// A, times the power of two that brings its largest entry below 1: argmax sets stay the same.
Matrix<double> scaled_form(ConstMatrixView<double> a) {
  if (a.empty()) return {};
  Matrix<double> out(a.rows(), a.cols());
  double most = 0;
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) {
      out(i, j) = a(i, j);
      most = std::max(most, std::abs(a(i, j)));
    }
  int exponent = 0;
  std::frexp(most, &exponent);
  scale_by_power(out.view(), -exponent);
  return out;
}

class Stepper {
 public:
  Stepper(HardmaxInput& input, double alpha, const HardmaxOptions& options, const Arena& arena)
      : options_(options),
        arena_(arena),
        a_(scaled_form(options.a)),
        p_(step_matrix(input.w.cols(), alpha, options.v)),
        s_(result_.state),
        lowest_(input.lowest) {
    s_.w.tokens = std::move(input.w);
    s_.z.tokens = std::move(input.z);
    s_.copies = std::move(input.copies);
    const std::size_t n = s_.size();
    s_.norm.resize(n);
    for (std::size_t t = 0; t < n; ++t) s_.norm[t] = canonical_norm(s_.w.tokens.row(t), s_.dimension());
    s_.state.assign(n, TokenState::kActive);
    s_.decided.assign(n, HardmaxRun::kUndecidedLayer);
    s_.target.assign(n, 0);
    result_.changed.assign(n, 0);
    all_.resize(n);
    for (TokenId t = 0; t < n; ++t) all_[t] = t;
  }

  EngineResult run() {
    const bool forever = options_.layers == kAllLayers;
    const std::size_t layers = forever ? options_.max_general_layers : options_.layers;
    const double start = s_.norm[0];
    Progress progress("hardmax", "layer", static_cast<double>(layers));
    for (; s_.layer < layers && !result_.stalled; ++s_.layer) {
      check_interrupt();
      find_sets();
      record();
      const double moved = move();
      progress.advance();
      if (moved == 0) {
        s_.state.assign(s_.size(), TokenState::kStatic);
        s_.decided.assign(s_.size(), static_cast<std::uint32_t>(s_.layer));
        ++s_.layer;
        break;
      }
      result_.stalled = forever && moved <= options_.displacement * start;
    }
    const bool moves = s_.state[0] == TokenState::kActive;
    result_.capped = forever && moves && !result_.stalled;
    result_.stalled = result_.stalled || result_.capped;
    if (!moves) result_.per_layer.back().decided = s_.size();
    if (options_.history) result_.history.push_back(moves ? snapshot() : HardmaxRun::Layer{});
    return std::move(result_);
  }

 private:
  const Matrix<double>& positions() const { return s_.z.tokens.empty() ? s_.w.tokens : s_.z.tokens; }

  HardmaxRun::Layer snapshot() const {
    const double layers = static_cast<double>(s_.layer + 1);
    require_memory(layers * 8 * static_cast<double>(positions().size()), "hardmax",
                   "limit the layers, or keep no history");
    HardmaxRun::Layer layer;
    layer.active = all_;
    layer.z = positions().copy();
    return layer;
  }

  void find_sets() {
    std::swap(sets_, before_);
    sets_ = {};
    const std::size_t n = s_.size(), d = s_.dimension();
    // ⟨A z_i, z_j⟩: the queries are the rows of Z Aᵀ.
    Matrix<double> queries(n, d);
    if (a_.empty())
      queries = s_.w.tokens.copy();
    else
      gemm<double>(Op::kPlain, Op::kTransposed, 1, s_.w.tokens, a_, 0, queries, arena_);
    const double tie = options_.tie_tolerance * *std::ranges::max_element(s_.norm);
    std::vector<std::vector<TokenId>> found(n);
    arena_.parallel_for(n, [&](std::size_t i) {
      std::vector<double> scores(n);
      for (std::size_t j = 0; j < n; ++j) scores[j] = canonical_dot(queries.row(i), s_.w.tokens.row(j), d);
      const double least = *std::ranges::max_element(scores) - tie * canonical_norm(queries.row(i), d);
      for (TokenId j = 0; j < n; ++j)
        if (scores[j] >= least) found[i].push_back(j);
    });
    for (const std::vector<TokenId>& set : found) sets_.set.push_back(sets_.add(set));
    sets_.scores = static_cast<std::uint64_t>(n) * n;
  }

  void record() {
    LayerCounts counts;
    counts.active = s_.size();
    counts.scores = sets_.scores;
    if (s_.layer == 0) result_.first_target.resize(s_.size());
    for (std::size_t i = 0; i < s_.size(); ++i) {
      const std::span<const TokenId> set = sets_.of(i);
      counts.ties += set.size() > 1;
      if (s_.layer == 0) {
        std::uint32_t lowest = lowest_[set[0]];
        for (const TokenId member : set) lowest = std::min(lowest, lowest_[member]);
        result_.first_target[i] = lowest;
      } else if (!std::ranges::equal(set, before_.of(i))) {
        ++counts.changed;
        result_.changed[i] = 1;
      }
    }
    result_.per_layer.push_back(counts);
    if (!options_.history) return;
    HardmaxRun::Layer layer = snapshot();
    layer.set = sets_.set;
    layer.begin = sets_.begin;
    layer.members = sets_.tokens;
    result_.history.push_back(std::move(layer));
  }

  Matrix<double> step(const Matrix<double>& z, std::vector<double>& moved) const {
    const std::size_t n = z.rows(), d = z.cols();
    Matrix<double> way(n, d), next(n, d);
    arena_.parallel_for(n, [&](std::size_t i) {
      double weight = 0;
      double* const to = way.row(i);
      for (const TokenId j : sets_.of(i)) {
        weight += s_.copies[j];
        for (std::size_t c = 0; c < d; ++c) to[c] += s_.copies[j] * z(j, c);
      }
      for (std::size_t c = 0; c < d; ++c) to[c] = to[c] / weight - z(i, c);
    });
    gemm<double>(Op::kPlain, Op::kTransposed, 1, way, p_, 0, next, arena_);
    arena_.parallel_for(n, [&](std::size_t i) {
      moved[i] = canonical_norm(next.row(i), d);
      for (std::size_t c = 0; c < d; ++c) next(i, c) += z(i, c);
    });
    return next;
  }

  double move() {
    std::vector<double> moved(s_.size());
    if (!s_.z.tokens.empty()) s_.z.tokens = step(s_.z.tokens, moved);
    s_.w.tokens = step(s_.w.tokens, moved);
    for (std::size_t t = 0; t < s_.size(); ++t)
      if (s_.norm[t] = canonical_norm(s_.w.tokens.row(t), s_.dimension()); !(s_.norm[t] <= kLargestNorm))
        throw Error(ErrorKind::kNotFinite, "hardmax",
                    "the tokens grow without bound: layer " + std::to_string(s_.layer + 1) +
                        " is out of the range of numbers",
                    "limit the layers, or take a V that does not expand");
    return *std::ranges::max_element(moved);
  }

  const HardmaxOptions& options_;
  const Arena& arena_;
  Matrix<double> a_, p_;
  EngineResult result_;
  HardmaxState& s_;
  const std::vector<std::uint32_t>& lowest_;
  std::vector<TokenId> all_;
  ArgmaxSets sets_, before_;
};

}  // namespace

EngineResult run_general(HardmaxInput& input, double alpha, const HardmaxOptions& options,
                         const Arena& arena) {
  return Stepper(input, alpha, options, arena).run();
}

}  // namespace telos::clustering
