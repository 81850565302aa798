#include "telos/io/labelled_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "io/labelled_rows.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/base/quantity.h"
#include "telos/io/files.h"
#include "telos/io/table.h"

namespace telos {
namespace {

/// Labels in the order in which they appear. Throws for an empty one, for more than two, for one.
std::vector<std::string> classes_of(const std::vector<LabelledRow>& rows, const std::string& where) {
  std::vector<std::string> classes;
  for (const LabelledRow& row : rows) {
    if (row.label.empty()) throw Error(ErrorKind::kBadFormat, row.place, "the label is empty");
    if (std::find(classes.begin(), classes.end(), row.label) == classes.end()) classes.push_back(row.label);
    if (classes.size() == 3)
      throw Error(ErrorKind::kBadFormat, row.place,
                  fmt::format("a third label \"{}\", after \"{}\" and \"{}\"; expected two classes",
                              printable(row.label, 40), printable(classes[0], 40), printable(classes[1], 40)),
                  "leave the texts of other classes out, or name the column with the labels");
  }
  if (classes.size() < 2)
    throw Error(ErrorKind::kBadFormat, where,
                classes.empty() ? std::string("no text is left; expected texts of two classes")
                                : fmt::format("all {} texts have the label \"{}\"; expected two classes",
                                              format_count(rows.size()), printable(classes[0], 40)),
                "texts of both classes are needed");
  return classes;
}

bool is_among(std::string_view label, std::initializer_list<std::string_view> names) {
  std::string lower(label);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return std::find(names.begin(), names.end(), lower) != names.end();
}

/// Whether `a` is the positive one of two labels.
bool is_positive(const std::string& a, const std::string& b) {
  double x = 0, y = 0;
  if (parse_number(a, x) && parse_number(b, y) && x != y) return x > y;
  const auto yes = [](std::string_view label) {
    return is_among(label, {"pos", "positive", "true", "yes", "good"});
  };
  const auto no = [](std::string_view label) {
    return is_among(label, {"neg", "negative", "false", "no", "bad"});
  };
  if (yes(a) != yes(b)) return yes(a);
  if (no(a) != no(b)) return no(b);
  return a > b;
}

}  // namespace

LabelledText label_rows(std::vector<LabelledRow> rows, const std::string& where,
                        const LabelledTextOptions& options) {
  LabelledText out;
  std::size_t empty = 0, number = 0;
  std::string first_empty;
  std::vector<LabelledRow> kept;
  for (LabelledRow& row : rows) {
    const std::string_view text = trim_space(row.text);
    if (!text.empty()) {
      kept.push_back({std::string(text), std::string(trim_space(row.label)), std::move(row.place)});
      out.rows.push_back(number);
    } else if (empty++ == 0) {
      first_empty = row.place;
    }
    ++number;
  }
  const std::vector<std::string> names = classes_of(kept, where);
  if (!options.positive.empty() && std::find(names.begin(), names.end(), options.positive) == names.end())
    throw Error(ErrorKind::kUsage, where,
                fmt::format("no text has the label \"{}\"", printable(options.positive, 40)),
                nearest_hint(options.positive, names));
  const bool first =
      options.positive.empty() ? is_positive(names[0], names[1]) : names[0] == options.positive;
  out.positive = names[first ? 0 : 1];
  out.negative = names[first ? 1 : 0];
  for (LabelledRow& row : kept) {
    out.labels.push_back(row.label == out.positive ? 1 : 0);
    out.texts.push_back(std::move(row.text));
  }
  if (empty > 0)
    out.notes.push_back(fmt::format("{} empty text{} left out, the first at {}", format_count(empty),
                                    empty == 1 ? " was" : "s were", printable(first_empty)));
  return out;
}

LabelledText read_labelled_text(const std::string& path, const LabelledTextOptions& options) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return label_rows(read_labelled_folder(path), path, options);
  return label_rows(parse_labelled_rows(read_text(path), path, options), path, options);
}

}  // namespace telos
