#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"

namespace telos {

/// How a file of comma-separated values is read (RFC 4180: fields in double quotes may hold delimiters, line
/// ends and doubled quotes; lines end in LF or CR LF). Empty lines are skipped, a UTF-8 mark is dropped.
struct CsvOptions {
  char delimiter = ',';
  /// false: a double quote is a character like any other, as in files of tab-separated values.
  bool quotes = true;
  /// Whether the first record labels the columns; kAuto: if one of its cells is neither empty nor a number.
  enum class Labels { kAuto, kYes, kNo } labels = Labels::kAuto;
  /// Cells "nan", "inf" and the like, and empty ones (as NaN): refused, or kept, in a table of numbers.
  bool keep_not_finite = false;
  /// In a table of numbers: the first of several columns may hold names of rows. It does if its label is
  /// empty, name, word, token, label or id, or if the first row has no number there; column labels are then
  /// looked for behind it.
  bool row_names = false;
  std::size_t max_rows = 0;  ///< reading stops after so many; 0: all
  std::uint64_t max_bytes = std::uint64_t{1} << 32;
  std::size_t max_columns = 100'000;
  std::uint64_t max_cells = 200'000'000;
};

/// Cells as text, row by row; each row has the same number of them.
struct TextTable {
  std::vector<std::string> labels{};  ///< one a column, or empty
  std::size_t columns = 0;
  std::vector<std::string> cells{};
  std::vector<std::uint64_t> lines{};  ///< of the file, from 1, at which each row starts
  std::size_t rows() const { return lines.size(); }
  const std::string& cell(std::size_t row, std::size_t column) const { return cells[row * columns + column]; }
  /// Index of a label. Throws kUsage naming the nearest one.
  std::size_t column(std::string_view label) const;
};

struct NumberTable {
  std::vector<std::string> labels{};  ///< one a column of `values`, or empty
  std::vector<std::string> names{};   ///< one a row, or empty
  Matrix<double> values{};
  std::vector<std::uint64_t> lines{};
};

/// Throws kBadFormat with row, line and column for a record of another length, a quote in the wrong place, a
/// cell that is no number; kNotFinite likewise; kTruncated for an open quote at the end; kLimit. `where`
/// names the file.
TextTable parse_csv(std::string_view text, const std::string& where, const CsvOptions& options = {});
NumberTable parse_number_csv(std::string_view text, const std::string& where, const CsvOptions& options = {});
/// The same for a file, in any encoding that read_text() takes.
TextTable read_csv(const std::string& path, const CsvOptions& options = {});
NumberTable read_number_csv(const std::string& path, const CsvOptions& options = {});

/// The number that `text` spells, blanks around it allowed, in the form of C ("-1.5e3", "+2", "nan",
/// "infinity"); false if it spells none. Numbers beyond the range of double become ±Inf, or 0.
bool parse_number(std::string_view text, double& value) noexcept;

}  // namespace telos
