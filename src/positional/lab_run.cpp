#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "positional/lab_parts.h"
#include "positional/model_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/stopwatch.h"
#include "telos/io/files.h"
#include "telos/nn/metrics.h"
#include "telos/nn/trainer.h"

namespace telos::positional {
namespace {

namespace fs = std::filesystem;
constexpr const char* kCheckpoint = "checkpoint.safetensors";
constexpr const char* kResult = "result.json";
constexpr const char* kModel = "model.safetensors";
/// A checkpoint is written at the end of an epoch once so many seconds went by without one, for 1 % of the
/// time at most; results do not depend on it.
constexpr double kCheckpointSeconds = 5;

std::vector<std::size_t> lengths_of(const TrainSpec& spec, const Task& task) {
  if (!spec.variable_length) return {task.shape().nodes};
  std::vector<std::size_t> lengths(task.shape().nodes);
  std::iota(lengths.begin(), lengths.end(), std::size_t{1});
  return lengths;
}

std::string test_name(double scale) {
  return fmt::format("test@{}", nn::exact_text(scale));
}

/// One run from its seed: data, network, optimiser, and where it stands.
class Run {
 public:
  Run(const TrainSpec& spec, const Task& task, std::size_t run, std::string folder, const Arena& arena)
      : spec_(spec),
        task_(task),
        folder_(std::move(folder)),
        arena_(arena),
        seed_(spec.seed + run),
        lengths_(lengths_of(spec, task)),
        network_(network_of(spec, task, seed_)),
        trainer_(*network_.layout, {network_.initial.begin(), network_.initial.end()}, spec.optimizer),
        plateau_{.factor = spec.plateau_factor,
                 .min_rate = spec.min_rate,
                 .patience = spec.plateau_patience,
                 .rate = spec.rate} {
    result_.run = run;
    result_.seed = seed_;
    draw_sets();
    if (!folder_.empty()) open_folder();
  }

  RunResult train(const std::function<void(std::size_t)>& progress) {
    progress(epoch_);
    while (epoch_ < spec_.epochs && !out_of_budget()) {
      if (!train_epoch()) break;
      if (is_evaluated(epoch_)) log_point(record(epoch_));
      ++epoch_;
      if (is_checkpointed()) save_checkpoint();
      progress(1);
    }
    finish();
    return std::move(result_);
  }

 private:
  // ---- Data

  void draw_sets() {
    SetSpec train{.stream = kTrainStream, .samples = spec_.train_samples};
    if (task_.given_samples() > 0)
      train.samples = std::min(train.samples, given_samples(task_, Task::Split::kTrain));
    train_ = draw_set(train);
    validation_ = draw_set(validation_set(task_, spec_.test_samples));
    test_specs_ = test_sets(task_, spec_.scales, spec_.test_samples, false);
    for (const SetSpec& set : test_specs_) tests_.push_back(draw_set(set));
    for (const SampleBlock<float>& block : train_)
      buffers_.push_back(empty_block(block, std::min(spec_.batch, block.samples)));
  }

  std::vector<SampleBlock<float>> draw_set(const SetSpec& set) const {
    return draw_blocks<float>(task_, set, seed_, lengths_, network_.scratch);
  }

  Runner<float>& runner(std::size_t length, bool with_loss) {
    auto& made = with_loss ? learners_ : evaluators_;
    const auto found = made.find(length);
    if (found != made.end()) return *found->second;
    auto fresh = std::make_unique<Runner<float>>(network_.graph(length, spec_.batch, with_loss), arena_);
    return *made.emplace(length, std::move(fresh)).first->second;
  }

  // ---- Training

  /// One pass over the training set. False if a loss, a gradient or a parameter is no number any more.
  bool train_epoch() {
    epoch_loss_ = 0;
    keep_weights();
    const std::vector<BatchPlan> plan = plan_epoch(train_, spec_.batch, seed_, epoch_);
    for (const BatchPlan& batch : plan) {
      check_interrupt();
      SampleBlock<float>& buffer = buffers_[batch.block];
      for (std::size_t i = 0; i < batch.samples.size(); ++i)
        buffer.copy_sample(batch.samples[i], train_[batch.block], i);
      try {
        epoch_loss_ += trainer_.step(runner(buffer.length, true).executor,
                                     buffer.batch(0, batch.samples.size(), true), plateau_.rate, arena_);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kNotFinite) throw;
        end_diverged(error.message());
        return false;
      }
    }
    if (!has_finite_weights()) {
      end_diverged("the last step made the weights infinite");
      return false;
    }
    batches_ = plan.size();
    rate_ = plateau_.rate;
    if (spec_.plateau_patience > 0) plateau_.update(epoch_loss_);
    return true;
  }

  bool has_finite_weights() const {
    return std::ranges::all_of(trainer_.parameters(), [](float value) { return std::isfinite(value); });
  }

  void keep_weights() {
    kept_.assign(trainer_.parameters().begin(), trainer_.parameters().end());
    kept_steps_ = trainer_.steps();
  }

