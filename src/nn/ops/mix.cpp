#include <memory>
#include <string>

#include "nn/operation.h"
#include "nn/ops/mix_kernel.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

class Mix final : public OperationOf<Mix> {
 public:
  explicit Mix(MixForm form) : form_(form) {}
  std::string_view name() const override { return "mix"; }

  Shape shape(std::span<const Shape> inputs) const override {
    const Shape &a = inputs[0], &v = inputs[1];
    require_no_batch(name(), "the attention", a);
    require_real(name(), "the value", v);
    if (a.rows % a.cols != 0)
      shape_error(name(),
                  "the attention is " + shape_text(a) + ", expected square matrices one under another");
    require_matrix(name(), "the value", v, a.cols, v.cols);
    const std::size_t heads = a.rows / a.cols;
    if (form_ == MixForm::kSplit && v.cols % heads != 0)
      shape_error(name(), std::to_string(v.cols) + " columns cannot be split among " + std::to_string(heads) +
                              " heads");
    std::size_t copies = 1;
    if (form_ != MixForm::kSplit) copies = heads + (form_ == MixForm::kIdentityAndShared ? 1 : 0);
    return {.rows = v.rows, .cols = copies * v.cols, .batch = v.batch};
  }
  double flops(std::span<const Shape> inputs) const override {
    const double heads = form_ == MixForm::kSplit
                             ? 1
                             : static_cast<double>(inputs[0].rows) / static_cast<double>(inputs[0].cols);
    return 2 * heads * static_cast<double>(inputs[0].cols) * static_cast<double>(inputs[0].cols) *
           static_cast<double>(inputs[1].cols);
  }

  std::size_t scratch_elements(std::span<const Shape> inputs, std::size_t samples) const override {
    const Shape &a = inputs[0], &v = inputs[1];
    const std::size_t heads = a.rows / a.cols;
    const bool split = form_ == MixForm::kSplit;
    return mix_scratch_elements(v.batch ? samples : 1, a.cols, heads, split ? v.cols / heads : v.cols, split);
  }

  template <class T>
  void run_forward(const Call<T>& call) const {
    MixProblem<T> p = problem(call);
    p.m = call.output.data();
    mix_forward(p);
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    MixProblem<T> p = problem(call);
    const Operand<T>& v = call.inputs[1];
    p.dm = call.output_gradient.data();
    p.dv = v.gradient.data();
    p.dv_row = v.gradient.stride();
    p.store_dv = v.fresh;
    p.da = call.inputs[0].gradient.data();
    mix_backward(p);
  }

  bool stores_fresh_gradients() const override { return true; }

 private:
  template <class T>
  MixProblem<T> problem(const Call<T>& call) const {
    const ConstMatrixView<T> a = call.inputs[0].value, v = call.inputs[1].value;
    const bool split = form_ == MixForm::kSplit;
    MixProblem<T> p;
    p.samples = call.samples;
    p.rows = a.cols();
    p.heads = a.rows() / a.cols();
    p.cols = split ? v.cols() / p.heads : v.cols();
    p.v_step = split ? p.cols : 0;
    p.m_first = form_ == MixForm::kIdentityAndShared ? p.cols : 0;
    p.m_step = p.cols;
    p.a = a.data();
    p.v = v.data();
    p.v_row = v.stride();
    p.m_row = call.output.stride();
    p.scratch = call.scratch.data();
    return p;
  }

  MixForm form_;
};

}  // namespace

Value mix(Graph& graph, Value attention, Value v, MixForm form) {
  return graph.apply(std::make_unique<Mix>(form), {attention, v});
}

}  // namespace telos::nn
