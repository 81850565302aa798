// One training run: steps, epochs, checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "clustering/sentiment_batch.h"
#include "clustering/sentiment_lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/stopwatch.h"
#include "telos/nn/metrics.h"

namespace telos::clustering {
namespace {

constexpr std::uint32_t kOrderStream = 0x0301;
constexpr std::size_t kMicroBatch = 8, kLanes = 4, kTestBatch = 512;

nn::OptimizerOptions optimizer_of(const TrainingSpec& spec) {
  nn::OptimizerOptions options;
  options.clip_norm = spec.clip_norm;
  return options;
}

nn::MetricsLine line_of(const Epoch& e, std::uint64_t step) {
  return {.step = step,
          .values = {{"epoch", static_cast<double>(e.epoch)},
                     {"train_loss", e.train_loss},
                     {"train_accuracy", e.train_accuracy},
                     {"test_loss", e.test_loss},
                     {"test_accuracy", e.test_accuracy},
                     {"validation_accuracy", e.validation_accuracy},
                     {"alpha", e.alpha},
                     {"seconds", e.seconds}}};
}

Epoch epoch_of(const nn::MetricsLine& line, const std::string& where) {
  std::map<std::string, double> found(line.values.begin(), line.values.end());
  const auto value = [&](const char* name) {
    if (!found.contains(name))
      throw Error(ErrorKind::kBadFormat, where, fmt::format("a line has no {}", name),
                  "the metrics are of another kind of training");
    return found[name];
  };
  return {.epoch = static_cast<std::size_t>(value("epoch")),
          .train_loss = value("train_loss"),
          .train_accuracy = value("train_accuracy"),
          .test_loss = value("test_loss"),
          .test_accuracy = value("test_accuracy"),
          .validation_accuracy = value("validation_accuracy"),
          .alpha = value("alpha"),
          .seconds = value("seconds")};
}

/// Calls write() to its end: writing stops at interrupts, but what is written here is written because of one.
template <class F>
void uninterrupted(const F& write) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  bool asked = interrupt_requested();
  for (;;) {
    clear_interrupt();
    try {
      write();
      break;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInterrupted) throw;
      asked = true;
    }
  }
  if (asked) request_interrupt();
}

/// The part of a spec that decides the bits of a run.
std::string identity(TrainingSpec spec) {
  const TrainingSpec any;
  spec.seeds = any.seeds;
  spec.epochs = any.epochs;
  spec.checkpoint_every = any.checkpoint_every;
  spec.baselines = any.baselines;
  return to_json(spec);
}

}  // namespace

struct SentimentRun::Impl {
  TrainingSpec spec;
  const SentimentData& data;
  std::uint64_t seed;
  std::string directory;

  std::size_t rows;
  InitialValues initial;
  SentimentNetwork network;
  mutable nn::Executor<float> executor;
  nn::Trainer trainer;
  mutable BagBatch batch, test_batch;

  std::vector<Epoch> epochs{};
  Epoch now{};  // sums over the samples of the epoch under way
  std::size_t now_samples = 0;
  std::vector<std::uint32_t> order{};
  std::size_t best = 0;  // epoch
  std::unique_ptr<SentimentModel> best_model{};
  std::unique_ptr<nn::MetricsLog> metrics{};

  Impl(const TrainingSpec& s, const SentimentData& d, std::uint64_t seed_, std::string dir)
      : spec(s),
        data(d),
        seed(seed_),
        directory(std::move(dir)),
        rows(widest_bag(d)),
        initial(initial_values(s, d.vocabulary.size(), seed_)),
        network(s, d.vocabulary.size(), rows, initial.alpha),
        executor(*network.graph, {.micro_batch = kMicroBatch, .lanes = kLanes}),
        trainer(network.layout, initial.parameters, optimizer_of(s)),
        batch(rows),
        test_batch(rows) {}

  std::size_t steps_per_epoch() const { return (data.train.size() + spec.batch - 1) / spec.batch; }
  std::string checkpoint() const { return directory + "/checkpoint.safetensors"; }
  std::string best_file() const { return directory + "/best.safetensors"; }

  bool done() const {
    if (epochs.size() >= spec.epochs) return true;
    return spec.patience > 0 && !epochs.empty() && epochs.size() - 1 - best >= spec.patience;
  }

  double alpha() const {
    return trains_alpha(spec) ? alpha_of(double{trainer.parameters().back()}) : initial.alpha;
  }

