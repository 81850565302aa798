#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "collect.h"

namespace telos::report {

/// A table as the page carries it. `rows` are the rows that the page holds: all, or for very large tables an
/// evenly spaced part, so that the page stays within its limit.
struct PageTable {
  NamedTable source;
  std::vector<std::size_t> rows;
  bool whole() const { return rows.size() == source.table->rows.size(); }
};
struct PageFigure {
  NamedFigure source;
  std::size_t table = 0;  ///< index into tables
  std::size_t marks = 0;  ///< that the page must draw at least
};
/// A player draws the points whose rows the page holds of its table.
struct PagePlayer {
  NamedPlayer source;
  std::size_t table = 0;  ///< index into tables
};
struct PageContent {
  std::vector<PageTable> tables;
  std::vector<PageFigure> figures;
  std::vector<PagePlayer> players;
};

PageContent page_content(const Report& report);
/// Halves what the page holds of its largest table, with the paths of its points if it is a player's, which
/// keeps its stars where they are the lesser part. Returns the number of cells that are gone; 0 if no table
/// is left that may be thinned.
std::size_t thin_largest_table(PageContent& content);

/// The figures' specifications and all tables' exact numbers as JSON, safe between <script> and </script>. A
/// specification whose data are rows of its table refers to them instead of repeating them.
std::string page_data_json(const PageContent& content);

}  // namespace telos::report
