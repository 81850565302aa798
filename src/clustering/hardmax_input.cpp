#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "clustering/hardmax_parts.h"
#include "clustering/parallel_sort.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/linalg/gemm.h"

namespace telos::clustering {
namespace {

constexpr const char* kHardmaxWhere = "hardmax";
constexpr double kSymmetric = 1e-12;

void require_finite(ConstMatrixView<double> x, const char* what) {
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j)
      if (!std::isfinite(x(i, j)))
        throw Error(ErrorKind::kNotFinite, what,
                    "row " + std::to_string(i) + ", column " + std::to_string(j) + " is " +
                        (std::isnan(x(i, j)) ? "NaN" : "infinite"),
                    "every number must be finite");
}

void require_square(ConstMatrixView<double> m, std::size_t d, const char* name) {
  if (m.rows() != d || m.cols() != d)
    throw Error(ErrorKind::kShape, kHardmaxWhere,
                std::string(name) + " is " + std::to_string(m.rows()) + " x " + std::to_string(m.cols()) +
                    ", expected " + std::to_string(d) + " x " + std::to_string(d) + " for tokens of " +
                    std::to_string(d) + " numbers");
  require_finite(m, name);
}

double largest(ConstMatrixView<double> x) {
  double most = 0;
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) most = std::max(most, std::abs(x(i, j)));
  return most;
}

/// e with x·2^-e in [½, 1).
int exponent_of(double x) {
  int e = 0;
  std::frexp(x, &e);
  return e;
}

/// Empty if A is symmetric up to rounding, else what is wrong with it.
std::string asymmetry(ConstMatrixView<double> a) {
  const double unit = largest(a);
  double difference = 0, sum = 0, worst = 0;
  std::size_t row = 0, col = 0;
  for (std::size_t i = 0; unit > 0 && i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) {
      const double x = a(i, j) / unit, gap = std::abs(x - a(j, i) / unit);
      sum += x * x;
      difference += gap * gap;
      if (gap > worst) worst = gap, row = i, col = j;
    }
  if (difference <= kSymmetric * kSymmetric * sum) return {};
  return "A is not symmetric: A[" + std::to_string(row) + "," + std::to_string(col) +
         "] = " + std::to_string(a(row, col)) + ", A[" + std::to_string(col) + "," + std::to_string(row) +
         "] = " + std::to_string(a(col, row));
}

std::string indefinite(ConstMatrixView<double> a) {
  const Factor factor = factor_semidefinite(a);
  if (factor.semidefinite) return {};
  return "A is not positive semidefinite: its smallest pivot is " + std::to_string(factor.smallest_pivot);
}

/// c if V = cI with c > 0, else 0.
double scalar_of(ConstMatrixView<double> v) {
  for (std::size_t i = 0; i < v.rows(); ++i)
    for (std::size_t j = 0; j < v.cols(); ++j)
      if (v(i, j) != (i == j ? v(0, 0) : 0.0)) return 0;
  return std::max(0.0, v(0, 0));
}

int compare_rows(const double* a, const double* b, std::size_t n) {
  for (std::size_t c = 0; c < n; ++c)
    if (a[c] != b[c]) return a[c] < b[c] ? -1 : 1;
  return 0;
}

std::vector<std::uint32_t> iota(std::size_t n) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), std::uint32_t{0});
  return order;
}

/// Copies x scaled by 2^-exponent.
Matrix<double> scaled(ConstMatrixView<double> x, int exponent) {
  Matrix<double> out(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) out(i, j) = x(i, j);
  scale_by_power(out.view(), -exponent);
  return out;
}

/// Takes the mean of the rows away; summed in an order that the rows' own does not enter.
void center_rows(Matrix<double>& x) {
  std::vector<std::uint32_t> order = iota(x.rows());
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return compare_rows(x.row(a), x.row(b), x.cols()) < 0;
  });
  std::vector<double> mean(x.cols());
  for (const std::uint32_t i : order)
    for (std::size_t c = 0; c < x.cols(); ++c) mean[c] += x(i, c);
  for (double& value : mean) value /= static_cast<double>(x.rows());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t c = 0; c < x.cols(); ++c) x(i, c) -= mean[c];
}

