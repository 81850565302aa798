#include "tests/model/gauge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "model/families.h"
#include "model/settings.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"

namespace telos::testing {
namespace {

using Square = Matrix<double>;

Square identity(std::size_t n) {
  Square result(n, n);
  for (std::size_t i = 0; i < n; ++i) result(i, i) = 1;
  return result;
}

Square product(const Square& a, const Square& b) {
  Square result(a.rows(), b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t p = 0; p < a.cols(); ++p)
      for (std::size_t j = 0; j < b.cols(); ++j) result(i, j) += a(i, p) * b(p, j);
  return result;
}

Square transposed(const Square& a) {
  Square result(a.cols(), a.rows());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) result(j, i) = a(i, j);
  return result;
}

Square inverse(const Square& a) {
  return solve(a, identity(a.rows()));
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  double between(double low, double high) { return low + (high - low) * random_.uniform(); }
  double sign() { return random_.below(2) == 0 ? -1 : 1; }
  std::vector<std::size_t> permutation(std::size_t n) {
    std::vector<std::size_t> result(n);
    std::iota(result.begin(), result.end(), std::size_t{0});
    for (std::size_t i = n; i > 1; --i)
      std::swap(result[i - 1], result[random_.below(static_cast<std::uint32_t>(i))]);
    return result;
  }
  Square orthogonal(std::size_t n) {
    Square normal(n, n);
    for (std::size_t i = 0; i < normal.size(); ++i) normal.data()[i] = random_.normal();
    return qr(normal).q;
  }
  /// Orthogonal · diag(½ … 2) · orthogonal: condition number up to 4.
  Square invertible(std::size_t n) {
    Square left = orthogonal(n);
    for (std::size_t j = 0; j < n; ++j) {
      const double scale = between(0.5, 2);
      for (std::size_t i = 0; i < n; ++i) left(i, j) *= scale;
    }
    return product(left, orthogonal(n));
  }
  /// Orthogonal with R1 = 1: a Householder reflection H takes 1/√n to the first axis, R = H diag(1, Q) H.
  Square fixing_ones(std::size_t n) {
    std::vector<double> v(n, 1 / std::sqrt(static_cast<double>(n)));
    v[0] -= 1;
    const double square = std::inner_product(v.begin(), v.end(), v.begin(), 0.0);
    Square h = identity(n), middle = identity(n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) h(i, j) -= 2 * v[i] * v[j] / square;
    const Square q = orthogonal(n - 1);
    for (std::size_t i = 1; i < n; ++i)
      for (std::size_t j = 1; j < n; ++j) middle(i, j) = q(i - 1, j - 1);
    return product(product(h, middle), h);
  }

 private:
  Random random_;
};

/// y = x W + b in double; bias empty where the file has none.
struct Affine {
  Matrix<double> weight;
  std::vector<double> bias;
};

/// Where an affine map lies in the file: out feature j is the file's `outs[j]`; all of them in order if
/// empty.
struct Slot {
  std::string name;
  bool in_out = false;
  std::vector<std::size_t> outs;
};

class Editor {
 public:
  Editor(Editable& file, const Architecture& architecture, std::uint64_t seed)
      : file_(file),
        a_(architecture),
        settings_(model::read_settings(architecture)),
        names_(*settings_.names),
        family_(*model::find_family(architecture.family)),
        dice_(seed) {}

  GaugeChange apply(Gauge gauge) {
    GaugeChange change{.applied = true};
    switch (gauge) {
      case Gauge::kPermuteHeads:
        permute_heads();
        break;
      case Gauge::kValueOutput:
        mix_value_output();
        break;
      case Gauge::kQueryKey:
        mix_query_key(false);
        break;
      case Gauge::kQueryKeyAny:
        mix_query_key(true);
        change.symmetry = settings_.rotary.dims == 0 && !normed_queries();
        break;
      case Gauge::kPermuteNeurons:
        change_neurons(true);
        break;
      case Gauge::kScaleNeurons:
        change.applied = !names_.gate.empty();
        if (change.applied) change_neurons(false);
        break;
      case Gauge::kRotateStream:
        change.stream = rotate_stream();
        break;
      case Gauge::kRelabel:
        change.applied = !settings_.images;
        if (change.applied) change.relabel = relabel();
        break;
    }
    return change;
  }

