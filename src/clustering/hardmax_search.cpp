#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "clustering/hardmax_filter.h"
#include "clustering/hardmax_kernel.h"
#include "clustering/hardmax_parts.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

// One pass over the tokens from the largest norm down. Of a query u only the direction matters, so that
// queries have norm 1 here and no score with w_j exceeds ‖w_j‖: a query is done once the norms that are left
// lie below its best score. Single-precision products are a filter: of all coordinates, or of the first m,
// where ⟨u, w⟩ ≤ ⟨u, w⟩ of the first m + ‖rest of u‖‖rest of w‖ leaves few for a closer look. What may be the
// best, by the bound on all errors, is computed again by the canonical dot product, which decides.

namespace telos::clustering {
namespace {

/// A score that may be the best.
struct Survivor {
  float upper;
  std::uint32_t column;
};

struct Query {
  const float* row = nullptr;  ///< u turned, in single precision, up to a factor
  double inverse = 0;          ///< what gives it norm 1
  double norm = 0, lower = 0;  ///< ‖u‖; the best score is at least `lower`
  std::vector<Survivor> survivors;

  bool done(double key, double tie) const { return key < lower - tie; }
  /// Scores below cannot be the best.
  float least(double tie, double error) const {
    return static_cast<float>(lower - tie - error) - 0x1p-22F;  // rounded down: scores are below 1
  }
};

/// Columns of one product.
struct Block {
  PackedMatrix<float> cut;
  std::vector<float> reach;
  bool reaches = false;
  double error = 0;
};

/// Shorter tokens lose digits in single precision, which has no small enough exponents.
constexpr double kLeastSingle = 0x1p-100;

/// From this many multiplications on, some seconds, a person is told how far it is.
constexpr double kLong = 1e11;

class ScanSource : public ArgmaxSource {
 public:
  explicit ScanSource(const ScanTiles& tiles) : tiles_(tiles) {}

  void find(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
            const Arena& arena) override {
    columns_.update(state);
    filter_.refresh(state, columns_.active(), arena);
    begin_queries(state, queries, arena);
    const std::vector<Column>& columns = columns_.list();
    std::vector<std::uint32_t> alive(queries.size());
    for (std::uint32_t q = 0; q < alive.size(); ++q) alive[q] = q;
    sets = {};
    survivors_ = 0;
    std::optional<Progress> progress;
    if (static_cast<double>(queries.size()) * static_cast<double>(columns.size() * state.dimension()) > kLong)
      progress.emplace("hardmax, layer " + std::to_string(state.layer), "token",
                       static_cast<double>(queries.size()));
    std::size_t products = 1;
    for (std::size_t begin = 0; begin < columns.size(); products = std::min(2 * products, tiles_.most)) {
      check_interrupt();
      const std::size_t before = alive.size();
      std::erase_if(alive, [&](std::uint32_t q) { return queries_[q].done(columns[begin].key, state.tie); });
      if (progress) progress->advance(static_cast<double>(before - alive.size()));
      if (alive.empty()) break;
      const std::size_t end = std::min(columns.size(), begin + products * tiles_.columns);
      cut_ = begin == 0 ? state.dimension() : choose_cut(state, alive, begin, end);
      load(state, begin, end, arena);
      scan(state, alive, begin, end, arena);
      sets.scores += static_cast<std::uint64_t>(alive.size()) * (end - begin);
      begin = end;
    }
    if (progress) progress->advance(static_cast<double>(alive.size()));
    collect(state, queries, sets, arena);
  }

