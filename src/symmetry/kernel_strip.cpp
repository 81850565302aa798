// Strips of pairs: where they start, and attention on them.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "symmetry/kernel_strip.h"
#include "symmetry/transform_kernel.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

/// `m` as a matrix of T: itself, or a copy in `memory`.
template <class T>
ConstMatrixView<T> as_type(const Matrix<double>& m, Matrix<T>& memory) {
  if constexpr (std::is_same_v<T, double>) {
    return m;
  } else {
    if (memory.rows() != m.rows() || memory.cols() != m.cols()) memory = Matrix<T>(m.rows(), m.cols());
    std::transform(m.data(), m.data() + m.size(), memory.data(), [](double x) { return static_cast<T>(x); });
    return memory;
  }
}

/// K = value S + bias and Θ = value S_Θ + 2 value S + bias, in place of S and S_Θ.
template <class T>
void finish_attention(const AttentionLayer& layer, T* k, T* theta, std::size_t n) {
  const T value = static_cast<T>(layer.value), bias = static_cast<T>(layer.bias);
  if (theta)
    for (std::size_t j = 0; j < n; ++j) theta[j] = value * (theta[j] + 2 * k[j]) + bias;
  if (value != 1 || bias != 0) kernel::affine_row(value, bias, k, n);
}

}  // namespace

/// A row and a column for each sequence, or all positions.
template <class T>
StripState<T>& StripRun<T>::reset(bool one_row) {
  selected_ = one_row;
  StripState<T>& state = one_row ? one_ : all_;
  state.rows = one_row ? 1 : x_->tokens.size();
  state.depth = 0;
  resize_strip(one_row ? 1 : most_rows_, one_row ? columns_.size() : columns_.total(), ntk_, state.here);
  return state;
}

template <class T>
std::size_t StripRun<T>::start(Sides<T>& rows) {
  rows_ = &rows;
  x_ = rows.sequences().front();
  const SequenceCache& x = *x_;
  all_.depth = 0;
  all_.forms.clear();
  if (program_.featured == kNever) {
    const Embedding& e = program_.architecture.embedding;
    const bool trained_positions = e.positions != Positions::kSinusoidal;
    fill(program_.selecting == program_.steps.size(), [&](bool equal, std::size_t t, const SequenceCache& y) {
      const std::vector<double>& r = x.positions.size() > y.positions.size() ? x.positions : y.positions;
      const double token = e.token * equal, position = e.position * r[t];
      return std::pair{token + position, e.trained ? token + (trained_positions ? position : 0) : 0.0};
    });
    return 0;
  }
  const FeaturedInput in = featured_input(program_);
  if (program_.monte_carlo || selects(program_.featured))
    start_random_features(in);
  else
    start_features();
  all_.forms = in.saved;
  if (selected_) select_saved();
  return program_.featured + 1;
}

/// covariance(equal tokens, distance, Y) is K and Θ of two positions.
template <class T>
template <class Covariance>
void StripRun<T>::fill(bool one_row, const Covariance& covariance) {
  StripState<T>& state = reset(one_row);
  for (std::size_t i = 0; i < state.rows; ++i) {
    const std::size_t a = one_row ? program_.row(x_->tokens.size()) : i;
    for (std::size_t j = 0; j < columns_.size(); ++j) {
      const SequenceCache& y = columns_.sequence(j);
      const std::size_t first = one_row ? program_.row(y.tokens.size()) : 0,
                        last = one_row ? first + 1 : y.tokens.size(),
                        column = (one_row ? j : columns_.begin(j));
      for (std::size_t b = first; b < last; ++b) {
        const auto [k, theta] =
            covariance(x_->tokens[a] == y.tokens[b], position_distance(x_->places[a], y.places[b]), y);
        state.here.k(i, column + b - first) = static_cast<T>(k);
        if (ntk_) state.here.theta(i, column + b - first) = static_cast<T>(theta);
      }
    }
  }
}

/// ζ_X F_X (ζ_Y F_Y)ᵀ of all Y by one product; what Θ was before is K, or 0 where the embedding is not
/// trained.
template <class T>
void StripRun<T>::start_features() {
  const AttentionLayer& layer = program_.steps[program_.featured].attention;
  const EmbeddingForm value = value_form(layer, featured_input(program_).here, false);
  const bool positions = value.position != 0;
  const std::size_t kinds = x_->distinct.size(), length = x_->tokens.size(), extent = x_->extent();
  const FeatureCache& f = x_->features[0];
  StripState<T>& state = reset(false);
  const ConstMatrixView<T> right = columns_.features(*x_, positions);
  if (left_.rows() != length || left_.cols() != right.rows()) left_ = Matrix<T>(length, right.rows());
  for (std::size_t a = 0; a < length; ++a) {
    T* const row = left_.row(a);
    for (std::size_t t = 0; t < kinds; ++t) row[t] = static_cast<T>(value.token * f.tokens(a, t));
    for (std::size_t b = 0; positions && b < extent; ++b)
      row[kinds + b] = static_cast<T>(value.position * f.positions(a, b));
  }
  gemm<T>(Op::kPlain, Op::kPlain, 1, left_, right, 0,
          state.here.k.view().block(0, 0, length, columns_.total()), serial_arena());
  for (std::size_t a = 0; a < length; ++a) {
    T* const k = state.here.k.row(a);
    if (ntk_ && program_.architecture.embedding.trained)
      std::copy_n(k, columns_.total(), state.here.theta.row(a));
    if (ntk_ && !program_.architecture.embedding.trained)
      std::fill_n(state.here.theta.row(a), columns_.total(), T{0});
    finish_attention(layer, k, ntk_ ? state.here.theta.row(a) : nullptr, columns_.total());
  }
}