 private:
  // ---- access
  // ----------------------------------------------------------------------------------------------

  std::string in_layer(std::size_t site, std::string_view name) const {
    return a_.sites[site].tensors + std::string(name);
  }
  std::string in_model(std::string_view name) const { return a_.prefix + std::string(name); }

  Slot projection(std::size_t site, Projection which) const {
    const model::Stack& stack = family_.stacks.front();
    const std::size_t k = a_.head_width, shared = a_.heads / a_.kv_heads;
    if (which == Projection::kOutput) return {in_layer(site, stack.output), family_.in_out, {}};
    if (family_.packing == model::Packing::kSeparate)
      return {in_layer(site, which == Projection::kQuery ? stack.query
                             : which == Projection::kKey ? stack.key
                                                         : stack.value),
              family_.in_out,
              {}};
    Slot slot{in_layer(site, stack.value), family_.in_out, {}};
    const bool query = which == Projection::kQuery;
    const std::size_t heads = query ? a_.heads : a_.kv_heads, part = which == Projection::kKey ? 0 : 1;
    for (std::size_t head = 0; head < heads; ++head) {
      std::size_t block = head;  // kConcatenated: blocks of k features, queries first
      if (family_.packing == model::Packing::kGrouped)
        block = query ? head / shared * (shared + 2) + head % shared : head * (shared + 2) + shared + part;
      else if (!query)
        block = a_.heads + part * a_.kv_heads + head;
      for (std::size_t i = 0; i < k; ++i) slot.outs.push_back(block * k + i);
    }
    return slot;
  }
  Slot mlp(std::size_t site, std::string_view name) const {
    return {in_layer(site, name), names_.conv1d, {}};
  }

  /// Calls f(canonical in, canonical out, element of the file) for each element of the weight.
  template <class F>
  void for_weight(const Slot& slot, Editable::Tensor& tensor, const F& f) {
    const auto first = static_cast<std::size_t>(tensor.shape[0]);
    const std::size_t rest = tensor.values.size() / first;  // a patch kernel has four dimensions
    const std::size_t ins = slot.in_out ? first : rest, all = slot.in_out ? rest : first;
    const std::size_t outs = slot.outs.empty() ? all : slot.outs.size();
    for (std::size_t j = 0; j < outs; ++j) {
      const std::size_t out = slot.outs.empty() ? j : slot.outs[j];
      for (std::size_t i = 0; i < ins; ++i)
        f(i, j, tensor.values[slot.in_out ? i * all + out : out * ins + i]);
    }
  }
  Affine get(const Slot& slot) {
    Editable::Tensor& tensor = file_.at(slot.name + ".weight");
    const std::size_t first = static_cast<std::size_t>(tensor.shape[0]), rest = tensor.values.size() / first;
    const std::size_t outs = !slot.outs.empty() ? slot.outs.size() : slot.in_out ? rest : first;
    Affine affine{Matrix<double>(slot.in_out ? first : rest, outs), {}};
    for_weight(slot, tensor,
               [&](std::size_t i, std::size_t j, float& x) { affine.weight(i, j) = static_cast<double>(x); });
    if (!file_.has(slot.name + ".bias")) return affine;
    const std::vector<float>& bias = file_.at(slot.name + ".bias").values;
    for (std::size_t j = 0; j < outs; ++j)
      affine.bias.push_back(static_cast<double>(bias[slot.outs.empty() ? j : slot.outs[j]]));
    return affine;
  }
  void set(const Slot& slot, const Affine& affine) {
    for_weight(slot, file_.at(slot.name + ".weight"),
               [&](std::size_t i, std::size_t j, float& x) { x = static_cast<float>(affine.weight(i, j)); });
    for (std::size_t j = 0; j < affine.bias.size(); ++j)
      file_.at(slot.name + ".bias").values[slot.outs.empty() ? j : slot.outs[j]] =
          static_cast<float>(affine.bias[j]);
  }
  template <class F>
  void edit(const Slot& slot, const F& f) {
    Affine affine = get(slot);
    f(affine);
    set(slot, affine);
  }