  SentimentModel model() const {
    const auto values = trainer.parameters();
    const std::size_t dim = spec.model.dim;
    SentimentModel out;
    out.config = spec.model;
    out.preprocess = spec.preprocess;
    out.vocabulary = data.vocabulary;
    out.embedding = Matrix<float>(data.vocabulary.size(), dim);
    std::copy_n(values.data(), out.embedding.size(), out.embedding.data());
    const float* const decoder = values.data() + out.embedding.size();
    out.v.assign(decoder, decoder + dim);
    out.bias = double{decoder[dim]};
    out.alpha = alpha();
    out.negative = data.negative;
    out.positive = data.positive;
    out.origin = "trained";
    return out;
  }

  // ---- Steps

  void step(const Arena& arena) {
    const std::size_t in_epoch = trainer.steps() % steps_per_epoch();
    if (in_epoch == 0) now = {.epoch = epochs.size()}, now_samples = 0;
    if (in_epoch == 0 || order.empty())
      order = shuffled(data.train.size(), seed, kOrderStream, epochs.size());
    const std::size_t first = in_epoch * spec.batch, count = std::min(spec.batch, order.size() - first);
    std::vector<float> losses(count);
    const Stopwatch watch;
    const nn::Batch<float>& samples =
        batch.fill(data.train, count, [&](std::size_t s) { return std::size_t{order[first + s]}; });
    const double loss = trainer.step(executor, samples, spec.learning_rate, arena, losses);
    now.seconds += watch.seconds();
    now.train_loss += loss * static_cast<double>(count);
    for (const float l : losses) now.train_accuracy += l < std::log(2.0) ? 1 : 0;  // the right side of 1/2
    now_samples += count;
    require_converging();
    if (in_epoch + 1 == steps_per_epoch()) end_epoch(arena);
  }

  void require_converging() const {
    const auto values = trainer.parameters();
    const bool finite = std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
    if (finite && (!trains_alpha(spec) || (alpha() > 0 && std::isfinite(alpha())))) return;
    throw Error(ErrorKind::kNotFinite, fmt::format("training, seed {}", seed),
                fmt::format("it diverged in epoch {}, step {}: parameters leave the range of float",
                            now.epoch, trainer.steps()),
                "take a smaller learning rate");
  }

  void end_epoch(const Arena& arena) {
    now.train_loss /= static_cast<double>(now_samples);
    now.train_accuracy /= static_cast<double>(now_samples);
    now.alpha = alpha();
    const Evaluation on_test = test(data.test, arena);
    now.test_loss = on_test.loss;
    now.test_accuracy = on_test.accuracy;
    if (data.validation.size() > 0) now.validation_accuracy = test(data.validation, arena).accuracy;
    const bool better = epochs.empty() || data.validation.size() == 0 ||
                        now.validation_accuracy > epochs[best].validation_accuracy;
    if (better) best = epochs.size();
    epochs.push_back(now);
    if (better && data.validation.size() > 0) {
      best_model = std::make_unique<SentimentModel>(model());
      if (!directory.empty()) uninterrupted([&] { save_sentiment(*best_model, best_file()); });
    }
    if (metrics) {
      metrics->append(line_of(now, trainer.steps()));
      metrics->flush();
    }
    const bool layers = spec.model.layers != 0;
    log(LogLevel::kInfo,
        fmt::format("{}seed {}, epoch {}: loss {:.4f}, test accuracy {:.4f}{}", layers ? "" : "no layers, ",
                    seed, now.epoch, now.train_loss, now.test_accuracy,
                    layers ? fmt::format(", alpha {:.4f}", now.alpha) : ""));
    if (epochs.size() % spec.checkpoint_every == 0 || done()) save();
  }

  // As the network computes it, in float.
  Evaluation test(const BagSet& set, const Arena& arena) const {
    std::vector<Prediction> predictions(set.size());
    for (std::size_t first = 0; first < set.size(); first += kTestBatch) {
      const std::size_t count = std::min(kTestBatch, set.size() - first);
      Matrix<float> logits(count, 1);
      const MatrixView<float> view = logits;
      const nn::Batch<float>& samples = test_batch.fill(set, count, [&](std::size_t s) { return first + s; });
      executor.forward(trainer.parameters(), samples, {&view, 1}, arena);
      for (std::size_t s = 0; s < count; ++s) {
        predictions[first + s].logit = double{logits(s, 0)};
        predictions[first + s].positive = logits(s, 0) >= 0;
      }
    }
    return evaluate(predictions, set.labels);
  }

  // ---- Checkpoints

  void save() const {
    if (directory.empty()) return;
    const std::vector<std::pair<std::string, std::string>> state = {
        {"spec", identity(spec)},
        {"texts", data.fingerprint},
        {"seed", std::to_string(seed)},
        {"epochs", std::to_string(epochs.size())},
        {"best", std::to_string(best)},
        {"samples", std::to_string(now_samples)},
        {"loss", nn::exact_text(now.train_loss)},
        {"right", nn::exact_text(now.train_accuracy)},
        {"seconds", nn::exact_text(now.seconds)}};
    uninterrupted([&] { trainer.save(checkpoint(), state); });
  }

