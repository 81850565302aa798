#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace telos {

/// What an untrusted JSON text may be at most. A value takes up to about 70 bytes of memory, so that the
/// limit on values bounds what a hostile text of few bytes ("[[],[],…") can ask for.
struct JsonLimits {
  std::size_t max_bytes = 100'000'000;
  std::size_t max_depth = 64;
  std::size_t max_values = 8'000'000;
};

/// Parses JSON from a file that is not trusted: rejects duplicate keys, invalid UTF-8, NUL bytes, excess
/// depth and trailing text; a UTF-8 byte order mark is skipped. Objects keep the order of the text, and
/// looking a key up in one is linear: iterate over large objects. Throws Error{kBadFormat | kLimit}; `where`
/// names the file, to which the byte offset is added. Cost: about 50 ns a byte.
nlohmann::ordered_json parse_json(std::string_view text, const std::string& where, JsonLimits limits = {});

/// The part of a nlohmann parse error's text that says what is wrong: without code, position and echoed
/// input.
std::string json_complaint(std::string_view what);

/// Throws kBadFormat if `text` contains a NUL byte, at which the parser would stop as if the text ended
/// there. `offset` is where `text` begins in its file.
void refuse_nul(std::string_view text, const std::string& where, std::uint64_t offset);

}  // namespace telos