  bool normed_queries() const {
    return !names_.query_norm.empty() && file_.has(in_layer(0, names_.query_norm) + ".weight");
  }

  // ---- elementary changes
  // ------------------------------------------------------------------------------------

  /// Out features [begin, begin + n) ← those · m.
  static void mix_outs(Affine& affine, std::size_t begin, const Square& m) {
    std::vector<double> mixed(m.cols());
    const auto mix = [&](double* row) {
      for (std::size_t j = 0; j < m.cols(); ++j) {
        mixed[j] = 0;
        for (std::size_t p = 0; p < m.rows(); ++p) mixed[j] += row[begin + p] * m(p, j);
      }
      std::copy(mixed.begin(), mixed.end(), row + begin);
    };
    for (std::size_t i = 0; i < affine.weight.rows(); ++i) mix(affine.weight.row(i));
    if (!affine.bias.empty()) mix(affine.bias.data());
  }
  /// In features [begin, begin + n): W ← m · W there.
  static void mix_ins(Affine& affine, std::size_t begin, const Square& m) {
    const Matrix<double> old = affine.weight.copy();
    for (std::size_t i = 0; i < m.rows(); ++i) {
      double* row = affine.weight.row(begin + i);
      std::fill(row, row + affine.weight.cols(), 0.0);
      for (std::size_t p = 0; p < m.cols(); ++p)
        for (std::size_t j = 0; j < affine.weight.cols(); ++j) row[j] += m(i, p) * old(begin + p, j);
    }
  }
  /// New out feature j is the old from[j].
  static void gather_outs(Affine& affine, const std::vector<std::size_t>& from) {
    const Affine old{affine.weight.copy(), affine.bias};
    for (std::size_t j = 0; j < from.size(); ++j) {
      for (std::size_t i = 0; i < old.weight.rows(); ++i) affine.weight(i, j) = old.weight(i, from[j]);
      if (!affine.bias.empty()) affine.bias[j] = old.bias[from[j]];
    }
  }
  static void gather_ins(Affine& affine, const std::vector<std::size_t>& from) {
    const Matrix<double> old = affine.weight.copy();
    for (std::size_t i = 0; i < from.size(); ++i)
      std::copy_n(old.row(from[i]), old.cols(), affine.weight.row(i));
  }

  // ---- the gauges
  // --------------------------------------------------------------------------------------------

  void permute_heads() {
    const std::size_t k = a_.head_width, shared = a_.heads / a_.kv_heads;
    for (std::size_t site = 0; site < a_.sites.size(); ++site) {
      std::vector<std::size_t> kv_from, from;  // features
      for (const std::size_t group : dice_.permutation(a_.kv_heads)) {
        for (std::size_t i = 0; i < k; ++i) kv_from.push_back(group * k + i);
        for (const std::size_t head : dice_.permutation(shared))
          for (std::size_t i = 0; i < k; ++i) from.push_back((group * shared + head) * k + i);
      }
      edit(projection(site, Projection::kQuery), [&](Affine& w) { gather_outs(w, from); });
      edit(projection(site, Projection::kKey), [&](Affine& w) { gather_outs(w, kv_from); });
      edit(projection(site, Projection::kValue), [&](Affine& w) { gather_outs(w, kv_from); });
      edit(projection(site, Projection::kOutput), [&](Affine& w) { gather_ins(w, from); });
    }
  }

