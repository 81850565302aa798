#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/positional/model.h"

namespace telos::positional {

struct HopModel;

/// Encodings of the positions that a sample of `length` data positions has: the first `length`, then the
/// scratch positions, which keep their own rows at every length.
Matrix<double> encoding_of(const ModelConfig& config, std::size_t length);
/// Position of the model at row i of such a sample.
inline std::size_t original_position(const ModelConfig& config, std::size_t length, std::size_t i) {
  return i < length ? i : config.nodes + (i - length);
}
/// `length`, or n for 0. Throws kUsage for more than n.
std::size_t checked_length(const ModelConfig& config, std::size_t length);
/// Attention is a function of the weights alone.
inline bool has_fixed_attention(const ModelConfig& config) {
  return config.mixer == ModelConfig::Mixer::kAttention && config.source == ModelConfig::Source::kPositions;
}
/// Columns of the first map of the encoder: in_dim, and d_P where positions are part of the input.
std::size_t encoder_inputs(const ModelConfig& config);
/// Plans that a layer of this model can take.
std::vector<LayerPlan> plans_for(const ModelConfig& config);
/// Linear maps of all layers, mlp_layers and three more in each: a layout looks each name up among the
/// others.
inline constexpr std::size_t kMostLinearMaps = 8192;
/// "layers.{l}."
std::string layer_prefix(std::size_t l);

/// The tensors of the blocks of k-hop with their sizes as metadata, for other programs to read; and back,
/// given the layout. Throw what save_model() and load_model() throw.
void save_hop_model(const HopModel& hop, const Model& model, const std::string& path);
Model load_hop_model(const nn::ParameterLayout& layout, const std::string& path);

}  // namespace telos::positional
