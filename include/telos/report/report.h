#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "telos/report/player.h"

namespace telos {

/// A cell of a table: nothing, a whole number, a real number, or text.
using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;

struct Column {
  std::string name{};        ///< heading, also the CSV and JSON key
  std::string unit{};        ///< "" if none
  std::string definition{};  ///< formula and source, shown once at the end
  int digits = 4;            ///< significant digits for people; machine formats carry all of them
};

struct Table {
  std::string id{};     ///< file name, anchor and JSON key: "heads"
  std::string title{};  ///< what it shows
  std::string caption{};
  std::vector<Column> columns{};
  std::vector<std::vector<Cell>> rows{};
  bool in_terminal = false;  ///< part of the one screen that the terminal shows
  bool whole = false;  ///< a list that is asked for: the terminal shows all of it, however long and wide
};

/// A figure: its finding as title, a caption with formula and source, a Vega-Lite specification as JSON text,
/// and the numbers that it draws as a table (CSV download, no-script readers). Made by the functions of
/// charts.h.
struct Figure {
  std::string id{};
  std::string title{};
  std::string caption{};
  std::string alt{};  ///< one sentence for readers who do not see it
  std::string vega_lite{};
  Table data{};
  std::size_t marks = 0;  ///< marks that must be drawn at least; a test checks it in a browser
};

struct KeyNumber {
  std::string label{};  ///< "mean cosine"
  std::string value{};  ///< as people read it: "0.21 → 0.63"
  std::string note{};   ///< "(layer 0 → 6; 0.55 without [CLS] and [SEP])"
  std::string definition{};
};

struct Verdict {
  std::string sentence{};               ///< "Tokens grow alike through depth, but do not collapse."
  std::string basis{};                  ///< "measured on 10 windows" or "weights only: a tendency"
  std::vector<std::string> evidence{};  ///< conditions that were met, one a line
};

/// A lens's part of the page, or a part of it.
struct Section {
  std::string id{};
  std::string title{};  ///< the finding
  std::vector<std::string> paragraphs{};
  std::vector<Figure> figures{};
  std::vector<Table> tables{};
  std::vector<Player> players{};  ///< on the page after the figures
};

struct Definition {
  std::string term{}, text{};
};

/// What a command has found, independent of how it is shown. Numbers are stored once; the terminal, Markdown,
/// CSV, JSON and HTML renderings all read them from here.
struct Report {
  std::string command{};  ///< "diagnose"
  std::string subject{};  ///< "all-MiniLM-L6-v2"
  /// Header lines: (label, facts joined by " · ", right-hand remark).
  struct Fact {
    std::string label{}, text{}, remark{};
  };
  std::vector<Fact> facts{};
  Verdict verdict{};
  std::vector<KeyNumber> keys{};  ///< 3 to 6
  std::vector<Figure> lead{};     ///< at most one small figure that shows the verdict
  std::vector<Section> sections{};
  std::vector<Definition> definitions{};
  std::vector<std::pair<std::string, std::string>>
      provenance{};      ///< command, versions, hashes, seeds, machine
  bool complete = true;  ///< false: part of the input could not be used, as not_measured says
  std::vector<std::string> not_measured{};  ///< what could not be used or measured, and why
  std::vector<std::string> remarks{};       ///< what to know of what was measured
};

enum class OutputFormat { kTable, kJson, kCsv, kMarkdown };

struct TerminalStyle {
  bool color = false;
  std::size_t width = 120;
};

/// One screen: facts, verdict, key numbers, the tables marked in_terminal, what could not be measured. Of a
/// table with more than 24 rows the first and last 12 (unless it is `whole`); columns that do not fit are
/// counted. Where files were
/// written is not in the report, so the caller adds that line. Control characters in strings are shown as
/// \x1b, never sent.
std::string render_terminal(const Report& report, TerminalStyle style = {});
/// The same as valid Markdown.
std::string render_markdown(const Report& report);
/// Everything except the figures' specifications, all digits (shortest text that reads back as the same
/// double). NaN and infinities become null; the table's `not_finite` lists row, column and "nan", "inf" or
/// "-inf".
std::string render_json(const Report& report);
/// One table (the first in_terminal one, or the one named) as RFC 4180 CSV with a header line;
/// NaN is "nan", an empty cell nothing. Throws kUsage for an unknown name.
std::string render_csv(const Report& report, const std::string& table_id = {});
std::string render_csv(const Table& table);
/// One self-contained page: no network, opens from disk, ≤ 2 MB. A table shows at most 1,000 rows (fewer on
/// large pages); where the numbers alone would exceed 2 MB, tables above 500 rows are thinned evenly, which
/// the page says. Rows whose column "head" or "key" holds a name are tied to the marks of that key in all
/// figures. Scripts of players stand only in pages that have one.
std::string render_html(const Report& report);
/// All files of a report: report.html, report.json, tables/*.csv, figures/*.vl.json as (relative path,
/// content).
std::vector<std::pair<std::string, std::string>> report_files(const Report& report);

/// A number for people: `digits` significant digits (fewer if the value is exact with fewer; digits left of
/// the point are never rounded away), thousands separated by commas, no exponent between 1e-3 and 1e6, a true
/// minus sign, "–" for NaN.
std::string format_number(double value, int digits = 4);

}  // namespace telos
