#include "reference/symmetry_irreps.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <numeric>

namespace telos::reference::symmetry {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

void add_shapes(int rest, int largest, Shape& prefix, std::vector<Shape>& all) {
  if (rest == 0) all.push_back(prefix);
  for (int part = std::min(rest, largest); part > 0; --part) {
    prefix.push_back(part);
    add_shapes(rest - part, part, prefix, all);
    prefix.pop_back();
  }
}

// Fills cell (row, column) and those after it.
long fill(const Shape& shape, std::vector<std::vector<int>>& tableau, std::vector<int>& left, int row,
          int column, bool rows_rise) {
  if (row == static_cast<int>(shape.size())) return 1;
  if (column == shape[at(row)]) return fill(shape, tableau, left, row + 1, 0, rows_rise);
  long count = 0;
  for (int letter = 0; letter < static_cast<int>(left.size()); ++letter) {
    if (left[at(letter)] == 0) continue;
    if (column > 0 && tableau[at(row)][at(column - 1)] > letter - (rows_rise ? 1 : 0)) continue;
    if (row > 0 && tableau[at(row - 1)][at(column)] >= letter) continue;
    tableau[at(row)][at(column)] = letter;
    --left[at(letter)];
    count += fill(shape, tableau, left, row, column + 1, rows_rise);
    ++left[at(letter)];
  }
  return count;
}

long fillings(const Shape& shape, std::vector<int> left, bool rows_rise) {
  std::vector<std::vector<int>> tableau;
  for (const int part : shape) tableau.push_back(std::vector<int>(at(part)));
  return fill(shape, tableau, left, 0, 0, rows_rise);
}

int length(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), 0);
}

// Words with so many of each letter that a permutation with these cycles leaves as they are: each cycle has
// one letter.
long fixed_words(const Shape& cycles, std::vector<int> left, std::size_t from = 0) {
  if (from == cycles.size()) return 1;
  long count = 0;
  for (int& n : left)
    if (n >= cycles[from]) {
      n -= cycles[from];
      count += fixed_words(cycles, left, from + 1);
      n += cycles[from];
    }
  return count;
}

// Σ (P_λ f)² for all λ; `moved` gives the index that entry i of f goes to under g.
Vector energies(const Vector& f, int n,
                const std::function<std::size_t(const Permutation&, std::size_t)>& moved) {
  const std::vector<Shape> all = shapes(n);
  const std::vector<std::vector<long>> chi = characters(n);
  const std::vector<Permutation> group = permutations(n);
  Vector energy(all.size());
  for (std::size_t r = 0; r < all.size(); ++r) {
    Vector projected(f.size());
    for (const Permutation& g : group) {
      const std::size_t j =
          static_cast<std::size_t>(std::find(all.begin(), all.end(), cycle_type(g)) - all.begin());
      for (std::size_t i = 0; i < f.size(); ++i)
        projected[moved(g, i)] += static_cast<double>(chi[r][j]) * f[i];
    }
    const double scale = static_cast<double>(standard_tableaux(all[r])) / static_cast<double>(group.size());
    for (const double p : projected) energy[r] += scale * p * scale * p;
  }
  return energy;
}

}  // namespace

std::vector<Shape> shapes(int n) {
  std::vector<Shape> all;
  Shape prefix;
  add_shapes(n, n, prefix, all);
  return all;
}

std::vector<Permutation> permutations(int n) {
  Permutation g(at(n));
  std::iota(g.begin(), g.end(), 0);
  std::vector<Permutation> all;
  do all.push_back(g);
  while (std::next_permutation(g.begin(), g.end()));
  return all;
}

Shape cycle_type(const Permutation& g) {
  Shape cycles;
  std::vector<bool> seen(g.size());
  for (std::size_t start = 0; start < g.size(); ++start) {
    int size = 0;
    for (std::size_t i = start; !seen[i]; i = at(g[i])) {
      seen[i] = true;
      ++size;
    }
    if (size > 0) cycles.push_back(size);
  }
  std::sort(cycles.rbegin(), cycles.rend());
  return cycles;
}

long standard_tableaux(const Shape& shape) {
  return fillings(shape, std::vector<int>(at(length(shape)), 1), true);
}

long semistandard_tableaux(const Shape& shape, const std::vector<int>& counts) {
  return fillings(shape, counts, false);
}

long semistandard_tableaux(const Shape& shape, int letters) {
  return fillings(shape, std::vector<int>(at(letters), length(shape)), false);
}

std::vector<std::vector<long>> characters(int n) {
  const std::vector<Shape> all = shapes(n);
  std::vector<std::vector<long>> chi(all.size(), std::vector<long>(all.size()));
  // K_λμ is 0 unless λ stands before μ, and K_μμ = 1.
  for (std::size_t m = 0; m < all.size(); ++m)
    for (std::size_t j = 0; j < all.size(); ++j) {
      chi[m][j] = fixed_words(all[j], all[m]);
      for (std::size_t l = 0; l < m; ++l) chi[m][j] -= semistandard_tableaux(all[l], all[m]) * chi[l][j];
    }
  return chi;
}

Vector function_energies(const Vector& f, int n, int letters) {
  return energies(f, n, [&](const Permutation& g, std::size_t word) {
    std::vector<std::size_t> tokens(at(n));
    for (std::size_t a = 0; a < tokens.size(); ++a, word /= at(letters))
      tokens[at(g[a])] = word % at(letters);
    std::size_t moved = 0;
    for (std::size_t a = tokens.size(); a-- > 0;) moved = moved * at(letters) + tokens[a];
    return moved;
  });
}

Vector pair_energies(const Vector& w, int n) {
  return energies(w, n, [&](const Permutation& g, std::size_t pair) {
    return at(g[pair / at(n)]) * at(n) + at(g[pair % at(n)]);
  });
}

}  // namespace telos::reference::symmetry