/// Sums over samples, or of single rows, pair by pair.
template <class T>
void StripRun<T>::start_random_features(const FeaturedInput& in) {
  const bool one_row = selects(program_.featured);
  reset(one_row);
  for (std::size_t j = 0; j < columns_.size(); ++j)
    put_block(j, one_row,
              attend_features(program_.steps[program_.featured].attention, in.here,
                              program_.architecture.embedding.trained, ntk_,
                              feature_sums(program_, *x_, columns_.sequence(j), columns_.sides.variant())));
}

template <class T>
void StripRun<T>::put_block(std::size_t j, bool one_row, const Block& block) {
  Strip<T>& out = (one_row ? one_ : all_).here;
  const std::size_t column = one_row ? j : columns_.begin(j);
  for (std::size_t i = 0; i < block.k.rows(); ++i)
    for (std::size_t c = 0; c < block.k.cols(); ++c) {
      out.k(i, column + c) = static_cast<T>(block.k(i, c));
      if (ntk_) out.theta(i, column + c) = static_cast<T>(block.theta(i, c));
    }
}

template <class T>
void StripRun<T>::run(std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last;) {
    if (program_.steps[i].kind == Step::Kind::kAttend) {
      attend_step(i++);
      continue;
    }
    std::size_t end = i;
    while (end < last && program_.steps[end].kind != Step::Kind::kAttend) ++end;
    StripState<T>& state = selected_ ? one_ : all_;
    if (program_.featured == kNever || selected_) {
      run_entrywise<T>(program_, i, end, *rows_, columns_.sides, nullptr, state);
    } else {
      const EmbeddedIn embedded{*x_, columns_.embedding()};
      run_entrywise(program_, i, end, *rows_, columns_.sides, &embedded, state);
    }
    i = end;
  }
}

template <class T>
void StripRun<T>::attend_step(std::size_t i) {
  if (program_.steps[i].attention.scale == AttentionScale::kRoot)
    attend_random(i);
  else
    attend_products(i);
  if (selects(i)) select_saved();
}

/// value · ζ_X V ζ_Yᵀ: one product for all Y, then one for each, or a row of it.
template <class T>
void StripRun<T>::attend_products(std::size_t i) {
  const AttentionLayer& layer = program_.steps[i].attention;
  const StepCache& x = x_->steps[columns_.sides.variant()][i];
  Strip<T>& in = all_.here;
  const std::size_t length = x_->tokens.size(), total = columns_.total();
  const bool one_row = selects(i);
  if (layer.value_positions && layer.position > 0) add_positions(i);
  const ConstMatrixView<T> left = as_type(x.attention, left_);
  StripState<T>& state = one_row ? reset(true) : all_;
  if (half_.rows() < left.rows() || half_.cols() != total) half_ = Matrix<T>(most_rows_, total);
  const MatrixView<T> half = half_.view().block(0, 0, left.rows(), total);
  for (const bool theta : {false, true}) {
    if (theta && !ntk_) break;
    const Matrix<T>& v = theta ? in.theta : in.k;
    Matrix<T>& out = theta ? state.here.theta : state.here.k;
    gemm<T>(Op::kPlain, Op::kPlain, 1, left, v.view().block(0, 0, length, total), 0, half, serial_arena());
    for (std::size_t j = 0; j < columns_.size(); ++j) {
      const ConstMatrixView<T> part = half.block(0, columns_.begin(j), left.rows(), columns_.length(j));
      gemm_packed<T>(part, columns_.attention(i, j), Epilogue<T>{},
                     one_row ? out.view().block(0, j, 1, 1)
                             : out.view().block(0, columns_.begin(j), length, columns_.length(j)),
                     serial_arena());
    }
  }
  for (std::size_t a = 0; a < state.rows; ++a)
    finish_attention(layer, state.here.k.row(a), ntk_ ? state.here.theta.row(a) : nullptr,
                     state.here.k.cols());
}

