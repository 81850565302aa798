// Runs of a sweep, and the files that hold what is done.
#include "telos/bigram/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/nearest.h"
#include "telos/io/files.h"

namespace telos::bigram {
namespace {

constexpr const char* kTransfer = "transfer";
/// Of the loss that can be won, what may be left.
constexpr double kLossTarget = 0.1;
/// Samples grow by this factor between looks at the loss.
constexpr double kGrowth = 1.1;
/// Positions of a column that are refitted, the largest ones (or twice Q): a refit takes their square.
constexpr std::size_t kMostRefitted = 16, kSweepRounds = 3;
/// Seeds of unrelated tasks.
constexpr std::uint64_t kUnrelated = 1'000'000'007;

const std::vector<std::string>& method_names() {
  static const std::vector<std::string> names = {"scb", kTransfer, "moments", "nonneg", "psgd"};
  return names;
}

[[noreturn]] void refuse_sweep(const std::string& what, const std::string& message,
                               const std::string& hint = {}) {
  throw Error(ErrorKind::kUsage, what, message, hint);
}

GenerateOptions task_options(const SweepOptions& options, const SweepRun& run, std::uint64_t seed) {
  return {.tokens = run.tokens,
          .length = run.length,
          .sparsity = run.sparsity,
          .concentration = options.concentration,
          .seed = seed};
}

TrainOptions train_options(const SweepOptions& options, const SweepRun& run, const Instance& task) {
  TrainOptions o;
  o.algorithm = algorithm_from(run.method == kTransfer ? "scb" : run.method);
  o.batch = options.batch;
  o.eta = options.eta;
  o.threshold = options.threshold;
  o.samples = options.samples;
  o.stop_early = o.fix_mirror = o.refit = o.screen = false;
  o.held_out = 0;
  o.record_every = std::numeric_limits<std::uint64_t>::max();
  o.seed = run.seed;
  if (run.method == kTransfer) {
    const Instance other = generate(task_options(options, run, run.seed + kUnrelated));
    const Model learned{blend(task, other, options.share, false).p, {}};
    o.start = std::make_shared<const Model>(transfer_start(learned, task, Keep::kValues, 1));
  }
  return o;
}

/// Positions above a share of the largest of 1/T + sign·(a − 1/T), at most `most`, with weights of
/// sum 1.
Column rounded_column(std::span<const double> a, int sign, double keep, std::size_t most) {
  const double offset = (1 - sign) / static_cast<double>(a.size());
  Column column;
  column.positions = find_support(a, sign, keep).positions;
  const auto weight = [&](std::uint32_t t) { return offset + sign * a[t]; };
  if (column.positions.size() > most) {
    std::ranges::stable_sort(column.positions,
                             [&](std::uint32_t s, std::uint32_t t) { return weight(s) > weight(t); });
    column.positions.resize(most);
    std::ranges::sort(column.positions);
  }
  double sum = 0;
  for (const std::uint32_t t : column.positions) sum += weight(t);
  for (const std::uint32_t t : column.positions) column.weights.push_back(weight(t) / sum);
  return column;
}

/// Loss of the model rounded, and refitted on the first `samples` of its training.
double refitted_loss(const Instance& task, const Sampler& sampler, const TrainOptions& options,
                     const Model& model, std::uint64_t samples, const Arena& arena) {
  const int sign = options.algorithm == Algorithm::kMoments ? 1 : orientation(model.a, arena);
  const std::size_t most = std::max(kMostRefitted, 2 * task.sparsity());
  std::vector<Column> columns;
  for (std::size_t k = 0; k < task.tokens(); ++k)
    columns.push_back(rounded_column({model.a.row(k), task.length}, sign, options.keep, most));
  const SparseSamples seen(sampler, Stream::kTrain, sample_range(0, samples), columns, arena);
  const SparseModel fitted =
      least_squares(seen, task.tokens(), std::move(columns), kSweepRounds, false, arena);
  return population_loss(task, dense(fitted, task.length));
}

bool all_exact(const Instance& task, const Matrix<double>& a) {
  for (std::size_t k = 0; k < task.tokens(); ++k)
    if (!is_exact({a.row(k), task.length}, task.q[k].positions)) return false;
  return true;
}

// ---- Files of runs

/// What a run's results follow from.
std::string key_of(const SweepOptions& o, const SweepRun& r) {
  return fmt::format("{} N {} T {} Q {} seed {} batch {} eta {} l1 {} p {} share {} samples {}", r.method,
                     r.tokens, r.length, r.sparsity, r.seed, o.batch, o.eta, o.threshold, o.concentration,
                     o.share, o.samples);
}

struct Found {
  std::uint64_t to_support = 0, to_loss = 0;
};
using FoundRuns = std::map<std::string, Found>;

/// Lines "key, to_support, to_loss" between tabs. Returns the bytes of complete lines: a killed process may
/// leave a part of one at the end.
std::size_t read_lines(const std::string& text, const std::string& path, FoundRuns& found) {
  std::size_t begin = 0, line = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    ++line;
    const std::string_view record = std::string_view(text).substr(begin, end - begin);
    const std::size_t first = record.find('\t'), second = record.find('\t', first + 1);
    Found run;
    const auto number = [&](std::size_t from, std::size_t to, std::uint64_t& value) {
      const char *const start = record.data() + from, *const stop = record.data() + to;
      const auto [at, error] = std::from_chars(start, stop, value);
      return error == std::errc() && at == stop;
    };
    if (second == std::string_view::npos || !number(first + 1, second, run.to_support) ||
        !number(second + 1, record.size(), run.to_loss))
      throw Error(ErrorKind::kBadFormat, fmt::format("{}, line {}", path, line),
                  fmt::format("expected a finished run, found \"{}\"", printable(record, 60)),
                  "remove the line, and its run is done again");
    found[std::string(record.substr(0, first))] = run;
    begin = end + 1;
  }
  return begin;
}

std::string store_name(SweepShard shard) {
  return shard.count == 1 ? "runs.tsv" : fmt::format("runs-{}-of-{}.tsv", shard.index + 1, shard.count);
}

/// The runs that a folder holds, to which those of one shard are added.
class RunStore {
 public:
  RunStore(const std::string& folder, SweepShard shard) : path_(folder + "/" + store_name(shard)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with("runs") || !name.ends_with(".tsv")) continue;
      const std::string path = entry.path().string(), text = read_file(path);
      const std::size_t whole = read_lines(text, path, found_);
      if (whole < text.size() && name == store_name(shard))
        write_file_atomically(path, std::string_view(text).substr(0, whole));
    }
    file_.open(path_, std::ios::app);
    check();
  }
  const FoundRuns& found() const { return found_; }
  void add(const std::string& key, const SweepRun& run) {
    const std::scoped_lock lock(mutex_);
    file_ << key << '\t' << run.to_support << '\t' << run.to_loss << '\n' << std::flush;
    check();
  }

 private:
  void check() const {
    if (!file_) throw Error(ErrorKind::kIo, path_, "cannot be written");
  }
  std::string path_;
  FoundRuns found_;
  std::ofstream file_;
  std::mutex mutex_;
};

