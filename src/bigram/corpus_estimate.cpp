// A text measured: which tokens depend on which, and what the sparse contextual bigram predicts of what it
// has not seen.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/limits.h"
#include "bigram/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/quantity.h"

namespace telos::bigram {
namespace {

constexpr std::size_t kMostBlocks = 32;
constexpr std::size_t kFewestWindows = 20;

/// Pairs (last token, output) as counts(output, last).
Matrix<double> count_transitions(std::span<const std::uint16_t> tokens, std::size_t vocabulary) {
  Matrix<double> counts(vocabulary, vocabulary);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) ++counts(tokens[i + 1], tokens[i]);
  return counts;
}

/// Σ −ln P(o | k) of pairs counted as above, P smoothed by α.
double bigram_loss(const Matrix<double>& pairs, const Matrix<double>& counts, std::span<const double> mu,
                   double smooth) {
  Matrix<double> p = counts.copy();
  smooth_columns(p, mu, smooth);
  double loss = 0;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (pairs.data()[i] > 0) loss -= pairs.data()[i] * std::log(p.data()[i]);
  return loss;
}

/// α of the smallest loss on the validation part, from 0.01 to 10⁵ in steps of 10^(1/4).
double choose_smooth(const Matrix<double>& counts, const Matrix<double>& validation,
                     std::span<const double> mu) {
  double best = 1, least = kInfinity;
  for (int step = -8; step <= 20; ++step) {
    check_interrupt();
    const double smooth = std::pow(10, step / 4.0), loss = bigram_loss(validation, counts, mu, smooth);
    if (loss >= least) continue;
    least = loss;
    best = smooth;
  }
  return best;
}

enum Predictor { kUnigram, kBigram, kShared, kContextual, kEarlier, kPredictors };
constexpr std::array<const char*, kPredictors> kModelNames = {"unigram", "bigram", "one q", "q by last token",
                                                              "without the last token"};

/// A mixture that predicts: the offsets that have weight, by last token.
class MixturePredictor {
 public:
  explicit MixturePredictor(const Mixture& mixture) : mixture_(mixture), offsets_(mixture.q.rows()) {
    for (std::size_t k = 0; k < mixture.q.rows(); ++k)
      for (std::size_t d = 0; d < mixture.q.cols(); ++d)
        if (mixture.q(k, d) > 0) offsets_[k].push_back(static_cast<std::uint32_t>(d));
  }
  double operator()(const std::uint16_t* at) const {
    double sum = 0;
    for (const std::uint32_t d : offsets_[*at]) sum += mixture_.q(*at, d) * mixture_.p(at[1], *(at - d));
    return sum;
  }

 private:
  const Mixture& mixture_;
  std::vector<std::vector<std::uint32_t>> offsets_;
};

/// Cross-entropies on windows that nothing was fitted to; μ and P are those of the training part.
void predict_text(const Windows& windows, std::span<const double> mu, const Matrix<double>& p,
                  CorpusEstimate& result, const Arena& arena) {
  const MixturePredictor shared(result.shared), contextual(result.contextual), earlier(result.earlier);
  BlockSums losses(windows.size(), kPredictors);
  arena.parallel_for(losses.blocks(), [&](std::size_t block) {
    double sum[kPredictors] = {};
    for (std::size_t w = losses.begin(block); w < losses.begin(block + 1); ++w) {
      const std::uint16_t* at = windows.at(w);
      sum[kUnigram] -= std::log(mu[at[1]]);
      sum[kBigram] -= std::log(p(at[1], *at));
      sum[kShared] -= std::log(shared(at));
      sum[kContextual] -= std::log(contextual(at));
      sum[kEarlier] -= std::log(earlier(at));
    }
    for (std::size_t m = 0; m < kPredictors; ++m) losses.sum(block, m) = sum[m];
  });
  for (std::size_t m = 0; m < kPredictors; ++m)
    result.models.push_back({kModelNames[m], losses.mean(m), losses.difference(kBigram, m)});
  result.held_out = windows.size();
  result.blocks = losses.blocks();
}

void check_options(const EstimateOptions& o) {
  if (o.sparsity == 0 || !(o.level > 0 && o.level < 1) || o.min_count == 0 ||
      (o.smooth && !(*o.smooth > 0 && std::isfinite(*o.smooth))))
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("expected at least 1 offset, a level between 0 and 1, a least count from 1 and a "
                            "smoothing above 0, found {}, {}, {} and {}",
                            o.sparsity, o.level, o.min_count, o.smooth.value_or(1)));
}

