#include <memory>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

constexpr Op other(Op op) {
  return op == Op::kPlain ? Op::kTransposed : Op::kPlain;
}

// C = op(A)·op(B). With respect to op(A) and op(B) the derivatives are dC·op(B)ᵀ and op(A)ᵀ·dC; a transposed
// factor takes the transpose of that.
class Matmul final : public OperationOf<Matmul> {
 public:
  Matmul(Op op_a, Op op_b) : op_a_(op_a), op_b_(op_b) {}
  std::string_view name() const override { return "matmul"; }

  Shape shape(std::span<const Shape> inputs) const override {
    const Shape &a = inputs[0], &b = inputs[1];
    require_real(name(), "A", a);
    require_no_batch(name(), "B", b);
    if (a.batch && op_a_ == Op::kTransposed) shape_error(name(), "A depends on the batch and is transposed");
    const std::size_t inner = op_a_ == Op::kPlain ? a.cols : a.rows;
    if (op_b_ == Op::kPlain)
      require_matrix(name(), "B", b, inner, b.cols);
    else
      require_matrix(name(), "B", b, b.rows, inner);
    return {.rows = op_a_ == Op::kPlain ? a.rows : a.cols,
            .cols = op_b_ == Op::kPlain ? b.cols : b.rows,
            .batch = a.batch};
  }
  double flops(std::span<const Shape> inputs) const override {
    const double n = static_cast<double>(op_b_ == Op::kPlain ? inputs[1].cols : inputs[1].rows);
    return 2.0 * n * static_cast<double>(inputs[0].rows) * static_cast<double>(inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    gemm<T>(op_a_, op_b_, T{1}, call.inputs[0].value, call.inputs[1].value, T{0}, call.output, serial());
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> a = call.inputs[0].value, b = call.inputs[1].value, dc = call.output_gradient;
    const MatrixView<T> da = call.inputs[0].gradient, db = call.inputs[1].gradient;
    if (!da.empty() && op_a_ == Op::kPlain)
      gemm<T>(Op::kPlain, other(op_b_), T{1}, dc, b, T{1}, da, serial());
    if (!da.empty() && op_a_ == Op::kTransposed)
      gemm<T>(op_b_, Op::kTransposed, T{1}, b, dc, T{1}, da, serial());
    if (!db.empty() && op_b_ == Op::kPlain)
      gemm<T>(other(op_a_), Op::kPlain, T{1}, a, dc, T{1}, db, serial());
    if (!db.empty() && op_b_ == Op::kTransposed)
      gemm<T>(Op::kTransposed, op_a_, T{1}, dc, a, T{1}, db, serial());
  }

 private:
  Op op_a_, op_b_;
};

}  // namespace

Value matmul(Graph& graph, Op op_a, Value a, Op op_b, Value b) {
  return graph.apply(std::make_unique<Matmul>(op_a, op_b), {a, b});
}

}  // namespace telos::nn