void check_options(const SweepOptions& o) {
  const auto require = [](bool given, const char* what) {
    if (!given) refuse_sweep(what, "expected at least one, found none");
  };
  require(!o.tokens.empty(), "tokens");
  require(!o.lengths.empty(), "lengths");
  require(!o.sparsities.empty(), "sparsities");
  require(!o.seeds.empty(), "seeds");
  require(!o.methods.empty(), "methods");
  const auto require_different = [](auto values, const char* what) {
    std::ranges::sort(values);
    if (const auto twice = std::ranges::adjacent_find(values); twice != values.end())
      refuse_sweep(what, fmt::format("{} is given twice: one task would count as two", *twice));
  };
  require_different(o.tokens, "tokens");
  require_different(o.lengths, "lengths");
  require_different(o.sparsities, "sparsities");
  require_different(o.seeds, "seeds");
  for (const std::string& method : o.methods)
    if (std::ranges::find(method_names(), method) == method_names().end())
      refuse_sweep("methods", fmt::format("no method is called \"{}\"", printable(method, 40)),
                   nearest_hint(method, method_names()));
  require_different(o.methods, "methods");
  for (const std::size_t q : o.sparsities)
    if (const std::size_t shortest = *std::ranges::min_element(o.lengths); q == 0 || q > shortest)
      refuse_sweep("sparsities",
                   fmt::format("expected from 1 to the shortest length {}, found {}", shortest, q));
  if (!(o.share >= 0 && o.share <= 1)) refuse_sweep("share", fmt::format("is {}, expected 0 to 1", o.share));
}

}  // namespace

