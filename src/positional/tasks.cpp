#include "telos/positional/tasks.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "positional/tasks_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/base/nearest.h"

namespace telos::positional {
namespace {

/// The stream of the permutation that deals given rows to training and test.
constexpr std::uint32_t kDealStream = 0x6465616C;

struct TaskEntry {
  TaskInfo info;
  std::unique_ptr<Task> (*make)(const std::string& name, const TaskOptions& options);
};

template <ListTarget target>
std::unique_ptr<Task> make_list(const std::string& name, const TaskOptions& options) {
  return make_list_task(name, target, options);
}
template <MixedQuestion question>
std::unique_ptr<Task> make_mixed(const std::string& name, const TaskOptions& options) {
  return make_mixed_task(name, question, options);
}

const std::vector<TaskEntry>& entries() {
  static const std::vector<TaskEntry> table{
      {{"sum", "sum of the entries so far", "cumsum"}, make_list<ListTarget::kSum>},
      {{"min", "smallest entry so far", "cummin"}, make_list<ListTarget::kMin>},
      {{"max", "largest entry so far", "cummax"}, make_list<ListTarget::kMax>},
      {{"median", "median of the entries so far, the mean of the middle two", "median"},
       make_list<ListTarget::kMedian>},
      {{"sort", "the whole list in ascending order", "sort"}, make_list<ListTarget::kSort>},
      {{"maxsub", "best sum of a contiguous, non-empty part so far", "maxsub"},
       make_list<ListTarget::kMaxsub>},
      {{"minsum", "two lists one after the other: smallest sum of a pair so far", ""},
       [](const std::string&, const TaskOptions& options) { return make_minsum_task(options); }},
      {{"path", "path graph in random vertex order: all path lengths from the edge weights", ""},
       [](const std::string&, const TaskOptions& options) { return make_path_task(options); }},
      {{"khop", "k-hop induction heads, k given by the first token", ""},
       [](const std::string&, const TaskOptions& options) { return make_hop_task(options); }},
      {{"mixed-min", "text with prices: the lowest of four categories", ""}, make_mixed<MixedQuestion::kMin>},
      {{"mixed-max", "text with prices: the highest of four categories", ""},
       make_mixed<MixedQuestion::kMax>},
      {{"mixed-sum", "text with prices: the sum of four categories", ""}, make_mixed<MixedQuestion::kSum>},
      {{"mixed-multi", "text with prices: lowest or highest, as the text asks", ""},
       make_mixed<MixedQuestion::kMulti>}};
  return table;
}

/// Order in which given rows are dealt: the first four fifths are for training. The same for every seed: what
/// one run was trained on must not be another's test, nor be evaluated as held back.
std::vector<std::uint32_t> dealt_order(std::size_t rows) {
  constexpr std::uint64_t kDealSeed = 1;
  std::vector<std::uint32_t> order(rows);
  std::iota(order.begin(), order.end(), 0u);
  Random rng(kDealSeed, kDealStream);
  for (std::size_t i = rows; i-- > 1;)
    std::swap(order[i], order[rng.below(static_cast<std::uint32_t>(i + 1))]);
  return order;
}

void check_given(const Task& task, Task::Split split, std::uint64_t first, std::size_t count) {
  const std::size_t available = given_samples(task, split);
  if (first > available || count > available - first)
    throw Error(ErrorKind::kUsage, task.name(),
                fmt::format("samples {} to {} are asked for, the file has {} {} samples", first,
                            first + count, available, split == Task::Split::kTrain ? "training" : "test"));
}

/// One sample's numbers into a row; throws at the first that is not finite as a float.
void store(std::span<const double> numbers, double* row, std::string_view what, std::uint64_t sample,
           const Task& task) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    row[i] = numbers[i];
    if (!std::isfinite(static_cast<float>(row[i])))
      throw Error(ErrorKind::kNotFinite, fmt::format("task {}, sample {}", printable(task.name()), sample),
                  fmt::format("{}[{}] is {}, beyond the range of float", what, i, numbers[i]));
  }
}

}  // namespace

void Task::given(std::size_t, std::span<double>, std::span<double>) const {
  throw Error(ErrorKind::kInternal, name(), "the task's samples are drawn, not given");
}

std::unique_ptr<Task> make_task(std::string_view name, const TaskOptions& options) {
  const std::string text(name);
  if (name.ends_with(".csv") || name.ends_with(".jsonl"))
    return make_data_task(text, name.ends_with(".jsonl"));
  if (name.find('(') != std::string_view::npos) return make_expression_task(name, options);
  std::vector<std::string> known;
  for (const TaskEntry& entry : entries()) {
    if (entry.info.name == name) return entry.make(text, options);
    known.push_back(entry.info.name);
  }
  throw Error(
      ErrorKind::kUsage, "task", fmt::format("unknown task \"{}\"", printable(name)),
      nearest_hint(name, known) + "; or an expression such as \"prefix(min)\", or a file *.csv or *.jsonl");
}

std::vector<TaskInfo> task_list() {
  std::vector<TaskInfo> list;
  for (const TaskEntry& entry : entries()) list.push_back(entry.info);
  return list;
}

std::size_t given_samples(const Task& task, Task::Split split) {
  const std::size_t test = task.given_samples() / 5;
  return split == Task::Split::kTest ? test : task.given_samples() - test;
}

Dataset draw(const Task& task, std::uint64_t seed, std::uint32_t stream, double scale, Task::Split split,
             std::size_t length, std::size_t scratch, std::size_t count, std::uint64_t first) {
  const SampleShape shape = task.shape();
  const std::size_t n = shape.nodes;
  if (length < 1 || length > n || (length != n && !task.variable_length()))
    throw Error(ErrorKind::kUsage, fmt::format("task {}", printable(task.name())),
                task.variable_length() ? fmt::format("length is {}, expected 1 to {}", length, n)
                                       : fmt::format("length is {}, expected {}", length, n));
  if (task.given_samples() > 0) check_given(task, split, first, count);
  const double numbers =
      static_cast<double>(length + scratch) * static_cast<double>(shape.in_dim + shape.out_dim);
  require_memory(numbers * sizeof(double) * (static_cast<double>(count) + 1),
                 fmt::format("task {}, {} samples", printable(task.name()), count),
                 "draw fewer, or take a smaller n");
  const std::vector<std::uint32_t> order =
      task.given_samples() > 0 ? dealt_order(task.given_samples()) : std::vector<std::uint32_t>{};
  const std::uint64_t offset =
      first + (split == Task::Split::kTest ? given_samples(task, Task::Split::kTrain) : 0);
  Dataset data{.samples = count, .length = length, .scratch = scratch, .shape = shape};
  data.x = Matrix<double>(count, (length + scratch) * shape.in_dim);
  data.y = Matrix<double>(count, (length + scratch) * shape.out_dim);
  std::vector<double> x(length * shape.in_dim), y(length * shape.out_dim);
  for (std::size_t i = 0; i < count; ++i) {
    if (!order.empty()) {
      task.given(order[offset + i], x, y);
    } else {
      Random rng(seed, stream, first + i);
      task.generate(rng, scale, split, length, x, y);
    }
    store(x, data.x.row(i), "x", first + i, task);
    store(y, data.y.row(i), "y", first + i, task);
  }
  return data;
}

}  // namespace telos::positional
