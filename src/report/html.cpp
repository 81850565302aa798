#include <map>
#include <set>
#include <string>
#include <vector>

#include "assets.h"
#include "page_data.h"
#include "player_parts.h"
#include "telos/base/version.h"
#include "telos/report/report.h"
#include "text.h"

namespace telos {
namespace {

using report::html_text;
using report::PageContent;
using report::PageFigure;
using report::PagePlayer;
using report::PageTable;

constexpr std::size_t kLargestPage = 2'000'000;  ///< bytes

/// An attribute or element text is always written through this, never pasted.
std::string element(const std::string& tag_and_attributes, const std::string& text) {
  const std::string tag = tag_and_attributes.substr(0, tag_and_attributes.find(' '));
  return "<" + tag_and_attributes + ">" + html_text(text) + "</" + tag + ">\n";
}

/// The same for running text, where symbols have indices.
std::string prose(const std::string& tag_and_attributes, const std::string& text) {
  const std::string tag = tag_and_attributes.substr(0, tag_and_attributes.find(' '));
  return "<" + tag_and_attributes + ">" + report::html_prose(text) + "</" + tag + ">\n";
}

std::string count(std::size_t n, const std::string& one, const std::string& many) {
  return report::cell_for_people(static_cast<std::int64_t>(n), {}) + " " + (n == 1 ? one : many);
}

/// Definitions once each, in the order of the page: key numbers, columns, then the report's own.
class Glossary {
 public:
  explicit Glossary(const Report& report, const std::vector<PageTable>& tables) {
    for (const KeyNumber& key : report.keys) add(key.label, key.definition);
    for (const PageTable& table : tables)
      for (const Column& column : table.source.table->columns) add(column.name, column.definition);
    for (const Definition& definition : report.definitions) add(definition.term, definition.text);
  }
  /// The anchor of a term that is defined, or "".
  std::string anchor(const std::string& term) const {
    const auto at = index_.find(term);
    return at == index_.end() ? "" : "def-" + std::to_string(at->second);
  }
  const std::vector<Definition>& entries() const { return entries_; }

 private:
  void add(const std::string& term, const std::string& text) {
    if (text.empty() || !index_.emplace(term, entries_.size()).second) return;
    entries_.push_back({term, text});
  }
  std::vector<Definition> entries_;
  std::map<std::string, std::size_t> index_;
};

class Page {
 public:
  Page(const Report& report, const PageContent& content, std::size_t most_rows)
      : report_(report), content_(content), most_rows_(most_rows), glossary_(report, content.tables) {
    for (const PageTable& table : content.tables) by_table_[table.source.table] = &table;
    for (const PageFigure& figure : content.figures) by_figure_[figure.source.figure] = &figure;
    for (const PagePlayer& player : content.players) by_player_[player.source.player] = &player;
    place_key_anchors();
  }

  std::string render() {
    head();
    out_ += "<body>\n<a class=\"skip\" href=\"#findings\">Skip to the findings</a>\n<div class=\"page\">\n";
    contents();
    out_ += "<main id=\"findings\">\n";
    opening();
    for (std::size_t i = 0; i < report_.sections.size(); ++i) section(report_.sections[i], i);
    closing();
    out_ += "</main>\n</div>\n";
    scripts();
    out_ += "</body>\n</html>\n";
    return std::move(out_);
  }

 private:
  /// A head's own link leads to its row in the first table that lists it; tables come before the data of
  /// figures.
  void place_key_anchors() {
    const auto visit = [this](const Table& table) {
      const std::size_t column = report::key_column(table);
      if (column == table.columns.size()) return;
      for (const std::size_t r : shown_rows(*by_table_.at(&table))) {
        const std::string key = key_of(table, r, column);
        if (!key.empty() && anchored_.insert(report::slug(key)).second) anchor_rows_.insert({&table, r});
      }
    };
    for (const Section& s : report_.sections)
      for (const Table& table : s.tables) visit(table);
    for (const PageFigure& figure : content_.figures) visit(figure.source.figure->data);
  }