std::vector<SweepRun> sweep_runs(const SweepOptions& options) {
  check_options(options);
  std::vector<SweepRun> runs;
  for (const std::size_t tokens : options.tokens)
    for (const std::size_t sparsity : options.sparsities)
      for (const std::string& method : options.methods)
        for (const std::size_t length : options.lengths)
          for (const std::uint64_t seed : options.seeds)
            runs.push_back(
                {.method = method, .tokens = tokens, .length = length, .sparsity = sparsity, .seed = seed});
  return runs;
}

void do_run(const SweepOptions& options, SweepRun& run, const Arena& arena) {
  const Instance task = generate(task_options(options, run, run.seed));
  const Constants c = constants(task);
  const double enough = c.loss_least + kLossTarget * (c.loss_start - c.loss_least);
  const TrainOptions training = train_options(options, run, task);
  const Sampler sampler(task, training.seed);
  TrainRun descent(task, training, arena);
  run.to_loss = run.to_support = 0;
  double next_look = 0;
  std::uint64_t exact_since = 0;  // step; 0: they are not
  while (descent.descending() && (run.to_loss == 0 || run.to_support == 0)) {
    check_interrupt();
    descent.step();
    const std::uint64_t steps = descent.steps(), samples = steps * options.batch;
    if (steps % SupportHistory::kEvery != 0) continue;
    if (!all_exact(task, descent.model().a))
      exact_since = 0;
    else if (exact_since == 0)
      exact_since = steps;
    if (run.to_support == 0 && exact_since != 0 && steps >= exact_since + SupportHistory::kStable)
      run.to_support = exact_since * options.batch;
    if (run.to_loss != 0 || static_cast<double>(samples) < next_look) continue;
    next_look = kGrowth * static_cast<double>(samples);
    if (refitted_loss(task, sampler, training, descent.model(), samples, arena) <= enough)
      run.to_loss = samples;
  }
  run.done = true;
}

std::vector<SweepRun> sweep(const SweepOptions& options, SweepShard shard, const std::string& folder,
                            const Arena& arena) {
  if (shard.count == 0 || shard.index >= shard.count)
    refuse_sweep("shard", fmt::format("{} of {} is none", shard.index + 1, shard.count));
  std::vector<SweepRun> runs = sweep_runs(options);
  std::unique_ptr<RunStore> store;
  if (!folder.empty()) store = std::make_unique<RunStore>(folder, shard);
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (store != nullptr)
      if (const auto found = store->found().find(key_of(options, runs[i])); found != store->found().end()) {
        runs[i].done = true;
        runs[i].to_support = found->second.to_support;
        runs[i].to_loss = found->second.to_loss;
      }
    if (!runs[i].done && i % shard.count == shard.index) missing.push_back(i);
  }
  Progress progress("sweep", "run", static_cast<double>(missing.size()));
  arena.parallel_for(missing.size(), [&](std::size_t m) {
    SweepRun& run = runs[missing[m]];
    do_run(options, run, arena);
    if (store != nullptr) store->add(key_of(options, run), run);
    progress.advance();
  });
  return runs;
}

}  // namespace telos::bigram
