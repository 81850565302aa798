#pragma once

#include <span>
#include <string>
#include <string_view>

namespace telos {

/// The name with the smallest edit distance (insert, delete, replace one byte; ignoring ASCII case) to what
/// was written; of equals the first. "" for no names. Cost: length squared for each name.
std::string nearest_name(std::string_view written, std::span<const std::string> names);

/// `did you mean "nearest"? known: a, b, c`: the hint of an error about an unknown name. With more than 24
/// names only the nearest is shown; with none the hint is empty. Names are shown as printable() does.
std::string nearest_hint(std::string_view written, std::span<const std::string> names);

}  // namespace telos
