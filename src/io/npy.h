#pragma once

#include <string>
#include <string_view>

#include "telos/base/matrix.h"

namespace telos {

/// read_npy() on bytes in memory; `where` names the file.
Matrix<double> parse_npy(std::string_view bytes, const std::string& where);

}  // namespace telos
