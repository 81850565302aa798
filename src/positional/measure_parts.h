#pragma once

#include <cstdint>
#include <span>

#include "telos/positional/measure.h"

namespace telos::positional {

/// A row of attention over the keys that are visible: 0 elsewhere, scaled to sum 1; uniform where nothing is
/// left.
void restrict_row(std::span<double> row, std::span<const std::uint8_t> visible);

}  // namespace telos::positional
