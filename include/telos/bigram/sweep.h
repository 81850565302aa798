#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/bigram/train.h"

// How many samples it takes, over sizes, methods and random tasks.

namespace telos::bigram {

/// Every method runs on every size with every seed; a seed is a random task and its samples.
struct SweepOptions {
  std::vector<std::size_t> tokens = {3}, lengths = {250, 1000, 4000}, sparsities = {2};
  std::vector<std::uint64_t> seeds = {1, 2, 3, 4, 5, 6, 7};
  /// scb, nonneg, psgd, moments as in train(); "transfer": scb from V = (1 − share) P + share R, A uniform, R
  /// the transitions of an unrelated random task.
  std::vector<std::string> methods = {"scb", "transfer", "moments"};
  std::size_t batch = 16;
  double eta = 0.02, threshold = 0.03, concentration = 1, share = 0.5;
  std::uint64_t samples = 64000;  ///< most of a run
};

/// One run. All but the last three are its description.
struct SweepRun {
  std::string method;
  std::size_t tokens = 0, length = 0, sparsity = 0;
  std::uint64_t seed = 0;
  bool done = false;
  /// Samples after which the true positions of every last token deviated most from 1/T, and did so for 200
  /// steps; looked at every 10. 0: not within options.samples.
  std::uint64_t to_support = 0;
  /// Samples after which L − L* is at most a tenth of L₀ − L* for V and A refitted, on these same samples, at
  /// the positions above a quarter of their column's largest (turned around where mirrored). Looked at
  /// whenever the samples have grown by a tenth. 0: likewise.
  std::uint64_t to_loss = 0;
};

/// All runs of a sweep, none of them done. Throws kUsage (an empty list, an unknown method, sizes that no
/// task has).
std::vector<SweepRun> sweep_runs(const SweepOptions& options);
/// Does a run: a function of its description and the options alone.
void do_run(const SweepOptions& options, SweepRun& run, const Arena& arena);

/// Runs i with i mod count = index: a part of a sweep for one machine of several.
struct SweepShard {
  std::size_t index = 0, count = 1;
};
/// Does the runs of a shard, as many at once as the arena has threads, with the same results for any number
/// of them. In `folder`, unless empty, every finished run is at once a line of runs.tsv (of runs-2-of-3.tsv
/// for a shard); runs that any such file holds are not done again, so that an interrupted sweep goes on, and
/// a last call puts shards together. Returns all runs; those of other shards may be not done. Throws kUsage,
/// kIo, kBadFormat (a line of such a file), and what training throws.
std::vector<SweepRun> sweep(const SweepOptions& options, SweepShard shard, const std::string& folder,
                            const Arena& arena);

/// A median of samples over seeds, and the narrowest interval between order statistics that holds the median
/// of all tasks with probability `level` ≥ 0.95, or from least to most where there are too few seeds for
/// that. Runs that did not get there count as infinite.
struct MedianSamples {
  double median = 0, low = 0, high = 0, level = 0;
};
MedianSamples median_of(std::vector<double> samples);

/// One size and method.
struct SweepCell {
  std::string method;
  std::size_t tokens = 0, length = 0, sparsity = 0;
  std::size_t runs = 0;  ///< that are done
  MedianSamples to_support{}, to_loss{};
};
/// In the order of sweep_runs; cells without a run that is done are left out.
std::vector<SweepCell> sweep_cells(std::span<const SweepRun> runs);

/// Exponent of T: slope of log median samples against log T by least squares, with the 2.5 % and 97.5 %
/// quantiles over 2,000 resamplings of the seeds (a seed keeps its runs of all T; drawn from a fixed stream).
/// NaN where a median is infinite, or more than one resampling in forty has one; where there are fewer than
/// two T.
struct SweepSlope {
  std::string method;
  std::size_t tokens = 0, sparsity = 0;
  double slope = 0, low = 0, high = 0;
};
/// Which number of a run a slope is of.
enum class SweepTarget { kSupport, kLoss };
std::vector<SweepSlope> sweep_slopes(std::span<const SweepRun> runs, SweepTarget target);

}  // namespace telos::bigram
