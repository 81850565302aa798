#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "io/vectors.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/quantity.h"
#include "telos/io/table.h"

namespace telos {
namespace {

constexpr std::string_view kVectorBlanks = " \t\r";

/// Calls line(text, number) for each line that is not blank, without blanks at its end, until it says false.
template <class Line>
void for_each_vector_line(std::string_view text, Line&& line) {
  for (std::uint64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view content = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    content = content.substr(0, content.find_last_not_of(kVectorBlanks) + 1);
    if (!content.empty() && !line(content, number)) return;
  }
}

/// Cuts the last word off a line that does not end in a blank.
std::string_view pop_word(std::string_view& line) {
  const std::size_t blank = line.find_last_of(kVectorBlanks);
  const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
  const std::string_view word = line.substr(begin);
  line = line.substr(0, begin);
  line = line.substr(0, line.find_last_not_of(kVectorBlanks) + 1);
  return word;
}

std::size_t count_words(std::string_view line) {
  std::size_t words = 0;
  bool blank = true;
  for (const char c : line) {
    const bool was_blank = std::exchange(blank, kVectorBlanks.find(c) != std::string_view::npos);
    if (was_blank && !blank) ++words;
  }
  return words;
}

bool is_number(std::string_view word) {
  double ignored = 0;
  return parse_number(word, ignored);
}

/// Words at the end of a line that are numbers.
std::size_t count_numbers(std::string_view line) {
  std::size_t numbers = 0;
  while (!line.empty() && is_number(pop_word(line))) ++numbers;
  return numbers;
}

/// Whether a tab stands before the last word of the line.
bool tab_before_last(std::string_view line) {
  const std::size_t blank = line.find_last_of(kVectorBlanks);
  return blank != std::string_view::npos && line[blank] == '\t';
}

std::string_view first_word(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(kVectorBlanks), line.size()));
  return line.substr(0, line.find_first_of(kVectorBlanks));
}

struct Header {
  std::size_t rows = 0, columns = 0;
};

/// word2vec's first line: two whole numbers.
std::optional<Header> parse_header(std::string_view line) {
  Header header;
  std::string_view rest = line;
  for (std::size_t* number : {&header.columns, &header.rows}) {
    const std::string_view word = pop_word(rest);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *number);
    if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  }
  return rest.empty() && header.columns > 0 ? std::optional(header) : std::nullopt;
}

struct Layout {
  std::optional<Header> header;
  bool named = false;  ///< lines begin with a name
  std::size_t rows = 0, columns = 0;
};

std::string place_of(const std::string& where, std::uint64_t line) {
  return fmt::format("{}, line {}", where, line);
}

/// The header, if the line after it has room for a name and the columns that it promises. Where that line is
/// of numbers alone, the two may as well be rows of a table: then the number of rows decides.
std::optional<Header> find_header(std::string_view first, std::string_view second, std::size_t lines,
                                  bool all_lines) {
  const std::optional<Header> header = parse_header(first);
  if (!header || count_numbers(second) < header->columns || count_words(second) <= header->columns)
    return std::nullopt;
  return is_number(first_word(second)) && all_lines && header->rows != lines - 1 ? std::nullopt : header;
}

Layout find_layout(std::string_view text, const std::string& where, std::size_t max_rows) {
  std::string_view first, second;
  std::size_t lines = 0;
  for_each_vector_line(text, [&](std::string_view line, std::uint64_t) {
    if (lines < 2) (lines == 0 ? first : second) = line;
    return ++lines != max_rows + 1 || max_rows == 0;
  });
  Layout layout;
  layout.header = find_header(first, second, lines, max_rows == 0);
  layout.rows = lines - (layout.header ? 1 : 0);
  if (max_rows > 0) layout.rows = std::min(layout.rows, max_rows);
  if (layout.header) {
    layout.named = true;
    layout.columns = layout.header->columns;
  } else if (!first.empty()) {
    layout.named = !is_number(first_word(first));
    layout.columns = std::min(count_numbers(first), count_words(first) - (layout.named ? 1 : 0));
  }
  if (layout.rows == 0 || layout.columns == 0)
    throw Error(ErrorKind::kShape, where, "there are no vectors", "expected a name and numbers a line");
  return layout;
}

