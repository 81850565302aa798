#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "telos/base/error.h"

namespace telos::fuzz {

inline std::string_view as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A finding: libFuzzer keeps the input of a process that aborts.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// Runs `call`, which may succeed or throw an Error that blames the input in one line; anything else is a
/// finding. Returns whether it succeeded.
template <class Call>
bool accepts(Call&& call) {
  try {
    call();
    return true;
  } catch (const Error& error) {
    require(error.kind() != ErrorKind::kInternal, error.what());
    for (const std::string_view part :
         {std::string_view(error.where()), std::string_view(error.message()), std::string_view(error.hint())})
      for (const char c : part)
        require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "an error holds a control character");
    require(error.message().size() < 1000, "an error is not a line");
    return false;
  }
}

}  // namespace telos::fuzz
