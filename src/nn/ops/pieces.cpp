#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/nn/operations.h"

// Parts of values and values side by side: copies forward, sums backward.
namespace telos::nn {
namespace {

template <class T>
void copy(ConstMatrixView<T> from, MatrixView<T> to) {
  for_rows(from, to, [](std::span<const T> x, std::span<T> y) { std::copy(x.begin(), x.end(), y.begin()); });
}

template <class T>
void add_into(ConstMatrixView<T> from, MatrixView<T> to) {
  for_rows(from, to, [](std::span<const T> x, std::span<T> y) { add_to<T>(x, y); });
}

class Slice final : public OperationOf<Slice> {
 public:
  Slice(std::size_t row, std::size_t col, std::size_t rows, std::size_t cols)
      : row_(row), col_(col), rows_(rows), cols_(cols) {}
  std::string_view name() const override { return "slice"; }
  Shape shape(std::span<const Shape> inputs) const override {
    const Shape& a = inputs[0];
    require_real(name(), "the input", a);
    if (row_ > a.rows || rows_ > a.rows - row_ || col_ > a.cols || cols_ > a.cols - col_)
      shape_error(name(), std::to_string(rows_) + "x" + std::to_string(cols_) + " from row " +
                              std::to_string(row_) + " and column " + std::to_string(col_) +
                              " on does not lie in " + shape_text(a));
    return {.rows = rows_, .cols = cols_, .batch = a.batch};
  }
  double flops(std::span<const Shape>) const override { return 0; }

  template <class T>
  void run_forward(const Call<T>& call) const {
    for (std::size_t s = 0; s < call.samples; ++s)
      copy<T>(window(call.inputs[0].value, call.samples, s), call.output.block(s * rows_, 0, rows_, cols_));
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    for (std::size_t s = 0; s < call.samples; ++s)
      add_into<T>(call.output_gradient.block(s * rows_, 0, rows_, cols_),
                  window(call.inputs[0].gradient, call.samples, s));
  }

 private:
  template <class T>
  MatrixView<T> window(MatrixView<T> a, std::size_t samples, std::size_t sample) const {
    return a.block(sample * (a.rows() / samples) + row_, col_, rows_, cols_);
  }
  std::size_t row_, col_, rows_, cols_;
};

// Matrices without batch one under another, or side by side.
class Stack final : public OperationOf<Stack> {
 public:
  explicit Stack(bool columns) : columns_(columns) {}
  std::string_view name() const override { return columns_ ? "stack_columns" : "stack_rows"; }
  Shape shape(std::span<const Shape> inputs) const override {
    if (inputs.empty()) shape_error(name(), "no input");
    Shape result{.rows = columns_ ? inputs[0].rows : 0, .cols = columns_ ? 0 : inputs[0].cols};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::string what = "input " + std::to_string(i + 1);
      require_no_batch(name(), what, inputs[i]);
      if (columns_) {
        require_matrix(name(), what, inputs[i], result.rows, inputs[i].cols);
        result.cols += inputs[i].cols;
      } else {
        require_matrix(name(), what, inputs[i], inputs[i].rows, result.cols);
        result.rows += inputs[i].rows;
      }
    }
    return result;
  }
  double flops(std::span<const Shape>) const override { return 0; }

  template <class T>
  void run_forward(const Call<T>& call) const {
    for_parts(call, call.output,
              [](const Operand<T>& input, MatrixView<T> part) { copy<T>(input.value, part); });
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    for_parts(call, call.output_gradient, [](const Operand<T>& input, ConstMatrixView<T> part) {
      if (!input.gradient.empty()) add_into<T>(part, input.gradient);
    });
  }

 private:
  // Calls f(input, its window of the whole).
  template <class T, class View, class F>
  void for_parts(const Call<T>& call, View whole, const F& f) const {
    std::size_t at = 0;
    for (const Operand<T>& input : call.inputs) {
      const std::size_t rows = input.value.rows(), cols = input.value.cols();
      f(input, columns_ ? whole.block(0, at, rows, cols) : whole.block(at, 0, rows, cols));
      at += columns_ ? cols : rows;
    }
  }
  bool columns_;
};

class AppendColumns final : public OperationOf<AppendColumns> {
 public:
  std::string_view name() const override { return "append_columns"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_real(name(), "the first", inputs[0]);
    require_no_batch(name(), "the second", inputs[1]);
    require_matrix(name(), "the second", inputs[1], inputs[0].rows, inputs[1].cols);
    return {.rows = inputs[0].rows, .cols = inputs[0].cols + inputs[1].cols, .batch = inputs[0].batch};
  }
  double flops(std::span<const Shape>) const override { return 0; }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T> x = call.inputs[0].value, p = call.inputs[1].value;
    copy<T>(x, call.output.block(0, 0, x.rows(), x.cols()));
    for (std::size_t s = 0; s < call.samples; ++s)
      copy<T>(p, call.output.block(s * p.rows(), x.cols(), p.rows(), p.cols()));
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> dx = call.inputs[0].gradient, dp = call.inputs[1].gradient;
    const ConstMatrixView<T> dy = call.output_gradient;
    const std::size_t x_cols = call.inputs[0].value.cols();
    if (!dx.empty()) add_into<T>(dy.block(0, 0, dx.rows(), dx.cols()), dx);
    if (dp.empty()) return;
    for (std::size_t s = 0; s < call.samples; ++s)
      add_into<T>(dy.block(s * dp.rows(), x_cols, dp.rows(), dp.cols()), dp);
  }
};

}  // namespace

Value slice(Graph& graph, Value a, std::size_t row, std::size_t col, std::size_t rows, std::size_t cols) {
  return graph.apply(std::make_unique<Slice>(row, col, rows, cols), {a});
}

Value stack_rows(Graph& graph, std::vector<Value> values) {
  return graph.apply(std::make_unique<Stack>(false), std::move(values));
}

Value stack_columns(Graph& graph, std::vector<Value> values) {
  return graph.apply(std::make_unique<Stack>(true), std::move(values));
}

Value append_columns(Graph& graph, Value x, Value p) {
  return graph.apply(std::make_unique<AppendColumns>(), {x, p});
}

}  // namespace telos::nn
