#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "clustering/soft_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos::clustering {
namespace {

Matrix<double> product(Op op_a, Op op_b, ConstMatrixView<double> a, ConstMatrixView<double> b,
                       const Arena& arena) {
  Matrix<double> out(op_a == Op::kPlain ? a.rows() : a.cols(), op_b == Op::kPlain ? b.cols() : b.rows());
  gemm<double>(op_a, op_b, 1, a, b, 0, out.view(), arena);
  return out;
}
Matrix<double> product(ConstMatrixView<double> a, ConstMatrixView<double> b, const Arena& arena) {
  return product(Op::kPlain, Op::kPlain, a, b, arena);
}

Matrix<double> identity(std::size_t d) {
  Matrix<double> out(d, d);
  for (std::size_t i = 0; i < d; ++i) out(i, i) = 1;
  return out;
}

/// Makes the largest entry 1.
void rescale(ScaledMatrix& m) {
  double most = 0;
  for (std::size_t i = 0; i < m.matrix.size(); ++i) most = std::max(most, std::abs(m.matrix.data()[i]));
  if (!(most > 0)) return;
  for (std::size_t i = 0; i < m.matrix.size(); ++i) m.matrix.data()[i] /= most;
  m.log_scale += std::log(most);
}

ScaledMatrix scaled_product(const ScaledMatrix& a, const ScaledMatrix& b, const Arena& arena) {
  ScaledMatrix out{product(a.matrix, b.matrix, arena), a.log_scale + b.log_scale};
  rescale(out);
  return out;
}

/// QᵀK, where one of them is given; empty: I.
Matrix<double> form_of(ConstMatrixView<double> q, ConstMatrixView<double> k, std::size_t d,
                       const Arena& arena) {
  if (q.empty() && k.empty()) return {};
  const Matrix<double> one = identity(d);
  return product(Op::kTransposed, Op::kPlain, q.empty() ? one.view() : q, k.empty() ? one.view() : k, arena);
}

double norm_or_one(ConstMatrixView<double> m) {
  return m.empty() ? 1 : spectral_norm(m);
}

class EmergenceFlow final : public Flow {
 public:
  EmergenceFlow(const SoftOptions& options, std::size_t d, const Arena& arena)
      : form_(form_of(options.q, options.k, d, arena)), arena_(arena) {
    v_ = Matrix<double>(d, d);
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) v_(i, j) = options.v.empty() ? (i == j ? 1 : 0) : options.v(i, j);
  }

  void begin_stretch(double time, double step) override {
    growth_ = exponential(time);
    half_ = exponential(step / 2);
    half_steps_ = 0;
    update_form();
  }

  void slope(std::size_t half_steps, ConstMatrixView<double> x, MatrixView<double> out) override {
    for (; half_steps_ < half_steps; ++half_steps_) {
      growth_ = scaled_product(growth_, half_, arena_);
      if (half_steps_ + 1 == half_steps) update_form();
    }
    Matrix<double> gap(x.rows(), x.cols());
    attend(product(x, scores_.matrix, arena_), x, x, {.scale = std::exp(scores_.log_scale)}, gap, arena_);
    for (std::size_t i = 0; i < x.rows(); ++i)
      for (std::size_t c = 0; c < x.cols(); ++c) gap(i, c) -= x(i, c);
    gemm<double>(Op::kPlain, Op::kTransposed, 1, gap, v_, 0, out, arena_);
  }

  bool saturated(ConstMatrixView<double> x) override {
    return is_saturated(product(x, scores_.matrix, arena_), x, std::exp(scores_.log_scale), arena_);
  }

 private:
  ScaledMatrix exponential(double time) const {
    Matrix<double> tv = v_.copy();
    for (std::size_t i = 0; i < tv.size(); ++i) tv.data()[i] *= time;
    return scaled_exponential(tv, arena_);
  }
  /// ⟨Q e^{tV} z_i, K e^{tV} z_j⟩ = z_iᵀ F z_j with F = e^{tV}ᵀ QᵀK e^{tV}.
  void update_form() {
    const Matrix<double>& g = growth_.matrix;
    const Matrix<double> right = form_.empty() ? g.copy() : product(form_, g, arena_);
    scores_.matrix = product(Op::kTransposed, Op::kPlain, g, right, arena_);
    scores_.log_scale = 2 * growth_.log_scale;
    rescale(scores_);
  }

  Matrix<double> form_, v_;
  const Arena& arena_;
  ScaledMatrix growth_, half_, scores_;
  std::size_t half_steps_ = 0;
};

class SphereFlow final : public Flow {
 public:
  SphereFlow(const SoftOptions& options, std::size_t d, const Arena& arena)
      : form_(form_of(options.q, options.k, d, arena)), v_(options.v), arena_(arena) {
    rule_.kind = options.kind == SoftKind::kSA ? WeightRule::Kind::kSoftmax : WeightRule::Kind::kExponential;
    rule_.scale = options.beta;
  }

