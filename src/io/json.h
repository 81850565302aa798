#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace telos {

/// What an untrusted JSON text may be at most.
struct JsonLimits {
  std::size_t max_bytes = 100'000'000;
  std::size_t max_depth = 64;
};

/// Parses JSON from a file that is not trusted: rejects duplicate keys, invalid UTF-8, excess depth and trailing text.
/// Objects keep the order of the text. Throws Error{kBadFormat | kLimit}, `where` names the file and the byte offset.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& where, JsonLimits limits = {});

}  // namespace telos
