// The most likely mixture of transitions from earlier tokens, by expectation and maximisation.
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "base/limits.h"
#include "bigram/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

/// Iterations before the lighter half of the offsets is left out, and the most windows that decide on it.
constexpr std::size_t kBeforeHalving = 8, kDeciding = 4'000'000;

/// Offsets of one group of last tokens, with weights that sum to 1.
struct Group {
  std::vector<std::uint32_t> offsets;
  std::vector<double> weights;
  std::uint64_t windows = 0;

  void drop(std::size_t at) {
    offsets.erase(offsets.begin() + static_cast<std::ptrdiff_t>(at));
    weights.erase(weights.begin() + static_cast<std::ptrdiff_t>(at));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& w : weights) w /= sum;
  }
};

/// What each offset of a group adds to the likelihood of one window's output; at: as Windows::at.
struct Parts {
  std::vector<double> values;
  double sum = 0;
  void compute(const Group& group, const double* row, const std::uint16_t* at) {
    sum = 0;
    for (std::size_t s = 0; s < group.offsets.size(); ++s)
      sum += values[s] = group.weights[s] * row[*(at - group.offsets[s])];
  }
};

class MixtureFit {
 public:
  MixtureFit(const Windows& windows, std::size_t vocabulary, const MixtureOptions& options,
             const Arena& arena);
  Mixture run();

 private:
  void group_last_tokens();
  void start_transitions();
  double step();
  std::vector<std::vector<double>> costs() const;
  bool converge(std::vector<double>& objective);
  bool leave_out_needless();
  template <class Body>
  void for_chunks(const Body& body) const;
  void maximise(const std::vector<double>& responsibilities);
  void halve_offsets();

  Windows windows_;
  std::size_t n_, offsets_;
  const MixtureOptions* options_;
  const Arena* arena_;
  std::size_t chunks_, most_in_chunk_ = std::numeric_limits<std::size_t>::max() / 2;
  std::vector<std::uint32_t> group_of_;  // by last token
  std::vector<Group> groups_;
  std::vector<double> mu_;
  Matrix<double> p_;
  std::vector<Matrix<double>> counts_;  // by chunk: expected transitions
};

MixtureFit::MixtureFit(const Windows& windows, std::size_t vocabulary, const MixtureOptions& options,
                       const Arena& arena)
    : windows_(windows),
      n_(vocabulary),
      offsets_(windows.max_offset + 1),
      options_(&options),
      arena_(&arena),
      chunks_(std::clamp<std::size_t>((std::size_t{1} << 21) / (vocabulary * vocabulary), 4, 32)) {
  require_memory(8.0 * static_cast<double>(chunks_ + 2) * static_cast<double>(n_ * n_), "mixture",
                 "keep fewer tokens");
  mu_ = smoothed_frequencies(outputs_of(windows), n_);
  group_last_tokens();
  start_transitions();
  for (std::size_t c = 0; c < chunks_; ++c) counts_.emplace_back(n_, n_);
}

void MixtureFit::group_last_tokens() {
  std::vector<std::uint64_t> count(n_);
  for (std::size_t w = 0; w < windows_.size(); ++w) ++count[*windows_.at(w)];
  group_of_.assign(n_, 0);
  groups_.resize(1);  // of all last tokens, or of the rare ones
  for (std::size_t k = 0; k < n_; ++k) {
    if (options_->contextual && count[k] >= options_->min_count) {
      group_of_[k] = static_cast<std::uint32_t>(groups_.size());
      groups_.emplace_back();
    }
    groups_[group_of_[k]].windows += count[k];
  }
  for (Group& group : groups_) {
    const std::size_t looked_at = group.windows == 0 ? 1 : offsets_ - options_->min_offset;
    group.offsets.resize(looked_at);
    std::iota(group.offsets.begin(), group.offsets.end(), static_cast<std::uint32_t>(options_->min_offset));
    group.weights.assign(looked_at, 1 / static_cast<double>(looked_at));
  }
}

/// From the pairs of that offset which says most of the next token: a start from pairs that do not depend on
/// each other would not move.
void MixtureFit::start_transitions() {
  const auto pairs = [&](std::size_t offset) {
    return count_pairs(windows_.size(), n_, [&, offset](std::size_t w) {
      const std::uint16_t* at = windows_.at(w);
      return at[1] * n_ + *(at - offset);
    });
  };
  std::vector<double> information(offsets_);
  arena_->parallel_for(offsets_, [&](std::size_t d) {
    check_interrupt();
    if (d < options_->min_offset) return;
    information[d] = dependence_of(pairs(d), n_).information;
  });
  const auto best = std::max_element(information.begin(), information.end()) - information.begin();
  p_ = Matrix<double>(n_, n_);
  for (const PairCell& cell : pairs(static_cast<std::size_t>(best))) p_.data()[cell.key] = cell.count;
  smooth_columns(p_, mu_, options_->smooth);
}

