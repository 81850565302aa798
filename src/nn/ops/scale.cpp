#include <algorithm>
#include <memory>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/linalg/vecmath.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

double elements(const Shape& shape) {
  return static_cast<double>(shape.rows) * static_cast<double>(shape.cols);
}

template <class T>
std::span<T> all(MatrixView<T> x) {
  return {x.data(), x.rows() * x.cols()};
}

// factor·A.
class Scale final : public OperationOf<Scale> {
 public:
  explicit Scale(double factor) : factor_(factor) {}
  std::string_view name() const override { return "scale"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    return inputs[0];
  }
  double flops(std::span<const Shape> inputs) const override { return elements(inputs[0]); }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const T factor = static_cast<T>(factor_);
    for_rows(call.inputs[0].value, call.output, [factor](std::span<const T> x, std::span<T> y) {
      std::transform(x.begin(), x.end(), y.begin(), [factor](T v) { return factor * v; });
    });
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    add_scaled_to<T>(static_cast<T>(factor_), all(call.output_gradient), all(call.inputs[0].gradient));
  }

 private:
  double factor_;
};

// f·A with f a 1×1 value without batch; df = Σ A ⊙ dY, by the tree of vec_dot().
class ScaleBy final : public OperationOf<ScaleBy> {
 public:
  std::string_view name() const override { return "scale_by"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the input", inputs[0]);
    require_no_batch(name(), "the factor", inputs[1]);
    require_matrix(name(), "the factor", inputs[1], 1, 1);
    return inputs[0];
  }
  double flops(std::span<const Shape> inputs) const override { return elements(inputs[0]); }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const T factor = call.inputs[1].value(0, 0);
    for_rows(call.inputs[0].value, call.output, [factor](std::span<const T> x, std::span<T> y) {
      std::transform(x.begin(), x.end(), y.begin(), [factor](T v) { return factor * v; });
    });
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> x = call.inputs[0].value, dy = call.output_gradient;
    if (!call.inputs[0].gradient.empty())
      add_scaled_to<T>(call.inputs[1].value(0, 0), all(dy), all(call.inputs[0].gradient));
    if (call.inputs[1].gradient.empty()) return;
    T& df = call.inputs[1].gradient(0, 0);
    for_rows(x, dy, [&df](std::span<const T> a, std::span<const T> b) { df += vec_dot<T>(a, b); });
  }
};

}  // namespace

Value scale(Graph& graph, Value a, double factor) {
  return graph.apply(std::make_unique<Scale>(factor), {a});
}

Value scale_by(Graph& graph, Value a, Value factor) {
  return graph.apply(std::make_unique<ScaleBy>(), {a, factor});
}

}  // namespace telos::nn