  /// An update may overflow one step before a loss shows it: then the good weights are those of the epoch's
  /// start.
  void end_diverged(const std::string& what) {
    if (has_finite_weights()) keep_weights();
    result_.end = RunResult::End::kDiverged;
    result_.note = fmt::format("diverged in epoch {}: {}; the weights are those after step {}", epoch_, what,
                               kept_steps_);
  }

  /// The run's own: the last ones, or the last good ones.
  std::span<const float> weights() const {
    return result_.end == RunResult::End::kDiverged ? std::span<const float>(kept_) : trainer_.parameters();
  }

  bool is_evaluated(std::size_t epoch) const {
    return epoch % spec_.evaluate_every == 0 || epoch + 1 == spec_.epochs;
  }

  bool out_of_budget() {
    if (spec_.max_steps > 0 && trainer_.steps() >= spec_.max_steps)
      result_.note = fmt::format("stopped after {} steps by the limit on steps", trainer_.steps());
    else if (spec_.max_seconds > 0 && watch_.seconds() >= spec_.max_seconds)
      result_.note = fmt::format("stopped after {} steps by the limit on time", trainer_.steps());
    else
      return false;
    result_.end = RunResult::End::kStopped;
    return true;
  }

  double seconds() const { return seconds_before_ + watch_.seconds(); }

  // ---- Evaluation

  ErrorRow errors(const std::vector<SampleBlock<float>>& blocks, const SetSpec& set) {
    ErrorRow row = measure<float>(
        blocks, weights(), [this](std::size_t length) -> Runner<float>& { return runner(length, false); },
        set.scale, spec_.tolerance, spec_.batch, arena_);
    row.split = set.split;
    return row;
  }

  /// The state after the last step as the point of `epoch`.
  const CurvePoint& record(std::size_t epoch) {
    CurvePoint point{.epoch = epoch,
                     .steps = trainer_.steps(),
                     .rate = rate_,
                     .train_loss = epoch_loss_ / static_cast<double>(batches_),
                     .train_loss_sum = epoch_loss_,
                     .validation = errors(validation_, {}).mse};
    if (spec_.test_each_evaluation)
      for (std::size_t i = 0; i < tests_.size(); ++i)
        point.test.push_back(errors(tests_[i], test_specs_[i]).mse);
    return result_.curve.emplace_back(std::move(point));
  }

  void log_point(const CurvePoint& point) {
    if (metrics_) metrics_->append(line_of(point));
  }

  /// A run that a budget stops ends with a point of its last epoch. It stands in the result alone: the lines
  /// of metrics.jsonl are those of a run that was never stopped.
  void record_stop() {
    if (result_.end == RunResult::End::kStopped && epoch_ > 0 && !is_evaluated(epoch_ - 1))
      record(epoch_ - 1);
  }

  // ---- Files

  nn::MetricsLine line_of(const CurvePoint& point) const {
    nn::MetricsLine line{.step = point.steps, .values = {}};
    line.values = {{"epoch", static_cast<double>(point.epoch)},
                   {"rate", point.rate},
                   {"train_loss", point.train_loss},
                   {"train_loss_sum", point.train_loss_sum},
                   {"validation", point.validation}};
    for (std::size_t i = 0; i < point.test.size(); ++i)
      line.values.emplace_back(test_name(test_specs_[i].scale), point.test[i]);
    return line;
  }

  static CurvePoint point_of(const nn::MetricsLine& line) {
    CurvePoint point{.steps = line.step};
    for (const auto& [name, value] : line.values) {
      if (name == "epoch") point.epoch = static_cast<std::size_t>(value);
      if (name == "rate") point.rate = value;
      if (name == "train_loss") point.train_loss = value;
      if (name == "train_loss_sum") point.train_loss_sum = value;
      if (name == "validation") point.validation = value;
      if (name.starts_with("test@")) point.test.push_back(value);
    }
    return point;
  }

  std::string in_folder(const char* name) const { return (fs::path(folder_) / name).string(); }

  void open_folder() {
    fs::create_directories(folder_);
    if (spec_.resume && fs::exists(in_folder(kCheckpoint))) {
      load_checkpoint();
      metrics_ = std::make_unique<nn::MetricsLog>(folder_, trainer_.steps());
      for (const nn::MetricsLine& line : nn::read_metrics(folder_)) result_.curve.push_back(point_of(line));
    } else {
      fs::remove(in_folder(kCheckpoint));
      metrics_ = std::make_unique<nn::MetricsLog>(folder_);
    }
    fs::remove(in_folder(kResult));
  }

  bool is_checkpointed() const {
    return !folder_.empty() &&
           (epoch_ % spec_.checkpoint_every == 0 || watch_.seconds() - saved_at_ > kCheckpointSeconds);
  }

  void save_checkpoint() {
    if (folder_.empty()) return;
    metrics_->flush();
    trainer_.save(in_folder(kCheckpoint), {{"epoch", fmt::format("{}", epoch_)},
                                           {"rate", nn::exact_text(plateau_.rate)},
                                           {"best", nn::exact_text(plateau_.best)},
                                           {"bad", fmt::format("{}", plateau_.bad)},
                                           {"started", plateau_.started ? "1" : "0"},
                                           {"seconds", nn::exact_text(seconds())},
                                           {"batches", fmt::format("{}", batches_)},
                                           {"last_rate", nn::exact_text(rate_)},
                                           {"last_loss", nn::exact_text(epoch_loss_)}});
    saved_at_ = watch_.seconds();
  }

