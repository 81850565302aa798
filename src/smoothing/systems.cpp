// Systems by name: the small ones whose fate is known by hand, and random stacks.
#include <string>

#include "telos/base/error.h"
#include "telos/smoothing/lab.h"

namespace telos::smoothing {

namespace {

using System = TransformerSystem;

struct Rows {
  std::size_t rows, cols;
  double values[16];
};

Matrix<double> matrix(const Rows& rows) {
  Matrix<double> out(rows.rows, rows.cols);
  for (std::size_t k = 0; k < out.size(); ++k) out.data()[k] = rows.values[k];
  return out;
}

// clang-format off
// Three attentions of four tokens. Eigenvalues: 1, .4, .2, 0; 1, 0, −.2, −.4; 1, .5, .4, .3 (causal).
constexpr Rows kPositive{4, 4, {.4, .3, .2, .1,  .3, .4, .1, .2,  .2, .1, .4, .3,  .1, .2, .3, .4}};
constexpr Rows kNegative{4, 4, {.1, .2, .3, .4,  .2, .1, .4, .3,  .3, .4, .1, .2,  .4, .3, .2, .1}};
constexpr Rows kCausal{4, 4, {1, 0, 0, 0,  .5, .5, 0, 0,  .3, .3, .4, 0,  .2, .2, .3, .3}};
// Weights with eigenvalues .5, .2, −.3; −.9, −.5, −.2; −2 three times.
constexpr Rows kMixed{3, 3, {.5, -.3, .3,  0, .2, -.5,  0, 0, -.3}};
constexpr Rows kSharp{3, 3, {-.9, .4, -.4,  0, -.5, .3,  0, 0, -.2}};
constexpr Rows kMinusTwo{3, 3, {-2, 0, 0,  0, -2, 0,  0, 0, -2}};
constexpr Rows kTokens{4, 3, {2, 0, 1,  0, 1, -1,  1, 1, 0,  -2, 2, 3}};
constexpr Rows kTrapTokens{4, 3, {1, 0, 2,  0, 1, -1,  2, 1, 0,  -1, 2, 1}};
// clang-format on

struct SmallSystem {
  const char *name, *summary;
  const Rows &attention, &weights, &tokens;
  double residual;
  std::size_t layers;
};

constexpr SmallSystem kSmallSystems[] = {
    {"t1", "smoothing: HFC/LFC falls like 0.8^L", kPositive, kMixed, kTokens, 1, 50},
    {"t2", "sharpening with a tie in H", kPositive, kSharp, kTokens, 1, 50},
    {"t3", "sharpening: the mode of eigenvalue -0.4 grows by 1.36 a layer", kNegative, kSharp, kTokens, 1,
     50},
    {"t4", "balanced: rank stays 2", kPositive, kMinusTwo, kTokens, 1, 50},
    {"t6", "t3 without residual connection: smooths", kNegative, kSharp, kTokens, 0, 50},
    {"t8", "causal: one token dominates, slowly", kCausal, kSharp, kTokens, 1, 1000},
    {"zero-coefficient", "t3 with tokens that lack its dominating mode", kNegative, kSharp, kTrapTokens, 1,
     400},
};

constexpr System::Norm kNorms[] = {System::Norm::kNone, System::Norm::kPre, System::Norm::kPost};
constexpr System::Spectrum kSpectra[] = {System::Spectrum::kSmooth, System::Spectrum::kSharp,
                                         System::Spectrum::kFree};
constexpr System::Mask kMasks[] = {System::Mask::kFull, System::Mask::kCausal};

std::string stack_name(System::Norm norm, System::Spectrum spectrum, System::Mask mask) {
  return std::string(to_string(norm)) + "-" + std::string(to_string(spectrum)) +
         (mask == System::Mask::kCausal ? "-causal" : "");
}

// Calls visit(norm, spectrum, mask) for each random stack that has a name.
template <class Visit>
void each_stack(Visit visit) {
  for (System::Norm norm : kNorms)
    for (System::Spectrum spectrum : kSpectra)
      for (System::Mask mask : kMasks) visit(norm, spectrum, mask);
}

}  // namespace

std::string_view to_string(System::Norm norm) noexcept {
  switch (norm) {
    case System::Norm::kNone:
      return "none";
    case System::Norm::kPre:
      return "pre";
    case System::Norm::kPost:
      return "post";
  }
  return "";
}

std::string_view to_string(System::Mask mask) noexcept {
  return mask == System::Mask::kFull ? "full" : "causal";
}

std::string_view to_string(System::Spectrum spectrum) noexcept {
  switch (spectrum) {
    case System::Spectrum::kSmooth:
      return "smooth";
    case System::Spectrum::kSharp:
      return "sharp";
    case System::Spectrum::kFree:
      return "free";
  }
  return "";
}

std::string_view to_string(System::Basis basis) noexcept {
  return basis == System::Basis::kOrthogonal ? "orthogonal" : "general";
}

std::string_view to_string(System::Eigenvalues form) noexcept {
  switch (form) {
    case System::Eigenvalues::kUniform:
      return "uniform";
    case System::Eigenvalues::kClip:
      return "clip";
    case System::Eigenvalues::kSquare:
      return "square";
    case System::Eigenvalues::kSigmoid:
      return "sigmoid";
  }
  return "";
}

std::vector<SystemPreset> preset_list() {
  std::vector<SystemPreset> out;
  for (const SmallSystem& system : kSmallSystems) out.push_back({system.name, system.summary});
  each_stack([&](System::Norm norm, System::Spectrum spectrum, System::Mask mask) {
    out.push_back({stack_name(norm, spectrum, mask),
                   "random stack, norm " + std::string(to_string(norm)) + ", eigenvalues of H " +
                       (spectrum == System::Spectrum::kSmooth  ? "in [0, 1]"
                        : spectrum == System::Spectrum::kSharp ? "in [-1, 0]"
                                                               : "in [-1, 1]") +
                       ", " + std::string(to_string(mask)) + " attention"});
  });
  return out;
}

SimulationSpec preset(std::string_view name) {
  SimulationSpec spec;
  spec.name = std::string(name);
  for (const SmallSystem& system : kSmallSystems) {
    if (name != system.name) continue;
    spec.layers = system.layers;
    spec.system = LinearSystem{matrix(system.attention), matrix(system.weights), matrix(system.tokens),
                               system.residual};
    return spec;
  }
  bool found = false;
  each_stack([&](System::Norm norm, System::Spectrum spectrum, System::Mask mask) {
    if (stack_name(norm, spectrum, mask) != name) return;
    TransformerSystem system;
    system.norm = norm;
    system.spectrum = spectrum;
    system.mask = mask;
    spec.system = system;
    found = true;
  });
  if (found) return spec;
  std::string names;
  for (const SystemPreset& known : preset_list()) names += (names.empty() ? "" : ", ") + known.name;
  throw Error(ErrorKind::kUsage, printable(name), "no system of this name", "known: " + names);
}

}  // namespace telos::smoothing
