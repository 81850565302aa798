#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "nn/operation.h"
#include "nn/ops/attention_kernel.h"
#include "telos/base/error.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

/// A key's index is kept as a floating-point number.
constexpr std::size_t kMaxLength = std::size_t{1} << 24;
/// Heads·length², which are kept for backward; beyond any memory, and no size overflows.
constexpr std::size_t kMaxWeights = std::size_t{1} << 40;

class AttentionOperation final : public OperationOf<AttentionOperation> {
 public:
  explicit AttentionOperation(const AttentionOptions& options) : options_(options) {}

  std::string_view name() const override { return "attention"; }

  Shape shape(std::span<const Shape> inputs) const override {
    const Shape& qk = inputs[0];
    const Shape& v = inputs[1];
    require_real(name(), "queries and keys", qk);
    require_real(name(), "values", v);
    const std::size_t heads = options_.heads;
    if (heads == 0 || heads > qk.cols)
      shape_error(name(), std::to_string(heads) + " heads for queries and keys of " + shape_text(qk));
    if (!std::isfinite(options_.scale)) shape_error(name(), "the scale is not finite");
    if (qk.cols == 0 || qk.cols % (2 * heads) != 0)
      shape_error(name(), "queries and keys are " + shape_text(qk) + ", expected columns in multiples of 2·" +
                              std::to_string(heads) + " heads");
    if (v.cols == 0 || v.cols % heads != 0)
      shape_error(name(), "values are " + shape_text(v) + ", expected columns in multiples of " +
                              std::to_string(heads) + " heads");
    if (v.rows != qk.rows || v.batch != qk.batch)
      shape_error(name(), "values are " + shape_text(v) + ", queries and keys " + shape_text(qk) +
                              "; expected as many rows of both (attention that all samples share: mix)");
    if (qk.rows > kMaxLength) shape_error(name(), "more than 2^24 rows");
    if (heads > kMaxWeights / qk.rows / qk.rows)
      throw Error(ErrorKind::kLimit, std::string(name()), "more than 2^40 weights a sample");
    return {.rows = v.rows, .cols = v.cols, .batch = v.batch, .index = false};
  }

  std::size_t saved_elements(std::span<const Shape> inputs, std::size_t samples) const override {
    const auto p = problem<float>(inputs[0].rows, inputs[0].cols, inputs[1].cols);
    return samples * p.heads * p.saved_per_head();
  }
  std::size_t scratch_elements(std::span<const Shape> inputs, std::size_t) const override {
    return problem<float>(inputs[0].rows, inputs[0].cols, inputs[1].cols).scratch_elements();
  }
  double flops(std::span<const Shape> inputs) const override {
    const double length = static_cast<double>(inputs[0].rows);
    return 2 * length * length *
           (static_cast<double>(inputs[0].cols) / 2 + static_cast<double>(inputs[1].cols));
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    AttentionProblem<T> p = problem_of(call);
    p.y = call.output.data();
    p.y_row = call.output.stride();
    attention_forward(p);
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    AttentionProblem<T> p = problem_of(call);
    p.dy = call.output_gradient.data();
    p.dy_row = call.output_gradient.stride();
    p.dqk = call.inputs[0].gradient.data();
    p.dqk_row = call.inputs[0].gradient.stride();
    p.dv = call.inputs[1].gradient.data();
    p.dv_row = call.inputs[1].gradient.stride();
    attention_backward(p);
  }

 private:
  template <class T>
  AttentionProblem<T> problem(std::size_t length, std::size_t qk_cols, std::size_t v_cols) const {
    AttentionProblem<T> p;
    p.length = length;
    p.heads = options_.heads;
    p.d_k = qk_cols / (2 * p.heads);
    p.d_v = v_cols / p.heads;
    p.kind = options_.kind;
    p.scale =
        static_cast<T>(options_.scale != 0 ? options_.scale : 1 / std::sqrt(static_cast<double>(p.d_k)));
    p.causal = options_.causal;
    p.interleaved = options_.interleaved;
    return p;
  }

  template <class T>
  AttentionProblem<T> problem_of(const Call<T>& call) const {
    const ConstMatrixView<T>& qk = call.inputs[0].value;
    const ConstMatrixView<T>& v = call.inputs[1].value;
    AttentionProblem<T> p = problem<T>(qk.rows() / call.samples, qk.cols(), v.cols());
    p.samples = call.samples;
    p.qk = qk.data();
    p.qk_row = qk.stride();
    p.v = v.data();
    p.v_row = v.stride();
    p.saved = call.saved.data();
    p.scratch = call.scratch.data();
    return p;
  }

  AttentionOptions options_;
};

}  // namespace

Value attention(Graph& graph, Value qk, Value v, const AttentionOptions& options) {
  return graph.apply(std::make_unique<AttentionOperation>(options), {qk, v});
}

}  // namespace telos::nn
