#pragma once

#include <string>

#include "telos/base/error.h"
#include "telos/io/checkpoint.h"

namespace telos::model {

/// The error for a file whose family is not known: `reason`, up to 20 tensors that look like projections of
/// attention (with shapes), and in the hint a --map to fill in.
Error unknown_family(const Checkpoint& checkpoint, const std::string& reason);

}  // namespace telos::model
