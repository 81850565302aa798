#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "io/json.h"
#include "positional/tasks_parts.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/io/table.h"

namespace telos::positional {
namespace {

/// A file's samples: a row of x and a row of y each.
struct Samples {
  Matrix<double> x, y;
};

class DataTask final : public Task {
 public:
  DataTask(std::string name, Samples samples) : name_(std::move(name)), samples_(std::move(samples)) {}
  std::string name() const override { return name_; }
  SampleShape shape() const override { return {.nodes = samples_.x.cols()}; }
  void generate(Random& rng, double, Split, std::size_t, std::span<double> x,
                std::span<double> y) const override {
    given(rng.below(static_cast<std::uint32_t>(samples_.x.rows())), x, y);
  }
  bool scalable() const override { return false; }
  std::size_t given_samples() const override { return samples_.x.rows(); }
  void given(std::size_t index, std::span<double> x, std::span<double> y) const override {
    std::copy_n(samples_.x.row(index), samples_.x.cols(), x.begin());
    std::copy_n(samples_.y.row(index), samples_.y.cols(), y.begin());
  }

 private:
  std::string name_;
  Samples samples_;
};

/// Columns of x and of y in a CSV file.
struct Columns {
  std::vector<std::size_t> x, y;
};

/// The number that a label ends with.
std::optional<std::uint64_t> number_at_end(std::string_view label) {
  const std::size_t digits =
      label.size() - 1 - std::min(label.find_last_not_of("0123456789"), label.size() - 1);
  std::uint64_t number = 0;
  const char* const begin = label.data() + label.size() - digits;
  const auto [end, error] = std::from_chars(begin, label.data() + label.size(), number);
  return digits > 0 && error == std::errc() ? std::optional(number) : std::nullopt;
}

/// "x", "y3": a letter, and a number or nothing.
bool is_plain_label(std::string_view label) {
  return !label.empty() && std::string_view("xXyY").find(label[0]) != std::string_view::npos &&
         label.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

/// Columns x1, x2, … stand in the order of their numbers, wherever the file has them; columns of which some
/// have no number, or the same, in the file's order.
void order_by_number(std::vector<std::size_t>& columns, const std::vector<std::string>& labels) {
  std::map<std::uint64_t, std::size_t> by_number;
  for (const std::size_t column : columns) {
    const auto number = number_at_end(labels[column]);
    if (!number || !by_number.emplace(*number, column).second) return;
  }
  columns.clear();
  for (const auto& [number, column] : by_number) columns.push_back(column);
}

Columns split_columns(const NumberTable& table, const std::string& where) {
  Columns columns;
  const std::size_t count = table.values.cols();
  for (std::size_t i = 0; i < table.labels.size(); ++i) {
    const char first = table.labels[i].empty() ? '\0' : table.labels[i].front();
    if (first == 'x' || first == 'X') columns.x.push_back(i);
    if (first == 'y' || first == 'Y') columns.y.push_back(i);
  }
  const bool labelled = columns.x.size() + columns.y.size() == count && !table.labels.empty();
  if (labelled) {
    order_by_number(columns.x, table.labels);
    order_by_number(columns.y, table.labels);
  } else {
    const auto is_label = [](const std::string& label) { return is_plain_label(label); };
    if (const auto other = std::find_if_not(table.labels.begin(), table.labels.end(), is_label);
        other != table.labels.end() && std::any_of(table.labels.begin(), table.labels.end(), is_label))
      throw Error(ErrorKind::kBadFormat, where,
                  fmt::format("column \"{}\" is neither x nor y, as other columns are labelled",
                              printable(*other, 40)),
                  "leave it out, or label all columns x1, x2, …, y1, …");
    columns = {};
    for (std::size_t i = 0; i < count; ++i) (i < count / 2 ? columns.x : columns.y).push_back(i);
  }
  if (columns.x.empty() || (columns.y.size() != columns.x.size() && columns.y.size() != 1))
    throw Error(ErrorKind::kBadFormat, where,
                fmt::format("{} columns of x and {} of y, expected as many of y as of x, or one",
                            columns.x.size(), columns.y.size()),
                "put x first, then y in equal numbers; or label the columns x1, x2, …, y1, …");
  return columns;
}

Samples samples_of_csv(std::string_view text, const std::string& where) {
  const NumberTable table = parse_number_csv(text, where);
  const Columns columns = split_columns(table, where);
  const std::size_t n = columns.x.size(), rows = table.values.rows();
  Samples samples{Matrix<double>(rows, n), Matrix<double>(rows, n)};
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      samples.x(i, j) = table.values(i, columns.x[j]);
      samples.y(i, j) = table.values(i, columns.y[columns.y.size() == 1 ? 0 : j]);
    }
  return samples;
}

/// JSON has no NaN, but writers emit it (Python's json.dumps does): the line without these words, which may
/// stand nowhere else in it, parses, and the place of the number can be named.
std::string without_not_finite(std::string_view line) {
  std::string out(line);
  for (const std::string_view word : {"-Infinity", "Infinity", "NaN"})
    for (std::size_t at = out.find(word); at != std::string::npos; at = out.find(word))
      out.replace(at, word.size(), "null");
  return out;
}

double number_of(const nlohmann::ordered_json& value, const std::string& where, std::string_view name,
                 std::size_t index) {
  const auto place = [&] { return fmt::format("{}, {}[{}]", where, name, index); };
  if (value.is_null()) throw Error(ErrorKind::kNotFinite, place(), "expected a finite number, found none");
  if (!value.is_number())
    throw Error(ErrorKind::kBadFormat, place(),
                fmt::format("expected a number, found {}", printable(value.dump(-1, ' ', true), 40)));
  return value.get<double>();
}

/// The numbers of row["x"] or row["y"].
std::vector<double> numbers_of(const nlohmann::ordered_json& row, const std::string& where,
                               const char* name) {
  const auto found = row.is_object() ? row.find(name) : row.end();
  if (!row.is_object() || found == row.end())
    throw Error(ErrorKind::kBadFormat, where, R"(expected an object {"x": […], "y": […]})");
  if (!found->is_array()) return {number_of(*found, where, name, 0)};
  std::vector<double> numbers;
  for (const auto& value : *found) numbers.push_back(number_of(value, where, name, numbers.size()));
  return numbers;
}

Samples samples_of_jsonl(std::string_view text, const std::string& where) {
  std::vector<double> x, y;
  std::size_t n = 0, rows = 0, line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row_text = text.substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (row_text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string place = fmt::format("{}, row {} (line {})", where, ++rows, line);
    const nlohmann::ordered_json row = parse_json(without_not_finite(row_text), place);
    const std::vector<double> row_x = numbers_of(row, place, "x"), row_y = numbers_of(row, place, "y");
    if (rows == 1) n = row_x.size();
    if (n == 0 || row_x.size() != n || (row_y.size() != n && row_y.size() != 1))
      throw Error(ErrorKind::kBadFormat, place,
                  fmt::format("{} numbers in x and {} in y, expected {} in x and as many or one in y",
                              row_x.size(), row_y.size(), std::max<std::size_t>(n, 1)));
    x.insert(x.end(), row_x.begin(), row_x.end());
    for (std::size_t j = 0; j < n; ++j) y.push_back(row_y[row_y.size() == 1 ? 0 : j]);
  }
  Samples samples{Matrix<double>(rows, n), Matrix<double>(rows, n)};
  std::copy(x.begin(), x.end(), samples.x.data());
  std::copy(y.begin(), y.end(), samples.y.data());
  return samples;
}

}  // namespace

std::unique_ptr<Task> parse_data_task(std::string_view text, const std::string& where, bool jsonl) {
  Samples samples = jsonl ? samples_of_jsonl(text, where) : samples_of_csv(text, where);
  // One row in five is for tests.
  if (samples.x.rows() < 10)
    throw Error(ErrorKind::kBadFormat, where,
                fmt::format("{} samples, expected at least 10", samples.x.rows()));
  return std::make_unique<DataTask>(where, std::move(samples));
}

std::unique_ptr<Task> make_data_task(const std::string& path, bool jsonl) {
  return parse_data_task(read_text(path), path, jsonl);
}

}  // namespace telos::positional
