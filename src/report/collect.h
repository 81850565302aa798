#pragma once

#include <string>
#include <vector>

#include "telos/report/report.h"

namespace telos::report {

/// A table or figure with the name that its file and its anchor bear: its id as a slug, made unique by "-2",
/// "-3", …
struct NamedTable {
  std::string name;
  const Table* table = nullptr;
};
struct NamedFigure {
  std::string name;
  std::string data_name;  ///< of the figure's table among all_tables
  const Figure* figure = nullptr;
};

/// In page order: the lead figure's data; then section by section the data of its figures and its tables.
std::vector<NamedTable> all_tables(const Report& report);
std::vector<NamedFigure> all_figures(const Report& report);

}  // namespace telos::report
