// The first-order chain of a text.
#include <algorithm>
#include <utility>

#include "telos/base/error.h"
#include "telos/linalg/gemm.h"
#include "telos/symmetry/corpus.h"

namespace telos::symmetry {

ChainCounts::ChainCounts(std::size_t letters) : states_(letters + 1), passes_(states_ * states_) {}

void ChainCounts::add(std::span<const std::uint16_t> tokens) {
  if (tokens.empty()) return;
  const auto state = [&](std::uint16_t token) { return std::min<std::size_t>(token, states_ - 1); };
  if (tokens_ == 0)
    first_ = state(tokens.front());
  else
    ++passes_[last_ * states_ + state(tokens.front())];
  last_ = state(tokens.front());
  for (const std::uint16_t token : tokens.subspan(1)) {
    const std::size_t next = state(token);
    ++passes_[last_ * states_ + next];
    last_ = next;
  }
  tokens_ += tokens.size();
}

Matrix<double> ChainCounts::ring() const {
  Matrix<double> counts(states_, states_);
  std::transform(passes_.begin(), passes_.end(), counts.data(),
                 [](std::uint64_t n) { return static_cast<double>(n); });
  if (tokens_ > 0) counts(last_, first_) += 1;
  return counts;
}

Covariance markov_covariance(const ChainCounts& text, std::size_t length, const Arena& arena) {
  if (text.tokens() == 0) throw Error(ErrorKind::kUsage, "corpus", "a text without tokens has no chain");
  const std::size_t letters = text.letters(), states = letters + 1;
  Matrix<double> transitions = text.ring();
  std::vector<double> law(states);
  for (std::size_t v = 0; v < states; ++v) {
    double* const row = transitions.row(v);
    for (std::size_t w = 0; w < states; ++w) law[v] += row[w];
    for (std::size_t w = 0; w < states; ++w) row[w] = law[v] > 0 ? row[w] / law[v] : 0;
  }
  for (double& x : law) x /= static_cast<double>(text.tokens());

  Covariance c(letters, length);
  for (std::size_t b = 0; b < length; ++b) std::copy_n(law.data(), letters, c.means.row(b));
  Matrix<double> power = transitions.copy();
  for (std::size_t lag = 1; lag < length; ++lag) {
    for (std::size_t b = 0; b + lag < length; ++b) {
      const MatrixView<double> table = c.pairs(b, b + lag);
      for (std::size_t v = 0; v < letters; ++v)
        for (std::size_t w = 0; w < letters; ++w) table(v, w) = law[v] * (power(v, w) - law[w]);
    }
    Matrix<double> next(states, states);
    gemm<double>(Op::kPlain, Op::kPlain, 1, power, transitions, 0, next, arena);
    power = std::move(next);
  }
  return c;
}

}  // namespace telos::symmetry
