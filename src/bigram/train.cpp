#include "telos/bigram/train.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/stopwatch.h"
#include "telos/bigram/data.h"
#include "telos/io/files.h"

namespace telos::bigram {
namespace {

constexpr std::uint64_t kCurvePoints = 200;
/// A curve has many points, and where A is dense a sample costs T: each is measured on fewer samples.
constexpr std::uint64_t kCurveSamples = 512;
constexpr double kSecondsBetweenSaves = 10;

void check(const Instance& instance, const TrainOptions& options) {
  const auto refuse = [](const char* what, const std::string& message) {
    throw Error(ErrorKind::kUsage, what, message);
  };
  const auto rate = [&](const char* what, double value) {
    if (!(value > 0) || !std::isfinite(value)) refuse(what, fmt::format("expected above 0, found {}", value));
  };
  if (options.batch == 0) refuse("batch", "expected above 0, found 0");
  if (options.samples < options.batch)
    refuse("samples",
           fmt::format("expected at least one batch of {}, found {}", options.batch, options.samples));
  rate("eta", options.eta);
  if (options.eta_v) rate("eta_v", *options.eta_v);
  if (options.eta_a) rate("eta_a", *options.eta_a);
  if (!(options.threshold >= 0) || !std::isfinite(options.threshold))
    refuse("threshold", fmt::format("expected 0 or more, found {}", options.threshold));
  if (!(options.keep > 0 && options.keep < 1))
    refuse("keep", fmt::format("expected between 0 and 1, found {}", options.keep));
  if (options.refit && options.refit_samples == 0) refuse("refit_samples", "expected above 0, found 0");
  const double entries = static_cast<double>(instance.tokens()) * static_cast<double>(instance.length);
  require_memory(entries * 40, "training", "A and its gradients take 40 bytes for each entry of N × T");
}

Model start_of(const Instance& instance, const TrainOptions& options) {
  if (!options.start) return initial_model(instance);
  const Model& start = *options.start;
  const std::size_t n = instance.tokens();
  if (start.v.rows() != n || start.v.cols() != n || start.a.rows() != n || start.a.cols() != instance.length)
    throw Error(ErrorKind::kShape, "start",
                fmt::format("V is {} × {} and A {} × {}, expected {} × {} and {} × {}", start.v.rows(),
                            start.v.cols(), start.a.rows(), start.a.cols(), n, n, n, instance.length));
  return {start.v.copy(), start.a.copy()};
}

/// Softmax reaches positive weights alone.
Matrix<double> logits_of(const Model& model) {
  Matrix<double> logits(model.a.rows(), model.a.cols());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double a = model.a.data()[i];
    if (!(a > 0))
      throw Error(ErrorKind::kUsage, "start", fmt::format("softmax cannot start from the weight {}", a),
                  "start from V alone");
    logits.data()[i] = std::log(a);
  }
  return logits;
}

RunState initial_state(const Instance& instance, const TrainOptions& options) {
  RunState state;
  state.model = start_of(instance, options);
  state.history = SupportHistory(instance.tokens());
  if (options.algorithm == Algorithm::kSoftmax) state.logits = logits_of(state.model);
  if (options.algorithm == Algorithm::kMoments) state.moments = Moments(instance);
  return state;
}

/// Samples of a file, and what is known of their task.
struct FileTask {
  FileTask(const Samples& from, const TrainOptions& options, const Arena& arena)
      : samples(from),
        split(split_samples(from, options.held_out, options.seed)),
        instance(unknown_task(from, split.train, arena)) {}
  const Samples& samples;
  SampleSplit split;
  Instance instance;
};

/// Counts take each row once, as refit and screening do; a batch holds no row twice.
TrainOptions options_for(const FileTask& file, TrainOptions options) {
  check(file.instance, options);
  const std::uint64_t rows = file.split.train.size();
  if (options.batch > rows)
    throw Error(
        ErrorKind::kUsage, "batch",
        fmt::format("expected at most the {} samples that are learned from, found {}", rows, options.batch));
  options.held_out = file.split.held_out.size();
  options.refit_samples = options.screen_samples = rows;
  if (options.algorithm == Algorithm::kMoments) options.samples = std::min(options.samples, rows);
  return options;
}

std::string left_out_note(const FileTask& file) {
  std::string text = fmt::format(
      "too few samples (below {}) of these last tokens, which keep looking everywhere:", kFewestSamples);
  for (std::size_t i = 0; i < file.split.left_out.size(); ++i) {
    const std::uint32_t k = file.split.left_out[i];
    text += fmt::format("{} \"{}\" ({})", i == 0 ? "" : ",", printable(file.instance.name(k)),
                        file.split.count[k]);
  }
  return text;
}

}  // namespace

