#pragma once

#include <cstddef>
#include <string_view>

namespace telos {

/// Bytes of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), 1 to 4; 0 if there
/// is none. Surrogates, forms longer than needed and code points beyond U+10FFFF are not well-formed.
std::size_t utf8_sequence_length(std::string_view text) noexcept;

/// Length of the longest prefix of `text` that is well-formed UTF-8; text.size() if all is. Eight ASCII bytes
/// a step.
std::size_t valid_utf8_prefix(std::string_view text) noexcept;

}  // namespace telos
