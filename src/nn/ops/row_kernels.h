#pragma once

#include <cstddef>
#include <cstdint>

// Vectorised loops over the rows of norms and losses, with the same bits on every instruction set.
namespace telos::nn {

/// Backward of layer_norm (`centred`) and rms_norm for `rows` rows of n; gradients are added to, null ones
/// are not needed.
template <class T>
struct NormGradient {
  std::size_t rows = 0, n = 0;
  bool centred = true;
  T eps = 0;
  const T* x = nullptr;
  std::size_t x_row = 0;
  const T* gain = nullptr;
  const T* dy = nullptr;
  std::size_t dy_row = 0;
  T* dx = nullptr;
  std::size_t dx_row = 0;
  T* dgain = nullptr;
  T* dbias = nullptr;
};
void norm_gradient(const NormGradient<float>& p);
void norm_gradient(const NormGradient<double>& p);

/// −log softmax(y)[target]; `probabilities` becomes softmax(y).
double cross_entropy_row(const float* y, std::size_t n, std::size_t target, float* probabilities);
double cross_entropy_row(const double* y, std::size_t n, std::size_t target, double* probabilities);

/// Σ log(1 + e^y) − t·y.
double binary_cross_entropy_row(const float* y, const float* t, std::size_t n);
double binary_cross_entropy_row(const double* y, const double* t, std::size_t n);
/// dy += factor·(1/(1 + e^−y) − t) and dt −= factor·y; null ones are not needed.
void binary_cross_entropy_gradient(const float* y, const float* t, std::size_t n, float factor, float* dy,
                                   float* dt);
void binary_cross_entropy_gradient(const double* y, const double* t, std::size_t n, double factor, double* dy,
                                   double* dt);

}  // namespace telos::nn
