#include "telos/clustering/hardmax.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "clustering/hardmax_parts.h"
#include "clustering/plane.h"
#include "telos/base/memory.h"

namespace telos::clustering {
namespace {

/// Norms that differ by less than the rounding of single precision.
constexpr double kEqualNorms = 1e-6;

double distance(const double* a, const double* b, std::size_t n) {
  double most = 0, sum = 0;
  for (std::size_t c = 0; c < n; ++c) most = std::max(most, std::abs(a[c] - b[c]));
  if (most == 0) return 0;
  for (std::size_t c = 0; c < n; ++c) sum += (a[c] / most - b[c] / most) * (a[c] / most - b[c] / most);
  return most * std::sqrt(sum);
}

/// From what the layers left behind to what the caller reads.
class Summary {
 public:
  Summary(HardmaxRun& run, const HardmaxInput& input, const EngineResult& engine,
          ConstMatrixView<double> tokens, const HardmaxOptions& options, const Arena& arena)
      : run_(run),
        input_(input),
        engine_(engine),
        s_(engine.state),
        tokens_(tokens),
        options_(options),
        arena_(arena) {}

  void write() {
    run_.layers = s_.layer;
    run_.per_layer = engine_.per_layer;
    number_unique();
    list_leaders();
    write_limits();
    write_fates();
    write_notes();
  }

 private:
  void number_unique() {
    const std::size_t unique = s_.size();
    std::vector<std::uint32_t> rank, number(unique);
    rank.reserve(unique);
    run_.first.reserve(unique);
    for (std::uint32_t t = 0; t < run_.tokens; ++t) {
      const std::uint32_t p = input_.point[t];
      if (input_.lowest[p] != t) continue;
      number[p] = static_cast<std::uint32_t>(rank.size());
      rank.push_back(p);
      run_.first.push_back(t);
    }
    run_.group.resize(run_.tokens);
    for (std::size_t t = 0; t < run_.tokens; ++t) run_.group[t] = number[input_.point[t]];
    run_.unique = unique;
    run_.history.rank = std::move(rank);
    run_.history.number = std::move(number);
  }

  void list_leaders() {
    std::vector<std::uint32_t> points;
    for (std::uint32_t p = 0; p < s_.size(); ++p)
      if (s_.state[p] == TokenState::kLeader) points.push_back(p);
    std::ranges::sort(points, {},
                      [&](std::uint32_t p) { return std::pair(s_.decided[p], input_.lowest[p]); });
    leader_of_.assign(s_.size(), kNone);
    for (const std::uint32_t p : points) {
      leader_of_[p] = run_.leaders.size();
      run_.leaders.push_back({.token = input_.lowest[p],
                              .copies = static_cast<std::size_t>(s_.copies[p]),
                              .norm = std::ldexp(s_.norm[p], input_.w_exponent + input_.score_exponent),
                              .emergence = s_.decided[p],
                              .followers = 0});
      run_.initial_leaders += s_.decided[p] == 0;
    }
  }

  void write_limits() {
    const HardmaxState::Points& from = s_.z.tokens.empty() ? s_.w : s_.z;
    const std::size_t d = from.tokens.cols();
    const bool forever = options_.layers == kAllLayers;
    run_.limits = Matrix<double>(run_.tokens, d);
    arena_.parallel_for(run_.tokens, [&](std::size_t t) {
      const std::uint32_t p = input_.point[t];
      const bool decided = s_.state[p] != TokenState::kActive;
      const double* const row = from.tokens.row(p);
      double* const out = run_.limits.row(t);
      if (s_.state[p] == TokenState::kFrozen)
        approach(row, s_.target_point(from, s_.target[p]),
                 forever ? 0 : power(run_.rate, options_.layers - s_.decided[p]), {out, d});
      else
        std::copy_n(row, d, out);
      if (!input_.offsets.empty() && !(forever && decided)) {
        const double left = power(run_.rate, decided ? options_.layers : s_.layer);
        for (std::size_t c = 0; c < d; ++c) out[c] += left * input_.offsets(t, c);
      }
      scale_by_power({out, 1, d}, input_.exponent());
    });
  }

