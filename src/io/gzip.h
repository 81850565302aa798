#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace telos {

/// Whether the first bytes are those of a gzip file, with which no text in UTF-8 begins.
bool is_gzip(std::string_view bytes) noexcept;

/// What a gzip file holds, its members one after the other. Throws kTruncated, kBadFormat (checksums
/// included), kLimit for more than `max_bytes` of content. `where` names the file.
std::string gunzip(std::string_view bytes, const std::string& where, std::uint64_t max_bytes);

}  // namespace telos
