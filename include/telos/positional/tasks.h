#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/base/philox.h"

namespace telos::positional {

/// Training interval and distribution of list tasks (2410.01686, section 6): each sample draws u, v ~ U[low,
/// high], then its entries from U[min(u, v), max(u, v)]; at scale c > 1 the interval is [c·low, c·high], and
/// draws whose interval lies inside the training one are rejected.
struct Distribution {
  double low = -2, high = 2;
  bool integers =
      false;  ///< entries uniform over the whole numbers low … high − 1, no interval, no rejection
};

/// What a sample is made of.
struct SampleShape {
  std::size_t nodes = 8;  ///< data positions that x fills
  std::size_t in_dim = 1, out_dim = 1;
  bool tokens = false;  ///< x holds token ids below `vocabulary`
  std::size_t vocabulary = 0;
  bool classes = false;  ///< y holds class ids below `classes_count`; the loss is cross-entropy
  std::size_t classes_count = 0;
  std::size_t loss_rows = 0;  ///< rows that count, from the first; 0: all data positions
};

/// A task: samples from a seed, at a scale. The interface for tasks of one's own; data files and expressions
/// (below) are others.
class Task {
 public:
  virtual ~Task() = default;
  virtual std::string name() const = 0;
  virtual SampleShape shape() const = 0;
  /// One sample of `length` data positions at scale c ≥ 1: x has length·in_dim numbers, y length·out_dim.
  /// The same rng gives the same sample everywhere. `split` separates what training and test may draw from
  /// (letters of k-hop, categories of mixed text).
  enum class Split { kTrain, kTest };
  virtual void generate(Random& rng, double scale, Split split, std::size_t length, std::span<double> x,
                        std::span<double> y) const = 0;
  virtual bool variable_length() const { return false; }  ///< generate accepts 1 … nodes
  /// f(c·x) = c·f(x) for c > 0.
  virtual bool homogeneous() const { return false; }
  virtual bool scalable() const { return true; }  ///< scale means something
  /// Samples that are given instead of drawn (a data file); 0: drawn.
  virtual std::size_t given_samples() const { return 0; }
  /// Compiled program that solves it exactly, as `telos positional compile` names it, or "".
  virtual std::string exact_program() const { return {}; }
};

struct TaskOptions {
  std::size_t nodes = 8;
  bool cumulative = true;  ///< false: the whole list's answer at each position
  Distribution distribution{};
  std::size_t hops = 3, hop_letters = 5, sequence = 100;  ///< k-hop
};

/// sum, min, max, median, sort, maxsub, minsum, path, khop, mixed-{min,max,sum,multi}; a data file
/// (*.csv, *.jsonl), or an expression such as "prefix(min)", "scan(a+b)", "whole(max)". Throws kUsage naming
/// the nearest name; kBadFormat with row and column for a data file.
std::unique_ptr<Task> make_task(std::string_view name, const TaskOptions& options);
struct TaskInfo {
  std::string name, summary, exact_program;
};
std::vector<TaskInfo> task_list();

/// Samples [first, first + count) of a stream, as rows: x (count × S·in_dim with the scratch positions 0), y
/// alike. Sample i depends on (seed, stream, i) alone.
struct Dataset {
  std::size_t samples = 0, length = 0, scratch = 0;
  SampleShape shape{};
  Matrix<float> x{}, y{};
};
Dataset draw(const Task& task, std::uint64_t seed, std::uint32_t stream, double scale, Task::Split split,
             std::size_t length, std::size_t scratch, std::size_t count, std::uint64_t first = 0);

}  // namespace telos::positional
