#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <string>

#include "nn/elementwise.h"
#include "nn/operation.h"
#include "telos/linalg/vecmath.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

// A double takes the place of two elements, be they float or double.
constexpr std::size_t kElementsPerDouble = 2;

// Hands out matrices of double from memory of a call, which no other operation reads while they live.
class Doubles {
 public:
  template <class T>
  explicit Doubles(std::span<T> memory) : next_(reinterpret_cast<std::byte*>(memory.data())) {}
  MatrixView<double> take(std::size_t rows, std::size_t cols) {
    double* const first = std::launder(reinterpret_cast<double*>(next_));
    next_ += rows * cols * sizeof(double);
    return {first, rows, cols};
  }

 private:
  std::byte* next_;
};

template <class T>
void widen(ConstMatrixView<T> from, MatrixView<double> to) {
  for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.cols(), to.row(i));
}

template <class T>
void add_narrowed(ConstMatrixView<double> from, MatrixView<T> to) {
  for (std::size_t i = 0; i < from.rows(); ++i)
    for (std::size_t j = 0; j < from.cols(); ++j) to(i, j) += static_cast<T>(from(i, j));
}

// dS = A ⊙ (dA − row sums of dA ⊙ A), row by row.
template <class T>
void softmax_backward(const T* a, const T* da, std::size_t n, T* ds) {
  T sum = 0;
  for (std::size_t j = 0; j < n; ++j) sum += a[j] * da[j];
  for (std::size_t j = 0; j < n; ++j) ds[j] = a[j] * (da[j] - sum);
}

// With M = 2 d_k H columns [Q_1 K_1 Q_2 K_2 …] = P Wᵀ + b: A_h = softmax_rows(Q_h K_hᵀ/√d_k). Backward:
// dS_h as above over √d_k, dQ_h = dS_h K_h, dK_h = dS_hᵀ Q_h, dW = [dQ dK …]ᵀ P, db its column sums.
class PositionalAttention final : public OperationOf<PositionalAttention> {
 public:
  explicit PositionalAttention(std::size_t heads) : heads_(heads) {}
  std::string_view name() const override { return "positional_attention"; }

  Shape shape(std::span<const Shape> inputs) const override {
    require_no_batch(name(), "the positions", inputs[0]);
    require_no_batch(name(), "the weight", inputs[1]);
    require_no_batch(name(), "the bias", inputs[2]);
    const std::size_t m = inputs[1].rows;
    if (heads_ == 0 || m % (2 * heads_) != 0)
      shape_error(name(), "the weight has " + std::to_string(m) + " rows, expected a multiple of 2 x " +
                              std::to_string(heads_) + " heads");
    require_matrix(name(), "the weight", inputs[1], m, inputs[0].cols);
    require_matrix(name(), "the bias", inputs[2], 1, m);
    return {.rows = heads_ * inputs[0].rows, .cols = inputs[0].rows};
  }
  /// Positions, weight, [Q K …] and A in double.
  std::size_t saved_elements(std::span<const Shape> inputs, std::size_t) const override {
    const std::size_t s = inputs[0].rows, p = inputs[0].cols, m = inputs[1].rows;
    return kElementsPerDouble * (s * p + m * p + s * m + heads_ * s * s);
  }
  /// dA and dS of a head, [dQ dK …], dW, dP.
  std::size_t scratch_elements(std::span<const Shape> inputs, std::size_t) const override {
    const std::size_t s = inputs[0].rows, p = inputs[0].cols, m = inputs[1].rows;
    return kElementsPerDouble * (2 * s * s + s * m + m * p + s * p);
  }
  double flops(std::span<const Shape> inputs) const override {
    const double s = static_cast<double>(inputs[0].rows), p = static_cast<double>(inputs[0].cols),
                 m = static_cast<double>(inputs[1].rows);
    return 2 * s * p * m + s * s * m;
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const Saved saved = saved_of(call);
    widen(call.inputs[0].value, saved.positions);
    widen(call.inputs[1].value, saved.weight);
    for (std::size_t i = 0; i < saved.qk.rows(); ++i)
      std::copy_n(call.inputs[2].value.data(), saved.qk.cols(), saved.qk.row(i));
    gemm<double>(Op::kPlain, Op::kTransposed, 1, saved.positions, saved.weight, 1, saved.qk, serial());
    const std::size_t s = saved.qk.rows(), k = key_width(saved);
    for (std::size_t h = 0; h < heads_; ++h) {
      const MatrixView<double> a = saved.a.block(h * s, 0, s, s);
      gemm<double>(Op::kPlain, Op::kTransposed, 1, query(saved.qk, h, k), key(saved.qk, h, k), 0, a,
                   serial());
      for (std::size_t i = 0; i < s; ++i) {
        softmax_row<double>({a.row(i), s}, s, 1 / std::sqrt(static_cast<double>(k)));
        std::transform(a.row(i), a.row(i) + s, call.output.row(h * s + i),
                       [](double x) { return static_cast<T>(x); });
      }
    }
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const Saved saved = saved_of(call);
    const std::size_t s = saved.qk.rows(), m = saved.qk.cols(), k = key_width(saved);
    Doubles scratch(call.scratch);
    const MatrixView<double> da = scratch.take(s, s), ds = scratch.take(s, s), dqk = scratch.take(s, m),
                             dw = scratch.take(m, saved.weight.cols()),
                             dp = scratch.take(s, saved.weight.cols());
    const double scale = 1 / std::sqrt(static_cast<double>(k));
    for (std::size_t h = 0; h < heads_; ++h) {
      widen(call.output_gradient.block(h * s, 0, s, s), da);
      for (std::size_t i = 0; i < s; ++i) softmax_backward(saved.a.row(h * s + i), da.row(i), s, ds.row(i));
      gemm<double>(Op::kPlain, Op::kPlain, scale, ds, key(saved.qk, h, k), 0, query(dqk, h, k), serial());
      gemm<double>(Op::kTransposed, Op::kPlain, scale, ds, query(saved.qk, h, k), 0, key(dqk, h, k),
                   serial());
    }
    if (!call.inputs[0].gradient.empty()) {
      gemm<double>(Op::kPlain, Op::kPlain, 1, dqk, saved.weight, 0, dp, serial());
      add_narrowed<T>(dp, call.inputs[0].gradient);
    }
    if (!call.inputs[1].gradient.empty()) {
      gemm<double>(Op::kTransposed, Op::kPlain, 1, dqk, saved.positions, 0, dw, serial());
      add_narrowed<T>(dw, call.inputs[1].gradient);
    }
    if (!call.inputs[2].gradient.empty())
      for (std::size_t j = 0; j < m; ++j) {
        double sum = 0;
        for (std::size_t i = 0; i < s; ++i) sum += dqk(i, j);
        call.inputs[2].gradient(0, j) += static_cast<T>(sum);
      }
  }