struct TrainRun::Impl {
  Impl(const Instance& task, const TrainOptions& given, const Arena& threads)
      : instance(task),
        arena(threads),
        options(given),
        sampler(task, given.seed),
        state(initial_state(task, options)),
        descent(task, options, sampler, threads) {
    begin();
  }

  Impl(const Samples& samples, const TrainOptions& given, const Arena& threads)
      : file(std::make_unique<FileTask>(samples, given, threads)),
        instance(file->instance),
        arena(threads),
        options(options_for(*file, given)),
        sampler(samples, file->split),
        state(initial_state(instance, options)),
        descent(instance, options, sampler, threads) {
    if (!file->split.left_out.empty()) notes.push_back(left_out_note(*file));
    begin();
  }

  void begin() {
    state.history.leave_out(sampler.left_out());
    if (const double bound = sgd_bound(instance);
        options.algorithm == Algorithm::kSgd && descent.attention_rate() > bound)
      notes.push_back(fmt::format("the rate {:.3g} of A is above its bound {:.3g}: the run may blow up",
                                  descent.attention_rate(), bound));
    record();
  }

  std::uint64_t record_every() const {
    if (options.record_every > 0) return options.record_every;
    return std::max<std::uint64_t>(1, last_step(options) / kCurvePoints);
  }
  bool settled() const { return options.stop_early && state.history.all_stable(state.steps); }
  bool descending() const { return state.steps < last_step(options) && !settled(); }

  void record_if_due() {
    const bool recorded = !state.curve.empty() && state.curve.back().step == state.steps;
    if (!recorded && (state.steps % record_every() == 0 || !descending())) record();
  }

  void record() {
    CurvePoint point;
    point.step = state.steps;
    point.samples = samples_after(options, state.steps);
    const Loss loss =
        held_out_loss(sampler, state.model, std::min(options.held_out, kCurveSamples), arena, instance.mu);
    point.held_out = loss.mean;
    point.held_out_error = loss.error;
    point.gain = loss.gain;
    point.gain_error = loss.gain_error;
    const double norm = values_norm(state.model.v, instance.mu);
    point.knowledge = norm * norm;
    for (std::size_t k = 0; k < instance.tokens(); ++k) point.stable += state.history.stable(k, state.steps);
    if (instance.known()) {
      point.population = population_loss(instance, state.model);
      point.signals = signals(instance, state.model);
      point.excess = excess(bigram::constants(instance), instance.length, point.signals);
    }
    point.seconds = seconds;
    state.curve.push_back(point);
  }

  /// Where it is interrupted the state is as before the step, or as after it with the record still due.
  void step() {
    record_if_due();
    const Stopwatch watch;
    descent.step(state);
    if (state.steps % SupportHistory::kEvery == 0)
      state.history.look(instance, state.model.a, options.keep, state.steps, arena);
    seconds += watch.seconds();
    record_if_due();
  }

  /// What the run is told apart by, beside its options. It takes a pass over all bytes, once.
  const std::string& data() {
    if (file != nullptr && checksum.empty()) checksum = sample_checksum(file->samples);
    return checksum;
  }