  static std::string key_of(const Table& table, std::size_t row, std::size_t column) {
    if (column >= table.rows[row].size()) return {};
    const auto* key = std::get_if<std::string>(&table.rows[row][column]);
    return key == nullptr ? std::string() : *key;
  }

  std::vector<std::size_t> shown_rows(const PageTable& table) const {
    std::vector<std::size_t> rows = table.rows;
    if (rows.size() > most_rows_) rows.resize(most_rows_);
    return rows;
  }

  void head() {
    const std::string policy =
        "default-src 'none'; script-src " + std::string(report::assets().script_hashes) +
        "; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";
    out_ +=
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"" +
        policy +
        "\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"telos " +
        std::string(version()) + "\">\n";
    out_ += element("title", report_.subject + " · telos " + report_.command);
    out_ += "<style>\n" + std::string(report::assets().page_css);
    if (!content_.players.empty()) out_ += report::palette_css();
    out_ += "</style>\n</head>\n";
  }

  std::string section_anchor(std::size_t index) const {
    return "s" + std::to_string(index + 1) + "-" + report::slug(report_.sections[index].id);
  }

  void contents() {
    out_ +=
        "<nav class=\"contents\" aria-label=\"Contents\">\n<details open><summary>Contents</summary>\n<ol>\n";
    const auto link = [this](const std::string& anchor, const std::string& text) {
      out_ += "<li><a href=\"#" + anchor + "\">" + html_text(text) + "</a></li>\n";
    };
    link("verdict", "Verdict");
    for (std::size_t i = 0; i < report_.sections.size(); ++i)
      link(section_anchor(i), report_.sections[i].title);
    if (!glossary_.entries().empty()) link("definitions", "Definitions");
    if (!report_.provenance.empty()) link("provenance", "Provenance");
    if (!report_.not_measured.empty()) link("not-measured", "What could not be measured");
    if (!report_.remarks.empty()) link("remarks", "Remarks");
    out_ += "</ol>\n</details>\n</nav>\n";
  }

  void opening() {
    out_ += "<header id=\"verdict\">\n";
    out_ += element("p class=\"eyebrow\"", "telos " + std::string(version()) + " · " + report_.command);
    out_ += element("h1", report_.subject);
    if (!report_.verdict.sentence.empty()) out_ += element("p class=\"verdict\"", report_.verdict.sentence);
    if (!report_.verdict.basis.empty()) out_ += element("p class=\"basis\"", report_.verdict.basis);
    keys();
    for (const Figure& f : report_.lead) figure(f);
    evidence();
    how_to_read();
    facts();
    out_ += "</header>\n";
  }

  void keys() {
    if (report_.keys.empty()) return;
    out_ += "<dl class=\"keys\">\n";
    for (const KeyNumber& key : report_.keys) {
      const std::string anchor = glossary_.anchor(key.label);
      out_ += "<div><dt>" + linked(key.label, anchor) + "</dt><dd><span class=\"value\">" +
              html_text(key.value) + "</span>";
      if (!key.note.empty()) out_ += " <span class=\"note\">" + html_text(key.note) + "</span>";
      out_ += "</dd></div>\n";
    }
    out_ += "</dl>\n";
  }

  static std::string linked(const std::string& text, const std::string& anchor) {
    return anchor.empty() ? html_text(text)
                          : "<a class=\"term\" href=\"#" + anchor + "\">" + html_text(text) + "</a>";
  }

  void list(const std::vector<std::string>& lines) {
    out_ += "<ul>\n";
    for (const std::string& line : lines) out_ += prose("li", line);
    out_ += "</ul>\n";
  }

  void evidence() {
    if (report_.verdict.evidence.empty()) return;
    out_ += "<details class=\"fold\"><summary>What the verdict rests on</summary>\n";
    list(report_.verdict.evidence);
    out_ += "</details>\n";
  }

