#pragma once

#include <cstddef>
#include <vector>

#include "telos/base/arena.h"
#include "telos/positional/model.h"

namespace telos::positional {

/// A training step (forward, loss, backward, Adam) of a model, timed on this machine.
struct StepTiming {
  ModelConfig config;
  std::size_t parameters = 0, batch = 0, steps = 0;
  int threads = 1;
  double median_seconds = 0, least_seconds = 0;
  double flops = 0;        ///< multiplications and additions of a step as it is computed, folding included
  double plain_flops = 0;  ///< of the same step without folding
  std::vector<PlanCost> plans{};  ///< what each plan of each layer would take
};

/// Steps on random lists with mean square error, three to warm up, then for about `seconds` and at least
/// five. Throws what check() throws, and kUsage for models that read tokens or a batch of 0.
StepTiming time_step(const ModelConfig& config, std::size_t batch, double seconds, const Arena& arena);

}  // namespace telos::positional