/// Calls row(line, number) for each row.
template <class Row>
void for_each_row(std::string_view text, const Layout& layout, Row&& row) {
  bool header = layout.header.has_value();
  std::size_t left = layout.rows;
  for_each_vector_line(text, [&](std::string_view line, std::uint64_t number) {
    if (std::exchange(header, false)) return true;
    row(line, number);
    return --left > 0;
  });
}

void check_width(std::string_view line, std::uint64_t number, const std::string& where,
                 const Layout& layout) {
  const std::size_t words = count_words(line), expected = layout.columns + (layout.named ? 1 : 0);
  if (words < expected || (!layout.named && words > expected))
    throw Error(ErrorKind::kBadFormat, place_of(where, number),
                fmt::format("expected {}{} numbers, found {} words", layout.named ? "a name and " : "",
                            layout.columns, words));
}

/// The last numbers of a line into `out`; the name before them stays in `line`.
void take_numbers(std::string_view& line, std::uint64_t number, const std::string& where,
                  const Layout& layout, double* out) {
  for (std::size_t column = layout.columns; column-- > 0;) {
    const std::string_view word = pop_word(line);
    const auto refuse = [&](ErrorKind kind, const char* expected) {
      throw Error(kind, fmt::format("{}, number {}", place_of(where, number), column + 1),
                  fmt::format("expected {}, found \"{}\"", expected, printable(word, 40)),
                  layout.named ? "" : "lines have names if the first one has: a name and numbers a line");
    };
    if (!parse_number(word, out[column])) refuse(ErrorKind::kBadFormat, "a number");
    if (!std::isfinite(out[column])) refuse(ErrorKind::kNotFinite, "a finite number");
  }
}

void check_rows(const Layout& layout, const std::string& where) {
  const std::size_t promised = layout.header->rows;
  if (promised == layout.rows) return;
  throw Error(promised > layout.rows ? ErrorKind::kTruncated : ErrorKind::kBadFormat, where,
              fmt::format("the first line says {} vectors, the file holds {}", format_count(promised),
                          format_count(layout.rows)),
              promised > layout.rows ? "the file is incomplete; fetch it again" : "");
}

}  // namespace

bool is_word_vectors(std::string_view text) {
  bool result = false;
  for_each_vector_line(text, [&](std::string_view line, std::uint64_t) {
    const bool tab = tab_before_last(line);
    const std::string_view last = pop_word(line), before = pop_word(line);
    // "0.1, 0.2" is csv; ", 0.2" is the vector of the comma.
    const bool comma = before.ends_with(',') && !(before == "," && line.empty());
    result = !tab && !comma && !before.empty() && is_number(last);
    return false;
  });
  return result;
}

Vectors parse_word_vectors(std::string_view text, const std::string& where, std::size_t max_rows) {
  const Layout layout = find_layout(text, where, max_rows);
  if (layout.header && max_rows == 0) check_rows(layout, where);
  for_each_row(text, layout, [&](std::string_view line, std::uint64_t number) {
    check_interrupt();
    check_width(line, number, where, layout);
  });
  require_memory(8.0 * static_cast<double>(layout.rows) * static_cast<double>(layout.columns), where,
                 "read the first rows only");
  Vectors out;
  out.format = "word vectors";
  out.values = Matrix<double>(layout.rows, layout.columns);
  std::size_t row = 0;
  for_each_row(text, layout, [&](std::string_view line, std::uint64_t number) {
    check_interrupt();
    take_numbers(line, number, where, layout, out.values.row(row++));
    if (layout.named) out.labels.emplace_back(line);
  });
  return out;
}

}  // namespace telos
