#include "telos/model/transformer.h"

#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "model/pass.h"
#include "model/settings.h"
#include "model/weights.h"
#include "telos/base/error.h"

namespace telos {

struct Transformer::Impl {
  Architecture architecture;
  model::Settings settings;
  model::Weights weights;
  std::string path;
};

namespace {

using model::Embedding;
using model::Settings;

/// Longest sequence that the position table, or else the config, allows; 0 = no limit.
std::size_t longest(const Architecture& architecture, const Settings& settings, const Embedding& embedding) {
  if (settings.positions == model::Positions::kNone) return architecture.context;
  const std::size_t rows = embedding.position.rows();
  if (settings.positions == model::Positions::kCounted) return rows;
  const std::size_t taken = static_cast<std::size_t>(settings.padding_id) + 1;
  return rows > taken ? rows - taken : 0;
}

void check_batch(const TokenBatch& batch, std::size_t limit) {
  const auto usage = [](const std::string& message) {
    throw Error(ErrorKind::kUsage, "token batch", message);
  };
  if (batch.sequences == 0 || batch.tokens == 0) usage("no tokens");
  if (batch.ids.size() / batch.tokens != batch.sequences || batch.ids.size() % batch.tokens != 0)
    usage("expected " + std::to_string(batch.sequences) + " × " + std::to_string(batch.tokens) +
          " ids, found " + std::to_string(batch.ids.size()));
  if (!batch.mask.empty() && batch.mask.size() != batch.ids.size())
    usage("the mask has " + std::to_string(batch.mask.size()) + " entries for " +
          std::to_string(batch.ids.size()) + " ids");
  if (!batch.types.empty() && batch.types.size() != batch.ids.size())
    usage("there are " + std::to_string(batch.types.size()) + " segment ids for " +
          std::to_string(batch.ids.size()) + " ids");
  if (limit != 0 && batch.tokens > limit)
    throw Error(
        ErrorKind::kLimit, "token batch",
        std::to_string(batch.tokens) + " tokens a sequence, the model's context is " + std::to_string(limit),
        "cut the text into windows of at most that (--window " + std::to_string(limit) + ")");
}

void check_fixed(std::span<const FixedAttention> fixed, const Architecture& architecture, std::size_t layers,
                 const TokenBatch& batch) {
  std::set<std::pair<std::size_t, std::size_t>> seen;
  for (const FixedAttention& head : fixed) {
    const std::string name =
        "fixed attention of head " + std::to_string(head.layer) + "." + std::to_string(head.head);
    if (head.layer >= layers || head.head >= architecture.heads)
      throw Error(ErrorKind::kUsage, name,
                  "the model has " + std::to_string(layers) + " layers of " +
                      std::to_string(architecture.heads) + " heads");
    if (!seen.insert({head.layer, head.head}).second) throw Error(ErrorKind::kUsage, name, "given twice");
    const std::size_t tokens = batch.tokens;
    if (head.rows.cols() != tokens ||
        (head.rows.rows() != tokens && head.rows.rows() != batch.sequences * tokens))
      throw Error(ErrorKind::kShape, name,
                  "the matrix is " + std::to_string(head.rows.rows()) + " × " +
                      std::to_string(head.rows.cols()) + ", expected " + std::to_string(tokens) + " or " +
                      std::to_string(batch.sequences * tokens) + " × " + std::to_string(tokens));
    for (std::size_t i = 0; i < head.rows.rows(); ++i)
      for (std::size_t j = 0; j < tokens; ++j)
        if (!std::isfinite(head.rows(i, j)))
          throw Error(ErrorKind::kNotFinite, name,
                      "row " + std::to_string(i) + ", column " + std::to_string(j) + " is " +
                          std::to_string(head.rows(i, j)));
    for (std::size_t i = 0; architecture.causal && i < head.rows.rows(); ++i) {
      // A padding token that sees no real key attends to all tokens; nobody reads it.
      const bool padding = head.rows.rows() == batch.mask.size() && batch.mask[i] == 0;
      for (std::size_t j = i % tokens + 1; !padding && j < tokens; ++j)
        if (head.rows(i, j) != 0)
          throw Error(ErrorKind::kUsage, name,
                      "row " + std::to_string(i) + " sees token " + std::to_string(j) +
                          ", which a causal model must not");
    }
  }
}

}  // namespace

Transformer::Transformer() : impl_(std::make_unique<Impl>()) {}
Transformer::~Transformer() = default;
Transformer::Transformer(Transformer&&) noexcept = default;
Transformer& Transformer::operator=(Transformer&&) noexcept = default;

bool Transformer::supports(const Architecture& architecture, std::string* why) {
  try {
    model::read_settings(architecture);
    return true;
  } catch (const Error& error) {
    if (why != nullptr) *why = error.message();
    return false;
  }
}

bool Transformer::reads_images(const Architecture& architecture) {
  return supports(architecture) && model::read_settings(architecture).images;
}

std::vector<std::string> Transformer::contradictions(const Checkpoint& checkpoint,
                                                     const Architecture& architecture) {
  std::vector<std::string> lines;
  if (!supports(architecture)) return lines;
  for (const model::Contradiction& c :
       model::contradictions(checkpoint, architecture, model::read_settings(architecture)))
    lines.push_back(c.text);
  return lines;
}

Transformer Transformer::load(const Checkpoint& checkpoint, const Architecture& architecture,
                              const Arena& arena) {
  Transformer transformer;
  Impl& impl = *transformer.impl_;
  impl.architecture = architecture;
  impl.settings = model::read_settings(architecture);
  impl.weights = model::read_weights(checkpoint, architecture, impl.settings, arena);
  impl.path = checkpoint.path();
  return transformer;
}

const Architecture& Transformer::architecture() const {
  return impl_->architecture;
}
std::uint64_t Transformer::parameters() const {
  return impl_->weights.parameters;
}

double Transformer::flops_per_token() const {
  double products = 0;
  for (const model::Settings::Step& step : impl_->settings.steps) {
    const model::Layer& layer = impl_->weights.layers[step.layer];
    for (const model::Linear* map : {&layer.qkv, &layer.output, &layer.up, &layer.down})
      products += static_cast<double>(map->weight.rows()) * static_cast<double>(map->weight.cols());
  }
  return 2 * products;
}

Trace Transformer::forward(const TokenBatch& batch, const Taps& taps, const Arena& arena,
                           std::span<const FixedAttention> fixed) const {
  const auto& [architecture, settings, weights, path] = *impl_;
  if (settings.images) throw Error(ErrorKind::kUsage, path, "this model reads images, not tokens");
  check_batch(batch, longest(architecture, settings, weights.embedding));
  check_fixed(fixed, architecture, settings.steps.size(), batch);
  model::Pass pass(architecture, settings, weights,
                   {batch.sequences, batch.tokens, architecture.causal, batch.mask}, taps, fixed, arena);
  model::embed_tokens(weights.embedding, settings, batch, pass.start(), arena);
  Trace trace = pass.run();
  trace.source = path;
  return trace;
}

Trace Transformer::forward_images(ConstMatrixView<float> pixels, const Taps& taps, const Arena& arena) const {
  const auto& [architecture, settings, weights, path] = *impl_;
  if (!settings.images) throw Error(ErrorKind::kUsage, path, "this model reads tokens, not images");
  const std::size_t size = weights.embedding.channels * settings.image_height * settings.image_width;
  if (pixels.rows() == 0) throw Error(ErrorKind::kUsage, "images", "no images");
  if (pixels.cols() != size)
    throw Error(ErrorKind::kShape, "images",
                "expected " + std::to_string(weights.embedding.channels) + " × " +
                    std::to_string(settings.image_height) + " × " + std::to_string(settings.image_width) +
                    " values an image, found " + std::to_string(pixels.cols()),
                "resize the images; positions are not interpolated");
  model::Pass pass(architecture, settings, weights,
                   {pixels.rows(), weights.embedding.position.rows(), false, {}}, taps, {}, arena);
  model::embed_images(weights.embedding, settings, pixels, pass.start(), arena);
  Trace trace = pass.run();
  trace.source = path;
  return trace;
}

}  // namespace telos
