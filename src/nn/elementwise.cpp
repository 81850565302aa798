#include "nn/elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "telos/linalg/vecmath.h"

namespace telos::nn {

const Arena& serial() {
  static const Arena arena(1);
  return arena;
}

template <class T>
void activate_all(Activation activation, std::span<const T> x, std::span<T> y) {
  switch (activation) {
    case Activation::kNone:
      if (x.data() != y.data()) std::copy(x.begin(), x.end(), y.begin());
      return;
    case Activation::kRelu:
      for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] < T{0} ? T{0} : x[i];
      return;
    case Activation::kGeluErf:
      return vec_gelu(x, y);
    case Activation::kGeluTanh:
      return vec_gelu_tanh(x, y);
    case Activation::kQuickGelu:
      return vec_quick_gelu(x, y);
    case Activation::kSilu:
      return vec_silu(x, y);
  }
}

bool derivative_needs_input(Activation activation) {
  return activation != Activation::kNone && activation != Activation::kRelu;
}

namespace {

// Derivatives go piece by piece, so that what they need in between stays in the first-level cache.
constexpr std::size_t kPiece = 256;
template <class T>
using Piece = std::array<T, kPiece>;

// Φ(z) + z φ(z).
template <class T>
void gelu_derivative(std::span<const T> z, std::span<T> d) {
  Piece<T> erf, bell;
  const std::size_t n = z.size();
  for (std::size_t i = 0; i < n; ++i) {
    erf[i] = z[i] * static_cast<T>(1 / std::numbers::sqrt2);
    bell[i] = T{-0.5} * z[i] * z[i];
  }
  vec_erf<T>({erf.data(), n}, {erf.data(), n});
  vec_exp<T>({bell.data(), n}, {bell.data(), n});
  const T density = static_cast<T>(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  for (std::size_t i = 0; i < n; ++i) d[i] = T{0.5} * (T{1} + erf[i]) + density * z[i] * bell[i];
}

// With t = tanh u, u = √(2/π)(z + c z³): (1 + t)/2 + z/2·(1 − t²)·√(2/π)(1 + 3c z²).
template <class T>
void gelu_tanh_derivative(std::span<const T> z, std::span<T> d) {
  Piece<T> t;
  const std::size_t n = z.size();
  const T root = static_cast<T>(std::numbers::sqrt2 * std::numbers::inv_sqrtpi), c = static_cast<T>(0.044715);
  for (std::size_t i = 0; i < n; ++i) t[i] = root * (z[i] + c * z[i] * z[i] * z[i]);
  vec_tanh<T>({t.data(), n}, {t.data(), n});
  for (std::size_t i = 0; i < n; ++i)
    d[i] = T{0.5} * (T{1} + t[i]) +
           T{0.5} * z[i] * (T{1} - t[i] * t[i]) * root * (T{1} + T{3} * c * z[i] * z[i]);
}

// With σ = 1/(1 + e^(−a z)): σ + a z σ (1 − σ), of z σ(a z).
template <class T>
void swish_derivative(T a, std::span<const T> z, std::span<T> d) {
  Piece<T> e;
  const std::size_t n = z.size();
  for (std::size_t i = 0; i < n; ++i) e[i] = -a * z[i];
  vec_exp<T>({e.data(), n}, {e.data(), n});
  for (std::size_t i = 0; i < n; ++i) {
    const T s = T{1} / (T{1} + e[i]);
    d[i] = s + a * z[i] * s * (T{1} - s);
  }
}

// `known`: z, or ReLU's result.
template <class T>
void derivative(Activation activation, std::span<const T> known, std::span<T> d) {
  switch (activation) {
    case Activation::kNone:
      return std::fill(d.begin(), d.end(), T{1});
    case Activation::kRelu:
      for (std::size_t i = 0; i < d.size(); ++i) d[i] = known[i] > T{0} ? T{1} : T{0};
      return;
    case Activation::kGeluErf:
      return gelu_derivative(known, d);
    case Activation::kGeluTanh:
      return gelu_tanh_derivative(known, d);
    case Activation::kQuickGelu:
      return swish_derivative(static_cast<T>(1.702), known, d);
    case Activation::kSilu:
      return swish_derivative(T{1}, known, d);
  }
}

}  // namespace

template <class T>
void multiply_by_derivative(Activation activation, std::span<const T> known, std::span<const T> dy,
                            std::span<T> dx, bool add) {
  Piece<T> d;
  for (std::size_t begin = 0; begin < dy.size(); begin += kPiece) {
    const std::size_t n = std::min(kPiece, dy.size() - begin);
    derivative<T>(activation, known.subspan(begin, n), {d.data(), n});
    for (std::size_t i = 0; i < n; ++i) {
      const T product = dy[begin + i] * d[i];
      dx[begin + i] = add ? dx[begin + i] + product : product;
    }
  }
}

#define TELOS_INSTANTIATE(T)                                                                             \
  template void activate_all(Activation, std::span<const T>, std::span<T>);                              \
  template void multiply_by_derivative(Activation, std::span<const T>, std::span<const T>, std::span<T>, \
                                       bool);
TELOS_INSTANTIATE(float)
TELOS_INSTANTIATE(double)
#undef TELOS_INSTANTIATE

}  // namespace telos::nn
