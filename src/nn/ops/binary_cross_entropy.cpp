#include <memory>
#include <string>

#include "nn/operation.h"
#include "nn/ops/row_kernels.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class BinaryCrossEntropyOperation final : public OperationOf<BinaryCrossEntropyOperation> {
 public:
  explicit BinaryCrossEntropyOperation(std::size_t rows) : rows_(rows) {}

  std::string_view name() const override { return "binary_cross_entropy"; }
  Shape shape(std::span<const Shape> inputs) const override {
    const Shape& logits = inputs[0];
    const Shape& target = inputs[1];
    require_real(name(), "the logits", logits);
    require_matrix(name(), "the target", target, logits.rows, logits.cols);
    if (target.batch != logits.batch)
      shape_error(name(), "the target is " + shape_text(target) + ", the logits " + shape_text(logits));
    if (rows_ > logits.rows)
      shape_error(name(), "the first " + std::to_string(rows_) + " rows of " + shape_text(logits) +
                              " cannot count: there are fewer");
    return {.rows = 1, .cols = 1, .batch = logits.batch, .index = false};
  }
  double flops(std::span<const Shape> inputs) const override {
    return 20 * static_cast<double>(counted_rows(inputs[0].rows) * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& logits = call.inputs[0].value;
    const ConstMatrixView<T>& target = call.inputs[1].value;
    const std::size_t length = logits.rows() / call.samples, rows = counted_rows(length);
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      double sum = 0;
      for (std::size_t i = 0; i < rows; ++i)
        sum += binary_cross_entropy_row(logits.row(sample * length + i), target.row(sample * length + i),
                                        logits.cols());
      call.output(sample, 0) = static_cast<T>(sum / static_cast<double>(rows * logits.cols()));
    }
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T>& logits = call.inputs[0].value;
    const ConstMatrixView<T>& target = call.inputs[1].value;
    const MatrixView<T> dy = call.inputs[0].gradient;
    const MatrixView<T> dt = call.inputs[1].gradient;
    const std::size_t length = logits.rows() / call.samples, rows = counted_rows(length);
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      const T factor = call.output_gradient(sample, 0) / static_cast<T>(rows * logits.cols());
      for (std::size_t i = sample * length; i < sample * length + rows; ++i)
        binary_cross_entropy_gradient(logits.row(i), target.row(i), logits.cols(), factor,
                                      dy.empty() ? nullptr : dy.row(i), dt.empty() ? nullptr : dt.row(i));
    }
  }

 private:
  std::size_t counted_rows(std::size_t length) const { return rows_ == 0 ? length : rows_; }

  std::size_t rows_;
};

}  // namespace

Value binary_cross_entropy(Graph& graph, Value logits, Value target, std::size_t rows) {
  return graph.apply(std::make_unique<BinaryCrossEntropyOperation>(rows), {logits, target});
}

}  // namespace telos::nn
