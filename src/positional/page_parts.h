#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "telos/positional/page.h"

namespace telos::positional {

/// A report with what every page of the lens has: header, provenance, definitions.
Report begin_report(const PageContext& context);

inline Cell whole_cell(std::size_t value) {
  return static_cast<std::int64_t>(value);
}
std::string plus_minus(const Estimate& estimate);

/// "positional · n 8 + 1 · d 64 · 2 heads · hidden 64 · 4 layers · 84,577 parameters".
std::string model_line(const ModelConfig& config, std::size_t parameters);
/// ", one-hot positions" and the like: what sets the kind apart.
std::string kind_words(const ModelConfig& config);

/// "an exact solution exists: `telos positional compile sort --n 8`", for lists of n.
std::string exact_solution(const std::string& program, std::size_t nodes);

/// What tests draw that training does not use: "letters", "categories", or "" for other tasks.
std::string unseen_things(const std::string& task);

/// Heat maps of A by layer and head, and all entries as a table; nothing for models whose attention depends
/// on the input. Large or many matrices are in the table only.
Section attention_section(const Model& model);

/// Tables `layers` and `terms` of one capacity report; on a page of several, told apart by an id and a name.
std::vector<Table> capacity_tables(const CapacityReport& report, const std::string& id = {},
                                   const std::string& name = {});

}  // namespace telos::positional
