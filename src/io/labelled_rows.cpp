#include "io/labelled_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include "io/json.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/nearest.h"
#include "telos/io/files.h"
#include "telos/io/table.h"

namespace telos {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;
constexpr std::size_t kNoColumn = std::string_view::npos;
constexpr std::array<std::string_view, 7> kTextNames{"text",    "review", "sentence", "content",
                                                     "comment", "tweet",  "phrase"};
constexpr std::array<std::string_view, 5> kLabelNames{"label", "sentiment", "polarity", "class", "target"};

std::string lower(std::string_view text) {
  std::string out(trim_space(text));
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

/// The first of the columns whose name is known, in the order of `known`.
std::size_t known_column(std::span<const std::string_view> known, std::span<const std::string> names) {
  for (const std::string_view name : known)
    for (std::size_t i = 0; i < names.size(); ++i)
      if (lower(names[i]) == name) return i;
  return kNoColumn;
}

[[noreturn]] void no_column(const std::string& where, std::string_view name,
                            std::span<const std::string> names) {
  throw Error(ErrorKind::kUsage, where, fmt::format("no column is called \"{}\"", printable(name, 40)),
              nearest_hint(name, names));
}

/// Names of columns for an error: `"id", "text", "rating"`.
std::string quoted_list(std::span<const std::string> names) {
  std::vector<std::string> out;
  for (const std::string& name : names.first(std::min<std::size_t>(names.size(), 24)))
    out.push_back(fmt::format("\"{}\"", printable(name, 40)));
  return fmt::format("{}{}", fmt::join(out, ", "), names.size() > 24 ? ", …" : "");
}

/// Which columns of a table hold text and label.
class ColumnChoice {
 public:
  ColumnChoice(const TextTable& table, const std::string& where, const LabelledTextOptions& options)
      : table_(table), where_(where) {
    if (!options.text_column.empty()) text = named(options.text_column);
    if (!options.label_column.empty()) label = named(options.label_column);
    if (text == kNoColumn) text = known_column(kTextNames, table.labels);
    if (label == kNoColumn) label = known_column(kLabelNames, table.labels);
    if (label == kNoColumn) label = two_valued();
    if (text == kNoColumn) text = only_other();
    if (text == label)
      throw Error(ErrorKind::kUsage, where,
                  fmt::format("column {} cannot be both text and label", name(text)), "name the two columns");
  }
  std::size_t text = kNoColumn, label = kNoColumn;

 private:
  std::string name(std::size_t column) const {
    return table_.labels.empty() ? fmt::format("{}", column + 1)
                                 : fmt::format("\"{}\"", printable(table_.labels[column], 40));
  }

  std::string which_there_are() const {
    if (table_.labels.empty())
      return fmt::format("the columns have no names; their numbers are 1 to {}", table_.columns);
    return "the columns are " + quoted_list(table_.labels);
  }

  std::size_t named(const std::string& wanted) const {
    const auto found = std::find(table_.labels.begin(), table_.labels.end(), wanted);
    if (found != table_.labels.end()) return static_cast<std::size_t>(found - table_.labels.begin());
    if (!table_.labels.empty()) no_column(where_, wanted, table_.labels);
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
    if (error == std::errc() && end == wanted.data() + wanted.size() && number >= 1 &&
        number <= table_.columns)
      return number - 1;
    throw Error(ErrorKind::kUsage, where_, fmt::format("no column is called \"{}\"", printable(wanted, 40)),
                which_there_are());
  }

  bool has_two_values(std::size_t column) const {
    std::set<std::string_view> values;
    for (std::size_t row = 0; row < table_.rows() && values.size() <= 2; ++row)
      values.insert(trim_space(table_.cell(row, column)));
    return values.size() == 2;
  }

  std::size_t two_valued() const {
    std::vector<std::size_t> found;
    for (std::size_t column = 0; column < table_.columns; ++column)
      if (column != text && has_two_values(column)) found.push_back(column);
    if (found.size() == 1) return found[0];
    if (found.empty())
      throw Error(ErrorKind::kUsage, where_, "no column has two values, as labels of two classes have",
                  "name the label column; " + which_there_are());
    throw Error(ErrorKind::kUsage, where_,
                fmt::format("columns {} and {} have two values: which holds the labels is not clear",
                            name(found[0]), name(found[1])),
                "name the label column (--label-column); " + which_there_are());
  }

  std::size_t only_other() const {
    if (table_.columns == 2) return 1 - label;
    throw Error(ErrorKind::kUsage, where_,
                table_.columns < 2
                    ? std::string("there is one column, expected a text and a label")
                    : fmt::format("which of {} columns holds the text is not clear", table_.columns),
                "name the text column; " + which_there_are());
  }

  const TextTable& table_;
  const std::string& where_;
};

/// Whether a record labels the columns: it has a name that is known, or one that is asked for and no number.
bool names_columns(std::span<const std::string> record, const LabelledTextOptions& options) {
  if (known_column(kTextNames, record) != kNoColumn || known_column(kLabelNames, record) != kNoColumn)
    return true;
  return std::any_of(record.begin(), record.end(), [&](const std::string& cell) {
    double ignored = 0;
    return !cell.empty() && (cell == options.text_column || cell == options.label_column) &&
           !parse_number(cell, ignored);
  });
}

/// The first record becomes the names of the columns.
void take_names(TextTable& table) {
  const auto end = table.cells.begin() + static_cast<std::ptrdiff_t>(table.columns);
  table.labels.assign(std::make_move_iterator(table.cells.begin()), std::make_move_iterator(end));
  table.cells.erase(table.cells.begin(), end);
  table.lines.erase(table.lines.begin());
}

std::string line_place(const std::string& where, std::uint64_t line) {
  return fmt::format("{}, line {}", where, line);
}

std::vector<LabelledRow> table_rows(std::string_view text, const std::string& where, char delimiter,
                                    const LabelledTextOptions& options) {
  TextTable table = parse_csv(
      text, where, {.delimiter = delimiter, .quotes = delimiter != '\t', .labels = CsvOptions::Labels::kNo});
  if (names_columns(std::span(table.cells).first(table.columns), options)) take_names(table);
  if (table.rows() == 0)
    throw Error(ErrorKind::kBadFormat, where, "there are no texts behind the names of the columns");
  const ColumnChoice columns(table, where, options);
  std::vector<LabelledRow> rows;
  rows.reserve(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    std::string* cells = table.cells.data() + row * table.columns;
    rows.push_back({std::move(cells[columns.text]), std::move(cells[columns.label]),
                    line_place(where, table.lines[row])});
  }
  return rows;
}

/// Calls line(text, number) for each line that is not blank, without its end.
template <class Line>
void for_each_line(std::string_view text, Line&& line) {
  for (std::uint64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view content = trim_space(text.substr(0, end));
    if (!content.empty()) line(content, number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// "1 a good film": the label ends at the first blank.
std::vector<LabelledRow> spaced_rows(std::string_view text, const std::string& where) {
  constexpr std::string_view kFastText = "__label__";
  std::vector<LabelledRow> rows;
  for_each_line(text, [&](std::string_view line, std::uint64_t number) {
    const std::size_t end = std::min(line.find(' '), line.size());
    std::string_view label = line.substr(0, end);
    if (label.size() > kFastText.size() && label.starts_with(kFastText))
      label.remove_prefix(kFastText.size());
    rows.push_back({std::string(line.substr(end)), std::string(label), line_place(where, number)});
  });
  return rows;
}

/// Keys of an object that are asked for, found in the first object of a file.
class JsonFields {
 public:
  JsonFields(const nlohmann::ordered_json& object, const std::string& where,
             const LabelledTextOptions& options) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.push_back(key);
    text = choose(options.text_column, kTextNames, keys, where, "text");
    label = choose(options.label_column, kLabelNames, keys, where, "label");
  }
  std::string text, label;

 private:
  static std::string choose(const std::string& wanted, std::span<const std::string_view> known,
                            const std::vector<std::string>& keys, const std::string& where,
                            const char* what) {
    if (!wanted.empty()) {
      if (std::find(keys.begin(), keys.end(), wanted) == keys.end()) no_column(where, wanted, keys);
      return wanted;
    }
    const std::size_t found = known_column(known, keys);
    if (found != kNoColumn) return keys[found];
    throw Error(ErrorKind::kUsage, where, fmt::format("which field holds the {} is not clear", what),
                keys.empty() ? std::string("the object is empty")
                             : fmt::format("name the {} column; the fields are {}", what, quoted_list(keys)));
  }
};

std::string json_field(const nlohmann::ordered_json& object, const std::string& key,
                       const std::string& where) {
  const auto found = object.find(key);
  const auto refuse = [&](std::string_view problem) {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, field \"{}\"", where, printable(key, 40)),
                std::string(problem));
  };
  if (found == object.end()) refuse("the object has no such field");
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_number() && !found->is_boolean())
    refuse(fmt::format("expected a string, a number or a truth value, found {}", found->type_name()));
  return found->dump();
}

std::vector<LabelledRow> json_rows(std::string_view text, const std::string& where,
                                   const LabelledTextOptions& options) {
  std::vector<LabelledRow> rows;
  std::optional<JsonFields> fields;
  for_each_line(text, [&](std::string_view line, std::uint64_t number) {
    check_interrupt();
    const std::string place = line_place(where, number);
    const nlohmann::ordered_json object = parse_json(line, place);
    if (!object.is_object())
      throw Error(ErrorKind::kBadFormat, place,
                  fmt::format("expected an object, found {}", object.type_name()));
    if (!fields) fields.emplace(object, place, options);
    rows.push_back(
        {json_field(object, fields->text, place), json_field(object, fields->label, place), place});
  });
  return rows;
}

using Paths = std::vector<std::filesystem::path>;

/// Entries of a directory that `wanted` takes, hidden ones left out, sorted by name.
template <class Wanted>
Paths entries(const std::filesystem::path& folder, Wanted&& wanted) {
  Paths out;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (!at->path().filename().string().starts_with('.') && wanted(*at)) out.push_back(at->path());
  if (error) throw Error(ErrorKind::kIo, folder.string(), "cannot be listed: " + error.message());
  std::sort(out.begin(), out.end());
  return out;
}

/// False where that cannot be found out.
bool is_file(const std::filesystem::directory_entry& entry) {
  std::error_code ignored;
  return entry.is_regular_file(ignored);
}

Paths with_names(const Paths& paths, std::string_view a, std::string_view b) {
  Paths out;
  for (const std::filesystem::path& path : paths)
    if (path.filename() == a || path.filename() == b) out.push_back(path);
  return out.size() == 2 ? out : Paths{};
}

/// pos and neg, or two folders of any names.
Paths class_folders(const Paths& folders) {
  for (const auto& [negative, positive] : {std::pair{"neg", "pos"}, std::pair{"negative", "positive"}})
    if (Paths found = with_names(folders, negative, positive); !found.empty()) return found;
  const bool split_in_parts = folders.size() == 2 && with_names(folders, "train", "test").size() == 2;
  return folders.size() == 2 && !split_in_parts ? folders : Paths{};
}

class FolderReader {
 public:
  std::vector<LabelledRow> rows;

