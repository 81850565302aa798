#include "telos/io/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/io/files.h"

namespace telos {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kMark = "\xEF\xBB\xBF";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// A number that from_chars calls out of range is far from 1: the decimal place of its first digit that is
/// not 0 tells on which side.
double out_of_range(std::string_view text) {
  const double sign = text.front() == '-' ? -1 : 1;
  const std::size_t mantissa_end = std::min(text.find_first_of("eE"), text.size());
  const std::size_t point = std::min(text.find('.'), mantissa_end);
  const std::size_t digit = text.find_first_of("123456789");
  long long exponent = 0;
  if (mantissa_end < text.size()) {
    std::string_view digits = text.substr(mantissa_end + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (read.ec == std::errc::result_out_of_range)
      return digits.starts_with('-') ? 0 * sign : sign * HUGE_VAL;
  }
  const long long place = static_cast<long long>(point) - static_cast<long long>(digit) + exponent;
  return place > 0 ? sign * HUGE_VAL : 0 * sign;
}

/// Reads records one after the other; a cursor over the text.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& where, const CsvOptions& options)
      : text_(text), where_(where), options_(options) {
    if (text_.starts_with(kMark)) at_ = kMark.size();
  }

  /// The next record that is not an empty line, into `cells`. False at the end.
  bool next(std::vector<std::string>& cells) {
    skip_empty_lines();
    if (at_ == text_.size()) return false;
    record_line_ = line_;
    ++records_;
    cells.clear();
    do {
      if (cells.size() == options_.max_columns)
        throw Error(ErrorKind::kLimit, place(cells.size()),
                    fmt::format("more than {} columns", options_.max_columns));
      cells.push_back(field(cells.size()));
    } while (accept_delimiter());
    end_of_line(cells.size() - 1);
    return true;
  }

  std::uint64_t record_line() const { return record_line_; }

  [[noreturn]] void refuse(std::size_t column, const std::string& message) const {
    throw Error(ErrorKind::kBadFormat, place(column), message);
  }

 private:
  std::string place(std::size_t column) const {
    return fmt::format("{}, record {} (line {}), column {}", where_, records_, line_, column + 1);
  }

  bool at_line_end() const { return text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n"; }

  void skip_line_end() {
    at_ += text_[at_] == '\n' ? 1 : 2;
    ++line_;
  }

  void skip_empty_lines() {
    while (at_ < text_.size() && at_line_end()) skip_line_end();
  }

  bool accept_delimiter() {
    if (at_ == text_.size() || text_[at_] != options_.delimiter) return false;
    ++at_;
    return true;
  }

  void end_of_line(std::size_t column) {
    if (at_ == text_.size()) return;
    if (!at_line_end())
      refuse(column, fmt::format("expected a delimiter or the end of the line, found \"{}\"",
                                 printable(text_.substr(at_, 1))));
    skip_line_end();
  }

  std::string field(std::size_t column) {
    return options_.quotes && at_ < text_.size() && text_[at_] == '"' ? quoted(column) : plain(column);
  }

  std::string plain(std::size_t column) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != options_.delimiter && !at_line_end()) {
      if (options_.quotes && text_[at_] == '"')
        refuse(column, "a double quote inside a field that does not begin with one");
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted(std::size_t column) {
    const std::string opened = place(column);
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] != '"') {
        out += text_[at_];
      } else if (text_.substr(at_, 2) == "\"\"") {
        out += text_[at_++];
      } else {
        ++at_;
        return out;
      }
    }
    throw Error(ErrorKind::kTruncated, opened, "a field in double quotes is open at the end of the file");
  }

  std::string_view text_;
  const std::string& where_;
  const CsvOptions& options_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 1, record_line_ = 1, records_ = 0;
};

bool is_label(const std::string& cell) {
  double ignored = 0;
  return !trimmed(cell).empty() && !parse_number(cell, ignored);
}

/// Whether a column with this label holds names of rows.
bool labels_names(const std::string& cell) {
  constexpr std::array<std::string_view, 6> kKnown{"", "name", "word", "token", "label", "id"};
  return std::find(kKnown.begin(), kKnown.end(), trimmed(cell)) != kKnown.end();
}

bool are_labels(const std::vector<std::string>& record, const CsvOptions& options) {
  if (options.labels != CsvOptions::Labels::kAuto) return options.labels == CsvOptions::Labels::kYes;
  const bool names_first = options.row_names && record.size() > 1;
  if (names_first && labels_names(record.front())) return true;
  return std::any_of(record.begin() + (names_first ? 1 : 0), record.end(), is_label);
}

bool begins_with_name(const std::vector<std::string>& record, const std::vector<std::string>& labels,
                      const CsvOptions& options) {
  if (!options.row_names || record.size() < 2) return false;
  return (!labels.empty() && labels_names(labels.front())) || is_label(record.front());
}

