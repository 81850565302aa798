#include <cmath>
#include <memory>
#include <string>

#include "nn/operation.h"
#include "nn/ops/hardmax_kernel.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class HardmaxLayers final : public OperationOf<HardmaxLayers> {
 public:
  explicit HardmaxLayers(const HardmaxOptions& options) : options_(options) {}
  std::string_view name() const override { return "hardmax_layers"; }

  Shape shape(std::span<const Shape> inputs) const override {
    const Shape &x = inputs[0], &alpha = inputs[1], &weights = inputs[2];
    require_real(name(), "the tokens", x);
    require_no_batch(name(), "alpha", alpha);
    require_matrix(name(), "alpha", alpha, 1, 1);
    require_matrix(name(), "the weights", weights, x.rows, 1);
    if (weights.batch && !x.batch) shape_error(name(), "the weights are a sample's, the tokens are not");
    require_positive("the temperature", options_.temperature);
    require_positive("the straight-through temperature", options_.ste_temperature);
    require_positive("the cut", options_.cut, true);
    return x;
  }
  double flops(std::span<const Shape> inputs) const override {
    const double rows = static_cast<double>(inputs[0].rows), cols = static_cast<double>(inputs[0].cols);
    return 2 * static_cast<double>(options_.layers) * rows * rows * cols;
  }
  std::size_t saved_elements(std::span<const Shape> inputs, std::size_t samples) const override {
    return (inputs[0].batch ? samples : 1) * sizes(inputs[0]).saved_elements();
  }
  std::size_t scratch_elements(std::span<const Shape> inputs, std::size_t) const override {
    return sizes(inputs[0]).scratch_elements();
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      HardmaxProblem<T> p = problem(call, sample);
      p.y = call.output.row(sample * p.rows);
      p.y_row = call.output.stride();
      hardmax_forward(p);
    }
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const MatrixView<T> dx = call.inputs[0].gradient, dalpha = call.inputs[1].gradient;
    for (std::size_t sample = 0; sample < call.samples; ++sample) {
      HardmaxProblem<T> p = problem(call, sample);
      p.dy = call.output_gradient.row(sample * p.rows);
      p.dy_row = call.output_gradient.stride();
      p.dx = dx.empty() ? nullptr : dx.row(sample * p.rows);
      p.dx_row = dx.stride();
      p.dalpha = dalpha.data();
      hardmax_backward(p);
    }
  }

 private:
  void require_positive(const char* what, double value, bool infinite = false) const {
    if (!(value > 0) || (std::isinf(value) && !infinite))
      shape_error(name(), std::string(what) + " is " + std::to_string(value) + ", expected a number above 0");
  }

  HardmaxProblem<float> sizes(const Shape& x) const {
    HardmaxProblem<float> p;
    p.rows = x.rows;
    p.cols = x.cols;
    p.layers = options_.layers;
    return p;
  }

  template <class T>
  HardmaxProblem<T> problem(const Call<T>& call, std::size_t sample) const {
    const ConstMatrixView<T> x = call.inputs[0].value, weights = call.inputs[2].value;
    HardmaxProblem<T> p;
    p.rows = x.rows() / call.samples;
    p.cols = x.cols();
    p.layers = options_.layers;
    p.mode = options_.mode;
    p.temperature = static_cast<T>(options_.temperature);
    p.ste_temperature = static_cast<T>(options_.ste_temperature);
    p.cut = static_cast<T>(options_.cut);
    p.alpha = call.inputs[1].value(0, 0);
    p.x = x.row(sample * p.rows);
    p.x_row = x.stride();
    p.weights = weights.row(weights.rows() > p.rows ? sample * p.rows : 0);
    p.weights_row = weights.stride();
    p.saved = call.saved.data() + sample * p.saved_elements();
    p.scratch = call.scratch.data();
    return p;
  }

  HardmaxOptions options_;
};

}  // namespace

Value hardmax_layers(Graph& graph, Value x, Value alpha, Value weights, const HardmaxOptions& options) {
  return graph.apply(std::make_unique<HardmaxLayers>(options), {x, alpha, weights});
}

}  // namespace telos::nn