/// Calls body(chunk, begin, end) for parts of the text, or for the beginning of each while offsets are many.
template <class Body>
void MixtureFit::for_chunks(const Body& body) const {
  arena_->parallel_for(chunks_, [&](std::size_t chunk) {
    check_interrupt();
    const std::size_t begin = chunk * windows_.size() / chunks_;
    body(chunk, begin, std::min((chunk + 1) * windows_.size() / chunks_, begin + most_in_chunk_));
  });
}

/// One iteration. Returns the objective before it.
double MixtureFit::step() {
  const std::size_t weights = groups_.size() * offsets_;
  std::vector<std::vector<double>> responsibilities(chunks_, std::vector<double>(weights));
  std::vector<double> likelihood(chunks_);
  for_chunks([&](std::size_t chunk, std::size_t begin, std::size_t end) {
    Matrix<double>& counts = counts_[chunk];
    std::fill_n(counts.data(), counts.size(), 0.0);
    Parts parts{std::vector<double>(offsets_)};
    double sum = 0;
    for (std::size_t w = begin; w < end; ++w) {
      const std::uint16_t* at = windows_.at(w);
      const std::size_t g = group_of_[*at];
      const Group& group = groups_[g];
      parts.compute(group, p_.row(at[1]), at);
      double* row = counts.row(at[1]);
      double* own = responsibilities[chunk].data() + g * offsets_;
      for (std::size_t s = 0; s < group.offsets.size(); ++s) {
        const double share = parts.values[s] / parts.sum;  // 1 for a single offset
        row[*(at - group.offsets[s])] += share;
        own[s] += share;
      }
      sum += std::log(parts.sum);
    }
    likelihood[chunk] = sum;
  });
  double objective = std::accumulate(likelihood.begin(), likelihood.end(), 0.0);
  for (std::size_t o = 0; o < n_; ++o)
    for (std::size_t j = 0; j < n_; ++j) objective += options_->smooth * mu_[o] * std::log(p_(o, j));
  for (std::size_t c = 1; c < chunks_; ++c)
    for (std::size_t i = 0; i < weights; ++i) responsibilities[0][i] += responsibilities[c][i];
  maximise(responsibilities[0]);
  return objective / static_cast<double>(windows_.size());
}

void MixtureFit::maximise(const std::vector<double>& responsibilities) {
  arena_->parallel_for(n_, [&](std::size_t o) {
    double* row = p_.row(o);
    std::fill_n(row, n_, 0.0);
    for (const Matrix<double>& counts : counts_)
      for (std::size_t j = 0; j < n_; ++j) row[j] += counts(o, j);
  });
  smooth_columns(p_, mu_, options_->smooth);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    const double* own = responsibilities.data() + g * offsets_;
    const double sum = std::accumulate(own, own + group.weights.size(), 0.0);
    if (sum == 0) continue;  // none of its windows was looked at
    for (std::size_t s = 0; s < group.weights.size(); ++s) group.weights[s] = own[s] / sum;
  }
}

/// By group and offset: how much the log-likelihood falls when it is left out and the others' weights are
/// scaled up.
std::vector<std::vector<double>> MixtureFit::costs() const {
  const std::size_t weights = groups_.size() * offsets_;
  std::vector<std::vector<double>> sums(chunks_, std::vector<double>(weights));
  for_chunks([&](std::size_t chunk, std::size_t begin, std::size_t end) {
    Parts parts{std::vector<double>(offsets_)};
    for (std::size_t w = begin; w < end; ++w) {
      const std::uint16_t* at = windows_.at(w);
      const std::size_t g = group_of_[*at];
      const Group& group = groups_[g];
      if (group.offsets.size() == 1) continue;
      parts.compute(group, p_.row(at[1]), at);
      for (std::size_t s = 0; s < group.offsets.size(); ++s) {
        const double rest = std::max(0.0, parts.sum - parts.values[s]), share = 1 - group.weights[s];
        sums[chunk][g * offsets_ + s] += share > 0 ? std::log(parts.sum / rest * share) : kInfinity;
      }
    }
  });
  std::vector<std::vector<double>> out(groups_.size());
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    out[g].resize(groups_[g].offsets.size());
    for (std::size_t s = 0; s < out[g].size(); ++s)
      for (std::size_t c = 0; c < chunks_; ++c) out[g][s] += sums[c][g * offsets_ + s];
  }
  return out;
}

/// True: the objective has settled.
bool MixtureFit::converge(std::vector<double>& objective) {
  objective.clear();
  for (std::size_t i = 0; i < options_->iterations; ++i) {
    objective.push_back(step());
    if (i > 0 && objective[i] - objective[i - 1] < options_->tolerance) return true;
  }
  return false;
}