  void add_file_a_text(const std::filesystem::path& folder) {
    for (const std::filesystem::path& file : entries(folder, [](const auto& e) { return is_file(e); })) {
      check_interrupt();
      rows.push_back({read(file), folder.filename().string(), file.string()});
    }
  }
  void add_line_a_text(const std::filesystem::path& file) {
    const std::string label = file.extension().string().substr(1), where = file.string();
    for_each_line(read(file), [&](std::string_view line, std::uint64_t number) {
      rows.push_back({std::string(line), label, line_place(where, number)});
    });
  }

 private:
  std::string read(const std::filesystem::path& file) {
    std::string text = read_text(file.string(), left_);
    left_ -= std::min<std::uint64_t>(left_, text.size());  // UTF-16 grows
    return text;
  }
  std::uint64_t left_ = kMaxBytes;  ///< of all files together
};

bool has_ending(const std::string& path, std::string_view ending) {
  std::string name = lower(path);
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return name.ends_with(ending);
}

}  // namespace

std::string_view trim_space(std::string_view text) noexcept {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::vector<LabelledRow> parse_labelled_rows(std::string_view text, const std::string& path,
                                             const LabelledTextOptions& options) {
  const std::string_view content = trim_space(text);
  if (content.empty())
    throw Error(ErrorKind::kBadFormat, path, "the file is empty", "expected labelled texts");
  if (has_ending(path, ".csv")) return table_rows(text, path, ',', options);
  if (content.front() == '{') return json_rows(text, path, options);
  if (content.front() == '[' && has_ending(path, ".json"))
    throw Error(ErrorKind::kUnsupported, path, "one JSON array, expected an object a line",
                "convert it: jq -c '.[]' FILE > FILE.jsonl");
  const std::string_view first_line = content.substr(0, content.find('\n'));
  if (first_line.find('\t') != std::string_view::npos) return table_rows(text, path, '\t', options);
  return spaced_rows(text, path);
}

std::vector<LabelledRow> read_labelled_folder(const std::string& path) {
  const Paths folders = entries(path, [](const auto& e) {
    std::error_code ignored;
    return e.is_directory(ignored);
  });
  FolderReader reader;
  if (const Paths classes = class_folders(folders); !classes.empty()) {
    for (const std::filesystem::path& folder : classes) reader.add_file_a_text(folder);
    return std::move(reader.rows);
  }
  const auto ending = [](const char* name) {
    return [name](const auto& e) { return is_file(e) && e.path().extension() == name; };
  };
  const Paths negative = entries(path, ending(".neg")), positive = entries(path, ending(".pos"));
  if (negative.size() == 1 && positive.size() == 1) {
    reader.add_line_a_text(negative[0]);
    reader.add_line_a_text(positive[0]);
    return std::move(reader.rows);
  }
  std::vector<std::string> names;
  for (const std::filesystem::path& folder : folders) names.push_back(folder.filename().string());
  std::string hint =
      names.empty() ? "one folder a class, one text a file" : "it holds the folders " + quoted_list(names);
  if (std::find(names.begin(), names.end(), "train") != names.end()) hint += "; give one of them";
  throw Error(ErrorKind::kUsage, path, "expected two folders, pos and neg", hint);
}

}  // namespace telos
