#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>

#include "bigram/dirichlet.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"
#include "telos/bigram/instance.h"
#include "telos/bigram/sample.h"

namespace telos::bigram {
namespace {

[[noreturn]] void refuse(const char* option, const std::string& message) {
  throw Error(ErrorKind::kUsage, option, message);
}

void check(const GenerateOptions& options) {
  const auto positive = [](const char* option, double value) {
    if (!(std::isfinite(value) && value > 0))
      refuse(option, fmt::format("is {}, expected a finite number above 0", value));
  };
  if (options.tokens < 2 || options.tokens > kMostTokens)
    refuse("tokens", fmt::format("is {}, expected 2 to {}", options.tokens, kMostTokens));
  if (options.length < 1 || options.length > std::numeric_limits<std::uint32_t>::max())
    refuse("length", fmt::format("is {}, expected 1 to 4294967295", options.length));
  if (options.sparsity < 1 || options.sparsity > options.length)
    refuse("sparsity", fmt::format("is {}, expected 1 to the length {}", options.sparsity, options.length));
  positive("concentration", options.concentration);
  positive("weight_concentration", options.weight_concentration);
  const double n = static_cast<double>(options.tokens);
  require_memory(16 * n * n + 24 * n * static_cast<double>(options.sparsity), "a random instance",
                 "take fewer tokens or positions");
}

/// Independent of what else is drawn: the same transitions for any length and sparsity.
Random transitions_of(const GenerateOptions& options, std::size_t token) {
  return Random(options.seed, static_cast<std::uint32_t>(Stream::kInstance), 2 * token);
}
Random positions_of(const GenerateOptions& options, std::size_t token) {
  return Random(options.seed, static_cast<std::uint32_t>(Stream::kInstance), 2 * token + 1);
}

Matrix<double> draw_transitions(const GenerateOptions& options) {
  const std::size_t n = options.tokens;
  Matrix<double> p(n, n);
  // Row j is column j of P until the end. Reversible: weights are symmetric, μ_j ∝ their sums.
  const bool reversible = options.transitions == TransitionKind::kReversible;
  for (std::size_t j = 0; j < n; ++j) {
    check_interrupt();
    Random random = transitions_of(options, j);
    for (std::size_t i = reversible ? j : 0; i < n; ++i) {
      p(j, i) = log_gamma_variate(random, options.concentration);
      if (reversible) p(i, j) = p(j, i);
    }
  }
  for (std::size_t j = 0; j < n; ++j) normalise_logs({p.row(j), n});
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i < j; ++i) std::swap(p(i, j), p(j, i));
  return p;
}

SparseColumn draw_column(const GenerateOptions& options, std::size_t token) {
  Random random = positions_of(options, token);
  // Floyd's draw without repetition.
  std::set<std::uint32_t> positions;
  for (std::size_t last = options.length - options.sparsity; last < options.length; ++last) {
    const std::uint32_t position = random.below(static_cast<std::uint32_t>(last + 1));
    if (!positions.insert(position).second) positions.insert(static_cast<std::uint32_t>(last));
  }
  SparseColumn column{{positions.begin(), positions.end()}, std::vector<double>(positions.size())};
  for (double& log : column.weights) {
    if (options.weights == WeightKind::kJittered) log = std::log(0.5 + random.uniform());
    if (options.weights == WeightKind::kDirichlet)
      log = log_gamma_variate(random, options.weight_concentration);
  }
  normalise_logs(column.weights);
  return column;
}

}  // namespace

Instance generate(const GenerateOptions& options) {
  check(options);
  std::vector<SparseColumn> q;
  for (std::size_t k = 0; k < options.tokens; ++k) q.push_back(draw_column(options, k));
  try {
    return make_instance(draw_transitions(options), std::move(q), options.length);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    throw Error(ErrorKind::kUsage, fmt::format("random instance of seed {}, {}", options.seed, error.where()),
                error.message(), "take another concentration or another seed");
  }
}

Instance blend(const Instance& task, const Instance& other, double share, bool new_positions) {
  if (!(share >= 0 && share <= 1)) refuse("share", fmt::format("is {}, expected 0 to 1", share));
  const std::size_t n = task.tokens();
  if (other.tokens() != n)
    throw Error(ErrorKind::kShape, "blend",
                fmt::format("the tasks have {} and {} tokens", n, other.tokens()));
  if (new_positions && other.length != task.length)
    throw Error(ErrorKind::kShape, "blend",
                fmt::format("the tasks have lengths {} and {}", task.length, other.length));
  Matrix<double> p(n, n);
  for (std::size_t i = 0; i < p.size(); ++i)
    p.data()[i] = (1 - share) * task.p.data()[i] + share * other.p.data()[i];
  Instance blended = make_instance(std::move(p), new_positions ? other.q : task.q, task.length);
  blended.names = task.names;
  return blended;
}

}  // namespace telos::bigram
