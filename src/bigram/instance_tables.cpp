// Instances from matrices as text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/bigram/instance.h"
#include "telos/io/files.h"
#include "telos/io/table.h"

namespace telos::bigram {
namespace {

[[noreturn]] void refuse_table(const std::string& where, const std::string& message,
                               const std::string& hint = {}, ErrorKind kind = ErrorKind::kBadFormat) {
  throw Error(kind, where, message, hint);
}

/// Fields between runs of blanks, as fields between tabs.
std::string blanks_to_tabs(std::string_view text) {
  std::string out;
  bool between = false;  // fields of a line
  for (const char c : text) {
    if (c == ' ') {
      between = !out.empty() && out.back() != '\n';
    } else {
      if (between && c != '\n' && c != '\r') out += '\t';
      between = false;
      out += c;
    }
  }
  return out;
}

/// A text file and how its fields are told apart.
struct Fields {
  std::string text;
  CsvOptions options{};
};
Fields read_fields(const std::string& path) {
  Fields fields{read_text(path)};
  fields.options.row_names = true;
  if (fields.text.find('\t') == std::string::npos && fields.text.find(',') != std::string::npos)
    return fields;
  if (fields.text.find('\t') == std::string::npos) fields.text = blanks_to_tabs(fields.text);
  fields.options.delimiter = '\t';
  fields.options.quotes = false;
  return fields;
}

std::string row_place(const std::string& path, std::size_t row, std::uint64_t line) {
  return fmt::format("{}, row {} (line {})", path, row + 1, line);
}

/// Numbers of a file that are probabilities, and where each stands.
class Laws {
 public:
  Laws(const std::string& path, const Fields& fields)
      : path_(path), table_(parse_number_csv(fields.text, path, fields.options)) {
    for (std::size_t i = 0; i < values().rows(); ++i)
      for (std::size_t j = 0; j < values().cols(); ++j)
        if (values()(i, j) < 0)
          refuse_table(fmt::format("{}, {}", row_name(i), column_name(j)),
                       fmt::format("is {}, expected a probability", values()(i, j)));
  }
  const Matrix<double>& values() const { return table_.values; }
  std::string row_name(std::size_t i) const { return row_place(path_, i, table_.lines[i]); }
  std::string column_name(std::size_t j) const {
    return fmt::format("column {}", j + 1 + (table_.names.empty() ? 0 : 1));
  }
  const std::vector<std::string>& column_names() const { return table_.labels; }
  const std::vector<std::string>& row_names() const { return table_.names; }

 private:
  const std::string& path_;
  NumberTable table_;
};

std::vector<std::string> names_of(const Laws& p, const std::string& path) {
  const std::vector<std::string>&rows = p.row_names(), &columns = p.column_names();
  if (rows.empty() || columns.empty()) return rows.empty() ? columns : rows;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i] != columns[i])
      refuse_table(path, fmt::format("row {} is called \"{}\" and column {} \"{}\", expected the same names",
                                     i + 1, printable(rows[i], 40), i + 1, printable(columns[i], 40)));
  return rows;
}

bool is_one(double sum) {
  return std::abs(sum - 1) <= kSumTolerance;
}

/// Sums of the laws, in the words of the file: which of its rows or columns is none, and whether it lies the
/// other way round.
void check_sums(const Laws& p, const InstanceTables& tables) {
  const std::size_t n = p.values().rows();
  std::vector<double> rows(n), columns(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      rows[i] += p.values()(i, j);
      columns[j] += p.values()(i, j);
    }
  const bool by_rows = tables.p_by_rows;
  const std::vector<double>&laws = by_rows ? rows : columns, &others = by_rows ? columns : rows;
  const auto wrong = std::ranges::find_if_not(laws, is_one);
  if (wrong == laws.end()) return;
  const auto at = static_cast<std::size_t>(wrong - laws.begin());
  const bool turned = std::ranges::all_of(others, is_one);
  refuse_table(
      by_rows ? p.row_name(at) : fmt::format("{}, {}", tables.p_path, p.column_name(at)),
      fmt::format("sums to {:.9g}, expected 1 within {}{}", *wrong, kSumTolerance,
                  turned ? fmt::format("; the {} do sum to 1", by_rows ? "columns" : "rows") : ""),
      turned ? fmt::format("--orientation {} reads them as the laws of what follows", by_rows ? "col" : "row")
             : fmt::format("{} holds the probabilities of what follows a token",
                           by_rows ? "each row" : "each column"));
}

Matrix<double> transitions_of(const Laws& p, const InstanceTables& tables) {
  const std::size_t n = p.values().rows();
  if (p.values().cols() != n)
    refuse_table(tables.p_path,
                 fmt::format("has {} rows and {} columns of numbers, expected as many", n, p.values().cols()),
                 {}, ErrorKind::kShape);
  check_sums(p, tables);
  Matrix<double> out(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) out(i, j) = tables.p_by_rows ? p.values()(j, i) : p.values()(i, j);
  return out;
}

// ---- Where last tokens look

/// Positions and their file, as read.
struct Positions {
  std::vector<SparseColumn> columns;
  std::size_t length = 0;
};

