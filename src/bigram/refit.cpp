// Least squares on samples of which only the tokens at supports are known.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::bigram {
namespace {

/// Added to the diagonal of mean squares: a token that never came keeps its equations solvable.
constexpr double kRidge = 1e-9;
constexpr double kSignificant = 4;  ///< standard errors
/// Sums over samples are taken in as many parts, whatever the number of threads.
constexpr std::size_t kParts = 8;
/// Normal equations of a column with this many positions take a second.
constexpr std::size_t kMostInSupport = 1024;

/// M = L Lᵀ for symmetric positive definite M. Plain loops: the same bits on every machine, which LAPACK's
/// are not.
class Cholesky {
 public:
  explicit Cholesky(Matrix<double> m) : l_(std::move(m)) {
    for (std::size_t j = 0; j < l_.rows(); ++j) {
      check_interrupt();
      for (std::size_t i = j; i < l_.rows(); ++i) {
        double sum = l_(i, j);
        for (std::size_t k = 0; k < j; ++k) sum -= l_(i, k) * l_(j, k);
        l_(i, j) = i == j ? std::sqrt(std::max(sum, kRidge * kRidge)) : sum / l_(j, j);
      }
    }
  }
  /// x becomes M⁻¹x.
  void solve(double* x) const {
    for (std::size_t i = 0; i < l_.rows(); ++i) {
      for (std::size_t k = 0; k < i; ++k) x[i] -= l_(i, k) * x[k];
      x[i] /= l_(i, i);
    }
    for (std::size_t i = l_.rows(); i-- > 0;) {
      for (std::size_t k = i + 1; k < l_.rows(); ++k) x[i] -= l_(k, i) * x[k];
      x[i] /= l_(i, i);
    }
  }

 private:
  Matrix<double> l_;
};

/// Of some samples Σ e_o hᵀ, and a matrix that gives Σ h hᵀ with its transpose added.
struct ValueSums {
  Matrix<double> oh, hh;
};
ValueSums sum_values(const SparseSamples& samples, std::size_t begin, std::size_t end, std::size_t n,
                     const std::vector<Column>& columns) {
  ValueSums sums{Matrix<double>(n, n), Matrix<double>(n, n)};
  for (std::size_t i = begin; i < end; ++i) {
    check_interrupt();
    const auto tokens = samples.tokens(i);
    const std::vector<double>& a = columns[samples.last(i)].weights;
    for (std::size_t s = 0; s < tokens.size(); ++s) {
      sums.oh(samples.output(i), tokens[s]) += a[s];
      for (std::size_t t = 0; t < s; ++t) sums.hh(tokens[s], tokens[t]) += a[s] * a[t];
      sums.hh(tokens[s], tokens[s]) += a[s] * a[s] / 2;
    }
  }
  return sums;
}

/// V = (mean of e_o hᵀ)(mean of h hᵀ + ridge)⁻¹
Matrix<double> fit_values(const SparseSamples& samples, std::size_t n, const std::vector<Column>& columns,
                          const Arena& arena) {
  std::vector<ValueSums> parts(kParts);
  arena.parallel_for(kParts, [&](std::size_t part) {
    parts[part] =
        sum_values(samples, part * samples.size() / kParts, (part + 1) * samples.size() / kParts, n, columns);
  });
  Matrix<double> hh(n, n), v(n, n);
  const double ridge = kRidge * static_cast<double>(std::max<std::size_t>(samples.size(), 1));
  for (const ValueSums& part : parts)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        v(i, j) += part.oh(i, j);
        hh(i, j) += part.hh(i, j) + part.hh(j, i);
      }
  for (std::size_t j = 0; j < n; ++j) hh(j, j) += ridge;
  const Cholesky factor(std::move(hh));
  for (std::size_t row = 0; row < n; ++row) factor.solve(v.row(row));
  return v;
}

