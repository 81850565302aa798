#include <algorithm>
#include <memory>

#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class MeanPoolOperation final : public OperationOf<MeanPoolOperation> {
 public:
  std::string_view name() const override { return "mean_pool"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    return {.rows = 1, .cols = inputs[0].cols, .batch = inputs[0].batch, .index = false};
  }
  double flops(std::span<const Shape> inputs) const override {
    return static_cast<double>(inputs[0].rows * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& x = call.inputs[0].value;
    const std::size_t length = x.rows() / call.samples, cols = x.cols();
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      T* out = call.output.row(sample);
      std::fill_n(out, cols, T{0});
      for (std::size_t i = 0; i < length; ++i) {
        const T* from = x.row(sample * length + i);
        for (std::size_t j = 0; j < cols; ++j) out[j] += from[j];
      }
      for (std::size_t j = 0; j < cols; ++j) out[j] /= static_cast<T>(length);
    }
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> gradient = call.inputs[0].gradient;
    if (gradient.empty()) return;
    const std::size_t length = gradient.rows() / call.samples;
    for (std::size_t row = 0; row < gradient.rows(); ++row) {
      const T* from = call.output_gradient.row(row / length);
      T* to = gradient.row(row);
      for (std::size_t j = 0; j < gradient.cols(); ++j) to[j] += from[j] / static_cast<T>(length);
    }
  }
};

}  // namespace

Value mean_pool(Graph& graph, Value x) {
  return graph.apply(std::make_unique<MeanPoolOperation>(), {x});
}

}  // namespace telos::nn
