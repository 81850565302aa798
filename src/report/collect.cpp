#include "collect.h"

#include <set>

#include "player_parts.h"
#include "text.h"

namespace telos::report {
namespace {

class Names {
 public:
  std::string take(const std::string& id) {
    const std::string base = slug(id);
    std::string name = base;
    for (int n = 2; !taken_.insert(name).second; ++n) name = base + "-" + std::to_string(n);
    return name;
  }

 private:
  std::set<std::string> taken_;
};

struct Everything {
  std::vector<NamedTable> tables;
  std::vector<NamedFigure> figures;
  std::vector<NamedPlayer> players;
};

Everything collect(const Report& report) {
  Everything all;
  Names table_names, figure_names;
  const auto add_figure = [&](const Figure& figure) {
    const std::string& id = figure.data.id.empty() ? figure.id : figure.data.id;
    all.tables.push_back({table_names.take(id), &figure.data});
    all.figures.push_back({figure_names.take(figure.id), all.tables.back().name, &figure});
  };
  const auto add_player = [&](const Player& player) {
    const auto table = std::make_shared<const Table>(player_table(player));
    all.tables.push_back({table_names.take(player.id), table.get(), &player, table});
    all.players.push_back({figure_names.take(player.id), all.tables.back().name, &player});
  };
  for (const Figure& figure : report.lead) add_figure(figure);
  for (const Section& section : report.sections) {
    for (const Figure& figure : section.figures) add_figure(figure);
    for (const Player& player : section.players) add_player(player);
    for (const Table& table : section.tables) all.tables.push_back({table_names.take(table.id), &table});
  }
  return all;
}

}  // namespace

std::vector<NamedTable> all_tables(const Report& report) {
  return collect(report).tables;
}
std::vector<NamedFigure> all_figures(const Report& report) {
  return collect(report).figures;
}
std::vector<NamedPlayer> all_players(const Report& report) {
  return collect(report).players;
}

}  // namespace telos::report
