#include <algorithm>
#include <memory>

#include "nn/operation.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class WeightedMeanPool final : public OperationOf<WeightedMeanPool> {
 public:
  std::string_view name() const override { return "weighted_mean_pool"; }
  Shape shape(std::span<const Shape> inputs) const override {
    const Shape &x = inputs[0], &weights = inputs[1];
    require_real(name(), "the input", x);
    require_matrix(name(), "the weights", weights, x.rows, 1);
    if (weights.batch && !x.batch) shape_error(name(), "the weights are a sample's, the input is not");
    return {.rows = 1, .cols = x.cols, .batch = x.batch, .index = false};
  }
  double flops(std::span<const Shape> inputs) const override {
    return 2 * static_cast<double>(inputs[0].rows * inputs[0].cols);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T>& x = call.inputs[0].value;
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      T* const out = call.output.row(sample);
      std::fill_n(out, x.cols(), T{0});
      for_rows(call, sample, [&](std::size_t row, T share) {
        const T* const from = x.row(row);
        for (std::size_t j = 0; j < x.cols(); ++j) out[j] += share * from[j];
      });
    }
  }
  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> gradient = call.inputs[0].gradient;
    if (gradient.empty()) return;
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      const T* const from = call.output_gradient.row(sample);
      for_rows(call, sample, [&](std::size_t row, T share) {
        T* const to = gradient.row(row);
        for (std::size_t j = 0; j < gradient.cols(); ++j) to[j] += share * from[j];
      });
    }
  }

 private:
  /// Calls body(row, w/Σw) for the sample's rows of positive weight.
  template <class T, class Body>
  void for_rows(const Call<T>& call, std::size_t sample, const Body& body) const {
    const ConstMatrixView<T>& weights = call.inputs[1].value;
    const std::size_t length = call.inputs[0].value.rows() / call.samples;
    const std::size_t first = weights.rows() > length ? sample * length : 0;
    T sum = 0;
    for (std::size_t i = 0; i < length; ++i) sum += std::max(weights(first + i, 0), T{0});
    for (std::size_t i = 0; i < length; ++i)
      if (const T w = weights(first + i, 0); w > T{0}) body(sample * length + i, w / sum);
  }
};

}  // namespace

Value weighted_mean_pool(Graph& graph, Value x, Value weights) {
  return graph.apply(std::make_unique<WeightedMeanPool>(), {x, weights});
}

}  // namespace telos::nn
