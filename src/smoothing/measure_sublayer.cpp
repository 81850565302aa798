#include <algorithm>
#include <cmath>

#include "smoothing/measure_parts.h"
#include "smoothing/spectra_parts.h"
#include "telos/linalg/gemm.h"

namespace telos::smoothing {

namespace {

Matrix<double> in_double(const Matrix<float>& m) {
  Matrix<double> out(m.rows(), m.cols());
  std::copy_n(m.data(), m.size(), out.data());
  return out;
}

std::vector<double> column_means(ConstMatrixView<double> x) {
  std::vector<double> mean(x.cols(), 0.0);
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) mean[j] += x(i, j);
  for (double& m : mean) m /= static_cast<double>(x.rows());
  return mean;
}

void subtract_from_rows(MatrixView<double> x, const std::vector<double>& row) {
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) x(i, j) -= row[j];
}

double square(const Matrix<double>& x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x.data()[i] * x.data()[i];
  return sum;
}
double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

/// The rows' mean and what is left: X = 1mᵀ + Y.
struct Split {
  std::vector<double> mean;
  Matrix<double> rest;
};
Split split(const Matrix<double>& x) {
  Split out{column_means(x), x.copy()};
  subtract_from_rows(out.rest, out.mean);
  return out;
}

/// ‖Y‖²; 0 where Y is no more than the rounding of float32 states.
double varying_energy(const Split& x) {
  const double energy = square(x.rest), mean = norm(x.mean);
  const double equal = static_cast<double>(x.rest.rows()) * mean * mean * kEqualTokens * kEqualTokens;
  return energy > equal ? energy : 0;
}

/// P A_h (PZ) W_V for all heads side by side (n × h·k), and the row means that P takes away (h·k).
struct HeadValues {
  Matrix<double> varying;
  std::vector<double> mean;
};
HeadValues head_values(const SublayerTokens& tokens, const Matrix<double>& z_rest, const SublayerWeights& w,
                       const Arena& arena) {
  const std::size_t n = z_rest.rows(), k = w.head_width;
  Matrix<double> values(n, w.value_t.rows());
  product_nt(z_rest.view(), w.value_t.view(), values, arena);
  HeadValues out{Matrix<double>(n, w.heads * k), {}};
  for (std::size_t h = 0; h < w.heads; ++h) {
    const std::size_t group = h / (w.heads / w.kv_heads);
    gemm<double>(Op::kPlain, Op::kPlain, 1.0, tokens.attention[h], values.view().block(0, group * k, n, k),
                 0.0, out.varying.view().block(0, h * k, n, k), arena);
  }
  out.mean = column_means(out.varying);
  subtract_from_rows(out.varying, out.mean);
  return out;
}

/// m' = m + Σ_h δ_h + c with δ_h = (z̄ + (1/n) 1ᵀA_h PZ) H_h (law L2), and each part's projection on m.
std::vector<double> mean_by_law(const std::vector<double>& m, const std::vector<double>& z_mean,
                                const std::vector<double>& head_means, const SublayerWeights& w,
                                WindowSublayer& out) {
  const std::size_t k = w.head_width, d = m.size();
  const double size = norm(m) * norm(m);
  std::vector<double> sum = m;
  out.mean_gain.assign(w.heads, size > 0 ? 0 : kNaN);
  out.constant_gain = size > 0 ? 0 : kNaN;
  for (std::size_t i = 0; i < d && i < w.constant.size(); ++i) {
    sum[i] += w.constant[i];
    out.constant_gain += m[i] * w.constant[i] / size;
  }
  for (std::size_t r = 0; r < w.output.rows(); ++r) {
    const std::size_t group = r / k / (w.heads / w.kv_heads);
    const double* value = w.value_t.row(group * k + r % k);
    double t = head_means[r], seen = 0;
    for (std::size_t i = 0; i < d; ++i) t += z_mean[i] * value[i];
    for (std::size_t i = 0; i < d; ++i) {
      sum[i] += t * w.output(r, i);
      seen += m[i] * w.output(r, i);
    }
    out.mean_gain[r / k] += t * seen / size;
  }
  return sum;
}

/// ln of the growth of a norm from two squares; NaN where one is 0.
double log_growth(double after, double before) {
  return after > 0 && before > 0 ? 0.5 * std::log(after / before) : kNaN;
}

