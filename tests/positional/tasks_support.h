#pragma once

#include <vector>

#include "telos/positional/tasks.h"

namespace telos::positional::test_tasks {

using Split = Task::Split;
using Numbers = std::vector<double>;

struct Sample {
  Numbers x, y;
};

inline Sample sample_of(const Task& task, std::uint64_t seed, double scale = 1, Split split = Split::kTrain,
                        std::size_t length = 0) {
  const SampleShape shape = task.shape();
  if (length == 0) length = shape.nodes;
  Sample sample{Numbers(length * shape.in_dim), Numbers(length * shape.out_dim)};
  Random rng(seed);
  task.generate(rng, scale, split, length, sample.x, sample.y);
  return sample;
}

}  // namespace telos::positional::test_tasks