  void how_to_read() {
    out_ +=
        "<details class=\"fold\"><summary>How to read this</summary>\n"
        "<p>Each section opens with its finding; the figure and the table under it are the evidence, and "
        "hold the same numbers "
        "as the text and the data files. “Measured” is said of data, “tendency” of what the weights alone "
        "suggest.</p>\n"
        "<p>Heads are named <i>layer.head</i>, both counted from 0. Pointing at a head in a figure or a "
        "table marks it in all "
        "of them; so does choosing it in the contents. Solid lines are measurements, dashed ones theory; "
        "bands and whiskers are "
        "uncertainty; hatched cells have no value. “–” stands for a number that does not exist.</p>\n"
        "<p>Every figure can be taken along: SVG and PNG as pictures, CSV as its numbers with all digits, "
        "JSON as a Vega-Lite "
        "specification. Words that are underlined with dots lead to their definition.</p>\n</details>\n";
  }

  void facts() {
    if (report_.facts.empty()) return;
    out_ += "<dl class=\"facts\">\n";
    for (const auto& fact : report_.facts) {
      out_ += "<div><dt>" + html_text(fact.label) + "</dt><dd>" + html_text(fact.text);
      if (!fact.remark.empty()) out_ += " <span class=\"note\">" + html_text(fact.remark) + "</span>";
      out_ += "</dd></div>\n";
    }
    out_ += "</dl>\n";
  }

  void section(const Section& s, std::size_t index) {
    const std::string anchor = section_anchor(index);
    out_ += "<section id=\"" + anchor + "\">\n<h2>" + report::html_prose(s.title) +
            permalink(anchor, "section") + "</h2>\n";
    for (const std::string& paragraph : s.paragraphs) out_ += prose("p", paragraph);
    for (const Figure& f : s.figures) figure(f);
    for (const Player& p : s.players) player(p);
    for (const Table& t : s.tables) {
      const PageTable& table = *by_table_.at(&t);
      out_ += "<div class=\"tabular\" id=\"table-" + table.source.name + "\">\n";
      // A table that the terminal shows is the section's evidence; others are looked up when needed.
      fold(table, t.title.empty() ? "Table" : t.title, t.in_terminal);
      out_ += "</div>\n";
    }
    out_ += "</section>\n";
  }

  static std::string permalink(const std::string& anchor, const std::string& what) {
    return " <a class=\"permalink\" href=\"#" + anchor + "\" aria-label=\"Link to this " + what + "\">#</a>";
  }

  void figure(const Figure& f) {
    const PageFigure& figure = *by_figure_.at(&f);
    const std::string anchor = "fig-" + figure.source.name;
    out_ += "<figure id=\"" + anchor + "\" data-figure=\"" + figure.source.name + "\" data-promised=\"" +
            std::to_string(figure.marks) + "\">\n<h3>" + report::html_prose(f.title) +
            permalink(anchor, "figure") + "</h3>\n";
    out_ += "<div class=\"plot\" role=\"img\" aria-label=\"" + html_text(f.alt) + "\"></div>\n";
    out_ += "<noscript><p class=\"note\">" + html_text(f.alt) +
            " The drawing needs JavaScript; the table below holds its numbers.</p></noscript>\n";
    if (!f.caption.empty()) out_ += prose("figcaption", f.caption);
    out_ += "<div class=\"tools\"></div>\n";
    fold(content_.tables[figure.table], "Data of this figure", false);
    out_ += "</figure>\n";
  }

  void player(const Player& p) {
    const PagePlayer& player = *by_player_.at(&p);
    const PageTable& table = content_.tables[player.table];
    const std::string anchor = "fig-" + player.source.name;
    out_ += "<figure id=\"" + anchor + "\" class=\"player\" data-player=\"" + player.source.name +
            "\">\n<h3>" + report::html_prose(p.title) + permalink(anchor, "figure") + "</h3>\n";
    out_ += "<div class=\"plot\"></div>\n<noscript><p class=\"note\">" + html_text(p.alt) +
            " The moving picture needs JavaScript; the table below holds its last positions.</p>\n";
    if (p.panels.empty()) out_ += report::player_panels(p, {0, report::frame_count(p) - 1});
    out_ += "</noscript>\n";
    if (!p.panels.empty()) out_ += report::player_panels(p, p.panels);
    std::string caption = p.caption;
    if (!table.whole())
      caption += " The figure shows " + count(table.rows.size(), "point", "points") + " of " +
                 report::cell_for_people(static_cast<std::int64_t>(p.points.size()), {}) + ", evenly chosen.";
    if (!caption.empty()) out_ += prose("figcaption", caption);
    out_ += "<div class=\"tools\"></div>\n";
    fold(table, "Last positions", false);
    out_ += "</figure>\n";
  }

