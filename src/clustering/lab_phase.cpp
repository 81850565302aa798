#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "clustering/soft_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"
#include "telos/base/stopwatch.h"
#include "telos/clustering/theory.h"

namespace telos::clustering {
namespace {

constexpr const char* kPhaseWhere = "phase diagram";

void check(const PhaseSpec& s) {
  const auto require = [](bool holds, const std::string& message) {
    if (!holds) throw Error(ErrorKind::kUsage, kPhaseWhere, message);
  };
  require(s.tokens >= 2, fmt::format("expected two tokens or more, found {}", s.tokens));
  require(s.dimension >= 2, fmt::format("expected a dimension of 2 or more, found {}", s.dimension));
  require(s.systems >= 1 && s.betas >= 1 && s.times >= 1,
          fmt::format("expected at least one system, one β and one time, found {}, {} and {}", s.systems,
                      s.betas, s.times));
  constexpr double kMostSystems = 1e8;
  const double betas = static_cast<double>(s.betas), systems = betas * static_cast<double>(s.systems);
  if (!(systems <= kMostSystems))
    throw Error(ErrorKind::kLimit, kPhaseWhere,
                fmt::format("{} values of β with {} systems each are more than {:.0g} systems", s.betas,
                            s.systems, kMostSystems),
                "take fewer");
  require_memory(8 * systems + betas * (sizeof(SoftOptions) + 8 * static_cast<double>(s.times)) +
                     64 * static_cast<double>(s.tokens) * static_cast<double>(s.dimension),
                 kPhaseWhere, "take fewer times, tokens or dimensions");
  require(std::isfinite(s.beta_to) && 0 <= s.beta_from && s.beta_from <= s.beta_to,
          fmt::format("expected 0 ≤ β, ascending, found {} to {}", s.beta_from, s.beta_to));
  require(std::isfinite(s.time) && s.time > 0, fmt::format("expected a time > 0, found {}", s.time));
  require(s.epsilon > 0 && s.epsilon < 1, fmt::format("expected 0 < ε < 1, found {}", s.epsilon));
}

/// Steps from one of the times to the next.
std::size_t steps_between(const PhaseSpec& spec, const SoftOptions& options) {
  constexpr double kMostSteps = 1e8;
  const double between = spec.time / static_cast<double>(spec.times);
  const double steps = std::max(1.0, std::ceil(between / flow_step(options)));
  if (!(steps * static_cast<double>(spec.times) <= kMostSteps))
    throw Error(ErrorKind::kLimit, kPhaseWhere,
                fmt::format("β = {:.4g} would take {:.2g} steps until time {}, more than {:.0g}",
                            options.beta, steps * static_cast<double>(spec.times), spec.time, kMostSteps),
                "end earlier or at a smaller β");
  return static_cast<std::size_t>(steps);
}

/// The first of the times at which all tokens are together; spec.times if they never are. From then on they
/// stay together, because the cone that they span shrinks.
std::size_t first_together(const PhaseSpec& spec, const SoftOptions& options, std::size_t system,
                           const Arena& arena) {
  Matrix<double> x(spec.tokens, spec.dimension);
  Random random(spec.seed, 0, system);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal();
  normalise_rows(x);
  const std::unique_ptr<Flow> flow = make_flow(options, spec.dimension, arena);
  const std::size_t steps = steps_between(spec, options);
  const double between = spec.time / static_cast<double>(spec.times);
  for (std::size_t t = 0; t < spec.times; ++t) {
    integrate(*flow, between * static_cast<double>(t), between / static_cast<double>(steps), steps, x);
    if (sphere_state(x, spec.beta_from, false, arena).smallest_cosine >= 1 - spec.epsilon) return t;
  }
  return spec.times;
}

}  // namespace

PhaseDiagram phase_diagram(const PhaseSpec& spec, const Arena& arena) {
  check(spec);
  const Stopwatch watch;
  PhaseDiagram diagram;
  diagram.spec = spec;
  std::vector<SoftOptions> options(spec.betas);
  for (std::size_t b = 0; b < spec.betas; ++b) {
    const double share = spec.betas == 1 ? 0 : static_cast<double>(b) / static_cast<double>(spec.betas - 1);
    options[b].kind = spec.unnormalised ? SoftKind::kUSA : SoftKind::kSA;
    options[b].beta = spec.beta_from + share * (spec.beta_to - spec.beta_from);
    steps_between(spec, options[b]);
    diagram.beta.push_back(options[b].beta);
    diagram.theory.push_back(
        equiangular_time(spec.tokens, options[b].beta, spec.unnormalised, 1 - spec.epsilon));
  }
  for (std::size_t t = 1; t <= spec.times; ++t)
    diagram.time.push_back(spec.time * static_cast<double>(t) / static_cast<double>(spec.times));

  // Every β sees the same systems. The largest β take longest and come first.
  const std::size_t runs = spec.betas * spec.systems;
  std::vector<std::size_t> together(runs);
  Progress progress("phase diagram", "system", static_cast<double>(runs));
  arena.parallel_for(runs, [&](std::size_t i) {
    const std::size_t run = runs - 1 - i;
    together[run] = first_together(spec, options[run / spec.systems], run % spec.systems, arena);
    progress.advance();
  });

  diagram.share.assign(spec.times, std::vector<double>(spec.betas));
  for (std::size_t run = 0; run < runs; ++run)
    for (std::size_t t = together[run]; t < spec.times; ++t) ++diagram.share[t][run / spec.systems];
  for (std::vector<double>& row : diagram.share)
    for (double& share : row) share /= static_cast<double>(spec.systems);
  diagram.seconds = watch.seconds();
  return diagram;
}

}  // namespace telos::clustering