 private:
  void begin_queries(const HardmaxState& state, std::span<const double* const> queries, const Arena& arena) {
    const std::size_t d = state.dimension();
    const double* const first = state.w.tokens.data();
    queries_.assign(queries.size(), {});
    arena.parallel_for(queries.size(), [&](std::size_t q) {
      queries_[q].norm = canonical_norm(queries[q], d);
      queries_[q].inverse = 1 / queries_[q].norm;
      queries_[q].lower = queries_[q].norm * (1 - 0x1p-40);
    });
    std::vector<std::size_t> others;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const bool token = queries[q] >= first && queries[q] < first + state.w.tokens.size();
      if (token && queries_[q].norm >= kLeastSingle)
        queries_[q].row =
            filter_.token(static_cast<TokenId>(static_cast<std::size_t>(queries[q] - first) / d));
      else
        others.push_back(q);
    }
    others_ = Matrix<float>(others.size(), d);
    arena.parallel_for(others.size(), [&](std::size_t i) {
      Query& query = queries_[others[i]];
      std::vector<double> scaled(queries[others[i]], queries[others[i]] + d);
      scale_by_power({scaled.data(), 1, d}, -std::ilogb(query.norm));
      filter_.turn(scaled.data(), {others_.row(i), d});
      query.row = others_.row(i);
      query.inverse = 1 / canonical_norm(scaled.data(), d);
    });
  }

  static void unit_row(const Query& query, std::span<float> out) {
    for (std::size_t c = 0; c < out.size(); ++c)
      out[c] = static_cast<float>(static_cast<double>(query.row[c]) * query.inverse);
  }

  /// How many coordinates bound the scores of these columns at the least cost, by a sample.
  std::size_t choose_cut(const HardmaxState& state, const std::vector<std::uint32_t>& alive,
                         std::size_t begin, std::size_t end) const {
    // In units of a multiplication inside a product: one outside costs six, a look at a row some hundreds.
    constexpr double kOutside = 6, kLook = 600, kScan = 12;
    constexpr std::size_t kQueries = 48, kColumns = 192, kLeast = 8;
    const std::size_t d = state.dimension();
    const std::size_t rows = std::min(kQueries, alive.size()), cols = std::min(kColumns, end - begin);
    Matrix<float> units(rows, d), points(cols, d);
    for (std::size_t r = 0; r < rows; ++r)
      unit_row(queries_[alive[r * alive.size() / rows]], {units.row(r), d});
    const auto column = [&](std::size_t c) -> const Column& {
      return columns_.list()[begin + c * (end - begin) / cols];
    };
    for (std::size_t c = 0; c < cols; ++c) filter_.position(state, column(c).point, {points.row(c), d});
    std::size_t best = d;
    double least_cost = static_cast<double>(d) + kScan;
    for (std::size_t m = kLeast; 2 * m <= d; m += m / 2) {
      Matrix<float> u(rows, m + 1), w(cols, m + 1);
      for (std::size_t r = 0; r < rows; ++r) cut_row({units.row(r), d}, m, u.row(r));
      for (std::size_t c = 0; c < cols; ++c) cut_row({points.row(c), d}, m, w.row(c));
      double passed = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        const Query& query = queries_[alive[r * alive.size() / rows]];
        for (std::size_t c = 0; c < cols; ++c)
          passed += dot_single(u.row(r), w.row(c), m + 1) + column(c).reach >=
                    query.least(state.tie, rounding_error(d) * column(c).scale);
      }
      passed /= static_cast<double>(rows * cols);
      const double cost =
          static_cast<double>(m + 1) + kScan + passed * (kOutside * static_cast<double>(d) + kLook);
      if (cost < least_cost) {
        least_cost = cost;
        best = m;
      }
    }
    return best;
  }

  /// Columns [begin, end) in single precision, cut, one packed factor for each product.
  void load(const HardmaxState& state, std::size_t begin, std::size_t end, const Arena& arena) {
    const std::size_t d = state.dimension(), width = tiles_.columns;
    if (points_.rows() < end - begin) points_ = Matrix<float>(end - begin, d);
    blocks_.resize((end - begin + width - 1) / width);
    arena.parallel_for(blocks_.size(), [&](std::size_t b) {
      const std::size_t first = b * width, last = std::min(end - begin, first + width);
      Block& block = blocks_[b];
      Matrix<float> rows(last - first, cut_ == d ? d : cut_ + 1);
      block.reach.resize(last - first);
      block.reaches = false;
      double scale = 0;
      for (std::size_t j = first; j < last; ++j) {
        const Column& column = columns_.list()[begin + j];
        const std::span<float> point(points_.row(j), d);
        filter_.position(state, column.point, point);
        cut_row(point, cut_, rows.row(j - first));
        block.reach[j - first] = column.reach;
        block.reaches = block.reaches || column.reach > 0;
        scale = std::max(scale, column.scale);
      }
      block.cut = PackedMatrix<float>(Op::kTransposed, rows);
      block.error = rounding_error(d) * scale + static_cast<double>(d) * 0x1p-120;
    });
  }

