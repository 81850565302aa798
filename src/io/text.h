#pragma once

#include <string>
#include <string_view>

#include "telos/base/utf8.h"

namespace telos {

/// Bytes of a text file as UTF-8: a UTF-8 mark is dropped, UTF-16 with a mark is converted. Throws kBadFormat
/// naming the offset of the first bad byte, kUnsupported for UTF-32. `where` names the file.
std::string decode_text(std::string bytes, const std::string& where);

}  // namespace telos
