#pragma once

#include <array>
#include <span>
#include <string_view>

namespace telos::symmetry {

// Names in the order of the enumerations.
inline constexpr std::array<std::string_view, 4> kPositionNames{"none", "iid", "sin", "decay"};
inline constexpr std::array<std::string_view, 12> kNonlinearityNames{
    "identity", "relu", "leaky_relu", "abs", "erf", "gelu", "sin", "cos", "exp", "square", "tanh", "silu"};
inline constexpr std::array<std::string_view, 5> kAttentionMapNames{"softmax", "linear", "relu", "abs",
                                                                    "erf"};
inline constexpr std::array<std::string_view, 2> kAttentionScaleNames{"1/d", "1/sqrt(d)"};
inline constexpr std::array<std::string_view, 3> kAttentionAverageNames{"none", "1/L", "1/L^2"};
inline constexpr std::array<std::string_view, 3> kNormPlaceNames{"none", "pre", "post"};
inline constexpr std::array<std::string_view, 4> kReadoutNames{"last", "mean", "flatten", "cls"};

}  // namespace telos::symmetry
