#include "symmetry/young_basis.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "telos/base/log.h"
#include "telos/linalg/decompositions.h"

namespace telos::symmetry {
namespace {

using BagTokens = std::vector<std::uint32_t>;  // ascending

/// All sequences of so many tokens, by bag, and functions in the tableau of each shape that is filled row by
/// row.
struct Layer {
  std::size_t length = 1, place = 1;  ///< place of the last token, V^(length − 1)
  std::vector<BagTokens> bags{};
  std::map<BagTokens, std::size_t> number{};
  std::vector<std::vector<std::size_t>> orderings{};
  std::vector<std::size_t> at{};  ///< of each sequence: its place among the orderings of its bag
  std::map<Partition, std::vector<Matrix<double>>> functions{};  ///< by bag; empty where there are none

  void add_bag(BagTokens bag, std::vector<std::size_t> members) {
    for (std::size_t i = 0; i < members.size(); ++i) at[members[i]] = i;
    number[bag] = bags.size();
    bags.push_back(std::move(bag));
    orderings.push_back(std::move(members));
  }
};

Layer first_layer(std::uint32_t vocabulary) {
  Layer layer;
  layer.at.resize(vocabulary);
  std::vector<Matrix<double>>& constant = layer.functions[{1}];
  for (std::uint32_t v = 0; v < vocabulary; ++v) {
    layer.add_bag({v}, {v});
    constant.emplace_back(1, 1);
    constant.back()(0, 0) = 1;
  }
  return layer;
}

/// Bags that a bag leaves when one of its letters goes, and the letter.
std::vector<std::pair<std::uint32_t, std::size_t>> smaller_bags(const Layer& before, const BagTokens& bag) {
  std::vector<std::pair<std::uint32_t, std::size_t>> out;
  for (std::size_t i = 0; i < bag.size(); ++i) {
    if (i > 0 && bag[i] == bag[i - 1]) continue;
    BagTokens rest = bag;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    out.emplace_back(bag[i], before.number.at(rest));
  }
  return out;
}

/// The last box of the last row, which holds the last number where a tableau is filled row by row.
Partition without_last_box(Partition shape) {
  if (--shape.back() == 0) shape.pop_back();
  return shape;
}
int last_content(const Partition& shape) {
  return static_cast<int>(shape.back()) - static_cast<int>(shape.size());
}

/// Σ_{i<a} (i a) for the last position a.
Matrix<double> apply_last_element(const Layer& layer, std::size_t bag, std::uint32_t vocabulary,
                                  const Matrix<double>& f) {
  Matrix<double> out(f.rows(), f.cols());
  const std::vector<std::size_t>& members = layer.orderings[bag];
  for (std::size_t x = 0; x < members.size(); ++x) {
    const std::size_t last = members[x] / layer.place;
    std::size_t place = 1;
    for (std::size_t i = 0; i + 1 < layer.length; ++i, place *= vocabulary) {
      const std::size_t token = members[x] / place % vocabulary;
      const std::size_t y = layer.at[members[x] + (last - token) * place + (token - last) * layer.place];
      for (std::size_t k = 0; k < f.cols(); ++k) out(x, k) += f(y, k);
    }
  }
  return out;
}

/// Functions of one bag in the row-by-row tableau of a shape; empty where there are none.
Matrix<double> bag_functions(const Layer& before, const Layer& layer, std::size_t bag,
                             std::uint32_t vocabulary, const Partition& shape) {
  const auto found = before.functions.find(without_last_box(shape));
  if (found == before.functions.end()) return {};
  const auto smaller = smaller_bags(before, layer.bags[bag]);
  std::size_t columns = 0, row = 0, column = 0;
  for (const auto& [letter, rest] : smaller) columns += found->second[rest].cols();
  if (columns == 0) return {};
  Matrix<double> sums(layer.orderings[bag].size(), columns);
  for (const auto& [letter, rest] : smaller) {  // sequences that end in the letter stand together
    const Matrix<double>& part = found->second[rest];
    for (std::size_t i = 0; i < part.rows(); ++i)
      for (std::size_t j = 0; j < part.cols(); ++j) sums(row + i, column + j) = part(i, j);
    row += before.orderings[rest].size();
    column += part.cols();
  }
  const Matrix<double> moved = apply_last_element(layer, bag, vocabulary, sums);
  Matrix<double> element(columns, columns);
  for (std::size_t i = 0; i < columns; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      for (std::size_t x = 0; x < sums.rows(); ++x) element(i, j) += sums(x, i) * moved(x, j);
  const SymmetricEigen eigen = symmetric_eigen(element, true);
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < columns; ++i)
    if (std::lround(eigen.values[i]) == last_content(shape)) chosen.push_back(i);
  if (chosen.empty()) return {};
  Matrix<double> out(sums.rows(), chosen.size());
  for (std::size_t x = 0; x < sums.rows(); ++x)
    for (std::size_t k = 0; k < chosen.size(); ++k)
      for (std::size_t j = 0; j < columns; ++j) out(x, k) += sums(x, j) * eigen.vectors(j, chosen[k]);
  return out;
}

Layer next_layer(const Layer& before, std::uint32_t vocabulary) {
  Layer layer;
  layer.length = before.length + 1;
  layer.place = before.place * vocabulary;
  layer.at.resize(layer.place * vocabulary);
  for (const BagTokens& old : before.bags)
    for (std::uint32_t v = old.back(); v < vocabulary; ++v) {
      BagTokens bag = old;
      bag.push_back(v);
      std::vector<std::size_t> members;
      for (const auto& [letter, rest] : smaller_bags(before, bag))
        for (const std::size_t x : before.orderings[rest]) members.push_back(x + letter * layer.place);
      layer.add_bag(std::move(bag), std::move(members));
    }
  for (const Partition& shape : partitions(static_cast<std::uint32_t>(layer.length))) {
    if (shape.size() > vocabulary) continue;
    std::vector<Matrix<double>> functions(layer.bags.size());
    check_interrupt();
    for (std::size_t bag = 0; bag < functions.size(); ++bag)
      functions[bag] = bag_functions(before, layer, bag, vocabulary, shape);
    layer.functions[shape] = std::move(functions);
  }
  return layer;
}

std::vector<int> row_by_row_contents(const Partition& shape) {
  std::vector<int> contents;
  for (std::size_t row = 0; row < shape.size(); ++row)
    for (std::uint32_t column = 0; column < shape[row]; ++column)
      contents.push_back(static_cast<int>(column) - static_cast<int>(row));
  return contents;
}

/// The functions of the tableau with i and i + 1 exchanged.
TableauFunctions exchanged_tableau(const TableauFunctions& from, std::size_t i, const Layer& layer,
                                   std::uint32_t vocabulary) {
  TableauFunctions to{from.contents, {}};
  const double r = from.contents[i + 1] - from.contents[i], scale = 1 / std::sqrt(1 - 1 / (r * r));
  std::swap(to.contents[i], to.contents[i + 1]);
  std::size_t place = 1;
  for (std::size_t a = 0; a < i; ++a) place *= vocabulary;
  for (const BagFunctions& bag : from.bags) {
    const std::vector<std::size_t>& members = layer.orderings[bag.bag];
    BagFunctions& out = to.bags.emplace_back(BagFunctions{bag.bag, {}});
    out.values = Matrix<double>(bag.values.rows(), bag.values.cols());
    for (std::size_t x = 0; x < members.size(); ++x) {
      const std::size_t one = members[x] / place % vocabulary,
                        two = members[x] / place / vocabulary % vocabulary;
      const std::size_t y = layer.at[members[x] + (two - one) * place + (one - two) * place * vocabulary];
      for (std::size_t k = 0; k < bag.values.cols(); ++k)
        out.values(x, k) = scale * (bag.values(y, k) - bag.values(x, k) / r);
    }
  }
  return to;
}

/// All standard tableaux of a shape from the first on: i and i + 1 may change places unless they are
/// neighbours in a row or column.
void add_tableaux(IrrepFunctions& irrep, const Layer& layer, std::uint32_t vocabulary) {
  std::set<std::vector<int>> known = {irrep.tableaux.front().contents};
  for (std::size_t t = 0; t < irrep.tableaux.size(); ++t)
    for (std::size_t i = 0; i + 1 < layer.length; ++i) {
      std::vector<int> contents = irrep.tableaux[t].contents;
      if (std::abs(contents[i + 1] - contents[i]) < 2) continue;
      std::swap(contents[i], contents[i + 1]);
      if (known.insert(contents).second)
        irrep.tableaux.push_back(exchanged_tableau(irrep.tableaux[t], i, layer, vocabulary));
    }
}

/// One letter: one sequence, whatever its length.
YoungBasis constant_basis(std::uint32_t length) {
  YoungBasis basis;
  basis.bags = {{0}};
  IrrepFunctions& all = basis.irreps.emplace_back(IrrepFunctions{{length}, 1, {}});
  TableauFunctions& row = all.tableaux.emplace_back(TableauFunctions{row_by_row_contents({length}), {}});
  row.bags.push_back({0, Matrix<double>(1, 1)});
  row.bags[0].values(0, 0) = 1;
  return basis;
}

}  // namespace

YoungBasis young_basis(std::uint32_t vocabulary, std::uint32_t length, const Arena& arena) {
  if (vocabulary == 1) return constant_basis(length);
  Layer layer = first_layer(vocabulary);
  while (layer.length < length) layer = next_layer(layer, vocabulary);
  YoungBasis basis;
  for (const Partition& shape : partitions(length)) {
    const auto found = layer.functions.find(shape);
    if (found == layer.functions.end()) continue;
    IrrepFunctions irrep{shape, 0, {}};
    TableauFunctions first{row_by_row_contents(shape), {}};
    for (std::size_t bag = 0; bag < found->second.size(); ++bag) {
      if (found->second[bag].empty()) continue;
      irrep.copies += found->second[bag].cols();
      first.bags.push_back({bag, std::move(found->second[bag])});
    }
    irrep.tableaux.push_back(std::move(first));
    basis.irreps.push_back(std::move(irrep));
  }
  arena.parallel_for(basis.irreps.size(), [&](std::size_t i) {
    check_interrupt();
    add_tableaux(basis.irreps[i], layer, vocabulary);
  });
  basis.bags = std::move(layer.orderings);
  return basis;
}

}  // namespace telos::symmetry
