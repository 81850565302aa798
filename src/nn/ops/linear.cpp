#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "nn/ops/narrow_kernel.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

// Inputs: X_1 … X_m (L × in_i each), W (out × Σ in_i), and b (1 × out) if `bias`. With Z = Σ X_i W_iᵀ + b and
// Y = act(Z): dZ = dY ⊙ act'(Z), dX_i = dZ W_i, dW_i = dZᵀ X_i, db = column sums of dZ.
//
// Where W_i has few rows or few columns the products have kernels of their own. `prepared` holds for each
// input what its kernels read: W_iᵀ and W_i, packed; W_iᵀ as it is for few columns; nothing for few rows.
class Linear final : public OperationOf<Linear> {
 public:
  Linear(std::vector<std::size_t> widths, std::size_t out, bool bias, Activation activation)
      : widths_(std::move(widths)), parts_(widths_.size()), out_(out), bias_(bias), activation_(activation) {}

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

  std::size_t prepared_elements(std::span<const Shape>) const override {
    std::size_t elements = 0;
    for (const std::size_t in : widths_)
      elements += prepared_part<float>(in);  // float's padding is the larger
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
    for_parts(call, [&](const Part<T>& part) {
      const ConstMatrixView<T> w = part.weight;
      if (part.kind == Kind::kFewRows) return;
      if (part.kind == Kind::kFewColumns) {
        for (std::size_t i = 0; i < w.rows(); ++i)
          for (std::size_t j = 0; j < w.cols(); ++j) part.prepared[j * w.rows() + i] = w(i, j);
        return;
      }
      const std::size_t turned = packed_elements<T>(w.cols(), w.rows());
      pack(Op::kTransposed, w, part.prepared.first(turned));
      pack(Op::kPlain, w, part.prepared.subspan(turned));
    });
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const bool save = derivative_needs_input(activation_);
    const MatrixView<T> y = call.output;
    const MatrixView<T> z = save ? MatrixView<T>(call.saved.data(), y.rows(), y.cols()) : y;
    for_parts(call, [&](const Part<T>& part) {
      const bool last = part.index + 1 == parts_;
      const T* const bias = last && bias_ ? call.inputs[parts_ + 1].value.data() : nullptr;
      forward_part(part, call.inputs[part.index].value, bias, last && activation_ == Activation::kRelu, z);
    });
    if (save)
      activate_all<T>(activation_, call.saved.first(y.rows() * y.cols()), {y.data(), y.rows() * y.cols()});
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> dz = through_activation(call);
    const MatrixView<T> dw = call.inputs[parts_].gradient;
    for_parts(call, [&](const Part<T>& part) {
      const Operand<T>& x = call.inputs[part.index];
      if (!x.gradient.empty()) backward_input(part, dz, x.gradient, x.fresh);
      if (!dw.empty())
        backward_weight(part.kind, dz, x.value,
                        dw.block(0, part.col, part.weight.rows(), part.weight.cols()));
    });
  }

  bool stores_fresh_gradients() const override { return true; }

 private:
  enum class Kind { kWide, kFewRows, kFewColumns };
  template <class T>
  struct Part {
    std::size_t index, col;  // of W's columns
    Kind kind;
    ConstMatrixView<T> weight;  // W_i
    std::span<T> prepared;
  };

  Kind kind_of(std::size_t in) const {
    if (out_ <= kNarrow) return Kind::kFewRows;
    return in <= kNarrow ? Kind::kFewColumns : Kind::kWide;
  }
  template <class T>
  std::size_t prepared_part(std::size_t in) const {
    switch (kind_of(in)) {
      case Kind::kFewRows:
        return 0;
      case Kind::kFewColumns:
        return in * out_;
      case Kind::kWide:
        break;
    }
    return packed_elements<T>(in, out_) + packed_elements<T>(out_, in);
  }

  template <class T, class F>
  void for_parts(const Call<T>& call, const F& f) const {
    const ConstMatrixView<T> weight = call.inputs[parts_].value;
    std::size_t at = 0, col = 0;
    for (std::size_t i = 0; i < parts_; ++i) {
      const std::size_t in = widths_[i], size = prepared_part<T>(in);
      f(Part<T>{i, col, kind_of(in), weight.block(0, col, out_, in), call.prepared.subspan(at, size)});
      at += size;
      col += in;
    }
  }

