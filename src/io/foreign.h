#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "telos/base/error.h"

namespace telos {

/// A file format that is often found where a safetensors file is expected.
struct ForeignFormat {
  ErrorKind kind;
  std::string message;  ///< what it is and why it is not read
  std::string hint;     ///< how to get a safetensors file out of it
};

/// Recognises a format by the first bytes of a file (64 suffice) and, where bytes do not decide, by its name.
std::optional<ForeignFormat> recognise_foreign(std::string_view head, std::string_view path);

/// The same from the names in a directory that has no safetensors file: `names` are plain file names.
std::optional<ForeignFormat> recognise_foreign_name(std::string_view name);

}  // namespace telos
