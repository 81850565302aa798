#pragma once

#include <string_view>

namespace telos {

/// "0.1.0": semantic version of the library.
std::string_view version() noexcept;
/// Compiler, build type and sanitizer of this build, e.g. "g++ 12.2.0, Release".
std::string_view build_info() noexcept;

}  // namespace telos
