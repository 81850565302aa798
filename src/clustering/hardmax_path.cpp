#include <algorithm>
#include <string>

#include "clustering/hardmax_parts.h"
#include "telos/base/error.h"

// Reading a finished run.

namespace telos::clustering {
namespace {

constexpr const char* kPathWhere = "hardmax run";

void require_history(const HardmaxRun& run, std::size_t index, std::size_t count, const char* what) {
  if (run.history.layers.empty())
    throw Error(ErrorKind::kUsage, kPathWhere, "the run kept no history", "set HardmaxOptions::history");
  if (index >= count)
    throw Error(ErrorKind::kUsage, kPathWhere,
                std::string(what) + " " + std::to_string(index) + " is asked for, there are " +
                    std::to_string(count));
}

/// Row of a token in a layer where it is active.
std::size_t row_in(const HardmaxRun::Layer& layer, std::uint32_t p) {
  return static_cast<std::size_t>(std::ranges::lower_bound(layer.active, p) - layer.active.begin());
}

/// Last layer at which the token was iterated, and not later than `layer`.
std::size_t iterated(const HardmaxRun& run, std::uint32_t p, std::size_t layer) {
  const std::uint32_t decided = run.history.decided[p];
  if (decided != HardmaxRun::kUndecidedLayer) return std::min<std::size_t>(layer, decided);
  if (layer > run.layers)
    throw Error(ErrorKind::kUsage, kPathWhere,
                "layer " + std::to_string(layer) + " is asked for, the run has " + std::to_string(run.layers),
                "undecided tokens have no formula: run more layers");
  return layer;
}

const double* row_of(const HardmaxRun& run, std::uint32_t p, std::size_t layer) {
  const HardmaxRun::Layer& at = run.history.layers[layer];
  return at.z.row(row_in(at, p));
}

const double* target_of(const HardmaxRun& run, std::uint32_t p) {
  const std::uint32_t target = run.history.target[p];
  return target < run.unique ? row_of(run, target, run.history.decided[target])
                             : run.history.faces.row(target - run.unique);
}

void position_of(const HardmaxRun& run, std::uint32_t p, std::size_t layer, std::span<double> out) {
  const std::size_t last = iterated(run, p, layer);
  const double* const from = row_of(run, p, last);
  if (layer == last || run.history.target[p] == p)
    std::copy_n(from, out.size(), out.data());
  else
    approach(from, target_of(run, p), power(run.rate, layer - last), out);
}

std::vector<std::size_t> set_at(const HardmaxRun& run, std::uint32_t p, std::size_t layer) {
  const HardmaxRun::Layer& at = run.history.layers[layer];
  if (at.set.empty())
    throw Error(ErrorKind::kUsage, kPathWhere,
                "argmax sets of layer " + std::to_string(layer) + " are asked for, the run computed " +
                    std::to_string(run.layers) + " layers");
  const std::uint32_t set = at.set[row_in(at, p)];
  std::vector<std::size_t> targets;
  for (std::size_t i = at.begin[set]; i < at.begin[set + 1]; ++i)
    targets.push_back(run.history.number[at.members[i]]);
  std::ranges::sort(targets);
  return targets;
}

}  // namespace

void HardmaxRun::position(std::size_t token, std::size_t layer, std::span<double> out) const {
  require_history(*this, token, tokens, "token");
  if (out.size() != dimension)
    throw Error(ErrorKind::kShape, kPathWhere,
                "a position has " + std::to_string(dimension) + " numbers, there is room for " +
                    std::to_string(out.size()));
  position_of(*this, history.rank[group[token]], layer, out);
  if (history.offsets.empty()) return;
  const double left = power(rate, layer);
  for (std::size_t c = 0; c < dimension; ++c) out[c] += left * history.offsets(token, c);
}

Matrix<double> HardmaxRun::positions(std::size_t layer, const Arena& arena) const {
  Matrix<double> out(tokens, dimension);
  arena.parallel_for(tokens, [&](std::size_t t) { position(t, layer, {out.row(t), dimension}); });
  return out;
}

std::vector<std::size_t> HardmaxRun::targets(std::size_t token, std::size_t layer) const {
  require_history(*this, token, tokens, "token");
  const std::uint32_t p = history.rank[group[token]];
  return set_at(*this, p, iterated(*this, p, layer));
}

HardmaxRun::Path HardmaxRun::path(std::size_t u) const {
  require_history(*this, u, unique, "unique token");
  const std::uint32_t p = history.rank[u];
  const bool decided = history.decided[p] != kUndecidedLayer;
  const std::size_t last = decided ? history.decided[p] : layers;
  Path path;
  path.steps.resize((last + 1) * dimension);
  for (std::size_t layer = 0; layer <= last; ++layer) {
    position_of(*this, p, layer, {path.steps.data() + layer * dimension, dimension});
    if (layer < layers) path.targets.push_back(set_at(*this, p, layer));
  }
  if (decided) {
    const double* const to = target_of(*this, p);
    path.target.assign(to, to + dimension);
  }
  return path;
}

}  // namespace telos::clustering