  void load_checkpoint() {
    const std::string path = in_folder(kCheckpoint);
    std::map<std::string, double> state;
    for (const auto& [name, text] : trainer_.load(path)) state[name] = nn::exact_value(text, path);
    const auto value = [&](const char* name) {
      const auto found = state.find(name);
      if (found != state.end()) return found->second;
      throw Error(ErrorKind::kBadFormat, path, fmt::format("the state \"{}\" is missing", name),
                  "the file was not written by a training run of this kind");
    };
    const auto whole = [&](const char* name) {
      const double number = value(name);
      if (!(number >= 0 && number <= 0x1p53 && number == std::floor(number)))
        throw Error(ErrorKind::kBadFormat, path,
                    fmt::format("the state \"{}\" is {}, expected a whole number", name, number));
      return static_cast<std::size_t>(number);
    };
    epoch_ = whole("epoch");
    plateau_.rate = value("rate");
    plateau_.best = value("best");
    plateau_.bad = whole("bad");
    plateau_.started = value("started") != 0;
    seconds_before_ = value("seconds");
    batches_ = std::max<std::size_t>(1, whole("batches"));
    rate_ = value("last_rate");
    epoch_loss_ = value("last_loss");
  }

  /// Table, model and files of a run that ended.
  void finish() {
    const bool diverged = result_.end == RunResult::End::kDiverged;
    if (!diverged) save_checkpoint();
    if (metrics_) metrics_->flush();
    record_stop();
    result_.epochs = epoch_;
    result_.steps = trainer_.steps();
    result_.validation = errors(validation_, {});
    for (std::size_t i = 0; i < tests_.size(); ++i)
      result_.table.push_back(errors(tests_[i], test_specs_[i]));
    result_.seconds = seconds();
    result_.model = {.config = spec_.model,
                     .layout = *network_.layout,
                     .values = {weights().begin(), weights().end()},
                     .origin = fmt::format("trained: {}, seed {}, {} steps", task_.name(), seed_,
                                           diverged ? kept_steps_ : trainer_.steps()),
                     .task = task_json({spec_.task, spec_.task_options})};
    if (folder_.empty()) return;
    if (spec_.hop_model)
      save_hop_model(*spec_.hop_model, result_.model, in_folder(kModel));
    else
      save_model(result_.model, in_folder(kModel));
    write_file_atomically(in_folder(kResult), run_json(result_));
  }

  const TrainSpec& spec_;
  const Task& task_;
  std::string folder_;
  const Arena& arena_;
  std::uint64_t seed_;
  std::vector<std::size_t> lengths_;
  Network network_;
  nn::Trainer trainer_;
  nn::Plateau plateau_;
  std::vector<float> kept_;  ///< the last good weights
  std::uint64_t kept_steps_ = 0;
  Stopwatch watch_;
  double seconds_before_ = 0, saved_at_ = 0;

  std::vector<SampleBlock<float>> train_, validation_, buffers_;
  std::vector<SetSpec> test_specs_;
  std::vector<std::vector<SampleBlock<float>>> tests_;
  std::map<std::size_t, std::unique_ptr<Runner<float>>> learners_, evaluators_;

  std::size_t epoch_ = 0, batches_ = 1;
  double epoch_loss_ = 0, rate_ = 0;
  RunResult result_;
  std::unique_ptr<nn::MetricsLog> metrics_;
};

/// A finished run in its folder, if there is one.
std::optional<RunResult> finished_run(const TrainSpec& spec, const Task& task, const std::string& folder) {
  const fs::path path = fs::path(folder) / kResult;
  if (!spec.resume || folder.empty() || !fs::exists(path)) return std::nullopt;
  RunResult run = read_run(path.string(), test_sets(task, spec.scales, spec.test_samples, false).size());
  if (run.end == RunResult::End::kStopped) return std::nullopt;  // goes on
  run.model = load_trained(spec, task, (fs::path(folder) / kModel).string());
  return run;
}

}  // namespace

Model load_trained(const TrainSpec& spec, const Task& task, const std::string& path) {
  if (!spec.hop_model) return load_model(path);
  return load_hop_model(*network_of(spec, task, spec.seed).layout, path);
}

std::string run_folder_name(std::size_t run) {
  return fmt::format("{}{:02}", kRunPrefix, run);
}

RunResult train_run(const TrainSpec& spec, const Task& task, std::size_t run, const std::string& folder,
                    const Arena& arena, const std::function<void(std::size_t epochs)>& progress) {
  if (std::optional<RunResult> finished = finished_run(spec, task, folder)) {
    progress(spec.epochs);
    return std::move(*finished);
  }
  return Run(spec, task, run, folder, arena).train(progress);
}

}  // namespace telos::positional
