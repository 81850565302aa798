#pragma once

#include "telos/positional/lab.h"

namespace telos::positional::test_lab {

/// Lists of four, networks of width 8: an epoch takes milliseconds.
inline TrainSpec tiny_spec(const char* task = "min", const char* kind = "positional") {
  TrainSpec spec;
  spec.task = task;
  spec.task_options.nodes = 4;
  spec.model.width = 8;
  spec.model.hidden = 8;
  spec.model = with_kind(spec.model, kind);
  spec.rate = 3e-3;
  spec.epochs = 6;
  spec.batch = 32;
  spec.train_samples = 128;
  spec.test_samples = 50;
  spec.scales = {1, 10};
  spec.runs = 1;
  spec.evaluate_every = 2;
  return spec;
}

}  // namespace telos::positional::test_lab