  void scan(const HardmaxState& state, const std::vector<std::uint32_t>& alive, std::size_t begin,
            std::size_t end, const Arena& arena) {
    const std::size_t d = state.dimension(), height = tiles_.queries;
    arena.parallel_for((alive.size() + height - 1) / height, [&](std::size_t tile) {
      check_interrupt();
      const std::span<const std::uint32_t> rows(alive.data() + tile * height,
                                                std::min(height, alive.size() - tile * height));
      Matrix<float> units(rows.size(), d), cut(rows.size(), cut_ == d ? d : cut_ + 1);
      Matrix<float> scores(rows.size(), tiles_.columns);
      std::vector<std::uint32_t> found(tiles_.columns + kSpare);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        unit_row(queries_[rows[r]], {units.row(r), d});
        cut_row({units.row(r), d}, cut_, cut.row(r));
      }
      for (std::size_t first = begin; first < end; first += tiles_.columns) {
        const double key = columns_.list()[first].key;
        if (std::ranges::all_of(rows, [&](std::uint32_t q) { return queries_[q].done(key, state.tie); }))
          return;
        const Block& block = blocks_[(first - begin) / tiles_.columns];
        const MatrixView<float> product = scores.view().block(0, 0, rows.size(), block.cut.cols());
        gemm_packed<float>(cut, block.cut, {}, product, arena);
        std::size_t kept = 0;
        for (std::size_t r = 0; r < rows.size(); ++r) {
          const std::span<float> row(product.row(r), product.cols());
          const std::size_t before = queries_[rows[r]].survivors.size();
          if (cut_ == d)
            keep_scores(block, row, first, state.tie, found, queries_[rows[r]]);
          else
            keep_bounds(block, row, units.row(r), first, begin, state, found, queries_[rows[r]]);
          kept += queries_[rows[r]].survivors.size() - before;
        }
        limit_survivors(kept);
      }
    });
  }

  /// Ties of everybody with everybody would fill the memory.
  void limit_survivors(std::size_t more) {
    const std::uint64_t all = survivors_.fetch_add(more) + more;
    if (all > kManySurvivors)
      require_memory(24 * static_cast<double>(all), "hardmax, argmax sets",
                     "too many tokens tie: take fewer");
  }

  static void keep(Query& query, float score, const Block& block, std::size_t column) {
    query.survivors.push_back(
        {score + static_cast<float>(block.error) + 0x1p-22F, static_cast<std::uint32_t>(column)});
  }

  static void add_reach(const Block& block, std::span<float> scores) {
    if (block.reaches)
      for (std::size_t j = 0; j < scores.size(); ++j) scores[j] += block.reach[j];
  }

  /// `scores` are products of all coordinates.
  static void keep_scores(const Block& block, std::span<float> scores, std::size_t first, double tie,
                          std::span<std::uint32_t> found, Query& query) {
    const float most = largest(scores.data(), scores.size());
    query.lower = std::max(query.lower, static_cast<double>(most) - block.error);
    add_reach(block, scores);
    const std::size_t count =
        find_at_least(scores.data(), scores.size(), query.least(tie, block.error), found.data());
    for (const std::uint32_t j : found.first(count)) keep(query, scores[j], block, first + j);
  }

  /// `bounds` are upper bounds of the scores.
  void keep_bounds(const Block& block, std::span<float> bounds, const float* unit, std::size_t first,
                   std::size_t begin, const HardmaxState& state, std::span<std::uint32_t> found,
                   Query& query) const {
    float least = query.least(state.tie, block.error);
    add_reach(block, bounds);
    const std::size_t count = find_at_least(bounds.data(), bounds.size(), least, found.data());
    for (const std::uint32_t j : found.first(count)) {
      if (bounds[j] < least) continue;
      const float score = dot_single(unit, points_.row(first - begin + j), state.dimension());
      if (static_cast<double>(score) - block.error > query.lower) {
        query.lower = static_cast<double>(score) - block.error;
        least = query.least(state.tie, block.error);
      }
      if (score + block.reach[j] >= least) keep(query, score + block.reach[j], block, first + j);
    }
  }

  /// The canonical scores decide.
  void collect(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
               const Arena& arena) {
    std::vector<std::vector<TokenId>> found(queries.size());
    std::vector<std::uint64_t> scores(queries.size());
    arena.parallel_for(queries.size(), [&](std::size_t q) {
      found[q] = decide(state, queries[q], queries_[q], scores[q]);
      queries_[q].survivors = {};
    });
    for (const std::uint64_t count : scores) sets.scores += count;
    // Most sets are single tokens, which many share.
    constexpr std::uint32_t kNoSet = 0xffffffff;
    std::vector<std::uint32_t> single(state.size(), kNoSet);
    sets.set.reserve(queries.size());
    for (const std::vector<TokenId>& set : found) {
      if (set.size() > 1) {
        sets.set.push_back(sets.add(set));
        continue;
      }
      std::uint32_t& index = single[set[0]];
      if (index == kNoSet) index = sets.add(set);
      sets.set.push_back(index);
    }
  }

  /// Canonical scores of what may be the best, so far.
  struct Decision {
    const double* u;
    double norm, tie;
    std::vector<double> position;
    double best = -std::numeric_limits<double>::infinity();
    std::vector<std::pair<double, TokenId>> kept;
    std::uint64_t scores = 0;

    void score(const HardmaxState& state, TokenId token) {
      state.position(token, position.data());
      kept.emplace_back(canonical_dot(u, position.data(), position.size()), token);
      best = std::max(best, kept.back().first);
    }
  };

  std::vector<TokenId> decide(const HardmaxState& state, const double* u, Query& query,
                              std::uint64_t& scores) const {
    Decision decision{.u = u,
                      .norm = query.norm,
                      .tie = state.tie * query.norm,
                      .position = std::vector<double>(state.dimension()),
                      .kept = {}};
    const float least = query.least(state.tie, 0);
    std::erase_if(query.survivors, [&](const Survivor& s) { return s.upper < least; });
    std::ranges::stable_sort(query.survivors, std::ranges::greater{}, &Survivor::upper);
    const std::vector<Column>& columns = columns_.list();
    for (const Survivor& s : query.survivors)
      if (columns[s.column].point < state.size()) decision.score(state, columns[s.column].point);
    for (const Survivor& s : query.survivors)
      if (columns[s.column].reach > 0) visit_followers(state, columns[s.column].point, decision);
    scores = decision.scores;
    std::vector<TokenId> set;
    for (const auto& [score, token] : decision.kept)
      if (decision.best - score <= decision.tie) set.push_back(token);
    std::ranges::sort(set);
    return set;
  }

  void visit_followers(const HardmaxState& state, TokenId point, Decision& decision) const {
    const std::size_t d = state.dimension();
    const double centre = canonical_dot(decision.u, state.target_point(state.w, point), d);
    const double slack = decision.tie + 0x1p-40 * decision.norm;
    for (const Columns::Segment& segment : columns_.followers(point)) {
      const double factor = state.shrink[state.layer - segment.decided];
      for (std::size_t i = segment.near; i < segment.members.size(); ++i) {
        const Columns::Member& member = segment.members[i];
        if (centre + decision.norm * factor * member.distance < decision.best - slack) break;
        ++decision.scores;
        const double there = canonical_dot(decision.u, state.w.tokens.row(member.token), d);
        if (centre + factor * (there - centre) < decision.best - slack || state.merged(member.token))
          continue;
        decision.score(state, member.token);
      }
    }
  }

  static constexpr std::uint64_t kManySurvivors = 10'000'000;
  ScanTiles tiles_;
  std::atomic<std::uint64_t> survivors_{0};
  Columns columns_;
  Filter filter_;
  std::vector<Query> queries_;
  Matrix<float> others_;  ///< queries that are no tokens, or very short ones
  std::size_t cut_ = 0;
  Matrix<float> points_;  ///< the columns loaded, a row each
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<ArgmaxSource> make_scan_source(const ScanTiles& tiles) {
  return std::make_unique<ScanSource>(tiles);
}

}  // namespace telos::clustering
