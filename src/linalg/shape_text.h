#pragma once

#include <cstddef>
#include <string>

namespace telos {

/// "3x4", for messages.
inline std::string shape_text(std::size_t rows, std::size_t cols) {
  return std::to_string(rows) + "x" + std::to_string(cols);
}

}  // namespace telos