  void mix_value_output() {
    const std::size_t k = a_.head_width, shared = a_.heads / a_.kv_heads;
    for (std::size_t site = 0; site < a_.sites.size(); ++site) {
      Affine value = get(projection(site, Projection::kValue)),
             output = get(projection(site, Projection::kOutput));
      for (std::size_t group = 0; group < a_.kv_heads; ++group) {
        const Square m = dice_.invertible(k), back = inverse(m);
        mix_outs(value, group * k, m);
        for (std::size_t j = 0; j < shared; ++j) mix_ins(output, (group * shared + j) * k, back);
      }
      set(projection(site, Projection::kValue), value);
      set(projection(site, Projection::kOutput), output);
    }
  }

  /// What commutes with the rotation of every plane, and with a norm before it if there is one.
  Square commuting() {
    const std::size_t k = a_.head_width, dims = settings_.rotary.dims, half = dims / 2;
    Square c = identity(k);
    for (std::size_t i = 0; i < half; ++i) {
      const double sign = dice_.sign(), size = dice_.between(0.6, 1.6), angle = dice_.between(0, 6.28);
      const double re = normed_queries() ? sign : size * std::cos(angle);
      const double im = normed_queries() ? 0 : size * std::sin(angle);
      c(i, i) = c(i + half, i + half) = re;
      c(i, i + half) = im;
      c(i + half, i) = -im;
    }
    if (dims == k) return c;
    const Square rest = dice_.invertible(k - dims);
    for (std::size_t i = dims; i < k; ++i)
      for (std::size_t j = dims; j < k; ++j) c(i, j) = rest(i - dims, j - dims);
    return c;
  }

  void mix_query_key(bool any) {
    const std::size_t k = a_.head_width, shared = a_.heads / a_.kv_heads;
    for (std::size_t site = 0; site < a_.sites.size(); ++site) {
      Affine query = get(projection(site, Projection::kQuery)), key = get(projection(site, Projection::kKey));
      for (std::size_t group = 0; group < a_.kv_heads; ++group) {
        const Square c = any ? dice_.invertible(k) : commuting(), back = transposed(inverse(c));
        mix_outs(key, group * k, c);
        for (std::size_t j = 0; j < shared; ++j) mix_outs(query, (group * shared + j) * k, back);
      }
      set(projection(site, Projection::kQuery), query);
      set(projection(site, Projection::kKey), key);
    }
  }

  void change_neurons(bool permute) {
    for (std::size_t site = 0; site < a_.sites.size(); ++site) {
      Affine up = get(mlp(site, names_.up)), down = get(mlp(site, names_.down));
      if (permute) {
        const std::vector<std::size_t> from = dice_.permutation(up.weight.cols());
        gather_outs(up, from);
        gather_ins(down, from);
        if (!names_.gate.empty()) edit(mlp(site, names_.gate), [&](Affine& w) { gather_outs(w, from); });
      } else {
        for (std::size_t j = 0; j < up.weight.cols(); ++j) {
          const double s = dice_.between(0.5, 2);
          for (std::size_t i = 0; i < up.weight.rows(); ++i) up.weight(i, j) *= s;
          if (!up.bias.empty()) up.bias[j] *= s;
          for (std::size_t i = 0; i < down.weight.cols(); ++i) down.weight(j, i) /= s;
        }
      }
      set(mlp(site, names_.up), up);
      set(mlp(site, names_.down), down);
    }
  }

  // ---- rotation of the stream
  // --------------------------------------------------------------------------------

