#include <memory>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class Activate final : public OperationOf<Activate> {
 public:
  explicit Activate(Activation activation) : activation_(activation) {}
  std::string_view name() const override { return "activate"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    return inputs[0];
  }
  /// The function counts as one operation an element.
  double flops(std::span<const Shape> inputs) const override {
    return static_cast<double>(inputs[0].rows) * static_cast<double>(inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    for_rows(call.inputs[0].value, call.output,
             [this](std::span<const T> x, std::span<T> y) { activate_all<T>(activation_, x, y); });
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> dy = call.output_gradient;
    const MatrixView<T> dx = call.inputs[0].gradient;
    const ConstMatrixView<T> known =
        derivative_needs_input(activation_) ? call.inputs[0].value : ConstMatrixView<T>(call.output);
    for (std::size_t i = 0; i < dy.rows(); ++i)
      multiply_by_derivative<T>(activation_, {known.row(i), known.cols()}, {dy.row(i), dy.cols()},
                                {dx.row(i), dx.cols()}, true);
  }

 private:
  Activation activation_;
};

}  // namespace

Value activate(Graph& graph, Value a, Activation activation) {
  return graph.apply(std::make_unique<Activate>(activation), {a});
}

}  // namespace telos::nn
