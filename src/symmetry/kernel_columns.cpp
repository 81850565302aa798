// What the columns of a strip bring to products.
#include <algorithm>

#include "symmetry/kernel_strip.h"

namespace telos::symmetry {
namespace {

/// A side as the kernel of products reads it, in T.
template <class T>
Matrix<T> packed_transpose(const Matrix<double>& m) {
  Matrix<T> out(1, packed_elements<T>(m.cols(), m.rows()));
  const std::span<T> memory(out.data(), out.size());
  if constexpr (std::is_same_v<T, double>) {
    pack<T>(Op::kTransposed, m, memory);
  } else {
    Matrix<T> copy(m.rows(), m.cols());
    std::transform(m.data(), m.data() + m.size(), copy.data(), [](double x) { return static_cast<T>(x); });
    pack<T>(Op::kTransposed, copy, memory);
  }
  return out;
}

}  // namespace

EmbeddingColumns::EmbeddingColumns(Caches sequences) : begin_{0} {
  std::vector<std::pair<Token, std::size_t>> all;
  for (const SequenceCache* c : sequences) {
    for (const Token t : c->tokens) all.emplace_back(t, all.size());
    begin_.push_back(all.size());
    places_.push_back(c->places);
  }
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == 0 || all[i].first != all[i - 1].first) {
      tokens_.push_back(all[i].first);
      first_.push_back(i);
    }
    columns_.push_back(all[i].second);
  }
  first_.push_back(all.size());
}

template <class T>
void EmbeddingColumns::add(double token, double position, Token x, std::size_t place, T* row) const {
  if (const auto at = std::lower_bound(tokens_.begin(), tokens_.end(), x); at != tokens_.end() && *at == x) {
    const auto t = static_cast<std::size_t>(at - tokens_.begin());
    for (std::size_t i = first_[t]; i < first_[t + 1]; ++i) row[columns_[i]] += static_cast<T>(token);
  }
  if (position == 0) return;
  for (std::size_t j = 0; j < places_.size(); ++j) {
    const Places y = places_[j];
    if (place < y.front() || place > y.back()) continue;
    const bool whole = y.back() - y.front() == y.size() - 1;  // no padding within
    const std::size_t b =
        whole ? place - y.front()
              : static_cast<std::size_t>(std::lower_bound(y.begin(), y.end(), place) - y.begin());
    if (y[b] == place) row[begin_[j] + b] += static_cast<T>(position);
  }
}
template void EmbeddingColumns::add(double, double, Token, std::size_t, float*) const;
template void EmbeddingColumns::add(double, double, Token, std::size_t, double*) const;

template <class T>
Columns<T>::Columns(const KernelProgram& program, Caches sequences, std::size_t variant,
                    std::size_t most_kinds, std::size_t most_extent)
    : sides(program, {sequences.begin(), sequences.end()}, variant),
      program_(program),
      begin_{0},
      most_kinds_(most_kinds),
      most_extent_(most_extent),
      attention_(program.steps.size()) {
  for (const SequenceCache* c : sequences) begin_.push_back(begin_.back() + c->tokens.size());
}

template <class T>
PackedView<T> Columns<T>::attention(std::size_t step, std::size_t j) {
  std::vector<Matrix<T>>& packed = attention_[step];
  if (packed.empty()) packed.resize(size());
  const Matrix<double>& zeta = sequence(j).steps[sides.variant()][step].attention;
  if (packed[j].empty()) packed[j] = packed_transpose<T>(zeta);
  return {packed[j].data(), zeta.cols(), zeta.rows()};
}

/// Tokens of the columns by row, and below room for the tokens of X the positions.
template <class T>
void Columns<T>::make_features() {
  for (const SequenceCache* c : sides.sequences())
    kinds_.insert(kinds_.end(), c->distinct.begin(), c->distinct.end());
  std::sort(kinds_.begin(), kinds_.end());
  kinds_.erase(std::unique(kinds_.begin(), kinds_.end()), kinds_.end());
  by_kind_ = Matrix<T>(kinds_.size(), total());
  features_ = Matrix<T>(most_kinds_ + most_extent_, total());
  for (std::size_t j = 0; j < size(); ++j) {
    const SequenceCache& y = sequence(j);
    const FeatureCache& f = y.features[0];
    for (std::size_t t = 0; t < y.distinct.size(); ++t) {
      const auto kind = static_cast<std::size_t>(
          std::lower_bound(kinds_.begin(), kinds_.end(), y.distinct[t]) - kinds_.begin());
      for (std::size_t c = 0; c < length(j); ++c)
        by_kind_(kind, begin(j) + c) = static_cast<T>(f.tokens(c, t));
    }
    for (std::size_t b = 0; b < std::min(most_extent_, y.extent()); ++b)
      for (std::size_t c = 0; c < length(j); ++c)
        features_(most_kinds_ + b, begin(j) + c) = static_cast<T>(f.positions(c, b));
  }
}

template <class T>
ConstMatrixView<T> Columns<T>::features(const SequenceCache& x, bool positions) {
  if (features_.empty()) make_features();
  const std::size_t first = most_kinds_ - x.distinct.size();
  std::size_t kind = 0;
  for (std::size_t t = 0; t < x.distinct.size(); ++t) {
    while (kind < kinds_.size() && kinds_[kind] < x.distinct[t]) ++kind;
    T* const row = features_.row(first + t);
    if (kind < kinds_.size() && kinds_[kind] == x.distinct[t])
      std::copy_n(by_kind_.row(kind), total(), row);
    else
      std::fill_n(row, total(), T{0});
  }
  return features_.view().block(first, 0, x.distinct.size() + (positions ? x.extent() : 0), total());
}

template <class T>
const EmbeddingColumns& Columns<T>::embedding() {
  if (!embedding_) embedding_.emplace(sides.sequences());
  return *embedding_;
}

template class Columns<float>;
template class Columns<double>;

}  // namespace telos::symmetry