  /// Rows of a table that add to the stream ← rows · r.
  void rotate_rows(const std::string& name, const Square& r) {
    if (!file_.has(name)) return;
    std::vector<float>& values = file_.at(name).values;
    Affine table{Matrix<double>(values.size() / r.rows(), r.rows()), {}};
    std::copy(values.begin(), values.end(), table.weight.data());
    mix_outs(table, 0, r);
    std::transform(table.weight.data(), table.weight.data() + values.size(), values.begin(),
                   [](double x) { return static_cast<float>(x); });
  }
  /// A norm whose output is read by maps only: γ ← 1, β ← β γ⁻¹ R; the readers take Rᵀ diag(γ). Returns γ.
  std::vector<double> fold(const std::string& norm, const Square& r) {
    std::vector<float>& gain = file_.at(norm + ".weight").values;
    const std::vector<double> gamma(gain.begin(), gain.end());
    std::fill(gain.begin(), gain.end(), 1.0f);
    if (file_.has(norm + ".bias")) {
      std::vector<float>& bias = file_.at(norm + ".bias").values;
      for (std::size_t j = 0; j < bias.size(); ++j)
        bias[j] = static_cast<float>(static_cast<double>(bias[j]) / gamma[j]);
      rotate_rows(norm + ".bias", r);
    }
    return gamma;
  }
  /// W ← Rᵀ diag(γ) W.
  void read_through(const Slot& slot, const std::vector<double>& gamma, const Square& back) {
    edit(slot, [&](Affine& w) {
      for (std::size_t i = 0; i < w.weight.rows(); ++i)
        for (std::size_t j = 0; j < w.weight.cols(); ++j) w.weight(i, j) *= gamma[i];
      mix_ins(w, 0, back);
    });
  }
  void write_through(const Slot& slot, const Square& r) {
    edit(slot, [&](Affine& w) { mix_outs(w, 0, r); });
  }

  Square rotate_stream() {
    const bool post = a_.block == BlockKind::kPost;
    const Square r = post                              ? permutation_matrix()
                     : a_.norm == NormKind::kLayerNorm ? dice_.fixing_ones(a_.width)
                                                       : dice_.orthogonal(a_.width);
    const Square back = transposed(r);
    const std::vector<double> ones(a_.width, 1.0);
    // A post-norm stands in the stream, so its parameters move with the coordinates.
    const auto pass_norm = [&](const std::string& norm) {
      if (!post) return fold(norm, r);
      rotate_rows(norm + ".weight", r);
      rotate_rows(norm + ".bias", r);
      return ones;
    };
    rotate_head(r, back, pass_norm);
    rotate_embedding(r, post);
    for (std::size_t site = 0; site < a_.sites.size(); ++site) {
      const std::vector<double> gamma = pass_norm(in_layer(site, names_.attention_norm));
      for (const Projection which : {Projection::kQuery, Projection::kKey, Projection::kValue})
        read_through(projection(site, which), gamma, back);
      write_through(projection(site, Projection::kOutput), r);
      const std::vector<double> mlp_gamma = pass_norm(in_layer(site, names_.mlp_norm));
      read_through(mlp(site, names_.up), mlp_gamma, back);
      if (!names_.gate.empty()) read_through(mlp(site, names_.gate), mlp_gamma, back);
      write_through(mlp(site, names_.down), r);
    }
    return r.copy();
  }

  Square permutation_matrix() {
    Square r(a_.width, a_.width);
    const std::vector<std::size_t> to = dice_.permutation(a_.width);
    for (std::size_t i = 0; i < a_.width; ++i) r(i, to[i]) = 1;
    return r;
  }

  void rotate_embedding(const Square& r, bool post) {
    if (!names_.embedding_map.empty()) write_through({in_model(names_.embedding_map), false, {}}, r);
    if (settings_.images) {
      for (const char* name : {"embeddings.cls_token", "embeddings.distillation_token"})
        rotate_rows(in_model(name), r);
      rotate_rows(in_model(names_.position), r);
    }
    if (settings_.images || !names_.embedding_map.empty()) return;
    for (const std::string_view table : {names_.token, names_.position, names_.type})
      if (!table.empty()) rotate_rows(in_model(table) + ".weight", r);
    if (!post || names_.embedding_norm.empty()) return;
    rotate_rows(in_model(names_.embedding_norm) + ".weight", r);
    rotate_rows(in_model(names_.embedding_norm) + ".bias", r);
  }

