#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/report/charts.h"

/// What the four charts share: the frame of a specification, the palette, and the tie between a chart's rows
/// and the table under it.
namespace telos::report {

using Json = nlohmann::ordered_json;

/// A figure draws at most this many marks; its table keeps all rows.
inline constexpr std::size_t kMostMarks = 5000;
/// Colours of the palette; names beyond them are told apart by shape.
inline constexpr std::size_t kCategories = 8;

/// Vega-Lite `config` for the light or the dark page: Okabe–Ito categories, diverging ramp centred at 0, calm
/// axes.
Json chart_config(bool dark);

/// The text with every string valid UTF-8 and on one line: titles and labels become parts of JSON and of
/// expressions, whose parser takes no line separators within strings.
ChartText clean(const ChartText& text);

/// A chart under construction. Its rows are those of the figure's table: column c of the table is the field
/// fields[c] of the drawn data, so that both hold the same numbers.
struct Chart {
  explicit Chart(const ChartText& unclean) : text(clean(unclean)) {}

  ChartText text;
  std::vector<std::string> fields;  ///< of the data, one for each column of the table
  std::vector<std::size_t> drawn;   ///< rows that are drawn; empty: all
  double height = 300;              ///< of the plot, in pixels
  double widest = 860;              ///< the page does not stretch the figure beyond this
  Json layers = Json::array();
  Table data;
  std::size_t marks = 0;
  std::string remark;  ///< appended to the caption

  /// A table column and the data field that it becomes.
  void column(std::string field, std::string name, std::string fallback_name, int digits = 4);
  Figure finish() &&;
};

/// Makes names of series, rows and bars distinct and clean: the second "a" becomes "a (2)".
class Distinct {
 public:
  std::string operator()(const std::string& name);

 private:
  std::set<std::string> taken_;
};

/// Row `row` of a chart's table as the datum that the figure draws.
Json datum(const Table& table, const std::vector<std::string>& fields, std::size_t row);

/// Finite numbers as they are, else nothing: Vega draws a gap.
Json number(double value);
Json field(std::string_view name, std::string_view type);
Json axis(const std::string& title, bool horizontal);
/// Tooltip entries show numbers with all their digits.
Json tooltip(const std::vector<std::pair<std::string, std::string>>& fields_and_titles);
/// Colour and shape of categories in the given order, with one legend for both that wraps to the width.
Json category_scale(const std::vector<std::string>& names);
inline constexpr std::size_t kColours = 8;  ///< of categories, in turn
Json category_legend(const std::vector<std::string>& names);
Json shape_range(std::size_t count);
/// 1 for the marks of the chosen key (or all, if none is chosen), else faint.
Json fade_others(double full);
}  // namespace telos::report
