#include "telos/base/error.h"

#include <cstddef>
#include <cstdio>
#include <utility>

#include "telos/base/utf8.h"

namespace telos {

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kMissingFile:
      return "missing_file";
    case ErrorKind::kIo:
      return "io";
    case ErrorKind::kBadFormat:
      return "bad_format";
    case ErrorKind::kTruncated:
      return "truncated";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kShape:
      return "shape";
    case ErrorKind::kNotFinite:
      return "not_finite";
    case ErrorKind::kNoConvergence:
      return "no_convergence";
    case ErrorKind::kLimit:
      return "limit";
    case ErrorKind::kInterrupted:
      return "interrupted";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "internal";
}

int exit_code(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::kUsage:
      return 2;
    case ErrorKind::kMissingFile:
    case ErrorKind::kIo:
    case ErrorKind::kBadFormat:
    case ErrorKind::kTruncated:
    case ErrorKind::kUnsupported:
    case ErrorKind::kShape:
    case ErrorKind::kLimit:
      return 3;
    case ErrorKind::kNotFinite:
    case ErrorKind::kNoConvergence:
      return 4;
    case ErrorKind::kInterrupted:
      return 130;
    case ErrorKind::kInternal:
      return 5;
  }
  return 5;
}

Error::Error(ErrorKind kind, std::string where, std::string message, std::string hint)
    : std::runtime_error(where.empty() ? message : where + ": " + message),
      kind_(kind),
      where_(std::move(where)),
      message_(std::move(message)),
      hint_(std::move(hint)) {}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() >= max_bytes) return out + "…";
    const std::size_t n = utf8_sequence_length(text.substr(i));
    const auto c = static_cast<unsigned char>(text[i]);
    // C0, DEL and C1 controls can move a terminal's cursor; quotes would end a quoted name.
    const bool c1 = n == 2 && c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (n == 0 || c < 0x20 || c == 0x7F || c == '"' || c == '\\' || c1) {
      for (std::size_t k = 0; k < (c1 ? 2u : 1u); ++k) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\x%02X",
                      static_cast<unsigned>(static_cast<unsigned char>(text[i + k])));
        out += escape;
      }
      i += c1 ? 2 : 1;
      continue;
    }
    out.append(text.substr(i, n));
    i += n;
  }
  return out;
}

}  // namespace telos
