#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "telos/base/version.h"
#include "telos/report/report.h"
#include "text.h"

namespace telos {
namespace {

using report::cut_to_width;
using report::display_width;
using report::terminal_text;

constexpr std::size_t kLongestTable = 24;  ///< rows; with facts and key numbers still one screen
constexpr std::size_t kNarrowest = 40;

std::string spaces(std::size_t n) {
  return std::string(n, ' ');
}

std::string pad_right(std::string text, std::size_t width) {
  const std::size_t used = display_width(text);
  return used < width ? text + spaces(width - used) : text;
}

std::string pad_left(const std::string& text, std::size_t width) {
  const std::size_t used = display_width(text);
  return used < width ? spaces(width - used) + text : text;
}

/// A left text and a remark that starts in column `at`; the remark moves to a line of its own, indented,
/// where the two do not fit side by side.
void add_with_remark(std::string& out, const std::string& left, const std::string& remark, std::size_t at,
                     std::size_t indent, std::size_t width) {
  if (remark.empty()) {
    out += left + '\n';
  } else if (std::max(at, display_width(left) + 2) + display_width(remark) <= width) {
    out += pad_right(left, std::max(at, display_width(left) + 2)) + remark + '\n';
  } else {
    out += left + '\n';
    for (const std::string& line : report::wrap(remark, width - std::min(width / 2, indent)))
      out += spaces(indent) + line + '\n';
  }
}

/// Long text in lines of `width`, the later ones indented like the first.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::string out;
  for (const std::string& line : report::wrap(text, width - std::min(width / 2, indent)))
    out += (out.empty() ? "" : "\n" + spaces(indent)) + line;
  return out;
}

class Terminal {
 public:
  Terminal(const Report& report, TerminalStyle style) : report_(report), style_(style) {
    style_.width = std::max(style_.width, kNarrowest);
    choose_remark_column();
  }

  std::string render() {
    out_ = "telos " + std::string(version()) + "  " + terminal_text(report_.command) + "  " +
           terminal_text(report_.subject) + '\n';
    facts();
    verdict();
    keys();
    for_each_terminal_table([this](const Table& table) { this->table(table); });
    remarks("not measured: ", report_.not_measured);
    remarks("note: ", report_.remarks);
    return std::move(out_);
  }

 private:
  template <class Each>
  void for_each_terminal_table(Each&& each) {
    for (const Section& section : report_.sections)
      for (const Table& t : section.tables)
        if (t.in_terminal) each(t);
  }

  /// Remarks of facts and the verdict's basis stand in one column, right of the longest text that has one, or
  /// as far left as the longest remark needs.
  void choose_remark_column() {
    std::size_t text = 0, remark = 0;
    for (const auto& fact : report_.facts) {
      label_width_ = std::max(label_width_, display_width(terminal_text(fact.label)));
      if (fact.remark.empty()) continue;
      text = std::max(text, display_width(terminal_text(fact.text)));
      remark = std::max(remark, display_width(terminal_text(fact.remark)));
    }
    label_width_ += 3;
    constexpr std::size_t kGap = 8;
    remark_column_ = label_width_ + text + kGap;
    if (remark_column_ + remark > style_.width)
      remark_column_ = style_.width - std::min(style_.width, remark);
  }

  void facts() {
    for (const auto& fact : report_.facts) {
      const std::string left = pad_right(terminal_text(fact.label), label_width_) +
                               wrapped(terminal_text(fact.text), label_width_, style_.width);
      add_with_remark(out_, left, terminal_text(fact.remark), remark_column_, label_width_, style_.width);
    }
  }

  void verdict() {
    if (report_.verdict.sentence.empty()) return;
    const std::string sentence = terminal_text(report_.verdict.sentence);
    const std::string basis = terminal_text(report_.verdict.basis);
    out_ += '\n';
    std::string lines;
    const std::size_t at = std::max(remark_column_, display_width(sentence) + 4);
    add_with_remark(lines, "  " + wrapped(sentence, 2, style_.width), basis, at, 2, style_.width);
    if (style_.color) {
      const std::size_t end =
          lines.find_last_not_of(" \n", basis.empty() ? std::string::npos : lines.rfind(basis) - 1) + 1;
      lines = "\x1b[1m" + lines.substr(0, end) + "\x1b[0m" + lines.substr(end);
    }
    out_ += lines;
  }

