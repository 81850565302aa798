#include "page_data.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "chart.h"
#include "player_parts.h"
#include "text.h"

namespace telos::report {
namespace {

constexpr std::size_t kAlwaysKept = 500;  ///< rows; smaller tables are never thinned

/// Numbers that JavaScript would round are sent as text; so are NaN and infinities, which JSON lacks.
Json page_cell(const Cell& cell, Json& special, std::size_t row) {
  constexpr std::int64_t kExactInDouble = std::int64_t{1} << 53;
  if (const auto* words = std::get_if<std::string>(&cell)) return valid_utf8(*words);
  if (const auto* whole = std::get_if<std::int64_t>(&cell))
    return std::abs(*whole / 2) <= kExactInDouble / 2 ? Json(*whole) : Json(std::to_string(*whole));
  if (const auto* real = std::get_if<double>(&cell)) {
    if (std::isfinite(*real)) return *real;
    special.push_back({row, exact_number(*real)});
  }
  return nullptr;
}

/// A column as {"values": […]}; text that repeats as {"of": [distinct…], "at": [index…]}.
Json page_column(const PageTable& table, std::size_t column) {
  Json values = Json::array(), special = Json::array();
  std::map<std::string, std::size_t> distinct;
  bool text = true;
  for (const std::size_t r : table.rows) {
    const auto& row = table.source.table->rows[r];
    values.push_back(page_cell(column < row.size() ? row[column] : Cell{}, special, values.size()));
    text = text && values.back().is_string();
    if (text) distinct.emplace(values.back().get<std::string>(), distinct.size());
  }
  Json out = {{"name", valid_utf8(table.source.table->columns[column].name)}};
  if (text && distinct.size() * 2 < values.size()) {
    Json of = Json::array(), at = Json::array();
    for (std::size_t i = 0; i < distinct.size(); ++i) of.push_back("");
    for (const auto& [word, index] : distinct) of[index] = word;
    for (const Json& value : values) at.push_back(distinct.at(value.get<std::string>()));
    out["of"] = std::move(of);
    out["at"] = std::move(at);
  } else {
    out["values"] = std::move(values);
  }
  if (!special.empty()) out["special"] = std::move(special);
  return out;
}

std::vector<std::string> strings(const Json& array) {
  std::vector<std::string> out;
  for (const Json& item : array) out.push_back(item.get<std::string>());
  return out;
}

/// What the page needs to rebuild the data of a specification from its table: field names, and the drawn rows
/// as positions among the rows that the page holds.
struct Link {
  std::vector<std::string> fields;
  std::vector<std::size_t> drawn;
};

std::optional<Link> link_to_table(const Json& spec, const PageTable& table) {
  const Json::json_pointer page("/usermeta/telos"), values_at("/data/values");
  if (!spec.contains(page) || !spec.contains(values_at)) return std::nullopt;
  const Json& meta = spec[page];
  const Json& values = spec[values_at];
  const Table& source = *table.source.table;
  Link link;
  link.fields = strings(meta.at("fields"));
  if (link.fields.size() != source.columns.size()) return std::nullopt;
  std::vector<std::size_t> rows(source.rows.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (meta.contains("rows")) rows = meta["rows"].get<std::vector<std::size_t>>();
  if (rows.size() != values.size()) return std::nullopt;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= source.rows.size() || values[i] != datum(source, link.fields, rows[i]))
      return std::nullopt;
    const auto at = std::lower_bound(table.rows.begin(), table.rows.end(), rows[i]);
    if (at != table.rows.end() && *at == rows[i])
      link.drawn.push_back(static_cast<std::size_t>(at - table.rows.begin()));
  }
  return link;
}

Json page_figure(const PageFigure& figure, const PageContent& content) {
  const PageTable& table = content.tables[figure.table];
  Json out = {{"id", figure.source.name}, {"table", table.source.name}};
  Json spec = Json::parse(figure.source.figure->vega_lite, nullptr, /*allow_exceptions=*/false);
  if (!spec.is_object()) return out;
  if (const std::optional<Link> link = link_to_table(spec, table)) {
    spec["data"].erase("values");
    spec["usermeta"]["telos"].erase("rows");
    out["fields"] = link->fields;
    if (link->drawn.size() != table.rows.size()) out["rows"] = link->drawn;
  }
  spec.erase("config");
  out["spec"] = std::move(spec);
  return out;
}

/// Cells of a table in the page, and the coordinates of a player's paths, which take a quarter of a cell
/// each.
std::size_t cells_of(const PageTable& table) {
  std::size_t cells = table.rows.size() * table.source.table->columns.size();
  if (const Player* player = table.source.player)
    for (const std::size_t r : table.rows) cells += path_numbers(*player, player->points[r]) / 4;
  return cells;
}

/// Every other row; of a player all stars, where they are less than half.
std::vector<std::size_t> half_of(const PageTable& table) {
  const Player* player = table.source.player;
  const auto is_star = [&](std::size_t row) {
    return player != nullptr && player->points[row].star_from < frame_count(*player);
  };
  const auto stars = std::count_if(table.rows.begin(), table.rows.end(), is_star);
  const bool keeps_stars = 2 * static_cast<std::size_t>(stars) < table.rows.size();
  std::vector<std::size_t> kept;
  std::size_t others = 0;
  for (const std::size_t row : table.rows) {
    if (keeps_stars && is_star(row))
      kept.push_back(row);
    else if (others++ % 2 == 0)
      kept.push_back(row);
  }
  return kept;
}

/// JSON in an HTML script element: "<" occurs within strings only and can always be written as an escape.
std::string for_script(const Json& json) {
  std::string out;
  for (const char c : json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace)) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

}  // namespace