Positions positions_of_matrix(const Laws& q, const InstanceTables& tables,
                              const std::vector<std::string>& names, std::size_t tokens) {
  const auto [rows, columns] = std::pair(q.values().rows(), q.values().cols());
  if (columns != tokens)
    refuse_table(
        tables.q_path,
        fmt::format("has {} columns of numbers, expected one for each of {} tokens", columns, tokens),
        "a list of positions begins with the line: token position weight", ErrorKind::kShape);
  if (tables.length && *tables.length != rows)
    refuse_table(tables.q_path, fmt::format("has {} rows, expected {} positions", rows, *tables.length), {},
                 ErrorKind::kShape);
  for (std::size_t k = 0; k < tokens && !names.empty() && !q.column_names().empty(); ++k)
    if (q.column_names()[k] != names[k])
      refuse_table(fmt::format("{}, {}", tables.q_path, q.column_name(k)),
                   fmt::format("is called \"{}\", expected \"{}\" as in P",
                               printable(q.column_names()[k], 40), printable(names[k], 40)));
  Positions out{std::vector<SparseColumn>(tokens), rows};
  for (std::size_t t = 0; t < rows; ++t)
    for (std::size_t k = 0; k < tokens; ++k)
      if (const double weight = q.values()(t, k); weight > 0) {
        out.columns[k].positions.push_back(static_cast<std::uint32_t>(t));
        out.columns[k].weights.push_back(weight);
      }
  return out;
}

/// Tokens as a list of positions calls them.
class TokenNames {
 public:
  TokenNames(const std::vector<std::string>& names, std::size_t tokens) : names_(names), tokens_(tokens) {
    for (std::size_t k = 0; k < names.size(); ++k) index_.emplace(names[k], k);
  }
  std::size_t find(const std::string& cell, const std::string& where) const {
    if (!names_.empty()) {
      const auto found = index_.find(cell);
      if (found != index_.end()) return found->second;
      refuse_table(where, fmt::format("no token is called \"{}\"", printable(cell, 40)),
                   nearest_hint(cell, names_));
    }
    double value = 0;
    if (!parse_number(cell, value) || !(value >= 0) || value != std::floor(value) ||
        value >= static_cast<double>(tokens_))
      refuse_table(where, fmt::format("expected a token from 0 to {}, found \"{}\"", tokens_ - 1,
                                      printable(cell, 40)));
    return static_cast<std::size_t>(value);
  }

 private:
  const std::vector<std::string>& names_;
  std::size_t tokens_;
  std::map<std::string, std::size_t> index_;
};

const std::vector<std::string> kListLabels = {"token", "position", "weight"};

Positions positions_of_list(const TextTable& list, const InstanceTables& tables, const TokenNames& names,
                            std::size_t tokens) {
  if (!tables.length)
    refuse_table(tables.q_path, "a list of positions does not say how many there are", "give the length, --t",
                 ErrorKind::kUsage);
  const double length = static_cast<double>(*tables.length);
  Positions out{std::vector<SparseColumn>(tokens), *tables.length};
  for (std::size_t i = 0; i < list.rows(); ++i) {
    const auto place = [&](std::size_t column) {
      return fmt::format("{}, column {} (\"{}\")", row_place(tables.q_path, i, list.lines[i]), column + 1,
                         kListLabels[column]);
    };
    const auto refuse_cell = [&](std::size_t column, const std::string& expected) {
      refuse_table(place(column),
                   fmt::format("expected {}, found \"{}\"", expected, printable(list.cell(i, column), 40)));
    };
    double position = 0, weight = 0;
    const std::size_t token = names.find(list.cell(i, 0), place(0));
    if (!parse_number(list.cell(i, 1), position) || !(position >= 0) || position != std::floor(position) ||
        position >= std::min(length, 0x1p32))
      refuse_cell(1, fmt::format("a position from 0, below the length {}", *tables.length));
    if (!parse_number(list.cell(i, 2), weight) || !(weight >= 0) || !std::isfinite(weight))
      refuse_cell(2, "a probability");
    out.columns[token].positions.push_back(static_cast<std::uint32_t>(position));
    out.columns[token].weights.push_back(weight);
  }
  return out;
}

Positions read_positions(const InstanceTables& tables, const std::vector<std::string>& names,
                         std::size_t tokens) {
  const Fields fields = read_fields(tables.q_path);
  CsvOptions as_text = fields.options;
  as_text.row_names = false;
  const TextTable list = parse_csv(fields.text, tables.q_path, as_text);
  if (list.labels == kListLabels) return positions_of_list(list, tables, {names, tokens}, tokens);
  return positions_of_matrix(Laws(tables.q_path, fields), tables, names, tokens);
}

void check_sparsity(const Instance& instance, const InstanceTables& tables) {
  for (std::size_t k = 0; k < instance.tokens() && tables.sparsity; ++k)
    if (const std::size_t found = instance.q[k].positions.size(); found > *tables.sparsity)
      refuse_table(fmt::format("{}, token \"{}\"", tables.q_path, printable(instance.name(k), 40)),
                   fmt::format("looks at {} positions, expected at most {}", found, *tables.sparsity));
}

/// make_instance, its errors named by the file that they are about.
Instance make_named(Matrix<double> p, Positions positions, const InstanceTables& tables,
                    std::vector<std::string>* notes) {
  try {
    return make_instance(std::move(p), std::move(positions.columns), positions.length, notes);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted || error.kind() == ErrorKind::kLimit) throw;
    const bool in_p = error.where().starts_with("P");
    refuse_table((in_p ? tables.p_path : tables.q_path) + ", " + error.where(), error.message(),
                 error.hint());
  }
}

}  // namespace

Instance read_instance_tables(const InstanceTables& tables, std::vector<std::string>* notes) {
  const Laws p(tables.p_path, read_fields(tables.p_path));
  Matrix<double> transitions = transitions_of(p, tables);
  std::vector<std::string> names = names_of(p, tables.p_path);
  Positions positions = read_positions(tables, names, transitions.rows());
  Instance instance = make_named(std::move(transitions), std::move(positions), tables, notes);
  instance.names = std::move(names);
  check_sparsity(instance, tables);
  return instance;
}

}  // namespace telos::bigram