  /// The decoder of a pre-norm model is untied first. That of a post-norm model stays tied to a permuted
  /// embedding, so that what the head computes before it is permuted too.
  template <class PassNorm>
  void rotate_head(const Square& r, const Square& back, const PassNorm& pass_norm) {
    const std::vector<double> ones(a_.width, 1.0);
    const std::vector<double> gamma =
        names_.final_norm.empty() ? ones : pass_norm(in_model(names_.final_norm));
    if (settings_.images) return;
    const std::string decoder(names_.head_decoder), dense(names_.head_dense);
    if (dense.empty()) {
      if (!file_.has(decoder + ".weight"))
        file_.tensors[decoder + ".weight"] = file_.at(in_model(names_.token) + ".weight");
      return read_through({decoder, false, {}}, gamma, back);
    }
    if (!file_.has(dense + ".weight")) return;
    read_through({dense, false, {}}, ones, back);
    if (!names_.embedding_map.empty()) return;  // ALBERT's decoder lives in the embedding's own space
    write_through({dense, false, {}}, r);
    pass_norm(std::string(names_.head_norm));
    if (file_.has(decoder + ".weight")) rotate_rows(decoder + ".weight", r);
  }

  std::vector<std::int32_t> relabel() {
    const auto size = static_cast<std::size_t>(file_.at(in_model(names_.token) + ".weight").shape[0]);
    // Ids below 3 keep their names: RoBERTa counts positions by the padding id.
    std::vector<std::size_t> from(size);
    std::iota(from.begin(), from.end(), std::size_t{0});
    const std::vector<std::size_t> order = dice_.permutation(size - 3);
    for (std::size_t i = 3; i < size; ++i) from[i] = 3 + order[i - 3];
    for (const std::string& name :
         {in_model(names_.token) + ".weight", std::string(names_.head_decoder) + ".weight",
          std::string(names_.head_bias) + ".bias"}) {
      if (!file_.has(name)) continue;
      Editable::Tensor& tensor = file_.at(name);
      const Editable::Tensor old = tensor;
      const std::size_t cols = tensor.values.size() / size;
      for (std::size_t i = 0; i < size; ++i)
        std::copy_n(old.values.begin() + static_cast<std::ptrdiff_t>(from[i] * cols), cols,
                    tensor.values.begin() + static_cast<std::ptrdiff_t>(i * cols));
    }
    std::vector<std::int32_t> to(size);
    for (std::size_t i = 0; i < size; ++i) to[from[i]] = static_cast<std::int32_t>(i);
    return to;
  }

  Editable& file_;
  const Architecture& a_;
  const model::Settings settings_;
  const model::FamilyNames& names_;
  const model::Family& family_;
  Dice dice_;
};

}  // namespace

std::string_view to_string(Gauge gauge) {
  switch (gauge) {
    case Gauge::kPermuteHeads:
      return "PermuteHeads";
    case Gauge::kValueOutput:
      return "ValueOutput";
    case Gauge::kQueryKey:
      return "QueryKey";
    case Gauge::kQueryKeyAny:
      return "QueryKeyAny";
    case Gauge::kPermuteNeurons:
      return "PermuteNeurons";
    case Gauge::kScaleNeurons:
      return "ScaleNeurons";
    case Gauge::kRotateStream:
      return "RotateStream";
    case Gauge::kRelabel:
      return "Relabel";
  }
  return "";
}

GaugeChange apply_gauge(Editable& model, const Architecture& architecture, Gauge gauge, std::uint64_t seed) {
  return Editor(model, architecture, seed).apply(gauge);
}

}  // namespace telos::testing