/// Calls row(cells, line, labels) for each record after the labels, which are returned.
template <class Row>
std::vector<std::string> for_each_row(std::string_view text, const std::string& where,
                                      const CsvOptions& options, Row&& row) {
  if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r')
    throw Error(ErrorKind::kUsage, where, "the delimiter cannot be a quote or a line end");
  CsvReader reader(text, where, options);
  std::vector<std::string> record, labels;
  std::size_t columns = 0;
  std::uint64_t cells = 0;
  std::size_t rows = 0;
  while ((options.max_rows == 0 || rows < options.max_rows) && reader.next(record)) {
    if (columns == 0) {
      columns = record.size();
      if (are_labels(record, options)) {
        labels = record;
        continue;
      }
    }
    if (record.size() != columns)
      throw Error(ErrorKind::kBadFormat, fmt::format("{}, line {}", where, reader.record_line()),
                  fmt::format("{} cells, expected {} as in the first record", record.size(), columns));
    if (cells += columns; cells > options.max_cells)
      throw Error(ErrorKind::kLimit, where, fmt::format("more than {} cells", options.max_cells));
    row(record, reader.record_line(), std::as_const(labels));
    ++rows;
  }
  if (columns == 0) throw Error(ErrorKind::kBadFormat, where, "no records");
  return labels;
}

/// Numbers of one record from column `begin` on, added to `values`.
void append_numbers(const std::vector<std::string>& record, std::size_t begin, std::size_t row,
                    std::uint64_t line, const std::vector<std::string>& labels, const std::string& where,
                    const CsvOptions& options, std::vector<double>& values) {
  for (std::size_t column = begin; column < record.size(); ++column) {
    const auto place = [&] {
      const std::string label =
          column < labels.size() ? fmt::format(" (\"{}\")", printable(labels[column])) : std::string();
      return fmt::format("{}, row {} (line {}), column {}{}", where, row + 1, line, column + 1, label);
    };
    const std::string& cell = record[column];
    double value = std::numeric_limits<double>::quiet_NaN();
    const bool empty = trimmed(cell).empty();
    if (!parse_number(cell, value) && !(empty && options.keep_not_finite))
      throw Error(ErrorKind::kBadFormat, place(),
                  empty ? std::string("the cell is empty, expected a number")
                        : fmt::format("expected a number, found \"{}\"", printable(cell, 40)));
    if (!std::isfinite(value) && !options.keep_not_finite)
      throw Error(ErrorKind::kNotFinite, place(),
                  fmt::format("expected a finite number, found \"{}\"", printable(cell, 40)));
    values.push_back(value);
  }
}

}  // namespace

bool parse_number(std::string_view text, double& value) noexcept {
  text = trimmed(text);
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-' && text[1] != '+') text.remove_prefix(1);
  if (text.empty()) return false;
  double parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (end != text.data() + text.size()) return false;
  if (error == std::errc::result_out_of_range) {
    value = out_of_range(text);
    return true;
  }
  if (error != std::errc()) return false;
  value = parsed;
  return true;
}

std::size_t TextTable::column(std::string_view label) const {
  const auto found = std::find(labels.begin(), labels.end(), label);
  if (found != labels.end()) return static_cast<std::size_t>(found - labels.begin());
  throw Error(ErrorKind::kUsage, "table", fmt::format("no column is called \"{}\"", printable(label)),
              labels.empty() ? std::string("the table has no labels")
                             : fmt::format("did you mean \"{}\"?", printable(nearest_name(label, labels))));
}

TextTable parse_csv(std::string_view text, const std::string& where, const CsvOptions& options) {
  TextTable table;
  table.labels = for_each_row(
      text, where, options,
      [&](std::vector<std::string>& record, std::uint64_t line, const std::vector<std::string>&) {
        table.columns = record.size();
        table.lines.push_back(line);
        std::move(record.begin(), record.end(), std::back_inserter(table.cells));
      });
  if (table.columns == 0) table.columns = table.labels.size();
  return table;
}

NumberTable parse_number_csv(std::string_view text, const std::string& where, const CsvOptions& options) {
  NumberTable table;
  std::vector<double> values;
  std::size_t columns = 0, first = 0;  // of the numbers
  table.labels =
      for_each_row(text, where, options,
                   [&](const std::vector<std::string>& record, std::uint64_t line,
                       const std::vector<std::string>& labels) {
                     if (columns == 0) first = begins_with_name(record, labels, options) ? 1 : 0;
                     columns = record.size();
                     if (first == 1) table.names.push_back(record.front());
                     append_numbers(record, first, table.lines.size(), line, labels, where, options, values);
                     table.lines.push_back(line);
                   });
  if (first == 1 && !table.labels.empty()) table.labels.erase(table.labels.begin());
  table.values = Matrix<double>(table.lines.size(), columns == 0 ? table.labels.size() : columns - first);
  std::copy(values.begin(), values.end(), table.values.data());
  return table;
}

TextTable read_csv(const std::string& path, const CsvOptions& options) {
  return parse_csv(read_text(path, options.max_bytes), path, options);
}

NumberTable read_number_csv(const std::string& path, const CsvOptions& options) {
  return parse_number_csv(read_text(path, options.max_bytes), path, options);
}

}  // namespace telos