  TokenEnd end_of(std::uint32_t p) const {
    switch (s_.state[p]) {
      case TokenState::kLeader:
        return TokenEnd::kLeader;
      case TokenState::kStatic:
        return TokenEnd::kStatic;
      case TokenState::kFrozen:
        return target_leader(p) != kNone ? TokenEnd::kFollows : TokenEnd::kFace;
      case TokenState::kActive:
        break;
    }
    return engine_.stalled ? TokenEnd::kAsymptotic : TokenEnd::kUndecided;
  }

  std::size_t target_leader(std::uint32_t p) const {
    if (s_.state[p] == TokenState::kLeader) return leader_of_[p];
    if (s_.state[p] != TokenState::kFrozen || s_.target[p] >= s_.size()) return kNone;
    return leader_of_[s_.target[p]];
  }

  void write_fates() {
    run_.fates.resize(run_.tokens);
    arena_.parallel_for(run_.tokens, [&](std::size_t t) {
      const std::uint32_t p = input_.point[t];
      Fate& fate = run_.fates[t];
      fate.end = end_of(p);
      fate.leader = target_leader(p);
      if (s_.state[p] != TokenState::kActive) fate.decided = s_.decided[p];
      fate.first_target = engine_.first_target.empty() ? t : engine_.first_target[p];
      fate.changed = engine_.changed[p] != 0;
      fate.travelled = distance(run_.limits.row(t), tokens_.row(t), tokens_.cols());
    });
    run_.complete = true;
    for (std::size_t t = 0; t < run_.tokens; ++t) {
      const Fate& fate = run_.fates[t];
      if (fate.leader != kNone) ++run_.leaders[fate.leader].followers;
      run_.complete = run_.complete && fate.decided != kNone;
    }
    run_.stop = stop();
  }

  HardmaxStop stop() const {
    if (run_.complete) return HardmaxStop::kDecided;
    if (!engine_.stalled) return HardmaxStop::kLayers;
    return engine_.capped ? HardmaxStop::kMaxLayers : HardmaxStop::kStill;
  }

  static std::string count(std::size_t n, const char* one, const char* many) {
    return std::to_string(n) + " " + (n == 1 ? one : many);
  }

  void write_notes() {
    std::vector<std::string>& notes = run_.notes;
    if (run_.unique < run_.tokens)
      notes.push_back(count(run_.tokens - run_.unique, "token equals", "tokens equal") +
                      " another one: equal tokens move as one, with the weight of all");
    if (run_.zero_tokens > 0)
      notes.push_back(count(run_.zero_tokens, "token is zero", "tokens are zero") +
                      (run_.unique > 1 ? ": it attends to all tokens, a case outside the theorem" : ""));
    if (run_.equal_norms)
      notes.push_back("all norms are equal: every token is a leader, and nothing ever moves");
    else if (run_.theorem && run_.unique >= 20 && 2 * run_.leaders.size() > run_.unique)
      notes.push_back(std::to_string(run_.leaders.size()) + " of " + std::to_string(run_.unique) +
                      " tokens lead: these tokens hardly cluster");
    if (!run_.per_layer.empty() && run_.per_layer[0].ties > 0)
      notes.push_back(count(run_.per_layer[0].ties, "token attends", "tokens attend") +
                      " to several at once at layer 0: exact ties, as of rounded or lattice data");
    const auto left =
        static_cast<std::size_t>(std::ranges::count(run_.fates, TokenEnd::kAsymptotic, &Fate::end));
    if (run_.theorem && left > 0)
      notes.push_back(count(left, "token has", "tokens have") + " no formula: iterated to " +
                      count(run_.layers, "layer", "layers"));
  }

