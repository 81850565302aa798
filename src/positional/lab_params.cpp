#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/json.h"
#include "io/json_fields.h"
#include "positional/lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::positional {
namespace {

// ---- Published parameter files

/// A file's numbers under its own names. Lists may be given as one number.
struct PublishedParams {
  std::vector<double> n{8}, num_train_samples{30000}, low_test{}, high_test{};
  double num_test_samples = 1000, num_additional_node = 1, batch_size = 1000, embed_dim = 64, num_heads = 2,
         mlp_hidden_dim = 64, mlp_num_layers = 2, epochs = 2001, runs = 10, model_num_layers = 0,
         num_cats = 8, num_query_cats = 4;
  double lr = 5e-4, low_train = -2, high_train = 2, weight_decay = 0;
  bool rope = false, shuffling = true, cumulative = true, use_integer = false, variable_length = false;
  std::string pos_enc_type = "onehot";
};

std::vector<double> list_of(JsonFieldReader& read, const char* name, std::vector<double> fallback) {
  const nlohmann::ordered_json* found = read.find(name);
  if (found == nullptr) return fallback;
  const auto number = [&](const nlohmann::ordered_json& value) {
    if (!value.is_number()) read.refuse_type(name, "a number or a list of numbers", value);
    return value.get<double>();
  };
  if (!found->is_array()) return {number(*found)};
  std::vector<double> values;
  for (const auto& value : *found) values.push_back(number(value));
  if (values.empty()) read.refuse(name, "the list is empty, expected at least one number");
  return values;
}

PublishedParams params_of(JsonFieldReader& read) {
  PublishedParams p;
  p.n = list_of(read, "n", p.n);
  p.num_train_samples = list_of(read, "num_train_samples", p.num_train_samples);
  p.low_test = list_of(read, "low_test", {});
  p.high_test = list_of(read, "high_test", {});
  read("num_test_samples", p.num_test_samples);
  read("num_additional_node", p.num_additional_node);
  read("RoPE", p.rope);
  read("lr", p.lr);
  read("batch_size", p.batch_size);
  read("shuffling", p.shuffling);
  read("low_train", p.low_train);
  read("high_train", p.high_train);
  read("cumulative", p.cumulative);
  read("use_integer", p.use_integer);
  read("embed_dim", p.embed_dim);
  read("num_heads", p.num_heads);
  read("mlp_hidden_dim", p.mlp_hidden_dim);
  read("mlp_num_layers", p.mlp_num_layers);
  read("model_num_layers", p.model_num_layers);
  read("epochs", p.epochs);
  read("runs", p.runs);
  read("weight_decay", p.weight_decay);
  read("variable_length", p.variable_length);
  read("pos_enc_type", p.pos_enc_type);
  read("num_cats", p.num_cats);
  read("num_query_cats", p.num_query_cats);
  read.refuse_unknown();
  return p;
}

std::size_t count_of(const JsonFieldReader& read, const char* name, double value, double least) {
  if (!(value >= least && value <= 1e9 && value == std::floor(value)))
    read.refuse(name, fmt::format("is {}, expected a whole number from {} to 10⁹", value, least));
  return static_cast<std::size_t>(value);
}

/// Test intervals as multiples c ≥ 1 of the training interval.
std::vector<double> scales_of(const JsonFieldReader& read, const PublishedParams& p) {
  if (p.low_train >= p.high_train)
    read.refuse("low_train",
                fmt::format("is {} and high_train is {}, expected low < high", p.low_train, p.high_train));
  if (p.low_test.size() != p.high_test.size())
    read.refuse("low_test", fmt::format("has {} entries and high_test {}, expected as many",
                                        p.low_test.size(), p.high_test.size()));
  std::vector<double> scales;
  for (std::size_t i = 0; i < p.low_test.size(); ++i) {
    const double low = p.low_test[i], high = p.high_test[i];
    const auto place = fmt::format("low_test[{}]", i);
    if (low >= high)
      read.refuse(place, fmt::format("is {} and high_test[{}] is {}, expected low < high", low, i, high));
    const double c = p.high_train != 0 ? high / p.high_train : low / p.low_train;
    if (std::abs(c * p.low_train - low) > 1e-9 * std::abs(low) ||
        std::abs(c * p.high_train - high) > 1e-9 * std::abs(high))
      read.refuse(place,
                  fmt::format("the test interval [{}, {}] is no multiple of the training interval [{}, {}]",
                              low, high, p.low_train, p.high_train));
    if (c < 1)
      read.refuse(place, fmt::format("the test interval [{}, {}] lies inside the training interval [{}, {}]: "
                                     "rejection would never end",
                                     low, high, p.low_train, p.high_train));
    scales.push_back(c);
  }
  return scales.empty() ? std::vector<double>{1} : scales;
}

void refuse_what_is_not_run(const JsonFieldReader& read, const PublishedParams& p,
                            const ParamsOptions& options) {
  if (p.rope && !options.compat_rope_noop)
    read.refuse(
        "RoPE",
        "true is refused: the published code turns queries and keys by the index of the head instead of "
        "the position, the same angle for both, so that scores do not change; its RoPE results are those "
        "without RoPE",
        "set RoPE to false, choose --compat-rope-noop for the same computation, or the kind rope for a "
        "true rotation");
  if (!p.shuffling) read.refuse("shuffling", "false is not supported: batches are drawn anew for each epoch");
}

Encoding encoding_named(const JsonFieldReader& read, const std::string& name) {
  const std::vector<std::string> known{"onehot", "binary", "sinusoidal"};
  for (std::size_t i = 0; i < known.size(); ++i)
    if (name == known[i]) return static_cast<Encoding>(i);
  read.refuse("pos_enc_type", fmt::format("unknown encoding \"{}\"", printable(name)),
              nearest_hint(name, known));
}

/// What all settings of a file share.
TrainSpec base_spec(const JsonFieldReader& read, const PublishedParams& p, const ParamsOptions& options) {
  TrainSpec spec;
  spec.task = options.task;
  spec.task_options.cumulative = p.cumulative;
  spec.task_options.distribution = {p.low_train, p.high_train, p.use_integer};
  spec.model.width = count_of(read, "embed_dim", p.embed_dim, 1);
  spec.model.heads = count_of(read, "num_heads", p.num_heads, 1);
  spec.model.hidden = count_of(read, "mlp_hidden_dim", p.mlp_hidden_dim, 1);
  spec.model.mlp_layers = count_of(read, "mlp_num_layers", p.mlp_num_layers, 1);
  spec.model.layers = count_of(read, "model_num_layers", p.model_num_layers, 0);
  spec.model.scratch = count_of(read, "num_additional_node", p.num_additional_node, 0);
  spec.model.encoding = encoding_named(read, p.pos_enc_type);
  if (spec.model.encoding == Encoding::kSinusoidal) spec.model.encoding_dim = spec.model.width;
  spec.model = with_kind(spec.model, options.kind);
  if (p.rope) spec.model.rope = ModelConfig::Rope::kNoOp;
  spec.rate = p.lr;
  spec.optimizer.weight_decay = p.weight_decay;
  spec.batch = count_of(read, "batch_size", p.batch_size, 1);
  spec.epochs = count_of(read, "epochs", p.epochs, 1);
  spec.runs = count_of(read, "runs", p.runs, 1);
  spec.test_samples = count_of(read, "num_test_samples", p.num_test_samples, 1);
  spec.variable_length = p.variable_length;
  return spec;
}

bool is_mixed(std::string_view task) {
  return task.starts_with("mixed-");
}

void make_mixed(const JsonFieldReader& read, const PublishedParams& p, TrainSpec& spec) {
  if (p.low_train != 0) read.refuse("low_train", fmt::format("is {}, prices begin at 0", p.low_train));
  spec.task_options.price_limit = p.high_train;
  spec.task_options.distribution = {};
  spec.task_options.categories = count_of(read, "num_cats", p.num_cats, 2);
  spec.task_options.queried = count_of(read, "num_query_cats", p.num_query_cats, 2);
  spec.plateau_patience = 10;
}

// ---- Experiments

TrainSpec scale_spec(std::string_view task, std::string_view kind) {
  TrainSpec spec;
  spec.task = task;
  spec.model = with_kind(spec.model, kind);
  return spec;
}

std::vector<TrainSpec> small_specs(std::string_view task, std::string_view kind) {
  std::vector<TrainSpec> specs;
  for (const std::size_t layers : {1u, 0u})
    for (const std::size_t hidden : {2u, 4u, 8u, 16u}) {
      TrainSpec spec = scale_spec(task, kind);
      spec.model.layers = layers;
      spec.model.hidden = hidden;
      specs.push_back(spec);
    }
  return specs;
}

std::vector<TrainSpec> size_specs(std::string_view task, std::string_view kind) {
  std::vector<TrainSpec> specs;
  for (const std::size_t n : {2u, 4u, 8u, 16u, 32u}) {
    TrainSpec spec = scale_spec(task, kind);
    spec.task_options.nodes = n;
    spec.scales = {3};
    specs.push_back(spec);
  }
  return specs;
}

std::vector<TrainSpec> sample_specs(std::string_view task, std::string_view kind) {
  std::vector<TrainSpec> specs;
  for (std::size_t m = 5000; m <= 50000; m += 5000) {
    TrainSpec spec = scale_spec(task, kind);
    spec.train_samples = m;
    spec.scales = {3};
    specs.push_back(spec);
  }
  return specs;
}

std::vector<TrainSpec> variable_specs(std::string_view task, std::string_view kind) {
  TrainSpec spec = scale_spec(task, kind);
  spec.variable_length = true;
  spec.train_samples = 500'000;
  spec.test_samples = 2000;
  spec.batch = 2048;
  spec.rate = 1e-4;
  return {spec};
}

/// Depths 1 … 8; 10⁵ steps of batch 64 over 50,000 samples are 128 passes.
std::vector<TrainSpec> hop_specs(std::string_view kind) {
  if (kind != "positional" && kind != "standard")
    throw Error(ErrorKind::kUsage, "experiment khop",
                fmt::format("kind is \"{}\", expected positional or standard", printable(kind)));
  std::vector<TrainSpec> specs;
  for (std::size_t layers = 1; layers <= 8; ++layers) {
    TrainSpec spec;
    spec.task = "khop";
    spec.hop_model = HopModel{.positional = kind == "positional", .layers = layers};
    spec.optimizer = {
        .kind = nn::OptimizerOptions::Kind::kAdamW, .beta2 = 0.95, .weight_decay = 0.1, .clip_norm = 1};
    spec.plateau_patience = 0;
    spec.batch = 64;
    spec.train_samples = 50'000;
    spec.epochs = 128;
    spec.scales = {1};
    specs.push_back(spec);
  }
  return specs;
}

std::vector<TrainSpec> mixed_specs(std::string_view task, std::string_view kind) {
  const std::string name = is_mixed(task) ? std::string(task) : "mixed-" + std::string(task);
  if (name != "mixed-min" && name != "mixed-max" && name != "mixed-sum" && name != "mixed-multi")
    throw Error(ErrorKind::kUsage, "experiment mixed",
                fmt::format("task is \"{}\", expected min, max, sum or multi", printable(task)));
  TrainSpec spec = scale_spec(name, kind);
  spec.model.layers = 3;
  spec.model.width = 32;
  spec.model.hidden = 32;
  spec.plateau_patience = 10;
  spec.train_samples = 50'000;
  return {spec};
}

/// Small enough to watch: hidden layers and width of a quarter, and a hundredth of the steps.
std::vector<TrainSpec> quick_specs(std::string_view task, std::string_view kind) {
  TrainSpec spec = scale_spec(task, kind);
  spec.model.width = 16;
  spec.model.hidden = 16;
  spec.rate = 2e-3;
  spec.train_samples = 8000;
  spec.batch = 250;
  spec.epochs = 20;
  spec.runs = 2;
  spec.evaluate_every = 2;
  spec.plateau_patience = 0;
  spec.scales = {1, 2, 5, 10};
  return {spec};
}

std::vector<TrainSpec> short_specs(std::string_view task, std::string_view kind) {
  TrainSpec spec = scale_spec(task, kind);
  spec.model.width = 32;
  spec.model.hidden = 32;
  spec.rate = 2e-3;
  spec.batch = 250;
  spec.epochs = 100;
  spec.runs = 4;
  spec.evaluate_every = 5;
  spec.plateau_patience = 3;
  return {spec};
}

const std::vector<ExperimentInfo>& experiments() {
  static const std::vector<ExperimentInfo> list{
      {"scale", "n = 8, 30,000 samples, 60,030 steps, tested at scales 1 to 10"},
      {"variable-length", "lists of length 1 to 8 in equal shares, 500,000 samples"},
      {"small", "hidden layers of 2, 4, 8 and 16 units, with one layer and with four"},
      {"size", "n = 2, 4, 8, 16, 32, tested at scale 3"},
      {"samples", "5,000 to 50,000 training samples, tested at scale 3"},
      {"khop", "k-hop induction heads, 1 to 8 layers, letters of its own in the test"},
      {"mixed", "prices in a text of 130 characters, tested at scales 1 to 10"},
      {"quick", "seconds: width 16, 640 steps, two runs"},
      {"short", "minutes: width 32, 12,000 steps, four runs"}};
  return list;
}

}  // namespace

