#include <memory>
#include <string>

#include "nn/operation.h"
#include "nn/ops/row_kernels.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class CrossEntropyOperation final : public OperationOf<CrossEntropyOperation> {
 public:
  explicit CrossEntropyOperation(std::size_t rows) : rows_(rows) {}

  std::string_view name() const override { return "cross_entropy"; }
  Shape shape(std::span<const Shape> inputs) const override {
    const Shape& logits = inputs[0];
    const Shape& targets = inputs[1];
    require_real(name(), "the logits", logits);
    if (!targets.index)
      shape_error(name(), "the targets are " + shape_text(targets) + " numbers, expected indices");
    if (targets.rows != logits.rows || targets.batch != logits.batch)
      shape_error(name(), "the targets are " + shape_text(targets) + ", the logits " + shape_text(logits) +
                              "; expected one target a row");
    if (rows_ > logits.rows)
      shape_error(name(), "the first " + std::to_string(rows_) + " rows of " + shape_text(logits) +
                              " cannot count: there are fewer");
    return {.rows = 1, .cols = 1, .batch = logits.batch, .index = false};
  }
  /// The probabilities of the rows that count.
  std::size_t saved_elements(std::span<const Shape> inputs, std::size_t samples) const override {
    return samples * counted_rows(inputs[0].rows) * inputs[0].cols;
  }
  double flops(std::span<const Shape> inputs) const override {
    return 4 * static_cast<double>(counted_rows(inputs[0].rows) * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& logits = call.inputs[0].value;
    const std::size_t length = logits.rows() / call.samples, rows = counted_rows(length);
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      const std::int32_t* targets = call.inputs[1].indices.data() + sample * length;
      double sum = 0;
      for (std::size_t i = 0; i < rows; ++i) {
        if (targets[i] < 0) continue;
        const std::size_t target = static_cast<std::size_t>(targets[i]);
        if (target >= logits.cols()) out_of_range(call.first_sample + sample, i, target, logits.cols());
        sum += cross_entropy_row(logits.row(sample * length + i), logits.cols(), target,
                                 call.saved.data() + (sample * rows + i) * logits.cols());
      }
      const std::size_t counted = count(targets, rows);
      call.output(sample, 0) = counted == 0 ? T{0} : static_cast<T>(sum / static_cast<double>(counted));
    }
  }
  /// dY = (softmax(Y) − onehot(target))/counted.
  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> gradient = call.inputs[0].gradient;
    if (gradient.empty()) return;
    const std::size_t length = gradient.rows() / call.samples, rows = counted_rows(length);
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      const std::int32_t* targets = call.inputs[1].indices.data() + sample * length;
      const std::size_t counted = count(targets, rows);
      if (counted == 0) continue;
      const T factor = call.output_gradient(sample, 0) / static_cast<T>(counted);
      for (std::size_t i = 0; i < rows; ++i) {
        if (targets[i] < 0) continue;
        const T* p = call.saved.data() + (sample * rows + i) * gradient.cols();
        T* to = gradient.row(sample * length + i);
        for (std::size_t j = 0; j < gradient.cols(); ++j) to[j] += factor * p[j];
        to[targets[i]] -= factor;
      }
    }
  }

 private:
  std::size_t counted_rows(std::size_t length) const { return rows_ == 0 ? length : rows_; }
  static std::size_t count(const std::int32_t* targets, std::size_t rows) {
    std::size_t counted = 0;
    for (std::size_t i = 0; i < rows; ++i) counted += targets[i] >= 0 ? 1 : 0;
    return counted;
  }
  [[noreturn]] void out_of_range(std::size_t sample, std::size_t row, std::size_t target,
                                 std::size_t classes) const {
    throw Error(ErrorKind::kLimit, std::string(name()),
                "sample " + std::to_string(sample) + ", row " + std::to_string(row) + ": target " +
                    std::to_string(target) + ", expected 0 to " + std::to_string(classes - 1) +
                    ", or a negative number for a row that does not count");
  }

  std::size_t rows_;
};

}  // namespace

Value cross_entropy(Graph& graph, Value logits, Value target_indices, std::size_t rows) {
  return graph.apply(std::make_unique<CrossEntropyOperation>(rows), {logits, target_indices});
}

}  // namespace telos::nn
