#include "tests/nn/operation_table.h"

#include <limits>
#include <type_traits>
#include <utility>

#include "telos/nn/operations.h"

namespace telos::nn::table {

using Graphed = std::vector<Value>;
using Derivative = Example::Derivative;

Input batch(std::size_t rows, std::size_t cols, double low, double high) {
  return {Input::Kind::kBatch, rows, cols, low, high};
}
Input shared(std::size_t rows, std::size_t cols, double low, double high) {
  return {Input::Kind::kShared, rows, cols, low, high};
}
Input indices(std::size_t rows, int low, int high) {
  return {Input::Kind::kIndex, rows, 1, static_cast<double>(low), static_cast<double>(high)};
}

namespace {

/// A loss as a matrix of one element.
template <class T>
ref::Mat<T> one(const T& loss) {
  return {{loss}};
}

/// `reference` is a generic lambda: called with numbers, and with numbers on a tape.
template <class Build, class Reference>
Example example(std::string name, std::vector<Input> inputs, Build build, Reference reference,
                Derivative derivative = Derivative::kSmooth) {
  return {std::move(name), std::move(inputs), build, reference, reference, derivative};
}

// Attention in the library's words and in the reference's.
struct Heads {
  std::size_t heads = 1;
  AttentionOptions::Kind kind = AttentionOptions::Kind::kSoftmax;
  bool causal = false, interleaved = true;
  double scale = 0;
};

Example attention_example(std::string name, std::size_t length, std::size_t d_k, std::size_t d_v, Heads h,
                          bool with_batch = true) {
  const auto in = [&](std::size_t cols) { return with_batch ? batch(length, cols) : shared(length, cols); };
  const AttentionOptions options{h.heads, h.kind, h.scale, h.causal, h.interleaved};
  using Kind = ref::Attention::Kind;
  const Kind kind = h.kind == AttentionOptions::Kind::kSoftmax  ? Kind::kSoftmax
                    : h.kind == AttentionOptions::Kind::kLinear ? Kind::kLinear
                                                                : Kind::kHard;
  const ref::Attention same{h.heads, kind, h.scale, h.causal, h.interleaved};
  return example(
      "attention " + name, {in(2 * h.heads * d_k), in(h.heads * d_v)},
      [options](Graph& g, const Graphed& v) { return attention(g, v[0], v[1], options); },
      [same](const auto& a) { return ref::attention(a[0].value, a[1].value, same); },
      h.kind == AttentionOptions::Kind::kHard ? Derivative::kEstimator : Derivative::kSmooth);
}

Example linear_example(std::string name, std::size_t rows, std::vector<std::size_t> cols, std::size_t out,
                       Activation activation, ref::Activation same, Derivative derivative) {
  std::vector<Input> inputs;
  std::size_t width = 0;
  for (const std::size_t c : cols) {
    inputs.push_back(batch(rows, c));
    width += c;
  }
  inputs.push_back(shared(out, width, -0.5, 0.5));
  inputs.push_back(shared(1, out));
  const std::size_t n = cols.size();
  return example(
      "linear " + name, std::move(inputs),
      [n, activation](Graph& g, const Graphed& v) {
        return linear(g, {v.begin(), v.begin() + static_cast<std::ptrdiff_t>(n)}, v[n], v[n + 1], activation);
      },
      [n, same](const auto& a) {
        std::vector<std::remove_cvref_t<decltype(a[0].value)>> x;
        for (std::size_t i = 0; i < n; ++i) x.push_back(a[i].value);
        return ref::linear(x, a[n].value, a[n + 1].value, same);
      },
      derivative);
}

/// The type of the numbers in the arguments of a reference.
template <class A>
using NumberOf = typename std::remove_cvref_t<decltype(std::declval<A>()[0].value)>::value_type::value_type;

template <class T>
ref::Mat<T> scaled(const ref::Mat<T>& a, double factor) {
  return ref::scale(a, T(factor));
}

Example activation_example(std::string name, Activation activation, ref::Activation same) {
  return example(
      "activate " + name, {batch(3, 21)},
      [activation](Graph& g, const Graphed& v) { return activate(g, v[0], activation); },
      [same](const auto& a) { return ref::activate(a[0].value, same); },
      activation == Activation::kRelu ? Derivative::kKinks : Derivative::kSmooth);
}

/// op(A) m×k times op(B) k×n.
Example matmul_example(std::string name, Op op_a, Op op_b, std::size_t m, std::size_t k, std::size_t n,
                       bool with_batch) {
  const bool turn_a = op_a == Op::kTransposed, turn_b = op_b == Op::kTransposed;
  const std::size_t a_rows = turn_a ? k : m, a_cols = turn_a ? m : k;
  return example(
      "matmul " + name,
      {with_batch ? batch(a_rows, a_cols) : shared(a_rows, a_cols), turn_b ? shared(n, k) : shared(k, n)},
      [=](Graph& g, const Graphed& v) { return matmul(g, op_a, v[0], op_b, v[1]); },
      [=](const auto& a) {
        return ref::multiply(turn_a ? ref::transpose(a[0].value) : a[0].value,
                             turn_b ? ref::transpose(a[1].value) : a[1].value);
      });
}

Example mix_example(std::string name, std::size_t length, std::size_t width, std::size_t heads, MixForm form,
                    ref::MixForm same) {
  return example(
      "mix " + name, {shared(heads * length, length), batch(length, width)},
      [form](Graph& g, const Graphed& v) { return mix(g, v[0], v[1], form); },
      [same](const auto& a) { return ref::mix(a[0].value, a[1].value, same); });
}

/// Layers of pure attention on `rows` tokens; α is the softplus of a parameter, so that it is positive.
Example hardmax_example(std::string name, std::vector<double> weights, std::size_t cols,
                        HardmaxOptions options) {
  using Mode = HardmaxOptions::Mode;
  options.cut = std::numeric_limits<double>::infinity();
  const ref::Hardmax same{options.mode == Mode::kSoft   ? ref::Hardmax::Mode::kSoft
                          : options.mode == Mode::kHard ? ref::Hardmax::Mode::kHard
                                                        : ref::Hardmax::Mode::kSte,
                          options.layers, options.temperature, options.ste_temperature};
  return example(
      "hardmax_layers " + name, {batch(weights.size(), cols), shared(1, 1)},
      [=](Graph& g, const Graphed& v) {
        const Value w = g.constant({weights.data(), weights.size(), 1});
        return hardmax_layers(g, v[0], softplus(g, v[1]), w, options);
      },
      [=](const auto& a) {
        return ref::hardmax_layers(a[0].value, ref::softplus(a[1].value, 1)[0][0], weights, same);
      },
      options.mode == Mode::kSoft   ? Derivative::kSmooth
      : options.mode == Mode::kHard ? Derivative::kKinks
                                    : Derivative::kEstimator);
}

std::vector<Example> make_operations() {
  using Kind = AttentionOptions::Kind;
  std::vector<Example> all;
  const auto add_line = [&](Example e) { all.push_back(std::move(e)); };

  add_line(
      linear_example("9x64", 9, {64}, 64, Activation::kNone, ref::Activation::kNone, Derivative::kSmooth));
  add_line(linear_example("two inputs, relu", 9, {13, 20}, 17, Activation::kRelu, ref::Activation::kRelu,
                          Derivative::kKinks));
  add_line(linear_example("gelu", 5, {7}, 33, Activation::kGeluErf, ref::Activation::kGeluErf,
                          Derivative::kSmooth));
  add_line(linear_example("gelu tanh", 1, {3}, 1, Activation::kGeluTanh, ref::Activation::kGeluTanh,
                          Derivative::kSmooth));
  add_line(linear_example("one output", 9, {20}, 1, Activation::kNone, ref::Activation::kNone,
                          Derivative::kSmooth));
  add_line(linear_example("four outputs, two inputs", 9, {5, 18}, 4, Activation::kSilu,
                          ref::Activation::kSilu, Derivative::kSmooth));
  add_line(linear_example("three columns, relu", 9, {3}, 37, Activation::kRelu, ref::Activation::kRelu,
                          Derivative::kKinks));
  add_line(linear_example("one column and many", 5, {1, 20}, 16, Activation::kNone, ref::Activation::kNone,
                          Derivative::kSmooth));
  add_line(example(
      "add", {batch(5, 7), batch(5, 7)}, [](Graph& g, const Graphed& v) { return add(g, v[0], v[1]); },
      [](const auto& a) { return ref::add(a[0].value, a[1].value); }));
  add_line(example(
      "add shared", {batch(3, 17), shared(3, 17)},
      [](Graph& g, const Graphed& v) { return add(g, v[0], v[1]); },
      [](const auto& a) { return ref::add(a[0].value, a[1].value); }));

  add_line(matmul_example("AB", Op::kPlain, Op::kPlain, 5, 7, 9, false));
  add_line(matmul_example("transposed", Op::kTransposed, Op::kTransposed, 17, 3, 4, false));
  add_line(matmul_example("left transposed", Op::kTransposed, Op::kPlain, 4, 18, 5, false));
  add_line(matmul_example("X of each sample", Op::kPlain, Op::kTransposed, 9, 13, 20, true));
  add_line(example(
      "scale", {batch(3, 11)}, [](Graph& g, const Graphed& v) { return scale(g, v[0], -1.7); },
      [](const auto& a) { return scaled(a[0].value, -1.7); }));
  add_line(example(
      "scale_by", {batch(3, 11), shared(1, 1)},
      [](Graph& g, const Graphed& v) { return scale_by(g, v[0], v[1]); },
      [](const auto& a) { return ref::scale(a[0].value, a[1].value[0][0]); }));
  add_line(activation_example("relu", Activation::kRelu, ref::Activation::kRelu));
  add_line(activation_example("gelu", Activation::kGeluErf, ref::Activation::kGeluErf));
  add_line(activation_example("gelu tanh", Activation::kGeluTanh, ref::Activation::kGeluTanh));
  add_line(activation_example("quick gelu", Activation::kQuickGelu, ref::Activation::kQuickGelu));
  add_line(activation_example("silu", Activation::kSilu, ref::Activation::kSilu));
  add_line(example(
      "slice", {batch(5, 9)}, [](Graph& g, const Graphed& v) { return slice(g, v[0], 1, 2, 3, 6); },
      [](const auto& a) { return ref::slice(a[0].value, 1, 2, 3, 6); }));
  add_line(example(
      "slice shared", {shared(5, 9)}, [](Graph& g, const Graphed& v) { return slice(g, v[0], 4, 0, 1, 9); },
      [](const auto& a) { return ref::slice(a[0].value, 4, 0, 1, 9); }));
  add_line(example(
      "stack_rows", {shared(2, 7), shared(1, 7), shared(3, 7)},
      [](Graph& g, const Graphed& v) { return stack_rows(g, v); },
      [](const auto& a) {
        return ref::stack_rows<NumberOf<decltype(a)>>({a[0].value, a[1].value, a[2].value});
      }));
  add_line(example(
      "stack_columns", {shared(3, 7), shared(3, 1), shared(3, 4)},
      [](Graph& g, const Graphed& v) { return stack_columns(g, v); },
      [](const auto& a) {
        return ref::append_columns(ref::append_columns(a[0].value, a[1].value), a[2].value);
      }));
  add_line(example(
      "append_columns", {batch(4, 3), shared(4, 5)},
      [](Graph& g, const Graphed& v) { return append_columns(g, v[0], v[1]); },
      [](const auto& a) { return ref::append_columns(a[0].value, a[1].value); }));

  add_line(example(
      "positional_attention", {shared(9, 9), shared(2 * 9 * 2, 9), shared(1, 2 * 9 * 2)},
      [](Graph& g, const Graphed& v) { return positional_attention(g, v[0], v[1], v[2], 2); },
      [](const auto& a) { return ref::positional_attention(a[0].value, a[1].value, a[2].value, 2); }));
  add_line(example(
      "positional_attention narrow", {shared(17, 3), shared(2 * 5 * 3, 3), shared(1, 2 * 5 * 3)},
      [](Graph& g, const Graphed& v) { return positional_attention(g, v[0], v[1], v[2], 3); },
      [](const auto& a) { return ref::positional_attention(a[0].value, a[1].value, a[2].value, 3); }));
  add_line(example(
      "softmax_rows", {shared(10, 7)}, [](Graph& g, const Graphed& v) { return softmax_rows(g, v[0]); },
      [](const auto& a) { return ref::softmax_rows(a[0].value); }));
  add_line(example(
      "hard_rows", {shared(10, 7)}, [](Graph& g, const Graphed& v) { return hard_rows(g, v[0]); },
      [](const auto& a) { return ref::hard_rows(a[0].value); }, Derivative::kEstimator));
  add_line(mix_example("split", 9, 64, 2, MixForm::kSplit, ref::MixForm::kSplit));
  add_line(mix_example("split, odd", 17, 15, 3, MixForm::kSplit, ref::MixForm::kSplit));
  add_line(mix_example("shared", 9, 13, 2, MixForm::kShared, ref::MixForm::kShared));
  add_line(mix_example("identity and shared", 5, 16, 3, MixForm::kIdentityAndShared,
                       ref::MixForm::kIdentityAndShared));
  add_line(mix_example("33 rows", 33, 37, 2, MixForm::kIdentityAndShared, ref::MixForm::kIdentityAndShared));
  add_line(mix_example("one column", 9, 1, 2, MixForm::kIdentityAndShared, ref::MixForm::kIdentityAndShared));
  add_line(mix_example("three columns", 5, 3, 3, MixForm::kShared, ref::MixForm::kShared));
  add_line(mix_example("split, one column a head", 4, 3, 3, MixForm::kSplit, ref::MixForm::kSplit));
  add_line(mix_example("128 columns", 3, 128, 1, MixForm::kSplit, ref::MixForm::kSplit));
  // The larger one has no scratch memory, but the smaller one beside it has.
  add_line(example(
      "mix, 33 rows, without batch", {shared(33, 33), shared(33, 4), shared(4, 4), shared(4, 4)},
      [](Graph& g, const Graphed& v) {
        return stack_rows(g, {mix(g, v[0], v[1], MixForm::kSplit), mix(g, v[2], v[3], MixForm::kSplit)});
      },
      [](const auto& a) {
        return ref::stack_rows<NumberOf<decltype(a)>>(
            {ref::mix(a[0].value, a[1].value, ref::MixForm::kSplit),
             ref::mix(a[2].value, a[3].value, ref::MixForm::kSplit)});
      }));

  add_line(attention_example("S=9 d_k=64", 9, 64, 32, {.heads = 2}));
  add_line(attention_example("S=1", 1, 3, 2, {.heads = 3}));
  add_line(attention_example("causal, side by side", 17, 5, 7,
                             {.heads = 2, .causal = true, .interleaved = false}));
  add_line(
      attention_example("S=131 causal, scaled", 131, 20, 20, {.heads = 1, .causal = true, .scale = 0.3}));
  add_line(attention_example("without batch", 6, 4, 9, {.heads = 2}, false));
  add_line(attention_example("linear", 9, 20, 11, {.heads = 2, .kind = Kind::kLinear}));
  add_line(attention_example("linear causal", 18, 3, 4, {.heads = 1, .kind = Kind::kLinear, .causal = true}));
  add_line(attention_example("hard", 9, 13, 16, {.heads = 2, .kind = Kind::kHard}));
  add_line(attention_example("hard causal", 20, 6, 5,
                             {.heads = 3, .kind = Kind::kHard, .causal = true, .interleaved = false}));

  add_line(hardmax_example("soft", {1, 3, 1, 2, 1}, 2, {.temperature = 0.5}));
  add_line(hardmax_example("soft, absent rows", {0, 3, 1, 0, 1, 2, 0}, 3, {.layers = 3, .temperature = 0.5}));
  add_line(hardmax_example("soft, 70 rows", std::vector<double>(70, 1), 17, {.layers = 2, .temperature = 4}));
  add_line(hardmax_example("hard", {1, 2, 1, 1, 4, 1, 1, 0, 1}, 2,
                           {.mode = HardmaxOptions::Mode::kHard, .layers = 4}));
  add_line(hardmax_example("straight through", {1, 2, 1, 0, 1, 1, 3, 1}, 5,
                           {.mode = HardmaxOptions::Mode::kSte, .layers = 2, .ste_temperature = 0.7}));
  add_line(hardmax_example("no layers", {1, 0, 2}, 4, {.layers = 0}));
  add_line(example(
      "weighted_mean_pool", {batch(5, 7)},
      [](Graph& g, const Graphed& v) {
        const double weights[] = {0, 2, 1, 0, 4};
        return weighted_mean_pool(g, v[0], g.constant({weights, 5, 1}));
      },
      [](const auto& a) {
        return ref::weighted_mean_pool(a[0].value, {0, 2, 1, 0, 4});
      }));
  add_line(example(
      "softplus", {batch(3, 5)}, [](Graph& g, const Graphed& v) { return softplus(g, v[0], 2.5); },
      [](const auto& a) { return ref::softplus(a[0].value, 2.5); }));

  add_line(example(
      "rotary", {batch(11, 2 * 3 * 8)}, [](Graph& g, const Graphed& v) { return rotary(g, v[0], 3); },
      [](const auto& a) { return ref::rotary(a[0].value, 3, 10000, false); }));
  add_line(example(
      "rotary base 20, d_k=2", {batch(4, 4)},
      [](Graph& g, const Graphed& v) { return rotary(g, v[0], 1, 20); },
      [](const auto& a) { return ref::rotary(a[0].value, 1, 20, false); }));
  add_line(example(
      "rotary over heads", {batch(5, 2 * 4 * 6)},
      [](Graph& g, const Graphed& v) { return rotary(g, v[0], 4, 10000, true); },
      [](const auto& a) { return ref::rotary(a[0].value, 4, 10000, true); }));

  add_line(example(
      "layer_norm", {batch(9, 64), shared(1, 64), shared(1, 64)},
      [](Graph& g, const Graphed& v) { return layer_norm(g, v[0], v[1], v[2]); },
      [](const auto& a) { return ref::layer_norm(a[0].value, a[1].value, a[2].value, 1e-5); }));
  add_line(example(
      "layer_norm odd", {batch(3, 45), shared(1, 45), shared(1, 45)},
      [](Graph& g, const Graphed& v) { return layer_norm(g, v[0], v[1], v[2], 0.1); },
      [](const auto& a) { return ref::layer_norm(a[0].value, a[1].value, a[2].value, 0.1); }));
  add_line(example(
      "rms_norm", {batch(9, 64), shared(1, 64)},
      [](Graph& g, const Graphed& v) { return rms_norm(g, v[0], v[1]); },
      [](const auto& a) { return ref::rms_norm(a[0].value, a[1].value, 1e-6); }));
  add_line(example(
      "rms_norm odd", {batch(2, 37), shared(1, 37)},
      [](Graph& g, const Graphed& v) { return rms_norm(g, v[0], v[1], 0.1); },
      [](const auto& a) { return ref::rms_norm(a[0].value, a[1].value, 0.1); }));
  add_line(example(
      "embedding", {indices(9, 0, 5), shared(5, 17)},
      [](Graph& g, const Graphed& v) { return embedding(g, v[0], v[1]); },
      [](const auto& a) { return ref::embedding(a[0].indices, a[1].value); }));
  add_line(example(
      "mean_pool", {batch(7, 19)}, [](Graph& g, const Graphed& v) { return mean_pool(g, v[0]); },
      [](const auto& a) { return ref::mean_pool(a[0].value); }));

  add_line(example(
      "mean_squared_error", {batch(9, 3), batch(9, 3)},
      [](Graph& g, const Graphed& v) { return mean_squared_error(g, v[0], v[1], 8); },
      [](const auto& a) { return one(ref::mean_squared_error(a[0].value, a[1].value, 8)); }));

  add_line(example(
      "cross_entropy", {batch(6, 23), indices(6, 0, 23)},
      [](Graph& g, const Graphed& v) { return cross_entropy(g, v[0], v[1]); },
      [](const auto& a) { return one(ref::cross_entropy(a[0].value, a[1].indices, 0)); }));
  add_line(example(
      "cross_entropy ignoring, 4 rows", {batch(6, 5), indices(6, -3, 5)},
      [](Graph& g, const Graphed& v) { return cross_entropy(g, v[0], v[1], 4); },
      [](const auto& a) { return one(ref::cross_entropy(a[0].value, a[1].indices, 4)); }));
  add_line(example(
      "cross_entropy steep", {batch(3, 9, -60, 60), indices(3, 0, 9)},
      [](Graph& g, const Graphed& v) { return cross_entropy(g, v[0], v[1]); },
      [](const auto& a) { return one(ref::cross_entropy(a[0].value, a[1].indices, 0)); }));
  add_line(example(
      "binary_cross_entropy", {batch(9, 3), batch(9, 3, 0, 1)},
      [](Graph& g, const Graphed& v) { return binary_cross_entropy(g, v[0], v[1], 8); },
      [](const auto& a) { return one(ref::binary_cross_entropy(a[0].value, a[1].value, 8)); }));
  add_line(example(
      "binary_cross_entropy steep", {batch(1, 41, -60, 60), batch(1, 41, 0, 1)},
      [](Graph& g, const Graphed& v) { return binary_cross_entropy(g, v[0], v[1]); },
      [](const auto& a) { return one(ref::binary_cross_entropy(a[0].value, a[1].value, 0)); }));
  return all;
}

}  // namespace

const std::vector<Example>& operations() {
  static const std::vector<Example> all = make_operations();
  return all;
}

}  // namespace telos::nn::table
