#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "positional/studies/parts.h"
#include "telos/base/error.h"
#include "telos/report/words.h"

namespace telos::positional {
namespace {

using studies::View;
constexpr const char* kMomentumWhere = "momentum attention";

/// Both forms are linear attention over keys weighted by how long they have been in: the recurrence sums
/// geometric series as it goes, the published form weights them once, with the whole length.
struct Sums {
  Matrix<double> momentum, state;  // P, S
  std::vector<double> normaliser;  // z
};

void emit(View phi_q, std::size_t i, const Sums& sums, double epsilon, MatrixView<double> out) {
  double normaliser = epsilon;
  for (std::size_t f = 0; f < phi_q.cols(); ++f) {
    normaliser += phi_q(i, f) * sums.normaliser[f];
    for (std::size_t c = 0; c < out.cols(); ++c) out(i, c) += phi_q(i, f) * sums.state(f, c);
  }
  for (std::size_t c = 0; c < out.cols(); ++c) out(i, c) /= normaliser;
}

double row_norm(View x, std::size_t i) {
  double squares = 0;
  for (std::size_t j = 0; j < x.cols(); ++j) squares += x(i, j) * x(i, j);
  return std::sqrt(squares);
}

}  // namespace

Matrix<double> elu_features(ConstMatrixView<double> x) {
  Matrix<double> y(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) y(i, j) = x(i, j) > 0 ? x(i, j) + 1 : std::exp(x(i, j));
  return y;
}

Matrix<double> momentum_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                  ConstMatrixView<double> v, const MomentumOptions& options) {
  studies::check_attention(kMomentumWhere, q, k, v, true);
  if (!(options.mu >= 0 && options.mu < 1))
    throw Error(ErrorKind::kUsage, kMomentumWhere,
                "μ is " + std::to_string(options.mu) + ", expected 0 ≤ μ < 1");
  const Matrix<double> phi_q = elu_features(q), phi_k = elu_features(k);
  const std::size_t n = k.rows(), d = k.cols(), width = v.cols();
  Sums sums{Matrix<double>(d, width), Matrix<double>(d, width), std::vector<double>(d)};
  Matrix<double> out(n, width);
  for (std::size_t i = 0; i < n; ++i) {
    const double weight =
        (1 - std::pow(options.mu, static_cast<double>(n - i))) / (1 - options.mu) * options.gamma;
    for (std::size_t f = 0; f < d; ++f) {
      for (std::size_t c = 0; c < width; ++c) {
        const double pair = phi_k(i, f) * v(i, c);
        if (options.published) {
          sums.state(f, c) += weight * pair;
        } else {
          sums.momentum(f, c) = options.mu * sums.momentum(f, c) - options.gamma * pair;
          sums.state(f, c) -= sums.momentum(f, c);
        }
      }
      sums.normaliser[f] += phi_k(i, f);
    }
    emit(phi_q, i, sums, options.epsilon, out);
  }
  return out;
}

std::vector<double> adaptive_momentum_step(AdaptiveMomentum& state, ConstMatrixView<double> g, double gamma,
                                           double delta, MatrixView<double> x) {
  if (g.rows() != x.rows() || g.cols() != x.cols() || g.empty())
    studies::shape_error(kMomentumWhere, "an update of " + std::to_string(g.rows()) + " × " +
                                             std::to_string(g.cols()) + " for tokens of " +
                                             std::to_string(x.rows()) + " × " + std::to_string(x.cols()));
  if (state.first) {
    state.previous = Matrix<double>(g.rows(), g.cols());
    std::fill_n(state.previous.data(), state.previous.size(), 1.0);
    state.velocity = Matrix<double>(g.rows(), g.cols());
  }
  if (state.previous.rows() != g.rows() || state.previous.cols() != g.cols())
    studies::shape_error(kMomentumWhere, "the state is of another shape than the update");
  std::vector<double> mu;
  for (std::size_t i = 0; i < g.rows(); ++i) {
    double change = 0;
    for (std::size_t j = 0; j < g.cols(); ++j) change += std::pow(g(i, j) - state.previous(i, j), 2);
    const double below = row_norm(state.first ? state.previous : state.velocity, i);
    // Without velocity there is no curvature to estimate; no momentum then.
    const double ratio = below > 0 ? std::sqrt(std::sqrt(change) / below) : 1;
    mu.push_back(std::clamp((1 - ratio) * (1 - ratio), 0.0, 1 - delta));
    for (std::size_t j = 0; j < g.cols(); ++j) {
      state.velocity(i, j) = mu.back() * state.velocity(i, j) - g(i, j);
      x(i, j) -= gamma * state.velocity(i, j);
      state.previous(i, j) = g(i, j);
    }
  }
  state.first = false;
  return mu;
}

