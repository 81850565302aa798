// What a Gram matrix takes, before it is computed.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "symmetry/gram_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/base/stopwatch.h"

namespace telos::symmetry {
namespace {

constexpr double kMostKeptBytes = 1e9, kMostJointBytes = 1e9;

std::size_t token_count(const Sequences& s) {
  std::size_t sum = 0;
  for (const auto& item : s.items) sum += item.size();
  return sum;
}

/// The i-th of a few items out of n, evenly over all however few they are: files are often sorted by length.
std::size_t spread_item(std::size_t i, std::size_t n) {
  const double turn = static_cast<double>(i) / std::numbers::phi;
  return static_cast<std::size_t>((turn - std::floor(turn)) * static_cast<double>(n));
}

/// Seconds and bytes of a prepared sequence, and seconds of a pair and of a value in fresh memory.
struct GramProbe {
  double prepare = 0, bytes = 0, pair = 0, value = 0;
};

double probe_memory() {
  constexpr std::size_t kValues = std::size_t{1} << 19;
  const Stopwatch watch;
  const Matrix<double> fresh(1, kValues);
  return watch.seconds() / static_cast<double>(kValues);
}

/// Pairs are cheaper in large tiles, whose products are wide: squares of the sequences' kernel are computed,
/// each of twice the side, up to that of a tile or until enough time has passed.
GramProbe probe_gram(const Kernel& kernel, const Sequences& rows, const GramOptions& o) {
  constexpr double kEnough = 0.01;
  const std::size_t most = std::min(rows.size(), o.tile);
  GramProbe probe;
  std::vector<PreparedSequence> items;
  double preparing = 0;
  const Stopwatch all;
  for (std::size_t side = std::min<std::size_t>(most, 2);; side = std::min(2 * side, most)) {
    const Stopwatch prepare;
    for (; items.size() < side; probe.bytes += items.back().bytes())
      items.push_back(prepare_item(kernel, rows, spread_item(items.size(), rows.size())));
    preparing += prepare.seconds();
    Matrix<double> nngp(side, side), ntk(o.ntk ? side : 0, o.ntk ? side : 0),
        error(o.errors ? side : 0, o.errors ? side : 0);
    const Stopwatch pairing;
    kernel.tile(items, items, nngp, ntk, error);
    probe.pair = pairing.seconds() / static_cast<double>(side * side);
    if (side == most || all.seconds() > kEnough) break;
  }
  const auto count = static_cast<double>(items.size());
  probe.prepare = preparing / count;
  probe.bytes /= count;
  if (all.seconds() < kEnough) probe.value = probe_memory();  // else pairs take all the time
  return probe;
}

}  // namespace

PreparedSequence prepare_item(const Kernel& kernel, const Sequences& s, std::size_t i) {
  try {
    return kernel.prepare(s.items[i]);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("sequence {}", i), error.message(), error.hint());
  }
}

bool in_single(const Kernel& kernel) {
  return kernel.options().precision == Precision::kSingle;
}

double pair_count(const Sequences& rows, const Sequences* columns) {
  const auto n = static_cast<double>(rows.size());
  return columns ? n * static_cast<double>(columns->size()) : n * (n + 1) / 2;
}

void require_gram(const Sequences& rows, const Sequences* columns, const GramOptions& o) {
  if (rows.size() == 0 || (columns && columns->size() == 0))
    throw Error(ErrorKind::kUsage, "gram", "there is no sequence");
  if (o.errors && !o.path.empty())
    throw Error(ErrorKind::kUsage, "gram", "standard errors are kept in memory only");
  if (o.tile < 1 || o.tile > 4096)
    throw Error(ErrorKind::kUsage, "gram", fmt::format("expected tiles of 1 to 4096, found {}", o.tile));
}

GramMeasured measure_cost(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                          const GramOptions& o, const Arena& arena) {
  require_gram(rows, columns, o);
  const GramProbe probe = probe_gram(kernel, rows, o);
  const auto n = static_cast<double>(rows.size()), m = columns ? static_cast<double>(columns->size()) : n;
  const auto tile = static_cast<double>(o.tile);
  GramMeasured out;
  out.keep = probe.bytes * (n + (columns ? m : 0)) <= kMostKeptBytes;
  out.cost.pairs = pair_count(rows, columns);
  const double tiles = out.cost.pairs / (tile * tile);
  const double prepared = n + (columns ? m : 0) + (out.keep ? 0 : 2 * tile * std::max(1.0, tiles));
  out.cost.seconds = (out.cost.pairs * probe.pair + prepared * probe.prepare) / arena.threads();
  // Cleared, then filled.
  const double matrices = o.errors && kernel.monte_carlo() ? 2 : 1;
  out.cost.seconds += 2 * n * m * probe.value * matrices;
  const double matrix = 8 * n * m * matrices;
  out.cost.file = o.path.empty() ? 0 : in_single(kernel) ? matrix / 2 : matrix;
  out.cost.memory = (o.path.empty() ? matrix : 0) +
                    probe.bytes * (out.keep ? n + (columns ? m : 0) : 2 * tile * arena.threads());
  if (kernel.joint()) {
    const std::size_t tokens = token_count(rows) + (columns ? token_count(*columns) : 0);
    out.joint = kernel.joint_bytes(tokens) <= kMostJointBytes;
    if (out.joint) {
      out.cost.memory += kernel.joint_bytes(tokens) + matrix;
      // Of the tokens of a pair: between the square, of the pairs, and the cube, of the products.
      out.cost.seconds = probe.pair * std::pow((n + (columns ? m : 0)) / 2, 2.5) / arena.threads();
    }
  }
  out.cost.memory +=
      arena.threads() * kernel.working_bytes(std::max(rows.longest(), columns ? columns->longest() : 0));
  return out;
}

std::string GramCost::text() const {
  std::string out =
      fmt::format("{} pairs · about {} · {} of memory", format_count(static_cast<std::size_t>(pairs)),
                  format_seconds(seconds), format_bytes(memory));
  if (file > 0) out += fmt::format(" · a file of {}", format_bytes(file));
  return out;
}

GramCost estimate_gram(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                       const GramOptions& options, const Arena& arena) {
  return measure_cost(kernel, rows, columns, options, arena).cost;
}

}  // namespace telos::symmetry
