#pragma once

#include <memory>
#include <string>
#include <vector>

#include "telos/report/report.h"

namespace telos::report {

/// A table, figure or player with the name that its file and its anchor bear: its id as a slug, made unique
/// by "-2", "-3", …
struct NamedTable {
  std::string name;
  const Table* table = nullptr;
  const Player* player = nullptr;        ///< whose last positions these are, if any
  std::shared_ptr<const Table> owned{};  ///< such a table is made here
};
struct NamedFigure {
  std::string name;
  std::string data_name;  ///< of the figure's table among all_tables
  const Figure* figure = nullptr;
};
struct NamedPlayer {
  std::string name;       ///< differs from all figures' names
  std::string data_name;  ///< of the player's table among all_tables
  const Player* player = nullptr;
};

/// In page order: the lead figure's data; then section by section the data of its figures, the last positions
/// of its players, and its tables.
std::vector<NamedTable> all_tables(const Report& report);
std::vector<NamedFigure> all_figures(const Report& report);
std::vector<NamedPlayer> all_players(const Report& report);

}  // namespace telos::report