std::vector<TrainSpec> parse_params(std::string_view json, const std::string& where,
                                    const ParamsOptions& options) {
  const nlohmann::ordered_json object = parse_json(json, where);
  JsonFieldReader read(object, where, ErrorKind::kBadFormat, false);
  const PublishedParams p = params_of(read);
  refuse_what_is_not_run(read, p, options);
  TrainSpec spec = base_spec(read, p, options);
  spec.scales = scales_of(read, p);
  if (is_mixed(options.task)) make_mixed(read, p, spec);
  std::vector<TrainSpec> specs;
  for (const double n : p.n)
    for (const double samples : p.num_train_samples) {
      spec.task_options.nodes = count_of(read, "n", n, 1);
      spec.train_samples = count_of(read, "num_train_samples", samples, 1);
      const std::unique_ptr<Task> task = make_task(spec.task, spec.task_options);
      specs.push_back(spec);
      specs.back().model = fit_model(spec.model, *task);
      check_spec(specs.back(), *task);
    }
  return specs;
}

std::vector<ExperimentInfo> experiment_list() {
  return experiments();
}

std::vector<TrainSpec> experiment(std::string_view name, std::string_view task, std::string_view kind) {
  std::vector<TrainSpec> specs;
  if (name == "scale") specs = {scale_spec(task, kind)};
  if (name == "variable-length") specs = variable_specs(task, kind);
  if (name == "small") specs = small_specs(task, kind);
  if (name == "size") specs = size_specs(task, kind);
  if (name == "samples") specs = sample_specs(task, kind);
  if (name == "khop") specs = hop_specs(kind);
  if (name == "mixed") specs = mixed_specs(task, kind);
  if (name == "quick") specs = quick_specs(task, kind);
  if (name == "short") specs = short_specs(task, kind);
  if (specs.empty()) {
    std::vector<std::string> known;
    for (const ExperimentInfo& info : experiments()) known.push_back(info.name);
    throw Error(ErrorKind::kUsage, "experiment", fmt::format("unknown experiment \"{}\"", printable(name)),
                nearest_hint(name, known));
  }
  for (TrainSpec& spec : specs) {
    const std::unique_ptr<Task> made = make_task(spec.task, spec.task_options);
    spec.model = fit_model(spec.model, *made);
    if (!made->scalable()) spec.scales = {1};
  }
  return specs;
}

}  // namespace telos::positional