/// The fit of one column: a = argmin Σ‖e_o − V X_S a‖² with 1ᵀa = 1. With M the mean of (V X_S)ᵀ(V X_S), b
/// that of (V X_S)ᵀe_o and H = M⁻¹ − M⁻¹11ᵀM⁻¹/(1ᵀM⁻¹1): a = M⁻¹1/(1ᵀM⁻¹1) + H b.
class ColumnFit {
 public:
  ColumnFit(const SparseSamples& samples, std::size_t last, ConstMatrixView<double> v,
            ConstMatrixView<double> vv)
      : samples_(samples), own_(samples.with_last(last)), v_(v), vv_(vv) {}

  void fit(Column& column) {
    const std::size_t size = column.positions.size();
    if (own_.empty()) return;
    Matrix<double> m(size, size);
    std::vector<double> b(size), even(size);
    for (const std::uint32_t i : own_) {
      check_interrupt();
      const auto tokens = samples_.tokens(i);
      for (std::size_t s = 0; s < size; ++s) {
        b[s] += v_(samples_.output(i), tokens[s]) / count();
        for (std::size_t t = 0; t <= s; ++t) m(s, t) += vv_(tokens[s], tokens[t]) / count();
      }
    }
    for (std::size_t s = 0; s < size; ++s) m(s, s) += kRidge;
    constrain(Cholesky(std::move(m)), even);
    for (std::size_t s = 0; s < size; ++s) {
      column.weights[s] = even[s];
      for (std::size_t t = 0; t < size; ++t) column.weights[s] += h_(s, t) * b[t];
    }
  }

  /// After fit(): √diag of the mean of (H g)(H g)ᵀ over the number of samples, g = (V X_S)ᵀr.
  std::vector<double> errors(const Column& column) const {
    const std::size_t size = column.positions.size();
    std::vector<double> result(size), g(size);
    for (const std::uint32_t i : own_) {
      check_interrupt();
      const auto tokens = samples_.tokens(i);
      for (std::size_t s = 0; s < size; ++s) {
        g[s] = -v_(samples_.output(i), tokens[s]);
        for (std::size_t t = 0; t < size; ++t) g[s] += column.weights[t] * vv_(tokens[s], tokens[t]);
      }
      for (std::size_t s = 0; s < size; ++s) {
        double x = 0;
        for (std::size_t t = 0; t < size; ++t) x += h_(s, t) * g[t];
        result[s] += x * x / (count() * count());
      }
    }
    for (double& x : result) x = std::sqrt(x);
    return result;
  }

 private:
  double count() const { return static_cast<double>(own_.size()); }

  /// H, and M⁻¹1/(1ᵀM⁻¹1).
  void constrain(const Cholesky& factor, std::vector<double>& even) {
    const std::size_t size = even.size();
    h_ = Matrix<double>(size, size);
    std::ranges::fill(even, 1.0);
    factor.solve(even.data());
    double sum = 0;
    for (const double x : even) sum += x;
    for (std::size_t s = 0; s < size; ++s) {
      h_(s, s) = 1;
      factor.solve(h_.row(s));
      for (std::size_t t = 0; t < size; ++t) h_(s, t) -= even[s] * even[t] / sum;
    }
    for (double& x : even) x /= sum;
  }

  const SparseSamples& samples_;
  std::span<const std::uint32_t> own_;
  ConstMatrixView<double> v_, vv_;
  Matrix<double> h_;
};

[[noreturn]] void refuse(ErrorKind kind, const std::string& message) {
  throw Error(kind, "refit", message);
}

