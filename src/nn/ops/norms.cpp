#include <cmath>
#include <memory>

#include "nn/operation.h"
#include "nn/ops/row_kernels.h"
#include "telos/linalg/vecmath.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

void require_eps(std::string_view operation, double eps) {
  if (!(eps >= 0) || !std::isfinite(eps)) shape_error(operation, "eps is not a number that is 0 or above");
}

/// What both norms' backward passes share; the gain is input 1.
template <class T>
NormGradient<T> norm_problem(const Call<T>& call, bool centred, double eps) {
  NormGradient<T> p;
  p.rows = call.output_gradient.rows();
  p.n = call.output_gradient.cols();
  p.centred = centred;
  p.eps = static_cast<T>(eps);
  p.x = call.inputs[0].value.data();
  p.x_row = call.inputs[0].value.stride();
  p.gain = call.inputs[1].value.data();
  p.dy = call.output_gradient.data();
  p.dy_row = call.output_gradient.stride();
  p.dx = call.inputs[0].gradient.data();
  p.dx_row = call.inputs[0].gradient.stride();
  p.dgain = call.inputs[1].gradient.data();
  return p;
}

class LayerNormOperation final : public OperationOf<LayerNormOperation> {
 public:
  explicit LayerNormOperation(double eps) : eps_(eps) { require_eps(name(), eps); }

  std::string_view name() const override { return "layer_norm"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    require_no_batch(name(), "the gain", inputs[1]);
    require_matrix(name(), "the gain", inputs[1], 1, inputs[0].cols);
    require_no_batch(name(), "the bias", inputs[2]);
    require_matrix(name(), "the bias", inputs[2], 1, inputs[0].cols);
    return inputs[0];
  }
  double flops(std::span<const Shape> inputs) const override {
    return 8 * static_cast<double>(inputs[0].rows * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& x = call.inputs[0].value;
    const std::size_t n = x.cols();
    for (std::size_t i = 0; i < x.rows(); ++i)
      layer_norm_row<T>({x.row(i), n}, {call.inputs[1].value.data(), n}, {call.inputs[2].value.data(), n},
                        static_cast<T>(eps_), {call.output.row(i), n});
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    NormGradient<T> p = norm_problem(call, true, eps_);
    p.dbias = call.inputs[2].gradient.data();
    norm_gradient(p);
  }

 private:
  double eps_;
};

class RmsNormOperation final : public OperationOf<RmsNormOperation> {
 public:
  explicit RmsNormOperation(double eps) : eps_(eps) { require_eps(name(), eps); }

  std::string_view name() const override { return "rms_norm"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    require_no_batch(name(), "the gain", inputs[1]);
    require_matrix(name(), "the gain", inputs[1], 1, inputs[0].cols);
    return inputs[0];
  }
  double flops(std::span<const Shape> inputs) const override {
    return 4 * static_cast<double>(inputs[0].rows * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& x = call.inputs[0].value;
    const std::size_t n = x.cols();
    for (std::size_t i = 0; i < x.rows(); ++i)
      rms_norm_row<T>({x.row(i), n}, {call.inputs[1].value.data(), n}, static_cast<T>(eps_),
                      {call.output.row(i), n});
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    norm_gradient(norm_problem(call, false, eps_));
  }

 private:
  double eps_;
};

}  // namespace

Value layer_norm(Graph& graph, Value x, Value gain, Value bias, double eps) {
  return graph.apply(std::make_unique<LayerNormOperation>(eps), {x, gain, bias});
}

Value rms_norm(Graph& graph, Value x, Value gain, double eps) {
  return graph.apply(std::make_unique<RmsNormOperation>(eps), {x, gain});
}

}  // namespace telos::nn
