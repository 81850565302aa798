#include <string>
#include <vector>

#include "telos/base/version.h"
#include "telos/report/report.h"
#include "text.h"

namespace telos {
namespace {

using report::markdown_text;

void add_row(std::string& out, const std::vector<std::string>& cells) {
  out += '|';
  for (const std::string& cell : cells) out += ' ' + cell + " |";
  out += '\n';
}

void add_table(std::string& out, const Table& table) {
  const std::size_t columns = table.columns.size();
  if (columns == 0) return;
  if (!table.title.empty()) out += "\n### " + markdown_text(table.title) + "\n";
  if (!table.caption.empty()) out += "\n" + markdown_text(table.caption) + "\n";
  std::vector<std::string> cells(columns);
  for (std::size_t c = 0; c < columns; ++c) cells[c] = markdown_text(report::heading(table.columns[c]));
  out += '\n';
  add_row(out, cells);
  for (std::size_t c = 0; c < columns; ++c) cells[c] = report::is_number_column(table, c) ? "---:" : ":---";
  add_row(out, cells);
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < columns; ++c)
      cells[c] = c < row.size() ? markdown_text(report::cell_for_people(row[c], table.columns[c])) : "";
    add_row(out, cells);
  }
}

void add_definitions(std::string& out, const Report& report) {
  std::string lines;
  for (const KeyNumber& key : report.keys)
    if (!key.definition.empty())
      lines += "* **" + markdown_text(key.label) + "**: " + markdown_text(key.definition) + '\n';
  for (const Section& section : report.sections)
    for (const Table& table : section.tables)
      for (const Column& column : table.columns)
        if (table.in_terminal && !column.definition.empty())
          lines += "* **" + markdown_text(column.name) + "**: " + markdown_text(column.definition) + '\n';
  for (const Definition& definition : report.definitions)
    lines += "* **" + markdown_text(definition.term) + "**: " + markdown_text(definition.text) + '\n';
  if (!lines.empty()) out += "\n## Definitions\n\n" + lines;
}

}  // namespace

std::string render_markdown(const Report& report) {
  std::string out = "# " + markdown_text(report.subject) + "\n\ntelos " + std::string(version()) + " · " +
                    markdown_text(report.command) + '\n';
  if (!report.verdict.sentence.empty()) {
    out += "\n**" + markdown_text(report.verdict.sentence) + "**";
    if (!report.verdict.basis.empty()) out += " (" + markdown_text(report.verdict.basis) + ")";
    out += '\n';
  }
  if (!report.verdict.evidence.empty()) out += '\n';
  for (const std::string& line : report.verdict.evidence) out += "* " + markdown_text(line) + '\n';
  if (!report.keys.empty()) {
    out += "\n| measure | value | note |\n| :--- | :--- | :--- |\n";
    for (const KeyNumber& key : report.keys)
      add_row(out, {markdown_text(key.label), markdown_text(key.value), markdown_text(key.note)});
  }
  if (!report.facts.empty()) {
    out += "\n| input | facts | remark |\n| :--- | :--- | :--- |\n";
    for (const auto& fact : report.facts)
      add_row(out, {markdown_text(fact.label), markdown_text(fact.text), markdown_text(fact.remark)});
  }
  for (const Section& section : report.sections)
    for (const Table& table : section.tables)
      if (table.in_terminal) add_table(out, table);
  add_definitions(out, report);
  if (!report.not_measured.empty()) {
    out += "\n## Not measured\n\n";
    for (const std::string& line : report.not_measured) out += "* " + markdown_text(line) + '\n';
  }
  if (!report.remarks.empty()) {
    out += "\n## Remarks\n\n";
    for (const std::string& line : report.remarks) out += "* " + markdown_text(line) + '\n';
  }
  return out;
}

}  // namespace telos
