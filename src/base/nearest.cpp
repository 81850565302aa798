#include "telos/base/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "telos/base/error.h"

namespace telos {
namespace {

/// Longer texts are no misspelt names, and would make the table large.
constexpr std::size_t kMaxLength = 256;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view written, std::span<const std::string> names) {
  written = written.substr(0, kMaxLength);
  std::string best;
  std::size_t best_distance = static_cast<std::size_t>(-1);
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(written, std::string_view(name).substr(0, kMaxLength));
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = name;
  }
  return best;
}

std::string nearest_hint(std::string_view written, std::span<const std::string> names) {
  if (names.empty()) return {};
  std::string hint = "did you mean \"" + printable(nearest_name(written, names)) + "\"?";
  if (names.size() > 24) return hint;
  hint += " known: ";
  for (std::size_t i = 0; i < names.size(); ++i) hint += (i == 0 ? "" : ", ") + printable(names[i]);
  return hint;
}

}  // namespace telos