  // z = or += X_i W_iᵀ, then bias and ReLU.
  template <class T>
  void forward_part(const Part<T>& part, ConstMatrixView<T> x, const T* bias, bool relu,
                    MatrixView<T> z) const {
    const bool add = part.index > 0;
    const NarrowResult<T> result{
        .out = z.data(), .out_row = z.stride(), .add = add, .bias = bias, .relu = relu};
    const std::size_t in = x.cols();
    switch (part.kind) {
      case Kind::kFewRows:
        return narrow_dots({.rows = x.rows(),
                            .q = out_,
                            .n = in,
                            .r = part.weight.data(),
                            .r_row = part.weight.stride(),
                            .z = x.data(),
                            .z_row = x.stride()},
                           result);
      case Kind::kFewColumns:
        return narrow_expand({.rows = x.rows(),
                              .q = in,
                              .n = out_,
                              .s = x.data(),
                              .s_row = x.stride(),
                              .r = part.prepared.data(),
                              .r_row = out_},
                             result);
      case Kind::kWide:
        break;
    }
    Epilogue<T> epilogue;
    if (add) epilogue.addend = z;
    if (bias != nullptr) epilogue.bias = {bias, out_};
    if (relu) epilogue.activation = Activation::kRelu;
    gemm_packed(x, PackedView<T>{part.prepared.data(), in, out_}, epilogue, z, serial());
  }

  // dX_i = or += dZ W_i.
  template <class T>
  void backward_input(const Part<T>& part, ConstMatrixView<T> dz, MatrixView<T> dx, bool fresh) const {
    const NarrowResult<T> result{.out = dx.data(), .out_row = dx.stride(), .add = !fresh};
    const std::size_t in = dx.cols();
    switch (part.kind) {
      case Kind::kFewRows:
        return narrow_expand({.rows = dz.rows(),
                              .q = out_,
                              .n = in,
                              .s = dz.data(),
                              .s_row = dz.stride(),
                              .r = part.weight.data(),
                              .r_row = part.weight.stride()},
                             result);
      case Kind::kFewColumns:
        return narrow_dots({.rows = dz.rows(),
                            .q = in,
                            .n = out_,
                            .r = part.prepared.data(),
                            .r_row = out_,
                            .z = dz.data(),
                            .z_row = dz.stride()},
                           result);
      case Kind::kWide:
        break;
    }
    Epilogue<T> epilogue;
    if (!fresh) epilogue.addend = dx;
    const T* const packed = part.prepared.data() + packed_elements<T>(in, out_);
    gemm_packed(dz, PackedView<T>{packed, out_, in}, epilogue, dx, serial());
  }

  // dW_i += dZᵀ X_i.
  template <class T>
  static void backward_weight(Kind kind, ConstMatrixView<T> dz, ConstMatrixView<T> x, MatrixView<T> dw) {
    NarrowProblem<T> p{.rows = dz.rows(), .q = dw.rows(), .n = dw.cols()};
    switch (kind) {
      case Kind::kFewRows:
        p.s = dz.data();
        p.s_row = dz.stride();
        p.z = x.data();
        p.z_row = x.stride();
        return narrow_gather(p, dw.data(), dw.stride(), 1);
      case Kind::kFewColumns:
        std::swap(p.q, p.n);
        p.s = x.data();
        p.s_row = x.stride();
        p.z = dz.data();
        p.z_row = dz.stride();
        return narrow_gather(p, dw.data(), 1, dw.stride());
      case Kind::kWide:
        return gemm<T>(Op::kTransposed, Op::kPlain, T{1}, dz, x, T{1}, dw, serial());
    }
  }

  // dZ; adds its column sums to db.
  template <class T>
  ConstMatrixView<T> through_activation(const Call<T>& call) const {
    const ConstMatrixView<T> dy = call.output_gradient;
    const std::size_t rows = dy.rows(), count = rows * out_;
    std::span<T> db;
    if (bias_ && !call.inputs[parts_ + 1].gradient.empty())
      db = {call.inputs[parts_ + 1].gradient.data(), out_};
    const MatrixView<T> dz(call.scratch.data(), rows, out_);
    switch (activation_) {
      case Activation::kNone:
        if (!db.empty()) add_column_sums<T>(dy, db);
        return dy;
      case Activation::kRelu:
        relu_backward<T>(call.output, dy, dz, db);
        return dz;
      default:
        multiply_by_derivative<T>(activation_, call.saved.first(count), {dy.data(), count},
                                  call.scratch.first(count));
        if (!db.empty()) add_column_sums<T>(dz, db);
        return dz;
    }
  }

  std::vector<std::size_t> widths_;  // in_i
  std::size_t parts_, out_;
  bool bias_;
  Activation activation_;
};

Value apply_linear(Graph& graph, std::vector<Value> inputs, Value weight, std::optional<Value> bias,
                   Activation activation) {
  std::vector<std::size_t> widths;
  widths.reserve(inputs.size());
  for (const Value input : inputs) widths.push_back(graph.shape(input).cols);
  const std::size_t out = graph.shape(weight).rows;
  inputs.push_back(weight);
  if (bias) inputs.push_back(*bias);
  return graph.apply(std::make_unique<Linear>(std::move(widths), out, bias.has_value(), activation),
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