namespace studies {
namespace {

/// From S_i = γΣ_{j≤i} (1 − μ^{i−j+1})/(1 − μ)·φ(k_j)v_jᵀ, as an n × n matrix of weights.
Matrix<double> closed_form(View q, View k, View v, const MomentumOptions& options) {
  const Matrix<double> scores = times_transposed(elu_features(q), elu_features(k));
  Matrix<double> out(q.rows(), v.cols());
  for (std::size_t i = 0; i < q.rows(); ++i) {
    double normaliser = options.epsilon;
    for (std::size_t j = 0; j <= i; ++j) {
      const double weight =
          options.gamma * (1 - std::pow(options.mu, static_cast<double>(i - j + 1))) / (1 - options.mu);
      normaliser += scores(i, j);
      for (std::size_t c = 0; c < v.cols(); ++c) out(i, c) += weight * scores(i, j) * v(j, c);
    }
    for (std::size_t c = 0; c < v.cols(); ++c) out(i, c) /= normaliser;
  }
  return out;
}

}  // namespace

void run_momentum(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kTokens = 64, kWidth = 8;
  const std::array<double, 5> mus{0, 0.3, 0.6, 0.9, 0.99};
  struct Outcome {
    double closed = 0, published = 0, last = 0;
  };
  std::array<Outcome, mus.size()> outcomes;
  arena.parallel_for(mus.size(), [&](std::size_t s) {
    Random random(seed);
    const Matrix<double> q = normals(kTokens, kWidth, random), k = normals(kTokens, kWidth, random),
                         v = normals(kTokens, kWidth, random);
    const MomentumOptions options{.mu = mus[s], .gamma = 0.9};
    MomentumOptions published = options;
    published.published = true;
    const Matrix<double> a = momentum_attention(q, k, v, options), b = momentum_attention(q, k, v, published);
    const auto row = [](const Matrix<double>& x, std::size_t i) { return x.view().block(i, 0, 1, x.cols()); };
    outcomes[s].closed = largest_difference(a, closed_form(q, k, v, options));
    outcomes[s].last = largest_difference(row(a, kTokens - 1), row(b, kTokens - 1));
    outcomes[s].published = largest_difference(a, b);
  });
  result.table = {"Recurrence over 64 tokens, largest difference from",
                  {"μ", "closed form", "published path, last token", "published path, any token"},
                  {}};
  result.holds = true;
  for (std::size_t s = 0; s < mus.size(); ++s) {
    const auto& [closed, published, last] = outcomes[s];
    result.table.rows.push_back({mus[s], closed, last, published});
    // Weights grow to 1/(1 − μ), and rounding with them; μ = 0 makes both paths linear attention.
    const double tolerance = 1e-12 / (1 - mus[s]);
    result.holds = result.holds && closed < tolerance && last < tolerance &&
                   (mus[s] == 0 ? published < tolerance : published > 1e-3);
  }
  result.measured = fmt::format(
      "recurrence and closed form differ by {}, the published path by up to {:.2f} "
      "before the last token (μ = 0.9)",
      format_number(outcomes[3].closed, 1), outcomes[3].published);
}

}  // namespace studies
}  // namespace telos::positional
