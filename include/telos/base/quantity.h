#pragma once

#include <cstdint>
#include <string>

namespace telos {

/// "91 MB", "1.25 GB", "980 B": decimal units, three digits.
std::string format_bytes(double bytes);
/// "310 ms", "0.8 s" … "2 min 5 s".
std::string format_seconds(double seconds);
/// "1,204": digits in groups of three.
std::string format_count(std::uint64_t count);

}  // namespace telos