  void keys() {
    std::size_t label = 0, value = 0;
    for (const KeyNumber& key : report_.keys) {
      label = std::max(label, display_width(terminal_text(key.label)));
      if (!key.note.empty()) value = std::max(value, display_width(terminal_text(key.value)));
    }
    constexpr std::size_t kWidestAligned = 24;
    value = std::min(value, kWidestAligned);
    const std::size_t indent = label + 5, room = style_.width - std::min(style_.width / 2, indent);
    for (const KeyNumber& key : report_.keys) {
      out_ += "  " + pad_right(terminal_text(key.label), label + 3);
      std::string text = terminal_text(key.value), note = terminal_text(key.note);
      if (!note.empty()) text = pad_right(text, value) + "   ";
      std::size_t taken = display_width(text);
      if (taken > room) {
        note = text + note;
        text.clear();
        taken = 0;
      }
      const std::vector<std::string> lines = report::wrap(note, room, taken);
      out_ += text + lines[0] + '\n';
      for (std::size_t i = 1; i < lines.size(); ++i) out_ += spaces(indent) + lines[i] + '\n';
    }
  }

  void table(const Table& table) {
    const std::size_t columns = table.columns.size();
    if (columns == 0) return;
    const std::vector<std::size_t> shown = shown_rows(table);
    std::vector<std::vector<std::string>> text(shown.size() + 1, std::vector<std::string>(columns));
    std::vector<std::size_t> width(columns, 0);
    std::vector<bool> right(columns);
    for (std::size_t c = 0; c < columns; ++c) {
      right[c] = report::is_number_column(table, c);
      text[0][c] = terminal_text(report::heading(table.columns[c]));
      width[c] = display_width(text[0][c]);
      for (std::size_t i = 0; i < shown.size(); ++i) {
        const auto& row = table.rows[shown[i]];
        if (c < row.size()) text[i + 1][c] = terminal_text(report::cell_for_people(row[c], table.columns[c]));
        width[c] = std::max(width[c], display_width(text[i + 1][c]));
      }
    }
    const std::size_t fitting = table.whole ? columns : fit(width);
    out_ += '\n';
    for (std::size_t i = 0; i < text.size(); ++i) {
      // Rows left out of a long table leave a gap that is named.
      if (i > 1 && shown[i - 1] != shown[i - 2] + 1)
        out_ += " … " + std::to_string(shown[i - 1] - shown[i - 2] - 1) + " rows more\n";
      std::string line = " ";
      for (std::size_t c = 0; c < fitting; ++c) {
        const std::string cell = cut_to_width(text[i][c], width[c]);
        line += (c == 0 ? "" : "   ") + (right[c] ? pad_left(cell, width[c]) : pad_right(cell, width[c]));
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out_ += line + '\n';
    }
    if (fitting < columns)
      out_ += " … " + std::to_string(columns - fitting) + (columns - fitting == 1 ? " column" : " columns") +
              " more in the other formats\n";
  }

  static std::vector<std::size_t> shown_rows(const Table& table) {
    const std::size_t rows = table.rows.size();
    std::vector<std::size_t> shown;
    for (std::size_t r = 0; r < rows; ++r)
      if (table.whole || rows <= kLongestTable || r < kLongestTable / 2 || r >= rows - kLongestTable / 2)
        shown.push_back(r);
    return shown;
  }

  /// How many columns fit; the last of them is narrowed if that saves it.
  std::size_t fit(std::vector<std::size_t>& width) const {
    constexpr std::size_t kNarrowestColumn = 12;
    std::size_t used = 1;
    for (std::size_t c = 0; c < width.size(); ++c) {
      const std::size_t gap = c == 0 ? 0 : 3;
      if (used + gap + width[c] > style_.width) {
        const std::size_t left = style_.width > used + gap ? style_.width - used - gap : 0;
        if (c != 0 && (left < kNarrowestColumn || c + 1 < width.size())) return c;
        width[c] = std::max(left, std::size_t{1});
      }
      used += gap + width[c];
    }
    return width.size();
  }

  void remarks(const std::string& kind, const std::vector<std::string>& lines) {
    if (!lines.empty()) out_ += '\n';
    for (const std::string& line : lines)
      out_ += "  " + kind + wrapped(terminal_text(line), 4, style_.width - 12) + '\n';
  }

  const Report& report_;
  TerminalStyle style_;
  std::string out_;
  std::size_t label_width_ = 0, remark_column_ = 0;
};

}  // namespace

std::string render_terminal(const Report& report, TerminalStyle style) {
  return Terminal(report, style).render();
}

}  // namespace telos