 private:
  struct Saved {
    MatrixView<double> positions, weight, qk, a;
  };
  template <class T>
  Saved saved_of(const Call<T>& call) const {
    const std::size_t s = call.inputs[0].value.rows(), p = call.inputs[0].value.cols(),
                      m = call.inputs[1].value.rows();
    Doubles memory(call.saved);
    Saved saved;
    saved.positions = memory.take(s, p);
    saved.weight = memory.take(m, p);
    saved.qk = memory.take(s, m);
    saved.a = memory.take(heads_ * s, s);
    return saved;
  }
  std::size_t key_width(const Saved& saved) const { return saved.qk.cols() / (2 * heads_); }
  static MatrixView<double> query(MatrixView<double> qk, std::size_t head, std::size_t k) {
    return qk.block(0, 2 * head * k, qk.rows(), k);
  }
  static MatrixView<double> key(MatrixView<double> qk, std::size_t head, std::size_t k) {
    return qk.block(0, (2 * head + 1) * k, qk.rows(), k);
  }

  std::size_t heads_;
};

class SoftmaxRows final : public OperationOf<SoftmaxRows> {
 public:
  std::string_view name() const override { return "softmax_rows"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_no_batch(name(), "the input", inputs[0]);
    return inputs[0];
  }
  std::size_t scratch_elements(std::span<const Shape> inputs, std::size_t) const override {
    return inputs[0].cols;
  }
  /// Five operations an element: scale, subtract, exponential, sum, divide.
  double flops(std::span<const Shape> inputs) const override {
    return 5 * static_cast<double>(inputs[0].rows) * static_cast<double>(inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T> x = call.inputs[0].value;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      std::copy_n(x.row(i), x.cols(), call.output.row(i));
      softmax_row<T>({call.output.row(i), x.cols()}, x.cols(), T{1});
    }
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> dx = call.inputs[0].gradient;
    for (std::size_t i = 0; i < dx.rows(); ++i) {
      softmax_backward<T>(call.output.row(i), call.output_gradient.row(i), dx.cols(), call.scratch.data());
      add_to<T>(call.scratch.first(dx.cols()), {dx.row(i), dx.cols()});
    }
  }
};

class HardRows final : public OperationOf<HardRows> {
 public:
  std::string_view name() const override { return "hard_rows"; }
  Shape shape(std::span<const Shape> inputs) const override {
    require_no_batch(name(), "the input", inputs[0]);
    return inputs[0];
  }
  double flops(std::span<const Shape>) const override { return 0; }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T> x = call.inputs[0].value;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      std::fill_n(call.output.row(i), x.cols(), T{0});
      *(call.output.row(i) + (std::max_element(x.row(i), x.row(i) + x.cols()) - x.row(i))) = T{1};
    }
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    for_rows(call.output_gradient, call.inputs[0].gradient,
             [](std::span<const T> dy, std::span<T> dx) { add_to<T>(dy, dx); });
  }
};

}  // namespace

Value positional_attention(Graph& graph, Value positions, Value w_qk, Value b_qk, std::size_t heads) {
  return graph.apply(std::make_unique<PositionalAttention>(heads), {positions, w_qk, b_qk});
}

Value softmax_rows(Graph& graph, Value logits) {
  return graph.apply(std::make_unique<SoftmaxRows>(), {logits});
}

Value hard_rows(Graph& graph, Value rows) {
  return graph.apply(std::make_unique<HardRows>(), {rows});
}

}  // namespace telos::nn