  void require_same(const std::string& what, const std::string& found, const std::string& expected) const {
    if (found != expected)
      throw Error(ErrorKind::kUsage, checkpoint(), fmt::format("it is of a training with {}", what),
                  "resume with the settings and texts that it was started with, or use a new directory");
  }

  void resume() {
    if (directory.empty() || !std::filesystem::exists(checkpoint())) return;
    std::map<std::string, std::string> state;
    for (const auto& [name, value] : trainer.load(checkpoint())) state[name] = value;
    require_same("other settings", state["spec"], identity(spec));
    require_same("other texts", state["texts"], data.fingerprint);
    require_same("another seed", state["seed"], std::to_string(seed));
    const auto number = [&](const char* name) {
      return static_cast<std::size_t>(nn::exact_value(state[name], checkpoint()));
    };
    metrics = std::make_unique<nn::MetricsLog>(directory, trainer.steps());
    epochs.clear();
    for (const nn::MetricsLine& line : nn::read_metrics(directory))
      epochs.push_back(epoch_of(line, metrics->path()));
    best = number("best");
    if (epochs.size() != number("epochs") || (best >= epochs.size() && best > 0))
      throw Error(ErrorKind::kBadFormat, metrics->path(),
                  fmt::format("{} epochs, the checkpoint has {}", epochs.size(), number("epochs")),
                  "checkpoint and metrics do not belong together; use a new directory");
    now = {.epoch = epochs.size(),
           .train_loss = nn::exact_value(state["loss"], checkpoint()),
           .train_accuracy = nn::exact_value(state["right"], checkpoint()),
           .seconds = nn::exact_value(state["seconds"], checkpoint())};
    now_samples = number("samples");
    if (data.validation.size() > 0 && !epochs.empty())
      best_model = std::make_unique<SentimentModel>(load_sentiment(best_file()));
  }

  void start() {
    if (directory.empty() || metrics) return;
    metrics = std::make_unique<nn::MetricsLog>(directory);
  }
};

SentimentRun::SentimentRun(const TrainingSpec& spec, const SentimentData& data, std::uint64_t seed,
                           std::string directory) {
  if (!directory.empty()) std::filesystem::create_directories(directory);
  impl_ = std::make_unique<Impl>(spec, data, seed, std::move(directory));
}
SentimentRun::~SentimentRun() = default;

void SentimentRun::resume() {
  impl_->resume();
}

void SentimentRun::train(const Arena& arena, std::uint64_t most_steps, Progress* progress) {
  impl_->start();
  const double step = 1 / static_cast<double>(impl_->steps_per_epoch());
  const auto advance = [&](double epochs) {
    if (progress != nullptr) progress->advance(epochs);
  };
  advance(step * static_cast<double>(impl_->trainer.steps()));
  for (; most_steps > 0 && !impl_->done(); --most_steps) {
    if (interrupt_requested()) {
      impl_->save();
      check_interrupt();
    }
    impl_->step(arena);
    advance(step);
  }
}

void SentimentRun::save() const {
  impl_->save();
}

bool SentimentRun::done() const {
  return impl_->done();
}

std::span<const float> SentimentRun::parameters() const {
  return impl_->trainer.parameters();
}

TrainingRun SentimentRun::result(const Arena& arena) const {
  TrainingRun out;
  out.seed = impl_->seed;
  out.epochs = impl_->epochs;
  out.best_epoch = impl_->best;
  out.finished = done();
  out.model = impl_->model();
  if (impl_->best_model) out.model.embedding = impl_->best_model->embedding.copy();
  if (impl_->best_model) {
    out.model.alpha = impl_->best_model->alpha;
    out.model.v = impl_->best_model->v;
    out.model.bias = impl_->best_model->bias;
  }
  const BagSet& test = impl_->data.test;
  const std::vector<Prediction> soft = predict(out.model, test.bags, LayerMode::kSoft, arena);
  const std::vector<Prediction> hard = predict(out.model, test.bags, LayerMode::kHard, arena);
  out.soft = evaluate(soft, test.labels);
  out.hard = evaluate(hard, test.labels);
  std::size_t same = 0;
  for (std::size_t i = 0; i < soft.size(); ++i) same += soft[i].positive == hard[i].positive;
  out.agreement = static_cast<double>(same) / static_cast<double>(soft.size());
  return out;
}

}  // namespace telos::clustering
