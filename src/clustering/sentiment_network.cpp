// The sentiment model as a network to train.
#include <cmath>

#include "clustering/sentiment_lab_parts.h"
#include "telos/base/philox.h"
#include "telos/nn/operations.h"

namespace telos::clustering {
namespace {

constexpr std::uint32_t kInitialStream = 0x0300;
/// α = log(1 + e^{10a})/10 is positive for each a, and within 0.005 of a from α = 0.3 on: it learns as the
/// published α does, which is a plain number (and may fall below 0 there).
constexpr double kSharpness = 10;

nn::HardmaxOptions layer_options(const TrainingSpec& spec) {
  nn::HardmaxOptions options;
  options.mode = spec.mode == LayerMode::kSoft   ? nn::HardmaxOptions::Mode::kSoft
                 : spec.mode == LayerMode::kHard ? nn::HardmaxOptions::Mode::kHard
                                                 : nn::HardmaxOptions::Mode::kSte;
  options.layers = spec.model.layers;
  options.temperature = spec.model.temperature;
  options.ste_temperature = spec.ste_temperature;
  return options;
}

}  // namespace

double alpha_of(double a) {
  return (std::max(kSharpness * a, 0.0) + std::log1p(std::exp(-std::abs(kSharpness * a)))) / kSharpness;
}

SentimentNetwork::SentimentNetwork(const TrainingSpec& spec, std::size_t vocabulary, std::size_t rows,
                                   double alpha) {
  const std::size_t dim = spec.model.dim;
  layout.add("embedding", vocabulary, dim);
  layout.add("decoder.weight", 1, dim);
  layout.add_vector("decoder.bias", 1);
  if (trains_alpha(spec)) layout.add_vector("alpha.raw", 1);
  graph = std::make_unique<nn::Graph>(layout);
  nn::Graph& g = *graph;
  const nn::Value ids = g.index_input("ids", rows);
  const nn::Value counts = g.input("counts", rows, 1), target = g.input("target", 1, 1);
  nn::Value tokens = nn::embedding(g, ids, g.parameter("embedding"));
  if (spec.model.layers > 0) {
    const nn::Value step = trains_alpha(spec) ? nn::softplus(g, g.parameter("alpha.raw"), kSharpness)
                                              : g.constant({&alpha, 1, 1});
    tokens = nn::hardmax_layers(g, tokens, step, counts, layer_options(spec));
  }
  const nn::Value logit = nn::linear(g, {nn::weighted_mean_pool(g, tokens, counts)},
                                     g.parameter("decoder.weight"), g.parameter("decoder.bias"));
  g.output("logit", logit);
  g.loss(nn::binary_cross_entropy(g, logit, target));
}

InitialValues initial_values(const TrainingSpec& spec, std::size_t vocabulary, std::uint64_t seed) {
  const std::size_t dim = spec.model.dim;
  InitialValues out;
  Random of_embedding(seed, kInitialStream, 0), of_alpha(seed, kInitialStream, 1),
      of_decoder(seed, kInitialStream, 2);
  for (std::size_t i = 0; i < vocabulary * dim; ++i)
    out.parameters.push_back(static_cast<float>(of_embedding.normal()));
  const double bound = 1 / std::sqrt(static_cast<double>(dim));
  for (std::size_t i = 0; i <= dim; ++i)
    out.parameters.push_back(static_cast<float>(bound * (2 * of_decoder.uniform() - 1)));
  // A step of 0 could not be written as a softplus, and would be no model.
  out.alpha = spec.alpha_init > 0 ? spec.alpha_init : std::max(of_alpha.uniform(), 1e-3);
  if (trains_alpha(spec)) {
    const double a = kSharpness * out.alpha;
    out.parameters.push_back(static_cast<float>((a + std::log(-std::expm1(-a))) / kSharpness));
  }
  return out;
}

}  // namespace telos::clustering
