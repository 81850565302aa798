#pragma once

#include <cstddef>

// One fused pass over parameters, gradients and moments; same bits on every instruction set.
namespace telos::nn {

/// Numbers of one Adam or AdamW step, in the type of the parameters.
template <class T>
struct AdamStep {
  T clip;                    ///< factor on the gradient
  T decay;                   ///< times the parameter, added to the gradient (Adam)
  T shrink;                  ///< factor on the parameter (AdamW)
  T first_share;             ///< 1 − β₁
  T beta2, second_share;     ///< β₂, 1 − β₂
  T step_size;               ///< η/(1 − β₁ᵗ)
  T inverse_root_bias, eps;  ///< 1/√(1 − β₂ᵗ)
};
void adam_step(const AdamStep<float>& s, std::size_t n, float* p, const float* g, float* m, float* v);
void adam_step(const AdamStep<double>& s, std::size_t n, double* p, const double* g, double* m, double* v);

template <class T>
struct SgdStep {
  T clip, decay, momentum, rate;
};
/// `m` is null without momentum.
void sgd_step(const SgdStep<float>& s, std::size_t n, float* p, const float* g, float* m);
void sgd_step(const SgdStep<double>& s, std::size_t n, double* p, const double* g, double* m);

/// Σ g² in double.
double sum_of_squares(const float* g, std::size_t n);
double sum_of_squares(const double* g, std::size_t n);

}  // namespace telos::nn
