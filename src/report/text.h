#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "telos/report/report.h"

/// Text helpers that the renderers share. Strings of a report may come from hostile files; each renderer
/// passes them through the function of its own medium, and nothing else may reach the output.
namespace telos::report {

/// `text` with every ill-formed UTF-8 byte replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// One line that cannot steer a terminal: valid UTF-8; control characters and bidirectional overrides are
/// shown as \x1b or \u202e, line breaks and tabs as a space.
std::string terminal_text(std::string_view text);

/// Columns that `text` takes on a terminal (East Asian wide 2, combining marks 0). `text` is terminal_text.
std::size_t display_width(std::string_view text);

/// `text` if it fits into `width` columns, else its beginning and "…".
std::string cut_to_width(std::string_view text, std::size_t width);

/// Breaks at spaces into lines of at most `width` columns, the first `taken` columns shorter; a longer word
/// stays whole. Never empty.
std::vector<std::string> wrap(std::string_view text, std::size_t width, std::size_t taken = 0);

/// Text as HTML content or as a double-quoted attribute: & < > " ' escaped, control characters other than tab
/// and newline replaced by U+FFFD.
std::string html_text(std::string_view text);

/// html_text for running text: a single symbol with a short index, as in W_V or σ_2, gets the index set below
/// the line. Longer names (q_proj, W_V_2) stay as they are.
std::string html_prose(std::string_view text);

/// Text as one line of Markdown that shows literally, also inside a table cell.
std::string markdown_text(std::string_view text);

/// `id` reduced to [A-Za-z0-9._-], for anchors and file names; "untitled" if nothing is left.
std::string slug(std::string_view id);

/// Shortest decimal text that reads back as the same double; "nan", "inf", "-inf".
std::string exact_number(double value);

/// A cell for people (format_number, "–" for nothing) and for machines (exact_number, empty for nothing).
std::string cell_for_people(const Cell& cell, const Column& column);
std::string cell_for_machines(const Cell& cell);

bool is_number(const Cell& cell);
/// True if all cells of the column that are not empty are numbers, and there is one.
bool is_number_column(const Table& table, std::size_t column);
/// "name (unit)" or "name".
std::string heading(const Column& column);
/// The column that names what a row is about, so that the same thing can be marked in every figure: the one
/// called "head" or "key". Returns columns.size() if there is none.
std::size_t key_column(const Table& table);

}  // namespace telos::report