PageContent page_content(const Report& report) {
  PageContent content;
  std::map<std::string, std::size_t> index;
  for (NamedTable& named : all_tables(report)) {
    std::vector<std::size_t> rows(named.table->rows.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    index.emplace(named.name, content.tables.size());
    content.tables.push_back({std::move(named), std::move(rows)});
  }
  for (NamedFigure& named : all_figures(report)) {
    const std::size_t table = index.at(named.data_name), marks = named.figure->marks;
    content.figures.push_back({std::move(named), table, marks});
  }
  for (NamedPlayer& named : all_players(report)) {
    const std::size_t table = index.at(named.data_name);
    content.players.push_back({std::move(named), table});
  }
  return content;
}

std::size_t thin_largest_table(PageContent& content) {
  PageTable* largest = nullptr;
  std::size_t most = 0;
  for (PageTable& table : content.tables) {
    const std::size_t cells = cells_of(table);
    const std::size_t always_kept = table.source.player == nullptr ? kAlwaysKept : 1;
    if (table.rows.size() <= always_kept || cells <= most) continue;
    largest = &table;
    most = cells;
  }
  if (largest == nullptr) return 0;
  std::vector<std::size_t> kept = half_of(*largest);
  const std::size_t lost = largest->rows.size() - kept.size();
  for (PageFigure& figure : content.figures)
    if (&content.tables[figure.table] == largest) figure.marks -= std::min(figure.marks, lost);
  largest->rows = std::move(kept);
  return most - cells_of(*largest);
}

std::string page_data_json(const PageContent& content) {
  Json tables = Json::object(), figures = Json::array();
  for (const PageTable& table : content.tables) {
    Json columns = Json::array();
    for (std::size_t c = 0; c < table.source.table->columns.size(); ++c)
      columns.push_back(page_column(table, c));
    tables[table.source.name] = {{"rows", table.rows.size()}, {"columns", std::move(columns)}};
  }
  for (const PageFigure& figure : content.figures) figures.push_back(page_figure(figure, content));
  Json players = Json::array();
  for (const PagePlayer& player : content.players) {
    const PageTable& table = content.tables[player.table];
    players.push_back({{"id", player.source.name}, {"table", table.source.name}});
    players.back().update(player_json(*player.source.player, table.rows));
  }
  return for_script({{"figures", std::move(figures)},
                     {"players", std::move(players)},
                     {"tables", std::move(tables)},
                     {"config", {{"light", chart_config(false)}, {"dark", chart_config(true)}}}});
}

}  // namespace telos::report