  void slope(std::size_t, ConstMatrixView<double> x, MatrixView<double> out) override {
    if (v_.empty()) {
      attend_to(x, out);
    } else {
      Matrix<double> mean(x.rows(), x.cols());
      attend_to(x, mean);
      gemm<double>(Op::kPlain, Op::kTransposed, 1, mean, v_, 0, out, arena_);
    }
    for (std::size_t i = 0; i < x.rows(); ++i) {
      double along = 0;
      for (std::size_t c = 0; c < x.cols(); ++c) along += x(i, c) * out(i, c);
      for (std::size_t c = 0; c < x.cols(); ++c) out(i, c) -= along * x(i, c);
    }
  }

  void settle(MatrixView<double> x) const override { normalise_rows(x); }

 private:
  void attend_to(ConstMatrixView<double> x, MatrixView<double> out) const {
    if (form_.empty())
      attend(x, x, x, rule_, out, arena_);
    else
      attend(product(x, form_, arena_), x, x, rule_, out, arena_);
  }

  Matrix<double> form_;
  ConstMatrixView<double> v_;
  const Arena& arena_;
  WeightRule rule_;
};

}  // namespace

ScaledMatrix scaled_exponential(ConstMatrixView<double> a, const Arena& arena) {
  static constexpr std::array<double, 14> kPade = {64764752532480000.,
                                                   32382376266240000.,
                                                   7771770303897600.,
                                                   1187353796428800.,
                                                   129060195264000.,
                                                   10559470521600.,
                                                   670442572800.,
                                                   33522128640.,
                                                   1323241920.,
                                                   40840800.,
                                                   960960.,
                                                   16380.,
                                                   182.,
                                                   1.};
  constexpr double kExactNorm = 5.371920351148152;  // below it the approximant is exact to rounding
  const std::size_t d = a.rows();
  double norm = 0;
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < d; ++i) sum += std::abs(a(i, j));
    norm = std::max(norm, sum);
  }
  if (!std::isfinite(norm))
    throw Error(ErrorKind::kNotFinite, "simulate", "V times the time overflows", "scale V down");
  const int squarings = norm > kExactNorm ? static_cast<int>(std::ceil(std::log2(norm / kExactNorm))) : 0;
  Matrix<double> x(d, d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) x(i, j) = std::ldexp(a(i, j), -squarings);

  // Even and odd powers apart: e^x ≈ (even − odd)⁻¹ (even + odd).
  const Matrix<double> square = product(x, x, arena);
  Matrix<double> even(d, d), odd_over_x(d, d), power = identity(d);
  for (std::size_t k = 0; k < kPade.size(); k += 2) {
    for (std::size_t i = 0; i < power.size(); ++i) {
      even.data()[i] += kPade[k] * power.data()[i];
      odd_over_x.data()[i] += kPade[k + 1] * power.data()[i];
    }
    power = product(power, square, arena);
  }
  const Matrix<double> odd = product(x, odd_over_x, arena);
  Matrix<double> denominator(d, d);
  for (std::size_t i = 0; i < odd.size(); ++i) {
    denominator.data()[i] = even.data()[i] - odd.data()[i];
    even.data()[i] += odd.data()[i];
  }
  ScaledMatrix result{solve(denominator, even), 0};
  rescale(result);
  for (int i = 0; i < squarings; ++i) result = scaled_product(result, result, arena);
  return result;
}

std::unique_ptr<Flow> make_flow(const SoftOptions& options, std::size_t dimension, const Arena& arena) {
  if (options.kind == SoftKind::kEmergence) return std::make_unique<EmergenceFlow>(options, dimension, arena);
  return std::make_unique<SphereFlow>(options, dimension, arena);
}

double flow_step(const SoftOptions& options) {
  constexpr double kStep = 0.1;
  if (options.step > 0) return options.step;
  const double v = norm_or_one(options.v);
  if (options.kind == SoftKind::kUSA)
    return kStep / std::max(std::sqrt(options.beta) * std::exp(options.beta - 0.5), 1.0);
  if (options.kind == SoftKind::kSA)
    return kStep /
           (v * std::max(std::sqrt(options.beta * norm_or_one(options.q) * norm_or_one(options.k)), 1.0));
  return kStep / std::max(v, 1.0);
}

void integrate(Flow& flow, double time, double step, std::size_t steps, Matrix<double>& x) {
  const std::size_t n = x.rows(), d = x.cols(), size = x.size();
  Matrix<double> slope(n, d), sum(n, d), stage(n, d);
  const auto take = [&](double weight, double reach) {
    for (std::size_t i = 0; i < size; ++i) {
      sum.data()[i] += weight * slope.data()[i];
      stage.data()[i] = x.data()[i] + reach * slope.data()[i];
    }
  };
  flow.begin_stretch(time, step);
  for (std::size_t k = 0; k < steps; ++k) {
    check_interrupt();
    std::fill_n(sum.data(), size, 0.0);
    flow.slope(2 * k, x, slope);
    take(1, step / 2);
    flow.slope(2 * k + 1, stage, slope);
    take(2, step / 2);
    flow.slope(2 * k + 1, stage, slope);
    take(2, step);
    flow.slope(2 * k + 2, stage, slope);
    take(1, 0);
    for (std::size_t i = 0; i < size; ++i) x.data()[i] += step / 6 * sum.data()[i];
    flow.settle(x);
  }
}

}  // namespace telos::clustering
