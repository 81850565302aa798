#include <algorithm>
#include <memory>
#include <string>

#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class EmbeddingOperation final : public OperationOf<EmbeddingOperation> {
 public:
  std::string_view name() const override { return "embedding"; }
  Shape shape(std::span<const Shape> inputs) const override {
    const Shape& indices = inputs[0];
    const Shape& table = inputs[1];
    if (!indices.index)
      shape_error(name(), "the first input is " + shape_text(indices) + " numbers, expected indices");
    require_no_batch(name(), "the table", table);
    return {.rows = indices.rows, .cols = table.cols, .batch = indices.batch, .index = false};
  }
  double flops(std::span<const Shape>) const override { return 0; }
  bool touches_indexed_rows() const override { return true; }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const std::span<const std::int32_t> indices = call.inputs[0].indices;
    const ConstMatrixView<T>& table = call.inputs[1].value;
    for (std::size_t row = 0; row < indices.size(); ++row) {
      const std::int32_t index = indices[row];
      if (index < 0 || static_cast<std::size_t>(index) >= table.rows())
        out_of_range(call.first_sample, row, indices.size() / call.samples, index, table.rows());
      std::copy_n(table.row(static_cast<std::size_t>(index)), table.cols(), call.output.row(row));
    }
  }
  /// Samples in order, so that the sum of a row that several tokens share has the same bits every time.
  template <class T>
  void run_backward(const Call<T>& call) const {
    const std::span<const std::int32_t> indices = call.inputs[0].indices;
    const MatrixView<T> gradient = call.inputs[1].gradient;
    if (gradient.empty()) return;
    for (std::size_t row = 0; row < indices.size(); ++row) {
      T* to = gradient.row(static_cast<std::size_t>(indices[row]));
      const T* from = call.output_gradient.row(row);
      for (std::size_t j = 0; j < gradient.cols(); ++j) to[j] += from[j];
    }
  }

 private:
  [[noreturn]] void out_of_range(std::size_t first_sample, std::size_t row, std::size_t length,
                                 std::int32_t index, std::size_t size) const {
    throw Error(ErrorKind::kLimit, std::string(name()),
                "sample " + std::to_string(first_sample + row / length) + ", row " +
                    std::to_string(row % length) + ": index " + std::to_string(index) + ", expected 0 to " +
                    std::to_string(size - 1) + " (the table has " + std::to_string(size) + " rows)",
                "a token that the vocabulary does not have; check the tokeniser, or use a larger table");
  }
};

}  // namespace

Value embedding(Graph& graph, Value indices, Value table) {
  return graph.apply(std::make_unique<EmbeddingOperation>(), {indices, table});
}

}  // namespace telos::nn