void add_notes(const Corpus& corpus, CorpusEstimate& r) {
  const auto report = [&](const Mixture& mixture, const char* name) {
    if (!mixture.converged)
      r.notes.push_back(
          fmt::format("the fit of \"{}\" still grew after {} iterations", name, mixture.objective.size()));
  };
  report(r.shared, kModelNames[kShared]);
  report(r.contextual, kModelNames[kContextual]);
  report(r.earlier, kModelNames[kEarlier]);
  if (!r.rare.empty())
    r.notes.push_back(fmt::format("{} of {} last tokens came fewer than {} times and share one q",
                                  r.rare.size(), corpus.vocabulary(), format_count(r.options.min_count)));
}

}  // namespace

void require_windows(const Windows& windows) {
  if (windows.size() < kFewestWindows)
    throw Error(
        ErrorKind::kUsage, "corpus",
        fmt::format("{} windows with a next token, expected at least {}", windows.size(), kFewestWindows),
        "give more text, or look less far back");
}

BlockSums::BlockSums(std::size_t windows, std::size_t columns)
    : windows_(windows),
      columns_(columns),
      blocks_(std::min(windows, kMostBlocks)),
      sums_(blocks_ * columns) {}

BlockMean BlockSums::mean_of(std::size_t a, std::size_t b) const {
  const auto in_block = [&](std::size_t block) {
    const double* row = sums_.data() + block * columns_;
    return row[a] - (b < columns_ ? row[b] : 0);
  };
  BlockMean mean;
  mean.blocks = blocks_;
  for (std::size_t i = 0; i < blocks_; ++i) mean.value += in_block(i) / static_cast<double>(windows_);
  if (blocks_ < 2) return mean;
  double squares = 0;
  for (std::size_t i = 0; i < blocks_; ++i) {
    const double length = static_cast<double>(begin(i + 1) - begin(i));
    const double deviation = in_block(i) / length - mean.value;
    squares += deviation * deviation;
  }
  mean.error = std::sqrt(squares / static_cast<double>(blocks_ * (blocks_ - 1)));
  return mean;
}

CorpusEstimate estimate(const Corpus& corpus, const EstimateOptions& options, const Arena& arena) {
  check_options(options);
  const std::size_t n = corpus.vocabulary();
  const Windows windows = windows_of(corpus.tokens, n, options.max_offset);
  require_windows(windows);
  const std::size_t tenth = windows.size() / 10, fitted = windows.size() - 2 * tenth;
  CorpusEstimate result;
  result.options = options;

  // The whole text: frequencies, and which tokens depend on which.
  result.counts.resize(n);
  for (const std::uint16_t token : corpus.tokens) ++result.counts[token];
  result.mu = smoothed_frequencies(corpus.tokens, n);
  result.lags = lag_dependence(corpus.tokens, n, options.max_offset + 1, options.seed, arena);
  result.tests = test_offsets(windows, n, options, result.rare, arena);

  // The first part fits, the second chooses the smoothing.
  const Windows train = windows.first(fitted);
  const Windows validation = windows.part(fitted, fitted + tenth);
  const std::vector<double> mu = smoothed_frequencies(outputs_of(train), n);
  Matrix<double> p = count_transitions(pairs_of(train), n);
  result.smooth =
      options.smooth ? *options.smooth : choose_smooth(p, count_transitions(pairs_of(validation), n), mu);
  smooth_columns(p, mu, result.smooth);
  result.p = count_transitions(corpus.tokens, n);
  smooth_columns(result.p, result.mu, result.smooth);

  MixtureOptions mixture{.max_offset = options.max_offset,
                         .sparsity = options.sparsity,
                         .min_count = options.min_count,
                         .smooth = result.smooth};
  result.contextual = fit_mixture(train.tokens, n, mixture, arena);
  mixture.min_offset = 1;
  result.earlier = fit_mixture(train.tokens, n, mixture, arena);
  mixture.min_offset = 0;
  mixture.contextual = false;
  result.shared = fit_mixture(train.tokens, n, mixture, arena);

  // The last part is predicted.
  result.train = fitted;
  result.validation = tenth;
  predict_text(windows.part(fitted + tenth, windows.size()), mu, p, result, arena);
  add_notes(corpus, result);
  return result;
}

Instance instance_of(const Mixture& mixture, const std::vector<std::string>& names,
                     std::vector<std::string>* notes) {
  const std::size_t positions = mixture.q.cols();
  std::vector<SparseColumn> q(mixture.q.rows());
  for (std::size_t k = 0; k < q.size(); ++k)
    for (std::size_t t = 0; t < positions; ++t) {
      const double weight = mixture.q(k, positions - 1 - t);
      if (weight == 0) continue;
      q[k].positions.push_back(static_cast<std::uint32_t>(t));
      q[k].weights.push_back(weight);
    }
  Instance instance = make_instance(mixture.p.copy(), std::move(q), positions, notes);
  instance.names = names;
  return instance;
}

}  // namespace telos::bigram
