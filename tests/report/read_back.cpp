#include "read_back.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace telos::test {

std::vector<std::vector<std::string>> parse_csv(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      row.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ',') {
      row.emplace_back();
    } else if (!quoted && c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      rows.push_back(row);
      row.assign(1, "");
      ++i;
    } else {
      row.back() += c;
    }
  }
  return rows;
}

std::vector<const Table*> tables_of(const Report& report) {
  std::vector<const Table*> out;
  for (const Figure& figure : report.lead) out.push_back(&figure.data);
  for (const Section& section : report.sections) {
    for (const Figure& figure : section.figures) out.push_back(&figure.data);
    for (const Table& table : section.tables) out.push_back(&table);
  }
  return out;
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

std::vector<std::string> between(std::string_view text, std::string_view begin, std::string_view end) {
  std::vector<std::string> out;
  for (std::size_t at = text.find(begin); at != std::string_view::npos; at = text.find(begin, at)) {
    at += begin.size();
    const std::size_t stop = text.find(end, at);
    if (stop == std::string_view::npos) break;
    out.emplace_back(text.substr(at, stop - at));
    at = stop;
  }
  return out;
}

}  // namespace telos::test
