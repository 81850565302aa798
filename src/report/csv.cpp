#include <string>
#include <string_view>

#include "collect.h"
#include "telos/base/error.h"
#include "telos/report/report.h"
#include "text.h"

namespace telos {
namespace {

/// RFC 4180, section 2: a field with a comma, quote or line break is quoted, and its quotes are doubled.
void add_field(std::string& out, std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string render_csv(const Table& table) {
  std::string out;
  const std::size_t columns = table.columns.size();
  for (std::size_t c = 0; c < columns; ++c) {
    if (c != 0) out += ',';
    add_field(out, report::valid_utf8(table.columns[c].name));
  }
  out += "\r\n";
  for (const auto& row : table.rows) {
    for (std::size_t c = 0; c < columns; ++c) {
      if (c != 0) out += ',';
      if (c < row.size()) add_field(out, report::cell_for_machines(row[c]));
    }
    out += "\r\n";
  }
  return out;
}

std::string render_csv(const Report& report, const std::string& table_id) {
  const Table* first = nullptr;
  std::string known;
  for (const report::NamedTable& named : report::all_tables(report)) {
    if (table_id.empty() ? named.table->in_terminal : named.table->id == table_id)
      return render_csv(*named.table);
    if (first == nullptr) first = named.table;
    known += (known.empty() ? "" : ", ") + printable(named.table->id);
  }
  if (table_id.empty() && first != nullptr) return render_csv(*first);
  if (table_id.empty()) return {};
  throw Error(ErrorKind::kUsage, "table " + printable(table_id), "the report holds no table of this name",
              known.empty() ? "" : "tables: " + known);
}

}  // namespace telos
