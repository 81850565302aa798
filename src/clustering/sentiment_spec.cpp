// What a training is to do, as JSON and checked.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "clustering/sentiment_lab_parts.h"
#include "clustering/sentiment_parts.h"
#include "io/json.h"
#include "telos/base/error.h"

namespace telos::clustering {
namespace {

constexpr LayerMode kModes[] = {LayerMode::kSoft, LayerMode::kHard, LayerMode::kSte};

template <class Visitor, class Spec>
void spec_fields(Visitor& visit, Spec& spec) {
  visit("ste_temperature", spec.ste_temperature);
  visit("epochs", spec.epochs);
  visit("batch", spec.batch);
  visit("learning_rate", spec.learning_rate);
  visit("clip_norm", spec.clip_norm);
  visit("alpha_init", spec.alpha_init);
  visit("alpha_fixed", spec.alpha_fixed);
  visit("patience", spec.patience);
  visit("test_share", spec.test_share);
  visit("validation_share", spec.validation_share);
  visit("min_count", spec.min_count);
  visit("vocabulary_of_all", spec.vocabulary_of_all);
  visit("seeds", spec.seeds);
  visit("baselines", spec.baselines);
  visit("checkpoint_every", spec.checkpoint_every);
}

template <class Value>
void require(bool good, const char* field, const Value& value, const char* allowed) {
  if (!good)
    throw Error(ErrorKind::kUsage, fmt::format("training, {}", field),
                fmt::format("is {}, expected {}", value, allowed));
}

LayerMode mode_of(const std::string& name, const JsonFieldReader& read) {
  std::vector<std::string> names;
  for (const LayerMode mode : kModes) {
    if (name == to_string(mode)) return mode;
    names.emplace_back(to_string(mode));
  }
  read.refuse("mode", fmt::format("unknown mode \"{}\"", printable(name, 40)), nearest_hint(name, names));
}

}  // namespace

void check_spec(const TrainingSpec& spec) {
  constexpr std::size_t kMany = 1'000'000;
  const auto range = [](const char* field, std::size_t value, std::size_t high) {
    require(value >= 1 && value <= high, field, value, fmt::format("1 to {}", high).c_str());
  };
  const auto positive = [](const char* field, double value) {
    require(value > 0 && std::isfinite(value), field, value, "a finite number above 0");
  };
  const auto share = [](const char* field, double value) {
    require(value >= 0 && value < 1, field, value, "a number from 0 to below 1");
  };
  range("dim", spec.model.dim, 4096);
  require(spec.model.layers <= 1000, "layers", spec.model.layers, "at most 1000");
  range("max_length", spec.model.max_length, 1 << 16);
  positive("temperature", spec.model.temperature);
  positive("ste_temperature", spec.ste_temperature);
  range("epochs", spec.epochs, kMany);
  range("batch", spec.batch, kMany);
  range("checkpoint_every", spec.checkpoint_every, kMany);
  positive("learning_rate", spec.learning_rate);
  require(spec.clip_norm >= 0 && std::isfinite(spec.clip_norm), "clip_norm", spec.clip_norm,
          "a finite number of at least 0 (0: no clipping)");
  require(spec.alpha_init >= 0 && std::isfinite(spec.alpha_init), "alpha_init", spec.alpha_init,
          "a finite number of at least 0 (0: drawn)");
  share("test_share", spec.test_share);
  share("validation_share", spec.validation_share);
  require(spec.patience == 0 || spec.validation_share > 0, "patience", spec.patience,
          "0 without validation_share: the validation texts say when to stop");
  require(!spec.seeds.empty(), "seeds", "empty", "at least one seed");
  for (std::size_t i = 0; i < spec.seeds.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      require(spec.seeds[i] != spec.seeds[j], "seeds", fmt::format("{} twice", spec.seeds[i]),
              "different seeds");
}

std::string to_json(const TrainingSpec& spec) {
  JsonFieldWriter all, model, preprocess;
  config_fields(model, spec.model);
  all.object()["model"] = model.object();
  preprocess_fields(preprocess, spec.preprocess);
  all.object()["preprocess"] = preprocess.object();
  all("mode", std::string(to_string(spec.mode)));
  spec_fields(all, spec);
  return all.object().dump(2) + "\n";
}

TrainingSpec training_spec_from_json(const std::string& text, const std::string& where) {
  const nlohmann::ordered_json json =
      parse_json(text, where, {.max_bytes = 1 << 20, .max_depth = 4, .max_values = 100'000});
  TrainingSpec spec;
  JsonFieldReader read(json, where, ErrorKind::kBadFormat, false);
  const auto part = [&](const char* name, const auto& fill) {
    if (const nlohmann::ordered_json* found = read.find(name)) {
      JsonFieldReader inner(*found, read.place(name), ErrorKind::kBadFormat, false);
      fill(inner);
      inner.refuse_unknown();
    }
  };
  part("model", [&](JsonFieldReader& inner) { config_fields(inner, spec.model); });
  part("preprocess", [&](JsonFieldReader& inner) { preprocess_fields(inner, spec.preprocess); });
  std::string mode(to_string(spec.mode));
  read("mode", mode);
  spec.mode = mode_of(mode, read);
  spec_fields(read, spec);
  read.refuse_unknown();
  return spec;
}

}  // namespace telos::clustering
