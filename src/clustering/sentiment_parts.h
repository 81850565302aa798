#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "io/json_fields.h"
#include "telos/clustering/sentiment.h"

// What the files of the sentiment model share.
namespace telos::clustering {

template <class Visitor, class Config>
void config_fields(Visitor& visit, Config& config) {
  visit("dim", config.dim);
  visit("layers", config.layers);
  visit("max_length", config.max_length);
  visit("temperature", config.temperature);
  visit("mask_padding", config.mask_padding);
}

template <class Visitor, class Options>
void preprocess_fields(Visitor& visit, Options& options) {
  visit("clean", options.clean);
  visit("lower_case", options.lower_case);
  visit("stop_words", options.stop_words);
  visit("contractions", options.contractions);
  visit("wordnet", options.wordnet);
}

}  // namespace telos::clustering
