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
      false;  ///< entries uniform over the whole numbers of [low, high), no interval, no rejection
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
  /// Split::kTest has letters or categories that training never sees.
  virtual bool unseen_test() const { return false; }
  /// Samples that are given instead of drawn (a data file); 0: drawn. Sample `index` of them; generate()
  /// picks one at random.
  virtual std::size_t given_samples() const { return 0; }
  virtual void given(std::size_t index, std::span<double> x, std::span<double> y) const;
  /// Which of the options of every list task decide its samples; an option that none reads is refused.
  struct Reads {
    bool nodes = false, cumulative = false, distribution = false;
  };
  virtual Reads reads() const { return {}; }
  /// Compiled program that solves it exactly, as `telos positional compile` names it, or "".
  virtual std::string exact_program() const { return {}; }
};

struct TaskOptions {
  std::size_t nodes = 8;
  bool cumulative = true;  ///< false: the whole list's answer at each position
  Distribution distribution{};
  std::size_t hops = 3, hop_letters = 5, sequence = 100;  ///< k-hop: largest k, letters of a split, length
  /// Mixed text and numbers: categories in a text, categories that are asked for, prices from [0, limit·c].
  std::size_t categories = 8, queried = 4;
  double price_limit = 5;
};

/// sum, min, max, median, sort, maxsub, minsum, path, khop, mixed-{min,max,sum,multi}; a data file
/// (*.csv, *.jsonl), or an expression such as "prefix(min)", "scan(a+b)", "whole(max)". Throws kUsage naming
/// the nearest name; kBadFormat with row and column for a data file.
///
/// Expressions: prefix(f) and scan(f) are a fold's running values y_1 = x_1, y_i = f(y_{i−1}, x_i), whole(f)
/// its last value at each position. f is sum, min, max, median or maxsub, or an expression of a (the value so
/// far) and b (the next entry) with numbers, + − *, unary minus, min(…), max(…), abs(…), brackets.
///
/// Data files: CSV rows of x then y in equal numbers (or, with labels x… and y…, in any order: x1, x2, … by
/// their numbers; a single y is the answer of the whole list); JSON lines {"x": […], "y": […]}. Four fifths
/// of the rows, drawn once for all seeds, are training samples, the others test samples.
std::unique_ptr<Task> make_task(std::string_view name, const TaskOptions& options);
/// A task by its name and options: what a trained model's file keeps. Throws kBadFormat.
struct TaskChoice {
  std::string name{};
  TaskOptions options{};
};
std::string task_json(const TaskChoice& choice);
TaskChoice parse_task(std::string_view json, const std::string& where);

struct TaskInfo {
  std::string name, summary, exact_program;
};
std::vector<TaskInfo> task_list();

/// hop_k of a string of letters: find¹(i) = max{j ≤ i : X_{j−1} = X_i} (positions from 1), find^k = find¹ ∘
/// find^{k−1}, and letter i of the result is X at find^k(i), '~' where there is none: the targets of khop.
/// Cost n·k (Sanford, Hsu, Telgarsky, 2402.09268).
std::string hop_string(std::string_view letters, std::size_t hops);

/// Given samples of a split: all if the task is drawn (0), else the rows that draw() may take.
std::size_t given_samples(const Task& task, Task::Split split);

/// Throws kUsage for a scale that this distribution cannot be tested at: not a finite number above 0, or a
/// test interval that lies inside the training one (then each draw would be rejected) or reaches so little
/// beyond it that fewer than one draw in 10⁵ would be kept; kLimit beyond the range of float.
void check_scale(const Distribution& distribution, double scale);

/// Samples [first, first + count) of a stream, as rows: x (count × S·in_dim with the scratch positions 0), y
/// alike. Sample i depends on (seed, stream, i) alone; of a data file, on (split, i). Throws what
/// generate() throws, kNotFinite naming sample and position, kUsage for more samples than are given.
struct Dataset {
  std::size_t samples = 0, length = 0, scratch = 0;
  SampleShape shape{};
  Matrix<double> x{}, y{};  ///< finite in float too, which training rounds them to
};
Dataset draw(const Task& task, std::uint64_t seed, std::uint32_t stream, double scale, Task::Split split,
             std::size_t length, std::size_t scratch, std::size_t count, std::uint64_t first = 0);

}  // namespace telos::positional
