#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace telos {

/// Length of the longest prefix of `text` that is well-formed UTF-8 (Unicode 15, table 3-7); text.size() if
/// all is.
std::size_t valid_utf8_prefix(std::string_view text) noexcept;

/// Bytes of a text file as UTF-8: a UTF-8 mark is dropped, UTF-16 with a mark is converted. Throws kBadFormat
/// naming the offset of the first bad byte, kUnsupported for UTF-32. `where` names the file.
std::string decode_text(std::string bytes, const std::string& where);

}  // namespace telos
