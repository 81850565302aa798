// Does a recorded trace end behind the model's final norm?
#include <algorithm>
#include <cmath>

#include "model/settings.h"
#include "model/weights.h"
#include "telos/base/error.h"
#include "telos/model/transformer.h"

namespace telos {
namespace {

/// Mean squares of half-precision states differ from 1 by less; those of a stream by far more.
constexpr double kSizeTolerance = 0.02, kMeanTolerance = 0.05;

/// Undone gain and bias leave a row of mean square 1, and of mean 0 behind a layer norm.
bool has_size_of(const model::Norm& norm, const float* row) {
  double sum = 0, square = 0;
  for (std::size_t j = 0; j < norm.gain.size(); ++j) {
    const double bias = norm.bias.empty() ? 0 : norm.bias[j];
    const double z = (row[j] - bias) / norm.gain[j];
    sum += z;
    square += z * z;
  }
  const double n = static_cast<double>(norm.gain.size());
  return std::abs(square / n - 1) < kSizeTolerance &&
         (norm.kind != NormKind::kLayerNorm || std::abs(sum / n) < kMeanTolerance);
}

}  // namespace

bool behind_final_norm(const Trace& trace, const Checkpoint& checkpoint, const Architecture& architecture) {
  model::Norm norm;
  try {
    norm = model::read_final_norm(checkpoint, architecture, model::read_settings(architecture));
  } catch (const Error&) {
    return false;  // no forward pass here, or a checkpoint in parts
  }
  if (norm.kind == NormKind::kNone || norm.gain.size() != trace.width || trace.hidden.empty()) return false;
  if (std::ranges::find(norm.gain, 0.0f) != norm.gain.end()) return false;
  const Matrix<float>& last = trace.hidden.back();
  for (std::size_t r = 0; r < last.rows(); ++r)
    if ((trace.mask.empty() || trace.mask[r] != 0) && !has_size_of(norm, last.row(r))) return false;
  return true;
}

}  // namespace telos