/// Supports as columns whose weights are those of `start`, scaled to sum 1.
std::vector<Column> start_columns(const Instance& instance,
                                  const std::vector<std::vector<std::uint32_t>>& supports,
                                  const Model& start) {
  const std::size_t n = instance.tokens();
  if (supports.size() != n || start.a.rows() != n || start.a.cols() != instance.length)
    refuse(ErrorKind::kShape,
           fmt::format("{} supports and A of {} × {}, expected {} and {} × {}", supports.size(),
                       start.a.rows(), start.a.cols(), n, n, instance.length));
  std::vector<Column> columns(n);
  for (std::size_t k = 0; k < n; ++k) {
    const auto& positions = supports[k];
    const std::string whose = fmt::format("the support of \"{}\"", printable(instance.name(k)));
    if (positions.empty() || positions.back() >= instance.length ||
        std::ranges::adjacent_find(positions, std::greater_equal<>()) != positions.end())
      refuse(ErrorKind::kUsage,
             fmt::format("{} is not a list of ascending positions below {}", whose, instance.length));
    if (positions.size() > kMostInSupport)
      refuse(ErrorKind::kLimit,
             fmt::format("{} has {} positions, at most {}", whose, positions.size(), kMostInSupport));
    columns[k].positions = positions;
    double sum = 0;
    for (const std::uint32_t t : positions) sum += start.a(k, t);
    for (const std::uint32_t t : positions)
      columns[k].weights.push_back(sum > 0 ? start.a(k, t) / sum : 1 / static_cast<double>(positions.size()));
  }
  return columns;
}

}  // namespace

Matrix<double> gram(ConstMatrixView<double> v) {
  Matrix<double> w(v.cols(), v.cols());
  for (std::size_t o = 0; o < v.rows(); ++o) {
    check_interrupt();
    for (std::size_t i = 0; i < v.cols(); ++i)
      for (std::size_t j = 0; j < v.cols(); ++j) w(i, j) += v(o, i) * v(o, j);
  }
  return w;
}

SparseModel least_squares(const SparseSamples& samples, std::size_t tokens, std::vector<Column> columns,
                          std::size_t rounds, bool values_only, const Arena& arena) {
  SparseModel model{{}, std::move(columns), std::vector<std::vector<double>>(tokens)};
  for (std::size_t round = 0; round < rounds; ++round) {
    check_interrupt();
    model.v = fit_values(samples, tokens, model.columns, arena);
    if (values_only) break;
    const Matrix<double> vv = gram(model.v);
    arena.parallel_for(tokens, [&](std::size_t k) {
      ColumnFit column(samples, k, model.v, vv);
      column.fit(model.columns[k]);
      if (round + 1 == rounds) model.errors[k] = column.errors(model.columns[k]);
    });
  }
  return model;
}

std::size_t drop_insignificant(SparseModel& model) {
  std::size_t dropped = 0;
  for (std::size_t k = 0; k < model.columns.size(); ++k) {
    Column& column = model.columns[k];
    const std::vector<double>& errors = model.errors[k];
    const double largest = *std::ranges::max_element(column.weights);
    std::size_t kept = 0;
    for (std::size_t s = 0; s < column.positions.size(); ++s) {
      const double weight = column.weights[s];
      if (weight < kSignificant * errors[s] && weight < largest) continue;
      column.positions[kept] = column.positions[s];
      column.weights[kept++] = weight;
    }
    dropped += column.positions.size() - kept;
    column.positions.resize(kept);
    column.weights.resize(kept);
  }
  return dropped;
}

Model dense(const SparseModel& model, std::size_t length) {
  Model out{model.v.copy(), Matrix<double>(model.columns.size(), length)};
  for (std::size_t k = 0; k < model.columns.size(); ++k)
    for (std::size_t s = 0; s < model.columns[k].positions.size(); ++s)
      out.a(k, model.columns[k].positions[s]) = model.columns[k].weights[s];
  return out;
}

Model refit(const Instance& instance, const std::vector<std::vector<std::uint32_t>>& supports,
            const Model& start, std::uint64_t samples, std::size_t rounds, std::uint64_t seed,
            const Arena& arena) {
  if (samples == 0 || rounds == 0) refuse(ErrorKind::kUsage, "expected samples and rounds above 0");
  std::vector<Column> columns = start_columns(instance, supports, start);
  const SparseSamples drawn(Sampler(instance, seed), Stream::kRefit, sample_range(0, samples), columns,
                            arena);
  return dense(least_squares(drawn, instance.tokens(), std::move(columns), rounds, false, arena),
               instance.length);
}

}  // namespace telos::bigram
