#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

/// Computed in double: for the few parameters that must stay positive.
class Softplus final : public OperationOf<Softplus> {
 public:
  explicit Softplus(double sharpness) : sharpness_(sharpness) {}
  std::string_view name() const override { return "softplus"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    if (!(sharpness_ > 0) || !std::isfinite(sharpness_))
      shape_error(name(), "the sharpness is " + std::to_string(sharpness_) + ", expected a number above 0");
    return inputs[0];
  }
  double flops(std::span<const Shape> inputs) const override {
    return 20 * static_cast<double>(inputs[0].rows * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& a = call.inputs[0].value;
    for (std::size_t i = 0; i < a.rows(); ++i)
      for (std::size_t j = 0; j < a.cols(); ++j) {
        const double x = sharpness_ * double{a(i, j)};
        call.output(i, j) =
            static_cast<T>((std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)))) / sharpness_);
      }
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T>& a = call.inputs[0].value;
    const MatrixView<T> gradient = call.inputs[0].gradient;
    if (gradient.empty()) return;
    for (std::size_t i = 0; i < a.rows(); ++i)
      for (std::size_t j = 0; j < a.cols(); ++j)
        gradient(i, j) += static_cast<T>(double{call.output_gradient(i, j)} /
                                         (1 + std::exp(-sharpness_ * double{a(i, j)})));
  }

 private:
  double sharpness_;
};

}  // namespace

Value softplus(Graph& graph, Value a, double sharpness) {
  return graph.apply(std::make_unique<Softplus>(sharpness), {a});
}

}  // namespace telos::nn