/// Leaves out, in each group, the offset that costs least, if that is below ½ ln(windows): the criterion of
/// Schwarz (1978) for one parameter. True: some were.
bool MixtureFit::leave_out_needless() {
  const std::vector<std::vector<double>> cost = costs();
  bool dropped = false;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].offsets.size() < 2) continue;
    const auto least = std::min_element(cost[g].begin(), cost[g].end());
    if (*least >= std::log(static_cast<double>(std::max<std::uint64_t>(2, groups_[g].windows))) / 2) continue;
    groups_[g].drop(static_cast<std::size_t>(least - cost[g].begin()));
    dropped = true;
  }
  return dropped;
}

void MixtureFit::halve_offsets() {
  const std::size_t all = std::exchange(most_in_chunk_, kDeciding / chunks_);
  for (std::size_t keep = offsets_ - options_->min_offset; keep > options_->sparsity;) {
    for (std::size_t i = 0; i < kBeforeHalving; ++i) step();
    keep = std::max(options_->sparsity, (keep + 1) / 2);
    for (Group& group : groups_)
      while (group.offsets.size() > keep)
        group.drop(static_cast<std::size_t>(std::min_element(group.weights.begin(), group.weights.end()) -
                                            group.weights.begin()));
  }
  most_in_chunk_ = all;
}

Mixture MixtureFit::run() {
  halve_offsets();
  Mixture mixture;
  do mixture.converged = converge(mixture.objective);
  while (leave_out_needless());
  mixture.p = p_.copy();
  mixture.q = Matrix<double>(n_, offsets_);
  for (std::size_t k = 0; k < n_; ++k) {
    const Group& group = groups_[group_of_[k]];
    for (std::size_t s = 0; s < group.offsets.size(); ++s) mixture.q(k, group.offsets[s]) = group.weights[s];
  }
  return mixture;
}

[[noreturn]] void refuse_mixture(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorKind::kUsage, "corpus", message, hint);
}

}  // namespace

Windows windows_of(std::span<const std::uint16_t> tokens, std::size_t vocabulary, std::size_t max_offset) {
  if (vocabulary < 2 || vocabulary > kMostVocabulary)
    refuse_mixture(
        fmt::format("expected a vocabulary of 2 to {} tokens, found {}", kMostVocabulary, vocabulary));
  if (max_offset < 1 || max_offset > kMostOffset)
    refuse_mixture(fmt::format("expected offsets up to 1 to {}, found {}", kMostOffset, max_offset));
  if (tokens.size() > 0xFFFF'FFFF)
    throw Error(ErrorKind::kLimit, "corpus", fmt::format("{} tokens, at most 4,294,967,295", tokens.size()));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] >= vocabulary)
      refuse_mixture(fmt::format("token {} is {}, expected below {}", i, tokens[i], vocabulary));
  const Windows windows{tokens, max_offset};
  if (windows.size() == 0)
    refuse_mixture(fmt::format("{} tokens, offsets up to {} need at least {}", tokens.size(), max_offset,
                               max_offset + 2),
                   "give more text, or look less far back");
  return windows;
}

std::vector<double> smoothed_frequencies(std::span<const std::uint16_t> tokens, std::size_t vocabulary) {
  std::vector<double> mu(vocabulary, 0.5);
  for (const std::uint16_t token : tokens) ++mu[token];
  const double total = static_cast<double>(tokens.size()) + static_cast<double>(vocabulary) / 2;
  for (double& x : mu) x /= total;
  return mu;
}

void smooth_columns(Matrix<double>& counts, std::span<const double> mu, double smooth) {
  std::vector<double> total(counts.cols(), smooth);
  for (std::size_t o = 0; o < counts.rows(); ++o)
    for (std::size_t j = 0; j < counts.cols(); ++j) total[j] += counts(o, j);
  for (std::size_t o = 0; o < counts.rows(); ++o)
    for (std::size_t j = 0; j < counts.cols(); ++j) counts(o, j) = (counts(o, j) + smooth * mu[o]) / total[j];
}

Mixture fit_mixture(std::span<const std::uint16_t> tokens, std::size_t vocabulary,
                    const MixtureOptions& options, const Arena& arena) {
  const Windows windows = windows_of(tokens, vocabulary, options.max_offset);
  if (options.sparsity == 0 || options.iterations == 0 || options.min_offset > options.max_offset)
    refuse_mixture("expected at least one offset and one iteration");
  if (!(options.smooth > 0) || !(options.tolerance >= 0) || !std::isfinite(options.smooth))
    refuse_mixture(fmt::format("expected a smoothing above 0 and a tolerance of at least 0, found {} and {}",
                               options.smooth, options.tolerance));
  return MixtureFit(windows, vocabulary, options, arena).run();
}

}  // namespace telos::bigram
