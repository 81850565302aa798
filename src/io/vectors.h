#pragma once

#include <string>
#include <string_view>

#include "telos/io/vectors.h"

namespace telos {

/// Whether the first line that is not blank is one of word vectors, or word2vec's "n d".
bool is_word_vectors(std::string_view text);
/// At most `max_rows` of them, 0 for all.
Vectors parse_word_vectors(std::string_view text, const std::string& where, std::size_t max_rows);
/// Any of the formats that are text; `path` decides between csv and tsv where content does not.
Vectors parse_vector_text(std::string_view text, const std::string& path, std::size_t max_rows);

}  // namespace telos
