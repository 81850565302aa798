#pragma once

#include <cstddef>
#include <memory>

#include "telos/io/units.h"
#include "telos/text/tokenizer.h"

namespace telos {

/// The ids of a text of any size. Its parts are encoded with about `overlap` tokens of the one before, and
/// joined where both have 16 tokens in a row at the same bytes: what stands on the right of a
/// boundary between tokens does not depend on what stands on the left, so that the ids are those of the whole
/// text. Where there is no such place (one word as long as a part), the part grows until there is one.
/// Memory: that of encode() for a part. Throws what the text and encode() throw; kLimit (a part of
/// kLongestUnit).
std::unique_ptr<UnitSource> token_units(Tokenizer tokenizer, std::unique_ptr<TextParts> text,
                                        std::size_t overlap = 1024);

}  // namespace telos