/// Unique rows of `source`, scaled so that the largest norm lies in [½, 1), in the order of the run.
void make_points(ConstMatrixView<double> source, HardmaxInput& input, const Arena& arena) {
  const std::size_t n = source.rows(), d = source.cols();
  const int first = exponent_of(largest(source));
  struct Row {
    double norm;
    std::uint32_t token;
  };
  std::vector<Row> order(n);
  constexpr std::size_t kBlock = 1024;
  arena.parallel_for((n + kBlock - 1) / kBlock, [&](std::size_t b) {
    std::vector<double> row(d);
    for (std::size_t i = b * kBlock; i < std::min(n, (b + 1) * kBlock); ++i) {
      std::copy_n(source.row(i), d, row.begin());
      scale_by_power({row.data(), 1, d}, -first);
      order[i] = {canonical_norm(row.data(), d), static_cast<std::uint32_t>(i)};
    }
  });
  const auto before = [&](const Row& a, const Row& b) {
    if (a.norm != b.norm) return a.norm > b.norm;
    const int order_of_rows = compare_rows(source.row(a.token), source.row(b.token), d);
    return order_of_rows != 0 ? order_of_rows < 0 : a.token < b.token;
  };
  parallel_sort(order, before, arena);
  input.w_exponent = first + exponent_of(order[0].norm);
  input.point.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t token = order[i].token;
    const bool equal = i > 0 && order[i - 1].norm == order[i].norm &&
                       compare_rows(source.row(order[i - 1].token), source.row(token), d) == 0;
    if (!equal) {
      input.lowest.push_back(token);
      input.copies.push_back(0);
    }
    input.point[token] = static_cast<std::uint32_t>(input.lowest.size() - 1);
    ++input.copies.back();
  }
  input.w = Matrix<double>(input.lowest.size(), d);
  arena.parallel_for(input.lowest.size(), [&](std::size_t p) {
    // −0 + 0 = +0: one zero has one pattern of bits.
    for (std::size_t c = 0; c < d; ++c) input.w(p, c) = source(input.lowest[p], c) + 0.0;
    scale_by_power(input.w.view().block(p, 0, 1, d), -input.w_exponent);
  });
}

/// ‖z‖ of each token, and of what centring took away.
std::vector<double> sizes_of(const Matrix<double>& z, const Matrix<double>& centred) {
  std::vector<double> size(z.rows()), away(z.cols());
  for (std::size_t i = 0; i < z.rows(); ++i) {
    for (std::size_t c = 0; c < z.cols(); ++c) away[c] = z(i, c) - centred(i, c);
    size[i] = canonical_norm(z.row(i), z.cols()) + canonical_norm(away.data(), away.size());
  }
  return size;
}

/// Tokens that a singular A cannot tell apart have one w = Lᵀz, those with Az = 0 have w = 0; rounding takes
/// them apart. Column c of w, of pivot p, is known to about d ε ‖L‖² ‖z‖/p: values that differ by no more
/// become one, the smallest, in an order that the tokens' own does not enter.
void merge_rounded(const Matrix<double>& l, const std::vector<double>& size, Matrix<double>& w,
                   const Arena& arena) {
  double square = 0;
  for (std::size_t i = 0; i < l.size(); ++i) square += l.data()[i] * l.data()[i];
  arena.parallel_for(w.cols(), [&](std::size_t c) {
    double pivot = 0;
    for (std::size_t i = 0; i < l.rows(); ++i) pivot = std::max(pivot, std::abs(l(i, c)));
    const double unit = 4 * static_cast<double>(l.rows()) * 0x1p-52 * square / pivot;
    for (std::size_t i = 0; i < w.rows(); ++i)
      if (std::abs(w(i, c)) <= unit * size[i]) w(i, c) = 0;
    std::vector<std::uint32_t> order = iota(w.rows());
    std::ranges::sort(order, {}, [&](std::uint32_t i) { return std::pair(w(i, c), size[i]); });
    for (std::size_t k = 1, first = 0; k < order.size(); ++k) {
      const std::uint32_t i = order[k], least = order[first];
      if (w(i, c) - w(least, c) <= unit * std::min(size[i], size[least]))
        w(i, c) = w(least, c);
      else
        first = k;
    }
  });
}

/// Means of z over the tokens of each point, and what the tokens differ from them by.
void carry_along(Matrix<double> z, HardmaxInput& input) {
  const std::size_t n = z.rows(), d = z.cols();
  std::vector<std::uint32_t> order = iota(n);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    if (input.point[a] != input.point[b]) return input.point[a] < input.point[b];
    const int order_of_rows = compare_rows(z.row(a), z.row(b), d);
    return order_of_rows != 0 ? order_of_rows < 0 : a < b;
  });
  input.carries = true;
  input.z = Matrix<double>(input.lowest.size(), d);
  bool differ = false;
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    const std::uint32_t p = input.point[order[begin]];
    double* const mean = input.z.row(p);
    for (end = begin; end < n && input.point[order[end]] == p; ++end)
      for (std::size_t c = 0; c < d; ++c) mean[c] += z(order[end], c);
    const bool same = compare_rows(z.row(order[begin]), z.row(order[end - 1]), d) == 0;
    for (std::size_t c = 0; c < d; ++c)
      mean[c] = same ? z(order[begin], c) : mean[c] / static_cast<double>(end - begin);
    differ = differ || !same;
  }
  if (!differ) return;
  input.offsets = std::move(z);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t c = 0; c < d; ++c) input.offsets(i, c) -= input.z(input.point[i], c);
}

}  // namespace

void scale_by_power(MatrixView<double> x, int exponent) {
  if (exponent == 0) return;
  // In two steps: 2^1074 alone would overflow.
  const double half = std::ldexp(1.0, exponent / 2), rest = std::ldexp(1.0, exponent - exponent / 2);
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) x(i, j) = x(i, j) * half * rest;
}