/// What the layer adds to values for positions.
template <class T>
void StripRun<T>::add_positions(std::size_t i) {
  const AttentionLayer& layer = program_.steps[i].attention;
  const bool trained = program_.architecture.embedding.trained && layer.positions != Positions::kSinusoidal;
  const std::vector<double>& x = x_->steps[columns_.sides.variant()][i].positions;
  for (std::size_t j = 0; j < columns_.size(); ++j) {
    const std::vector<double>& y = columns_.sequence(j).steps[columns_.sides.variant()][i].positions;
    const std::vector<double>& r = x.size() > y.size() ? x : y;
    for (std::size_t a = 0; a < all_.rows; ++a)
      for (std::size_t b = 0; b < columns_.length(j); ++b) {
        const T position = static_cast<T>(
            layer.position * r[position_distance(x_->places[a], columns_.sequence(j).places[b])]);
        all_.here.k(a, columns_.begin(j) + b) += position;
        if (ntk_ && trained) all_.here.theta(a, columns_.begin(j) + b) += position;
      }
  }
}

/// Attention with random logits, pair by pair.
template <class T>
void StripRun<T>::attend_random(std::size_t i) {
  const std::size_t length = x_->tokens.size(), variant = columns_.sides.variant();
  const bool one_row = selects(i);
  if (one_row) reset(true);
  for (std::size_t j = 0; j < columns_.size(); ++j) {
    const SequenceCache& y = columns_.sequence(j);
    Block block(length, columns_.length(j), ntk_);
    for (std::size_t a = 0; a < length; ++a)
      for (std::size_t b = 0; b < columns_.length(j); ++b) {
        block.k(a, b) = all_.here.k(a, columns_.begin(j) + b);
        if (ntk_) block.theta(a, b) = all_.here.theta(a, columns_.begin(j) + b);
      }
    attend(program_.steps[i].attention, program_.architecture.embedding.trained,
           {x_->steps[variant][i], x_->places, one_row ? program_.row(length) : kNever},
           {y.steps[variant][i], y.places, one_row ? program_.row(columns_.length(j)) : kNever}, block);
    put_block(j, one_row, block);
  }
}

/// Of what was saved, the row that is read of each sequence.
template <class T>
void StripRun<T>::select_saved() {
  const std::size_t a = program_.row(x_->tokens.size()), forms = all_.forms.size();
  one_.depth = forms + all_.depth;
  if (one_.saved.size() < one_.depth) one_.saved.resize(one_.depth);
  for (std::size_t s = 0; s < one_.depth; ++s) {
    Strip<T>& out = one_.saved[s];
    resize_strip(1, columns_.size(), ntk_, out);
    for (std::size_t j = 0; j < columns_.size(); ++j) {
      const SequenceCache& y = columns_.sequence(j);
      const std::size_t b = program_.row(y.tokens.size());
      if (s < forms) {
        const auto [k, theta] = all_.forms[s].at(x_->tokens[a] == y.tokens[b], x_->places[a] == y.places[b]);
        out.k(0, j) = static_cast<T>(k);
        if (ntk_) out.theta(0, j) = static_cast<T>(theta);
      } else {
        const Strip<T>& in = all_.saved[s - forms];
        out.k(0, j) = in.k(a, columns_.begin(j) + b);
        if (ntk_) out.theta(0, j) = in.theta(a, columns_.begin(j) + b);
      }
    }
  }
}

template class StripRun<float>;
template class StripRun<double>;

/// Three weights and the embeddings that come in make as many equal terms of the NTK.
Transformed simplified_pair(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y) {
  const SimplifiedBlock& block = *program.architecture.simplified;
  const std::size_t query = block.query;
  const double token = block.token, position = block.position;
  const std::size_t lx = x.tokens.size() - query, ly = y.tokens.size() - query;
  double products = 0;
  for (std::size_t i = 0, j = 0; i < x.distinct.size() && j < y.distinct.size();) {
    const Token u = x.distinct[i], v = y.distinct[j];
    if (u == v) products += x.counts[i] * y.counts[j];
    i += u <= v;
    j += v <= u;
  }
  std::size_t shared = 0, matches = 0;
  for_shared_places(Places(x.places).first(lx), Places(y.places).first(ly),
                    [&](std::size_t b, std::size_t d) {
                      ++shared;
                      matches += x.tokens[b] == y.tokens[d];
                    });
  double k = token * token * products + 2 * token * position * static_cast<double>(matches) +
             position * position * static_cast<double>(shared);
  k *= average_factor(block.average, static_cast<double>(lx), static_cast<double>(ly));
  if (query)
    k *= token * (x.tokens.back() == y.tokens.back()) + position * (x.places.back() == y.places.back());
  const double terms = 3 + (program.architecture.embedding.trained ? 2 + static_cast<double>(query) : 0);
  return {k, terms * k};
}

}  // namespace telos::symmetry
