#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/bigram/page.h"

namespace telos::bigram {

/// The terms of a page, in this order; all: bigram_definitions().
std::vector<Definition> definitions_named(std::initializer_list<std::string_view> terms);

/// A report with what every page of the lens has: header, provenance, definitions, and the line of the
/// instance.
Report begin_report(const Instance& instance, const PageContext& context,
                    std::initializer_list<std::string_view> terms);

/// "N 3 · T 5,000 · Q 2".
std::string instance_line(const Instance& instance);

/// As percent(); small shares with two digits: "0.048 %".
inline std::string share_text(double share) {
  return share < 0.01 ? format_number(100 * share, 2) + " %" : percent(share);
}

inline Cell whole_cell(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

/// "17 (0.500), 23 (0.500)"; of many positions those of largest weight, and how many there are beside them.
std::string positions_text(std::span<const std::uint32_t> positions, std::span<const double> weights);

/// Rows of V or P with the tokens' names; nothing above kMostShown tokens.
inline constexpr std::size_t kMostShown = 64;
Figure transitions_figure(const Instance& instance, ConstMatrixView<double> v, const std::string& id,
                          const std::string& title, const std::string& caption);

/// Weights of each last token at the positions that any column of `columns` holds, at most `most` of them.
struct NamedColumns {
  std::string name;
  std::vector<SparseColumn> columns;
};
Figure attention_figure(const Instance& instance, const NamedColumns& shown, const std::string& id,
                        const std::string& title, const std::string& caption);

}  // namespace telos::bigram