  std::unique_ptr<const FileTask> file;  // empty: drawn from the instance
  std::string checksum;                  // of its samples, once it was asked for
  const Instance& instance;
  const Arena& arena;
  TrainOptions options;
  Sampler sampler;
  RunState state;
  Descent descent;
  std::vector<std::string> notes;
  double seconds = 0;  // of the steps, without measuring them
};

TrainRun::TrainRun(const Instance& instance, const TrainOptions& options, const Arena& arena) {
  check(instance, options);
  impl_ = std::make_unique<Impl>(instance, options, arena);
}
TrainRun::TrainRun(const Samples& samples, const TrainOptions& options, const Arena& arena)
    : impl_(std::make_unique<Impl>(samples, options, arena)) {}
TrainRun::~TrainRun() = default;
TrainRun::TrainRun(TrainRun&&) noexcept = default;
TrainRun& TrainRun::operator=(TrainRun&&) noexcept = default;

bool TrainRun::descending() const {
  return impl_->descending();
}
void TrainRun::step() {
  impl_->step();
}
std::uint64_t TrainRun::steps() const {
  return impl_->state.steps;
}
const Model& TrainRun::model() const {
  return impl_->state.model;
}
const std::vector<CurvePoint>& TrainRun::curve() const {
  return impl_->state.curve;
}

TrainResult TrainRun::finish() {
  impl_->record_if_due();
  const Stopwatch watch;
  TrainResult result =
      finish_run(impl_->instance, impl_->options, impl_->sampler, impl_->state, impl_->notes, impl_->arena);
  for (std::size_t k = 0; k < result.columns.size() && impl_->file != nullptr; ++k)
    result.columns[k].samples = impl_->file->split.count[k];
  result.seconds = impl_->seconds + watch.seconds();
  return result;
}

void TrainRun::save(const std::string& path) const {
  save_run(impl_->instance, impl_->data(), impl_->options, impl_->state, path);
}

void TrainRun::load(const std::string& path) {
  impl_->state = load_run(impl_->instance, impl_->data(), impl_->options, path);
  impl_->state.history.leave_out(impl_->sampler.left_out());
  impl_->seconds = impl_->state.curve.empty() ? 0 : impl_->state.curve.back().seconds;
}

namespace {

TrainResult run_to_end(TrainRun run, const TrainOptions& options,
                       const std::function<void(const CurvePoint&)>& each, const std::string& checkpoint) {
  if (!checkpoint.empty() && std::filesystem::exists(checkpoint)) run.load(checkpoint);
  Progress progress("training", "step", static_cast<double>(last_step(options)));
  progress.advance(static_cast<double>(run.steps()));
  std::size_t told = 0;
  const auto tell = [&] {
    for (; told < run.curve().size(); ++told)
      if (each) each(run.curve()[told]);
  };
  tell();
  Stopwatch since_saved;
  const auto save = [&] {
    if (!checkpoint.empty()) run.save(checkpoint);
    since_saved = Stopwatch();
  };
  try {
    while (run.descending()) {
      check_interrupt();
      run.step();
      tell();
      progress.advance();
      if (since_saved.seconds() > kSecondsBetweenSaves) save();
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) {
      clear_interrupt();  // writing a file stops at it
      save();
      request_interrupt();
      if (!checkpoint.empty())
        throw Error(ErrorKind::kInterrupted, "", "interrupted", "the same command goes on with --resume");
    }
    throw;
  }
  save();  // the refit may be interrupted too
  TrainResult result = run.finish();
  if (!checkpoint.empty()) remove_path(checkpoint);
  return result;
}

}  // namespace

TrainResult train(const Instance& instance, const TrainOptions& options, const Arena& arena,
                  const std::function<void(const CurvePoint&)>& each, const std::string& checkpoint) {
  return run_to_end(TrainRun(instance, options, arena), options, each, checkpoint);
}

TrainResult train(const Samples& samples, const TrainOptions& options, const Arena& arena,
                  const std::function<void(const CurvePoint&)>& each, const std::string& checkpoint) {
  return run_to_end(TrainRun(samples, options, arena), options, each, checkpoint);
}

}  // namespace telos::bigram
