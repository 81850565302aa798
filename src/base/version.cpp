#include "telos/base/version.h"

namespace telos {

std::string_view version() noexcept {
  return TELOS_VERSION;
}
std::string_view build_info() noexcept {
  return TELOS_BUILD;
}

}  // namespace telos
