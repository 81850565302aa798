#include <cmath>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

/// cos and sin of every angle, formed in double: one row of d_k/2 pairs a position (or a head).
template <class T>
struct Rotations {
  std::vector<T> cosine, sine;
};

template <class T>
Rotations<T> rotations(std::size_t positions, std::size_t d_k, double base) {
  Rotations<T> out;
  for (std::size_t s = 0; s < positions; ++s)
    for (std::size_t t = 0; t < d_k / 2; ++t) {
      const double frequency = std::pow(base, -2 * static_cast<double>(t) / static_cast<double>(d_k));
      const double angle = static_cast<double>(s) * frequency;
      out.cosine.push_back(static_cast<T>(std::cos(angle)));
      out.sine.push_back(static_cast<T>(std::sin(angle)));
    }
  return out;
}

class RotaryOperation final : public OperationOf<RotaryOperation> {
 public:
  RotaryOperation(const Shape& qk, std::size_t heads, double base, bool over_heads)
      : heads_(heads), over_heads_(over_heads) {
    require_real(name(), "queries and keys", qk);
    if (heads == 0 || heads > qk.cols)
      shape_error(name(), std::to_string(heads) + " heads for queries and keys of " + shape_text(qk));
    if (!(base > 0) || !std::isfinite(base)) shape_error(name(), "the base is not a positive number");
    if (qk.cols == 0 || qk.cols % (4 * heads) != 0)
      shape_error(name(), "queries and keys are " + shape_text(qk) +
                              ", expected vectors of even length for queries and keys of " +
                              std::to_string(heads) + " heads");
    d_k_ = qk.cols / (2 * heads);
    const std::size_t positions = over_heads ? heads : qk.rows;
    single_ = rotations<float>(positions, d_k_, base);
    double_ = rotations<double>(positions, d_k_, base);
  }

  std::string_view name() const override { return "rotary"; }
  Shape shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  double flops(std::span<const Shape> inputs) const override {
    return 3 * static_cast<double>(inputs[0].rows * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    turn(call.samples, call.inputs[0].value, T{1}, [&](std::size_t row, std::size_t at, T x, T y) {
      call.output(row, at) = x;
      call.output(row, at + 1) = y;
    });
  }
  /// The transposed rotation turns back.
  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> gradient = call.inputs[0].gradient;
    if (gradient.empty()) return;
    turn(call.samples, call.output_gradient, T{-1}, [&](std::size_t row, std::size_t at, T x, T y) {
      gradient(row, at) += x;
      gradient(row, at + 1) += y;
    });
  }

 private:
  template <class T>
  const Rotations<T>& table() const {
    if constexpr (std::is_same_v<T, float>)
      return single_;
    else
      return double_;
  }

  template <class T, class Store>
  void turn(std::size_t samples, ConstMatrixView<T> from, T direction, const Store& store) const {
    const std::size_t length = from.rows() / samples, pairs = d_k_ / 2;
    for (std::size_t row = 0; row < from.rows(); ++row)
      for (std::size_t block = 0; block < 2 * heads_; ++block) {
        const std::size_t entry = (over_heads_ ? block / 2 : row % length) * pairs;
        const T* cosine = table<T>().cosine.data() + entry;
        const T* sine = table<T>().sine.data() + entry;
        const T* x = from.row(row) + block * d_k_;
        for (std::size_t t = 0; t < pairs; ++t) {
          const T c = cosine[t], s = direction * sine[t];
          store(row, block * d_k_ + 2 * t, x[2 * t] * c - x[2 * t + 1] * s, x[2 * t] * s + x[2 * t + 1] * c);
        }
      }
  }

  std::size_t heads_, d_k_ = 0;
  bool over_heads_;
  Rotations<float> single_;
  Rotations<double> double_;
};

}  // namespace

Value rotary(Graph& graph, Value qk, std::size_t heads, double base, bool over_heads) {
  return graph.apply(std::make_unique<RotaryOperation>(graph.shape(qk), heads, base, over_heads), {qk});
}

}  // namespace telos::nn
