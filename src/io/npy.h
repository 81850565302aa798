#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "telos/base/matrix.h"

namespace telos {

/// read_npy() on bytes in memory; `where` names the file.
Matrix<double> parse_npy(std::string_view bytes, const std::string& where);

/// All that stands before the data of a row-major matrix of floats of `item` bytes; a multiple of 64 bytes.
std::string npy_header(std::size_t rows, std::size_t cols, std::size_t item);

}  // namespace telos