void contributions(const Split& before, const HeadValues& values, const SublayerWeights& w,
                   const Arena& arena, WindowSublayer& out) {
  // ⟨Y, V W_O⟩ = ⟨Y W_Oᵀ, V⟩: no head's D_h is formed.
  const double energy = varying_energy(before);
  Matrix<double> seen(before.rest.rows(), w.output.rows());
  product_nt(before.rest.view(), w.output.view(), seen, arena);
  out.gain.assign(w.heads, kNaN);
  for (std::size_t h = 0; h < w.heads && energy > 0; ++h) {
    double dot = 0;
    for (std::size_t i = 0; i < seen.rows(); ++i)
      for (std::size_t j = h * w.head_width; j < (h + 1) * w.head_width; ++j)
        dot += seen(i, j) * values.varying(i, j);
    out.gain[h] = dot / energy;
  }
}

}  // namespace

SublayerWeights sublayer_weights(const AttentionWeights& weights) {
  SublayerWeights out{weights.heads,
                      weights.kv_heads,
                      weights.head_width,
                      in_double(weights.value_t),
                      in_double(weights.output),
                      attention_constant(weights, /*with_norm_bias=*/false),
                      attention_constant(weights, /*with_norm_bias=*/true)};
  if (!weights.output_gain.empty())
    for (std::size_t r = 0; r < out.output.rows(); ++r)
      for (std::size_t i = 0; i < out.output.cols(); ++i) out.output(r, i) *= double{weights.output_gain[i]};
  return out;
}

WindowSublayer measure_sublayer(const SublayerTokens& tokens, const SublayerWeights& weights,
                                const Arena& arena) {
  WindowSublayer out;
  const double n = static_cast<double>(tokens.x.rows());
  const Split before = split(tokens.x), read = split(tokens.z);
  const HeadValues values = head_values(tokens, read.rest, weights, arena);
  contributions(before, values, weights, arena, out);

  Matrix<double> change(tokens.x.rows(), tokens.x.cols());  // Σ_h D_h
  gemm<double>(Op::kPlain, Op::kPlain, 1.0, values.varying, weights.output, 0.0, change.view(), arena);
  const double energy = varying_energy(before);
  if (energy > 0) out.second_order = square(change) / energy;
  Split law{mean_by_law(before.mean, read.mean, values.mean, weights, out), before.rest.copy()};
  for (std::size_t i = 0; i < change.size(); ++i) law.rest.data()[i] += change.data()[i];

  Split after;
  if (!tokens.x_after.empty()) {
    after = split(tokens.x_after);
    const double scale = std::sqrt(square(tokens.x_after));
    Matrix<double> rest = after.rest.copy();
    for (std::size_t i = 0; i < rest.size(); ++i) rest.data()[i] -= law.rest.data()[i];
    std::vector<double> mean = after.mean;
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] -= law.mean[i];
    out.law1 = std::sqrt(square(rest)) / scale;
    out.law2 = std::sqrt(n) * norm(mean) / scale;
  } else {
    after = std::move(law);
  }
  out.hfc_log_gain = log_growth(varying_energy(after), energy);
  out.dc_log_gain = std::log(norm(after.mean) / norm(before.mean));
  out.constant_ratio = norm(weights.constant_total) / norm(before.mean);
  if (!tokens.x_next.empty()) {
    const Split next = split(tokens.x_next);
    out.rest_hfc_log_gain = log_growth(varying_energy(next), varying_energy(after));
    out.rest_dc_log_gain = std::log(norm(next.mean) / norm(after.mean));
  }
  return out;
}

double mean_cosine(ConstMatrixView<double> x, const std::vector<bool>& keep) {
  std::vector<double> sum(x.cols(), 0.0);
  double m = 0, total = 0;
  for (std::size_t i = 0; i < x.rows(); ++i) {
    if (!keep.empty() && !keep[i]) continue;
    double row = 0;
    for (std::size_t j = 0; j < x.cols(); ++j) row += x(i, j) * x(i, j);
    if (row == 0) continue;
    m += 1;
    for (std::size_t j = 0; j < x.cols(); ++j) sum[j] += x(i, j) / std::sqrt(row);
  }
  if (m < 2) return kNaN;
  for (const double s : sum) total += s * s;
  return (total - m) / (m * (m - 1));
}

}  // namespace telos::smoothing