  /// Written open, for readers without scripts; page.js folds it unless it is to stay open.
  void fold(const PageTable& table, const std::string& what, bool stays_open) {
    out_ += "<details class=\"data\" open";
    if (stays_open) out_ += " data-stays-open";
    out_ += "><summary>" + html_text(what) + " <span class=\"note\">" +
            html_text(count(table.source.table->rows.size(), "row", "rows")) + "</span></summary>\n";
    this->table(table);
    out_ += "</details>\n";
  }

  /// Columns that say something: not empty throughout, and not the first column once more.
  static std::vector<std::size_t> telling_columns(const Table& table, const std::vector<std::size_t>& rows) {
    std::vector<std::size_t> out;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      bool empty = !rows.empty(), repeats = c != 0 && !rows.empty();
      for (const std::size_t r : rows) {
        const Cell cell = c < table.rows[r].size() ? table.rows[r][c] : Cell{};
        const auto* words = std::get_if<std::string>(&cell);
        empty = empty && words != nullptr && words->empty();
        repeats = repeats && words != nullptr && !table.rows[r].empty() && table.rows[r][0] == cell;
      }
      if (!empty && !repeats) out.push_back(c);
    }
    return out;
  }

  void table(const PageTable& page_table) {
    const Table& table = *page_table.source.table;
    const std::vector<std::size_t> rows = shown_rows(page_table);
    const std::vector<std::size_t> columns = telling_columns(table, rows);
    out_ += "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" +
            html_text(table.title.empty() ? "Table" : table.title) + "\">\n<table data-table=\"" +
            page_table.source.name + "\">\n<caption><span class=\"aside\">" + html_text(table.title) +
            "</span>";
    if (!table.caption.empty())
      out_ += " <span class=\"note\">" + report::html_prose(table.caption) + "</span>";
    out_ += "</caption>\n<thead><tr>";
    std::vector<bool> numeric(table.columns.size());
    for (const std::size_t c : columns) {
      numeric[c] = report::is_number_column(table, c);
      out_ += std::string("<th scope=\"col\" data-column=\"") + std::to_string(c) + "\"" +
              (numeric[c] ? " class=\"n\">" : ">") +
              linked(table.columns[c].name, glossary_.anchor(table.columns[c].name));
      if (!table.columns[c].unit.empty()) out_ += " <small>" + html_text(table.columns[c].unit) + "</small>";
      out_ += "</th>";
    }
    out_ += "</tr></thead>\n<tbody>\n";
    const std::size_t key = report::key_column(table);
    for (const std::size_t r : rows) row(table, r, columns, numeric, key);
    out_ += "</tbody>\n</table>\n</div>\n";
    if (rows.size() < table.rows.size())
      out_ += element("p class=\"note\"",
                      "The first " + count(rows.size(), "row", "rows") + " of " +
                          count(table.rows.size(), "row", "rows") +
                          (page_table.whole() ? "; CSV has all."
                                              : "; all are in tables/" + page_table.source.name +
                                                    ".csv of the result folder."));
  }

