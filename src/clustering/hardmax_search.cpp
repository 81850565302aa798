#include <algorithm>
#include <cmath>

#include "clustering/hardmax_parts.h"

namespace telos::clustering {
namespace {

class ScanSource : public ArgmaxSource {
 public:
  void find(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
            const Arena& arena) override {
    const std::size_t d = state.dimension();
    Matrix<double> points(state.size(), d);
    std::vector<std::pair<double, TokenId>> order;
    for (TokenId t = 0; t < state.size(); ++t) {
      if (state.merged(t)) continue;
      state.position(t, points.row(t));
      order.emplace_back(-canonical_norm(points.row(t), d), t);
    }
    std::ranges::sort(order);
    std::vector<std::vector<TokenId>> found(queries.size());
    std::vector<std::uint64_t> scores(queries.size());
    arena.parallel_for(queries.size(), [&](std::size_t q) {
      const double norm = canonical_norm(queries[q], d), tie = state.tie * norm;
      std::vector<std::pair<double, TokenId>> kept;
      double best = -norm * 2;
      for (const auto& [minus_norm, t] : order) {
        if (-minus_norm * norm * (1 + 1e-12) < best - tie) break;
        const double score = canonical_dot(queries[q], points.row(t), d);
        ++scores[q];
        best = std::max(best, score);
        if (score >= best - tie) kept.emplace_back(score, t);
      }
      for (const auto& [score, t] : kept)
        if (best - score <= tie) found[q].push_back(t);
      std::ranges::sort(found[q]);
    });
    sets = {};
    for (std::size_t q = 0; q < queries.size(); ++q) {
      sets.set.push_back(sets.add(found[q]));
      sets.scores += scores[q];
    }
  }
};

}  // namespace

std::unique_ptr<ArgmaxSource> make_scan_source() {
  return std::make_unique<ScanSource>();
}

}  // namespace telos::clustering
