#include <algorithm>
#include <memory>
#include <string>

#include "nn/operation.h"
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

  template <class T>
  void run_forward(const Call<T>& call) const {
    const ConstMatrixView<T> a = call.inputs[0].value, v = call.inputs[1].value;
    const std::size_t s = a.cols();
    for (std::size_t n = 0; n < call.samples; ++n) {
      if (form_ == MixForm::kIdentityAndShared)
        for (std::size_t i = 0; i < s; ++i)
          std::copy_n(v.row(n * s + i), v.cols(), call.output.row(n * s + i));
      for_heads(a.rows() / s, v.cols(),
                [&](std::size_t h, std::size_t in, std::size_t out, std::size_t width) {
                  for (std::size_t i = 0; i < s; ++i)
                    for (std::size_t c = 0; c < width; ++c) {
                      T sum = 0;
                      for (std::size_t j = 0; j < s; ++j) sum += a(h * s + i, j) * v(n * s + j, in + c);
                      call.output(n * s + i, out + c) = sum;
                    }
                });
    }
  }

  template <class T>
  void run_backward(const Call<T>& call) const {
    const ConstMatrixView<T> a = call.inputs[0].value, v = call.inputs[1].value, dm = call.output_gradient;
    const MatrixView<T> da = call.inputs[0].gradient, dv = call.inputs[1].gradient;
    const std::size_t s = a.cols();
    for (std::size_t n = 0; n < call.samples; ++n) {
      if (form_ == MixForm::kIdentityAndShared && !dv.empty())
        for (std::size_t i = n * s; i < n * s + s; ++i)
          for (std::size_t c = 0; c < v.cols(); ++c) dv(i, c) += dm(i, c);
      for_heads(a.rows() / s, v.cols(),
                [&](std::size_t h, std::size_t in, std::size_t out, std::size_t width) {
                  for (std::size_t i = 0; i < s; ++i)
                    for (std::size_t j = 0; j < s; ++j)
                      for (std::size_t c = 0; c < width; ++c) {
                        if (!dv.empty()) dv(n * s + j, in + c) += a(h * s + i, j) * dm(n * s + i, out + c);
                        if (!da.empty()) da(h * s + i, j) += v(n * s + j, in + c) * dm(n * s + i, out + c);
                      }
                });
    }
  }

 private:
  // Calls f(head, first column of V, first column of the result, columns).
  template <class F>
  void for_heads(std::size_t heads, std::size_t cols, const F& f) const {
    for (std::size_t h = 0; h < heads; ++h) {
      if (form_ == MixForm::kSplit)
        f(h, h * (cols / heads), h * (cols / heads), cols / heads);
      else
        f(h, 0, (h + (form_ == MixForm::kIdentityAndShared ? 1 : 0)) * cols, cols);
    }
  }

  MixForm form_;
};

}  // namespace

Value mix(Graph& graph, Value attention, Value v, MixForm form) {
  return graph.apply(std::make_unique<Mix>(form), {attention, v});
}

}  // namespace telos::nn