  void row(const Table& table, std::size_t r, const std::vector<std::size_t>& columns,
           const std::vector<bool>& numeric, std::size_t key_column) {
    const std::string key = key_column < table.columns.size() ? key_of(table, r, key_column) : "";
    const std::string anchor = key.empty() ? "" : "head-" + report::slug(key);
    out_ += "<tr";
    if (anchor_rows_.count({&table, r}) != 0) out_ += " id=\"" + anchor + "\"";
    if (!key.empty()) out_ += " data-key=\"" + html_text(key) + "\"";
    out_ += ">";
    bool first = true;
    for (const std::size_t c : columns) {
      const Cell cell = c < table.rows[r].size() ? table.rows[r][c] : Cell{};
      const std::string tag = first ? "th scope=\"row\"" : "td";
      const std::string plain = report::cell_for_people(cell, table.columns[c]);
      std::string text = html_text(plain);
      if (c == key_column && !anchor.empty()) text = "<a href=\"#" + anchor + "\">" + text + "</a>";
      constexpr std::size_t kOneLine =
          44;  // bytes; longer text may wrap, shorter text would only be squeezed
      const char* kind = numeric[c] ? " class=\"n\">" : plain.size() > kOneLine ? " class=\"long\">" : ">";
      out_ += "<" + tag + kind + text + (first ? "</th>" : "</td>");
      first = false;
    }
    out_ += "</tr>\n";
  }

  void closing() {
    if (!glossary_.entries().empty()) {
      out_ += "<section id=\"definitions\">\n<h2>Definitions</h2>\n<dl class=\"definitions\">\n";
      for (std::size_t i = 0; i < glossary_.entries().size(); ++i) {
        const Definition& entry = glossary_.entries()[i];
        out_ += "<dt id=\"def-" + std::to_string(i) + "\">" + report::html_prose(entry.term) + "</dt>" +
                prose("dd", entry.text);
      }
      out_ += "</dl>\n</section>\n";
    }
    if (!report_.provenance.empty()) {
      out_ += "<section id=\"provenance\">\n<h2>Provenance</h2>\n<dl class=\"facts\">\n";
      for (const auto& [name, value] : report_.provenance)
        out_ += "<div><dt>" + html_text(name) + "</dt>" + element("dd", value) + "</div>\n";
      out_ += "</dl>\n</section>\n";
    }
    if (!report_.not_measured.empty()) {
      out_ += "<section id=\"not-measured\">\n<h2>What could not be measured</h2>\n";
      list(report_.not_measured);
      out_ += "</section>\n";
    }
    if (!report_.remarks.empty()) {
      out_ += "<section id=\"remarks\">\n<h2>Remarks</h2>\n";
      list(report_.remarks);
      out_ += "</section>\n";
    }
  }

  void scripts() {
    const report::Assets assets = report::assets();
    out_ += "<script type=\"application/json\" id=\"telos-data\">" + report::page_data_json(content_) +
            "</script>\n";
    std::vector<std::string_view> used = {assets.vega, assets.vega_lite, assets.vega_embed};
    if (!content_.players.empty())
      used.insert(used.end(), {assets.player_pen, assets.player_pixels, assets.player_scene, assets.player});
    used.push_back(assets.page_js);
    for (const std::string_view script : used) out_ += "<script>" + std::string(script) + "</script>\n";
  }

  const Report& report_;
  const PageContent& content_;
  std::size_t most_rows_;
  Glossary glossary_;
  std::map<const Table*, const PageTable*> by_table_;
  std::map<const Figure*, const PageFigure*> by_figure_;
  std::map<const Player*, const PagePlayer*> by_player_;
  std::set<std::string> anchored_;
  std::set<std::pair<const Table*, std::size_t>> anchor_rows_;
  std::string out_;
};

}  // namespace

std::string render_html(const Report& report) {
  PageContent content = report::page_content(report);
  // Large reports: fewer rows in the visible tables first, then fewer rows in the page at all.
  std::string page;
  constexpr std::size_t kFewestRows = 60;
  for (const std::size_t most_rows : {std::size_t{1000}, std::size_t{250}, kFewestRows}) {
    page = Page(report, content, most_rows).render();
    if (page.size() <= kLargestPage) return page;
  }
  while (page.size() > kLargestPage) {
    // At least so many bytes does a cell take, on average; thinning by too little costs another round only.
    constexpr std::size_t kBytesOfCell = 12;
    std::size_t saved = 0, cells = 1;
    while (cells != 0 && saved <= page.size() - kLargestPage) {
      cells = report::thin_largest_table(content);
      saved += cells * kBytesOfCell;
    }
    if (saved == 0) break;
    page = Page(report, content, kFewestRows).render();
  }
  return page;
}

}  // namespace telos
