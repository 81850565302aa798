#include <algorithm>
#include <memory>
#include <vector>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

// A + B of equal shapes, or A of each sample plus one B.
class Add final : public OperationOf<Add> {
 public:
  std::string_view name() const override { return "add"; }

  Shape shape(std::span<const Shape> inputs) const override {
    const Shape &a = inputs[0], &b = inputs[1];
    require_real(name(), "the first", a);
    require_matrix(name(), "the second", b, a.rows, a.cols);
    if (b.batch && !a.batch) shape_error(name(), "only the second depends on the batch: put it first");
    return a;
  }
  double flops(std::span<const Shape> inputs) const override {
    return static_cast<double>(inputs[0].rows) * static_cast<double>(inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T> a = call.inputs[0].value, b = call.inputs[1].value;
    for_samples(a.rows(), b.rows(), [&](std::size_t row) {
      const MatrixView<T> y = call.output.block(row, 0, b.rows(), b.cols());
      for_rows(a.block(row, 0, b.rows(), b.cols()), y, [](std::span<const T> from, std::span<T> to) {
        std::copy(from.begin(), from.end(), to.begin());
      });
      for_rows(b, y, [](std::span<const T> x, std::span<T> sum) { add_to<T>(x, sum); });
    });
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> dy = call.output_gradient;
    for (const Operand<T>& input : call.inputs) {
      const MatrixView<T> dx = input.gradient;
      if (dx.empty()) continue;
      for_samples(dy.rows(), dx.rows(), [&](std::size_t row) {
        for_rows(dy.block(row, 0, dx.rows(), dx.cols()), dx,
                 [](std::span<const T> x, std::span<T> sum) { add_to<T>(x, sum); });
      });
    }
  }

 private:
  template <class F>
  static void for_samples(std::size_t rows, std::size_t step, const F& f) {
    for (std::size_t row = 0; row < rows; row += step) f(row);
  }
};

}  // namespace

Value add(Graph& graph, Value a, Value b) {
  return graph.apply(std::make_unique<Add>(), {a, b});
}

}  // namespace telos::nn
