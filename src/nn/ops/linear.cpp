#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

// Inputs: X_1 … X_m (L × in_i each), W (out × Σ in_i), and b (1 × out) if `bias`. With Z = Σ X_i W_iᵀ + b and
// Y = act(Z): dZ = dY ⊙ act'(Z), dX_i = dZ W_i, dW_i = dZᵀ X_i, db = column sums of dZ. `prepared` holds
// W_iᵀ, then W_i, packed.
class Linear final : public OperationOf<Linear> {
 public:
  Linear(std::vector<std::size_t> widths, bool bias, Activation activation)
      : widths_(std::move(widths)), parts_(widths_.size()), bias_(bias), activation_(activation) {}

  std::string_view name() const override { return "linear"; }

  Shape shape(std::span<const Shape> inputs) const override {
    if (parts_ == 0) shape_error(name(), "no input");
    const Shape& first = inputs[0];
    std::size_t width = 0;
    for (std::size_t i = 0; i < parts_; ++i) {
      require_matrix(name(), "input " + std::to_string(i + 1), inputs[i], first.rows, inputs[i].cols);
      if (inputs[i].batch != first.batch)
        shape_error(name(), "inputs with and without batch cannot stand side by side");
      width += inputs[i].cols;
    }
    const Shape& weight = inputs[parts_];
    require_no_batch(name(), "the weight", weight);
    require_matrix(name(), "the weight", weight, weight.rows, width);
    if (bias_) {
      require_no_batch(name(), "the bias", inputs[parts_ + 1]);
      require_matrix(name(), "the bias", inputs[parts_ + 1], 1, weight.rows);
    }
    return {.rows = first.rows, .cols = weight.rows, .batch = first.batch};
  }

  std::size_t prepared_elements(std::span<const Shape> inputs) const override {
    // Float's padding, which is the larger one.
    const std::size_t out = inputs[parts_].rows;
    std::size_t elements = 0;
    for (std::size_t i = 0; i < parts_; ++i)
      elements += packed_elements<float>(inputs[i].cols, out) + packed_elements<float>(out, inputs[i].cols);
    return elements;
  }

  std::size_t saved_elements(std::span<const Shape> inputs, std::size_t samples) const override {
    return derivative_needs_input(activation_) ? samples * inputs[0].rows * inputs[parts_].rows : 0;
  }
  std::size_t scratch_elements(std::span<const Shape> inputs, std::size_t samples) const override {
    return activation_ == Activation::kNone ? 0 : samples * inputs[0].rows * inputs[parts_].rows;
  }

  double flops(std::span<const Shape> inputs) const override {
    const Shape& weight = inputs[parts_];
    return 2.0 * static_cast<double>(inputs[0].rows) * static_cast<double>(weight.rows) *
           static_cast<double>(weight.cols);
  }

  template <class T>
  void run_prepare(const Call<T>& call) const {
    for_parts(call, [&](std::size_t, ConstMatrixView<T> w, std::span<T> turned, std::span<T> plain) {
      pack(Op::kTransposed, w, turned);
      pack(Op::kPlain, w, plain);
    });
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const bool save = derivative_needs_input(activation_);
    const MatrixView<T> y = call.output;
    const MatrixView<T> z = save ? MatrixView<T>(call.saved.data(), y.rows(), y.cols()) : y;
    for_parts(call, [&](std::size_t i, ConstMatrixView<T> w, std::span<T> turned, std::span<T>) {
      Epilogue<T> epilogue;
      if (i > 0) epilogue.addend = z;
      if (i + 1 == parts_) {
        if (bias_) epilogue.bias = {call.inputs[parts_ + 1].value.data(), w.rows()};
        if (!save) epilogue.activation = activation_;
      }
      gemm_packed(call.inputs[i].value, PackedView<T>{turned.data(), w.cols(), w.rows()}, epilogue, z,
                  serial());
    });
    if (save)
      activate_all<T>(activation_, call.saved.first(y.rows() * y.cols()), {y.data(), y.rows() * y.cols()});
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> dz = through_activation(call);
    if (bias_ && !call.inputs[parts_ + 1].gradient.empty())
      add_column_sums<T>(dz, {call.inputs[parts_ + 1].gradient.data(), dz.cols()});
    const MatrixView<T> dw = call.inputs[parts_].gradient;
    std::size_t col = 0;
    for_parts(call, [&](std::size_t i, ConstMatrixView<T> w, std::span<T>, std::span<T> plain) {
      const Operand<T>& x = call.inputs[i];
      if (!x.gradient.empty()) {
        Epilogue<T> epilogue;
        if (!x.fresh) epilogue.addend = x.gradient;
        gemm_packed(dz, PackedView<T>{plain.data(), w.rows(), w.cols()}, epilogue, x.gradient, serial());
      }
      if (!dw.empty())
        gemm<T>(Op::kTransposed, Op::kPlain, T{1}, dz, x.value, T{1}, dw.block(0, col, w.rows(), w.cols()),
                serial());
      col += w.cols();
    });
  }

  bool stores_fresh_gradients() const override { return true; }

 private:
  // Calls f(i, W_i, memory of packed W_iᵀ, memory of packed W_i).
  template <class T, class F>
  void for_parts(const Call<T>& call, const F& f) const {
    const ConstMatrixView<T> weight = call.inputs[parts_].value;
    std::size_t at = 0, col = 0;
    const std::size_t out = weight.rows();
    for (std::size_t i = 0; i < parts_; ++i) {
      const std::size_t in = widths_[i], turned = packed_elements<T>(in, out),
                        plain = packed_elements<T>(out, in);
      f(i, weight.block(0, col, out, in), call.prepared.subspan(at, turned),
        call.prepared.subspan(at + turned, plain));
      at += turned + plain;
      col += in;
    }
  }

  template <class T>
  ConstMatrixView<T> through_activation(const Call<T>& call) const {
    if (activation_ == Activation::kNone) return call.output_gradient;
    const std::size_t rows = call.output.rows(), cols = call.output.cols(), count = rows * cols;
    const std::span<const T> argument = derivative_needs_input(activation_)
                                            ? std::span<const T>(call.saved.first(count))
                                            : std::span<const T>(call.output.data(), count);
    multiply_by_derivative<T>(activation_, argument, {call.output_gradient.data(), count},
                              call.scratch.first(count));
    return {call.scratch.data(), rows, cols};
  }

  std::vector<std::size_t> widths_;  // in_i
  std::size_t parts_;
  bool bias_;
  Activation activation_;
};

Value apply_linear(Graph& graph, std::vector<Value> inputs, Value weight, std::optional<Value> bias,
                   Activation activation) {
  std::vector<std::size_t> widths;
  for (const Value input : inputs) widths.push_back(graph.shape(input).cols);
  inputs.push_back(weight);
  if (bias) inputs.push_back(*bias);
  return graph.apply(std::make_unique<Linear>(std::move(widths), bias.has_value(), activation),
                     std::move(inputs));
}

}  // namespace

Value linear(Graph& graph, std::vector<Value> inputs, Value weight, Value bias, Activation activation) {
  return apply_linear(graph, std::move(inputs), weight, bias, activation);
}

Value linear(Graph& graph, std::vector<Value> inputs, Value weight, Activation activation) {
  return apply_linear(graph, std::move(inputs), weight, std::nullopt, activation);
}

}  // namespace telos::nn