Factor factor_semidefinite(ConstMatrixView<double> a) {
  const std::size_t d = a.rows();
  Matrix<double> rest = scaled(a, 0);  // what the columns found so far leave of A
  const double unit = largest(a), zero = 8 * static_cast<double>(d) * unit * 0x1p-52;
  std::vector<bool> done(d);
  std::vector<std::vector<double>> columns;
  Factor factor;
  for (;;) {
    std::size_t pivot = d;
    factor.smallest_pivot = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < d; ++i) {
      if (done[i]) continue;
      factor.smallest_pivot = std::min(factor.smallest_pivot, rest(i, i));
      if (pivot == d || rest(i, i) > rest(pivot, pivot)) pivot = i;
    }
    if (pivot == d || rest(pivot, pivot) <= zero) break;
    done[pivot] = true;
    const double root = std::sqrt(rest(pivot, pivot));
    std::vector<double>& column = columns.emplace_back(d);
    column[pivot] = root;
    for (std::size_t i = 0; i < d; ++i)
      if (!done[i]) column[i] = rest(i, pivot) / root;
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; !done[i] && j < d; ++j) rest(i, j) -= column[i] * column[j];
  }
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j)
      if (!done[i] && !done[j] && std::abs(rest(i, j)) > 4 * zero) {
        factor.semidefinite = false;
        factor.smallest_pivot = std::min(factor.smallest_pivot, -std::abs(rest(i, j)));
      }
  factor.l = Matrix<double>(d, columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c)
    for (std::size_t i = 0; i < d; ++i) factor.l(i, c) = columns[c][i];
  return factor;
}

HardmaxPlan check_hardmax(ConstMatrixView<double> tokens, const HardmaxOptions& options) {
  const auto usage = [](const std::string& message) {
    throw Error(ErrorKind::kUsage, kHardmaxWhere, message);
  };
  if (!(options.alpha > 0) || !std::isfinite(options.alpha))
    usage("alpha is " + std::to_string(options.alpha) + ", expected a finite number above 0");
  if (!(options.tie_tolerance >= 0) || !(options.tie_tolerance < 1))
    usage("the tie tolerance is " + std::to_string(options.tie_tolerance) + ", expected 0 up to 1");
  if (!(options.displacement >= 0)) usage("the displacement that ends a run is negative or NaN");
  if (options.max_layers == 0 || options.max_general_layers == 0)
    usage("max_layers is 0, expected at least 1");
  if (tokens.rows() == 0 || tokens.cols() == 0)
    throw Error(ErrorKind::kShape, kHardmaxWhere,
                tokens.rows() == 0 ? "there are no tokens" : "the tokens have no coordinates (dimension 0)");
  if (tokens.rows() >= std::numeric_limits<std::uint32_t>::max() / 2)
    throw Error(ErrorKind::kLimit, kHardmaxWhere,
                std::to_string(tokens.rows()) + " tokens, expected fewer than 2^31");
  require_finite(tokens, "tokens");
  HardmaxPlan plan{.theorem = true, .alpha = options.alpha};
  if (!options.v.empty() || options.v.rows() != 0) {
    require_square(options.v, tokens.cols(), "V");
    const double scalar = scalar_of(options.v);
    if (scalar > 0)
      plan.alpha = scalar;
    else
      plan.theorem = false;
  }
  if (options.a.empty() && options.a.rows() == 0) return plan;
  require_square(options.a, tokens.cols(), "A");
  std::string fault = asymmetry(options.a);
  if (fault.empty()) fault = indefinite(options.a);
  if (fault.empty()) return plan;
  if (!options.general_a)
    throw Error(ErrorKind::kNoConvergence, kHardmaxWhere, fault,
                "symmetrise it, or take general_a (--general-A): then no token is called a leader");
  plan.theorem = false;
  return plan;
}

HardmaxInput reduce_tokens(ConstMatrixView<double> tokens, const HardmaxOptions& options, bool reduce,
                           const Arena& arena) {
  HardmaxInput input;
  const bool with_a = reduce && !options.a.empty();
  if (!with_a && !options.center) {
    make_points(tokens, input, arena);
    return input;
  }
  input.z_exponent = exponent_of(largest(tokens));
  Matrix<double> z = scaled(tokens, input.z_exponent), source = z.copy();
  if (options.center) center_rows(source);
  if (with_a) {
    // Scores may be multiplied by any positive number; an even power of two has an exact root.
    const int even = exponent_of(largest(options.a)) / 2 * 2;
    const Factor factor = factor_semidefinite(scaled(options.a, even));
    Matrix<double> w(source.rows(), factor.l.cols());
    if (!w.empty()) gemm<double>(Op::kPlain, Op::kPlain, 1, source, factor.l, 0, w, arena);
    if (factor.l.cols() < factor.l.rows()) merge_rounded(factor.l, sizes_of(z, source), w, arena);
    source = std::move(w);
    input.score_exponent = even / 2;
  }
  make_points(source, input, arena);
  input.w_exponent += input.z_exponent;
  carry_along(std::move(z), input);
  return input;
}

}  // namespace telos::clustering