  HardmaxRun& run_;
  const HardmaxInput& input_;
  const EngineResult& engine_;
  const HardmaxState& s_;
  ConstMatrixView<double> tokens_;
  const HardmaxOptions& options_;
  const Arena& arena_;
  std::vector<std::size_t> leader_of_;
};

void keep_history(HardmaxRun& run, HardmaxInput& input, EngineResult& engine) {
  HardmaxRun::History& history = run.history;
  const HardmaxState& s = engine.state;
  const HardmaxState::Points& from = s.z.tokens.empty() ? s.w : s.z;
  const std::size_t d = from.tokens.cols();
  history.layers = std::move(engine.history);
  for (HardmaxRun::Layer& layer : history.layers) scale_by_power(layer.z.view(), input.exponent());
  history.decided = s.decided;
  history.target.resize(s.size());
  for (std::uint32_t p = 0; p < s.size(); ++p)
    history.target[p] = s.state[p] == TokenState::kFrozen ? s.target[p] : p;
  history.faces = Matrix<double>(d == 0 ? 0 : from.faces.size() / d, d);
  std::ranges::copy(from.faces, history.faces.data());
  scale_by_power(history.faces.view(), input.exponent());
  history.offsets = std::move(input.offsets);
  scale_by_power(history.offsets.view(), input.exponent());
}

/// A system outside the theorem that comes together is worth a word.
void note_contraction(HardmaxRun& run, const HardmaxState& s, double start) {
  const double now = *std::ranges::max_element(s.norm);
  double spread = 0, most = 0;
  for (std::size_t t = 0; t < s.size(); ++t)
    spread = std::max(spread, distance(s.w.tokens.row(t), s.w.tokens.row(0), s.dimension()));
  for (std::size_t t = 0; t < s.size(); ++t) most = std::max(most, s.norm[t]);
  run.notes.push_back("A or V lies outside the theorem: nobody is called a leader");
  if (now < start / 2)
    run.notes.push_back("the tokens contract: their largest norm is " + std::to_string(now / start) +
                        " of what it was");
  if (s.size() > 1 && spread < 1e-6 * start)
    run.notes.push_back("the tokens have come together at one point");
}

}  // namespace

double power(double r, std::size_t k) {
  double result = 1;
  for (; k != 0; k >>= 1, r *= r)
    if ((k & 1) != 0) result *= r;
  return result;
}

void approach(const double* from, const double* to, double factor, std::span<double> out) {
  for (std::size_t c = 0; c < out.size(); ++c) out[c] = to[c] + factor * (from[c] - to[c]);
}

HardmaxRun run_hardmax(ConstMatrixView<double> tokens, const HardmaxOptions& options, const Arena& arena) {
  const HardmaxPlan plan = check_hardmax(tokens, options);
  const double each = options.history ? 28 : 20;
  require_memory(each * static_cast<double>(tokens.rows()) * static_cast<double>(tokens.cols()), "hardmax",
                 "take fewer tokens");
  HardmaxInput input = reduce_tokens(tokens, options, plan.theorem, arena);
  HardmaxRun run;
  run.tokens = tokens.rows();
  run.dimension = tokens.cols();
  run.depth = options.layers;
  run.alpha = plan.alpha;
  run.rate = 1 / (1 + plan.alpha);
  run.theorem = plan.theorem;
  const double most = canonical_norm(input.w.row(0), input.w.cols());
  const double least = canonical_norm(input.w.row(input.w.rows() - 1), input.w.cols());
  if (least == 0) run.zero_tokens = static_cast<std::size_t>(input.copies.back());
  const std::unique_ptr<ArgmaxSource> source = input.w.cols() <= 2 ? make_plane_source() : make_scan_source();
  EngineResult engine = plan.theorem ? run_layers(input, plan.alpha, options, *source, arena)
                                     : run_general(input, plan.alpha, options, arena);
  const std::size_t leaders =
      static_cast<std::size_t>(std::ranges::count(engine.state.state, TokenState::kLeader));
  run.equal_norms =
      plan.theorem && leaders == engine.state.size() && leaders > 1 && most - least <= kEqualNorms * most;
  Summary(run, input, engine, tokens, options, arena).write();
  if (!plan.theorem) note_contraction(run, engine.state, most);
  if (options.history)
    keep_history(run, input, engine);
  else
    run.history = {};
  return run;
}

}  // namespace telos::clustering
