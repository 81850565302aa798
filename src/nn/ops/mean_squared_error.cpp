#include <algorithm>
#include <memory>

#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

// Mean of (Y − T)² over the first `rows` rows (0: all) of a sample, summed in double.
class MeanSquaredError final : public OperationOf<MeanSquaredError> {
 public:
  explicit MeanSquaredError(std::size_t rows) : rows_(rows) {}
  std::string_view name() const override { return "mean_squared_error"; }

  Shape shape(std::span<const Shape> inputs) const override {
    const Shape &y = inputs[0], &t = inputs[1];
    require_real(name(), "the prediction", y);
    require_matrix(name(), "the target", t, y.rows, y.cols);
    if (y.batch != t.batch)
      shape_error(name(), "prediction and target must both depend on the batch, or none");
    if (rows_ > y.rows)
      shape_error(name(), std::to_string(rows_) + " rows of a prediction of " + shape_text(y));
    return {.rows = 1, .cols = 1, .batch = y.batch};
  }
  double flops(std::span<const Shape> inputs) const override {
    return 3.0 * static_cast<double>(used(inputs[0].rows)) * static_cast<double>(inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T> y = call.inputs[0].value, t = call.inputs[1].value;
    const std::size_t rows = y.rows() / call.samples, count = used(rows);
    for (std::size_t s = 0; s < call.samples; ++s) {
      double sum = 0;
      for (std::size_t i = s * rows; i < s * rows + count; ++i)
        for (std::size_t j = 0; j < y.cols(); ++j) {
          const double error = double{y(i, j)} - double{t(i, j)};
          sum += error * error;
        }
      call.output(s, 0) = static_cast<T>(sum / static_cast<double>(count * y.cols()));
    }
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> y = call.inputs[0].value, t = call.inputs[1].value;
    const std::size_t rows = y.rows() / call.samples, count = used(rows);
    const T mean = static_cast<T>(2.0 / static_cast<double>(count * y.cols()));
    for (std::size_t k = 0; k < 2; ++k) {
      const MatrixView<T> gradient = call.inputs[k].gradient;
      if (gradient.empty()) continue;
      for (std::size_t s = 0; s < call.samples; ++s) {
        const T factor = (k == 0 ? mean : -mean) * call.output_gradient(s, 0);
        for (std::size_t i = s * rows; i < s * rows + count; ++i)
          for (std::size_t j = 0; j < y.cols(); ++j) gradient(i, j) += factor * (y(i, j) - t(i, j));
      }
    }
  }

 private:
  std::size_t used(std::size_t rows) const { return rows_ == 0 ? rows : rows_; }
  std::size_t rows_;
};

}  // namespace

Value mean_squared_error(Graph& graph, Value prediction, Value target, std::size_t rows) {
  return graph.apply(std::make_unique<MeanSquaredError>(rows), {prediction, target});
}

}  // namespace telos::nn
