#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "positional/tasks_parts.h"
#include "telos/base/error.h"

namespace telos::positional {
namespace {

/// Of the square of pairs (u, v), the share that rejection keeps.
double kept_share(const Distribution& d, double scale) {
  const double low = scale * d.low, high = scale * d.high;
  const double inside = std::max(0.0, std::min(high, d.high) - std::max(low, d.low)) / (high - low);
  return 1 - inside * inside;
}

/// Rejection keeps at least this share of the draws: a sample costs at most 10⁵ pairs on average.
constexpr double kMinKept = 1e-5;

double as_float(double value) {
  return static_cast<double>(static_cast<float>(value));
}

/// The interval of one sample.
std::pair<double, double> draw_interval(const Distribution& d, Random& rng, double scale) {
  const double low = scale * d.low, high = scale * d.high;
  for (;;) {
    const double u = low + (high - low) * rng.uniform();
    const double v = low + (high - low) * rng.uniform();
    const auto [begin, end] = std::minmax(u, v);
    if (scale == 1 || begin < d.low || end > d.high) return {begin, end};
  }
}

void check_nodes(std::size_t nodes, std::string_view task, std::size_t least = 1) {
  constexpr std::size_t kMaxNodes = 1 << 16;
  if (nodes < least || nodes > kMaxNodes)
    throw Error(ErrorKind::kUsage, fmt::format("task {}", task),
                fmt::format("n is {}, expected {} to {}", nodes, least, kMaxNodes));
}

class ListTask final : public Task {
 public:
  ListTask(std::string name, ListRule rule, bool reads_cumulative, std::string exact,
           const TaskOptions& options)
      : name_(std::move(name)),
        rule_(std::move(rule)),
        reads_cumulative_(reads_cumulative),
        exact_(std::move(exact)),
        options_(options) {
    check_nodes(options.nodes, name_);
    check_distribution(options.distribution);
  }
  std::string name() const override { return name_; }
  SampleShape shape() const override { return {.nodes = options_.nodes}; }
  void generate(Random& rng, double scale, Split, std::size_t length, std::span<double> x,
                std::span<double> y) const override {
    draw_entries(options_.distribution, rng, scale, x.first(length));
    rule_.apply(x.first(length), y.first(length));
  }
  bool variable_length() const override { return true; }
  bool homogeneous() const override { return rule_.homogeneous(); }
  Reads reads() const override {
    return {.nodes = true, .cumulative = reads_cumulative_, .distribution = true};
  }
  std::string exact_program() const override { return exact_; }

 private:
  std::string name_;
  ListRule rule_;
  bool reads_cumulative_;  ///< an expression says itself whether its answer is the prefix's
  std::string exact_;
  TaskOptions options_;
};

/// Two lists of n, one after the other: the smallest sum of a pair x_i + x_{n+i}.
class MinSumTask final : public Task {
 public:
  explicit MinSumTask(const TaskOptions& options) : options_(options) {
    check_nodes(options.nodes, name());
    check_distribution(options.distribution);
  }
  std::string name() const override { return "minsum"; }
  SampleShape shape() const override { return {.nodes = 2 * options_.nodes}; }
  void generate(Random& rng, double scale, Split, std::size_t length, std::span<double> x,
                std::span<double> y) const override {
    const std::size_t n = length / 2;
    draw_entries(options_.distribution, rng, scale, x.first(2 * n));
    std::vector<double> sums(n);
    for (std::size_t i = 0; i < n; ++i) sums[i] = x[i] + x[n + i];
    list_target(ListTarget::kMin, options_.cumulative, sums, y.first(n));
    std::copy_n(y.begin(), n, y.begin() + static_cast<std::ptrdiff_t>(n));
  }
  bool homogeneous() const override { return true; }
  Reads reads() const override { return {.nodes = true, .cumulative = true, .distribution = true}; }

 private:
  TaskOptions options_;
};

/// A path graph with random edge weights and its vertices in random order: row i of x holds the weights of
/// vertex i's edges, row i of y the sums of weights along the path to each other vertex.
class PathTask final : public Task {
 public:
  explicit PathTask(const TaskOptions& options) : options_(options) {
    check_nodes(options.nodes, name(), 2);
    check_distribution(options.distribution);
  }
  std::string name() const override { return "path"; }
  SampleShape shape() const override {
    return {.nodes = options_.nodes, .in_dim = options_.nodes, .out_dim = options_.nodes};
  }
  void generate(Random& rng, double scale, Split, std::size_t length, std::span<double> x,
                std::span<double> y) const override {
    const std::size_t n = length;
    std::vector<double> edges(n - 1), from_first(n);
    draw_entries(options_.distribution, rng, scale, edges);
    std::partial_sum(edges.begin(), edges.end(), from_first.begin() + 1);
    std::vector<std::size_t> vertex(n);
    std::iota(vertex.begin(), vertex.end(), std::size_t{0});
    for (std::size_t i = n - 1; i > 0; --i)
      std::swap(vertex[i], vertex[rng.below(static_cast<std::uint32_t>(i + 1))]);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        const auto [a, b] = std::minmax(vertex[i], vertex[j]);
        x[i * n + j] = b - a == 1 ? edges[a] : 0;
        y[i * n + j] = from_first[b] - from_first[a];
      }
  }
  bool homogeneous() const override { return true; }
  Reads reads() const override { return {.nodes = true, .distribution = true}; }

 private:
  TaskOptions options_;
};

/// The compiled program that answers a rule at n nodes, "" if there is none.
std::string program_for(ListTarget target, bool cumulative, std::size_t n) {
  const bool butterfly = std::has_single_bit(n) && n > 1;
  const auto choose = [&](const char* scan, const char* whole) {
    return std::string(cumulative ? scan : butterfly ? whole : "");
  };
  switch (target) {
    case ListTarget::kSort:
      return "sort";
    case ListTarget::kSum:
      return choose("cumsum", "allreduce-sum");
    case ListTarget::kMin:
      return choose("cummin", "allreduce-min");
    case ListTarget::kMax:
      return choose("cummax", "allreduce-max");
    case ListTarget::kMedian:
      return n <= 256 ? choose("median", "") : "";  // a channel an entry
    case ListTarget::kMaxsub:
      return choose("maxsub", "");
  }
  return {};
}

/// a + b, min(a, b) and max(a, b) are folds with a name.
std::optional<ListTarget> known_fold(const Expression& expression) {
  const auto& nodes = expression.nodes();
  if (nodes.size() != 3 || nodes[0].op == nodes[1].op) return std::nullopt;
  for (std::size_t i = 0; i < 2; ++i)
    if (nodes[i].op != Expression::Op::kA && nodes[i].op != Expression::Op::kB) return std::nullopt;
  if (nodes[2].op == Expression::Op::kAdd) return ListTarget::kSum;
  if (nodes[2].op == Expression::Op::kMin) return ListTarget::kMin;
  if (nodes[2].op == Expression::Op::kMax) return ListTarget::kMax;
  return std::nullopt;
}

}  // namespace

void check_distribution(const Distribution& d) {
  const bool finite = std::isfinite(d.low) && std::isfinite(d.high);
  if (!finite || d.low >= d.high)
    throw Error(
        ErrorKind::kUsage, "distribution",
        fmt::format("low is {} and high is {}, expected finite numbers with low < high", d.low, d.high));
}

void check_scale(const Distribution& d, double scale) {
  check_distribution(d);
  const std::string where = fmt::format("scale {}", scale);
  if (!std::isfinite(scale) || scale <= 0)
    throw Error(ErrorKind::kUsage, where, "expected a finite number above 0");
  const double low = scale * d.low, high = scale * d.high;
  if (std::max(std::abs(low), std::abs(high)) > static_cast<double>(std::numeric_limits<float>::max()))
    throw Error(ErrorKind::kLimit, where,
                fmt::format("the interval [{}, {}] is beyond the range of float", low, high));
  if (d.integers) {
    if (std::ceil(high) - std::ceil(low) < 1 || high - low > 4e9)
      throw Error(ErrorKind::kUsage, where,
                  fmt::format("[{}, {}) holds no whole number, or more than 4·10⁹ of them", low, high));
    return;
  }
  if (scale == 1) return;
  if (low >= d.low && high <= d.high)
    throw Error(
        ErrorKind::kUsage, where,
        fmt::format("the test interval [{}, {}] lies inside the training interval [{}, {}]: each draw "
                    "would be rejected without end",
                    low, high, d.low, d.high),
        "choose a scale above 1");
  if (kept_share(d, scale) < kMinKept)
    throw Error(
        ErrorKind::kUsage, where,
        fmt::format("the test interval [{}, {}] reaches so little beyond the training interval [{}, {}] "
                    "that fewer than one draw in 10⁵ would be kept",
                    low, high, d.low, d.high),
        "choose a larger scale, or 1");
}

void draw_entries(const Distribution& d, Random& rng, double scale, std::span<double> x) {
  check_scale(d, scale);
  if (d.integers) {
    const double low = std::ceil(scale * d.low);
    const auto count = static_cast<std::uint32_t>(std::ceil(scale * d.high) - low);
    for (double& entry : x) entry = as_float(low + rng.below(count));
    return;
  }
  const auto [begin, end] = draw_interval(d, rng, scale);
  for (double& entry : x) entry = as_float(begin + (end - begin) * rng.uniform());
}

std::unique_ptr<Task> make_list_task(std::string name, ListTarget target, const TaskOptions& options) {
  ListRule rule{.cumulative = options.cumulative, .target = target};
  return std::make_unique<ListTask>(std::move(name), std::move(rule), target != ListTarget::kSort,
                                    program_for(target, options.cumulative, options.nodes), options);
}

std::unique_ptr<Task> make_expression_task(std::string_view text, const TaskOptions& options) {
  ListRule rule = parse_list_rule(text);
  const std::optional<ListTarget> fold = rule.target ? rule.target : known_fold(*rule.expression);
  std::string exact = fold ? program_for(*fold, rule.cumulative, options.nodes) : std::string();
  return std::make_unique<ListTask>(std::string(text), std::move(rule), false, std::move(exact), options);
}

std::unique_ptr<Task> make_minsum_task(const TaskOptions& options) {
  return std::make_unique<MinSumTask>(options);
}

std::unique_ptr<Task> make_path_task(const TaskOptions& options) {
  return std::make_unique<PathTask>(options);
}

}  // namespace telos::positional
