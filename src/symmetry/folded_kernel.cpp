#include "symmetry/folded_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/symmetry/gram.h"
#include "telos/symmetry/token_kernel.h"

namespace telos::symmetry {

FoldedKernel::Form FoldedKernel::form_of(std::size_t x) const {
  const std::span<const std::uint32_t> tokens = all_[x];
  Form form{std::vector<std::uint32_t>(all_.vocabulary()), std::vector<std::size_t>(all_.length())};
  std::iota(form.names.begin(), form.names.end(), 0u);
  std::iota(form.order.begin(), form.order.end(), std::size_t{0});
  if (renames_) {
    // The letter that comes most often first; among equals, that of the first query.
    std::vector<std::tuple<std::size_t, std::size_t, std::uint32_t>> rank;
    for (std::uint32_t v = 0; v < all_.vocabulary(); ++v) rank.emplace_back(tokens.size(), tokens.size(), v);
    for (std::size_t a = tokens.size(); a-- > 0;) {
      if (a < all_.length())
        --std::get<0>(rank[tokens[a]]);
      else
        std::get<1>(rank[tokens[a]]) = a;
    }
    std::sort(rank.begin(), rank.end());
    for (std::uint32_t v = 0; v < all_.vocabulary(); ++v) form.names[std::get<2>(rank[v])] = v;
  }
  std::stable_sort(form.order.begin(), form.order.end(), [&](std::size_t a, std::size_t b) {
    return form.names[tokens[a]] < form.names[tokens[b]];
  });
  return form;
}

std::size_t FoldedKernel::number_under(const Form& form, std::size_t x) const {
  std::size_t number = 0;
  for (std::size_t a = 0; a < all_[x].size(); ++a)
    number += form.names[all_[x][a < all_.length() ? form.order[a] : a]] * all_.place(a);
  return number;
}

std::vector<std::uint32_t> FoldedKernel::numbers_under(const Form& form) const {
  std::vector<std::size_t> place(all_.length() + all_.queries());
  for (std::size_t a = 0; a < place.size(); ++a) place[a < all_.length() ? form.order[a] : a] = all_.place(a);
  // Tokens are digits: the numbers of sequences that begin alike, and then those with each next token.
  std::vector<std::uint32_t> numbers(all_.size());
  std::size_t known = 1;
  for (const std::size_t p : place) {
    for (std::uint32_t v = all_.vocabulary(); v-- > 0;)
      for (std::size_t i = 0; i < known; ++i)
        numbers[v * known + i] = numbers[i] + static_cast<std::uint32_t>(form.names[v] * p);
    known *= all_.vocabulary();
  }
  return numbers;
}

std::vector<std::size_t> FoldedKernel::find_kinds() {
  std::vector<std::size_t> kinds, row_of(all_.size(), all_.size());
  kind_.resize(all_.size());
  for (std::size_t x = 0; x < all_.size(); ++x) {
    const std::size_t standing = number_under(form_of(x), x);
    if (row_of[standing] == all_.size()) {
      row_of[standing] = kinds.size();
      kinds.push_back(standing);
    }
    kind_[x] = row_of[standing];
  }
  return kinds;
}

FoldedKernel::FoldedKernel(const AllSequences& all, const TokenKernel& kernel) : all_(all), renames_(false) {
  const std::vector<std::size_t> kinds = find_kinds();
  rows_ = Matrix<double>(kinds.size(), all.size());
  Progress progress("kernel of all sequences", "rows", static_cast<double>(kinds.size()));
  for (std::size_t i = 0; i < kinds.size(); ++i, progress.advance()) {
    check_interrupt();
    for (std::size_t y = 0; y < all.size(); ++y) rows_(i, y) = finite_value(kernel, all[kinds[i]], all[y]);
  }
  check(kernel, kinds);
}

void FoldedKernel::check(const TokenKernel& kernel, const std::vector<std::size_t>& kinds) const {
  constexpr double kAllowed = 1e-9;
  double largest = 0, asymmetry = 0, breaking = 0;
  // One exchange and one turn make all permutations.
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    check_interrupt();
    const std::size_t x = kinds[i];
    for (std::size_t y = 0; y < all_.size(); ++y) {
      largest = std::max(largest, std::abs(rows_(i, y)));
      if (all_.length() < 2) continue;
      for (const auto& [gx, gy] : {std::pair{all_.exchanged(x, 0, 1), all_.exchanged(y, 0, 1)},
                                   std::pair{all_.turned(x), all_.turned(y)}})
        breaking = std::max(breaking, std::abs(finite_value(kernel, all_[gx], all_[gy]) - rows_(i, y)));
    }
  }
  if (breaking > kAllowed * largest)
    throw Error(
        ErrorKind::kUsage, "kernel",
        fmt::format("changes by up to {:.3g} of its largest value {:.3g} when positions are permuted: it has "
                    "no irreps",
                    breaking, largest),
        "independent or no position vectors, no causal mask beyond one block");
  std::vector<double> values(all_.size());
  for (std::size_t y = 0; y < all_.size(); ++y) {
    row(y, values);
    for (std::size_t i = 0; i < kinds.size(); ++i)
      asymmetry = std::max(asymmetry, std::abs(rows_(i, y) - values[kinds[i]]));
  }
  if (asymmetry > kAllowed * largest)
    throw Error(
        ErrorKind::kUsage, "kernel",
        fmt::format("k(X, Y) and k(Y, X) differ by up to {:.3g}, expected a symmetric function", asymmetry));
}

FoldedKernel::FoldedKernel(const AllSequences& all, const Kernel& kernel, const Arena& arena)
    : all_(all), renames_(true) {
  const auto sequences = [&](std::size_t count, const auto& number) {
    Sequences out{.items = {}, .vocabulary = all.vocabulary()};
    for (std::size_t i = 0; i < count; ++i)
      out.items.push_back(reading_order(kernel.architecture(), all[number(i)]));
    return out;
  };
  const std::vector<std::size_t> kinds = find_kinds();
  const Sequences rows = sequences(kinds.size(), [&](std::size_t i) { return kinds[i]; }),
                  columns = sequences(all.size(), [](std::size_t i) { return i; });
  const Gram values = gram(kernel, rows, columns, {.ntk = kernel.options().ntk}, arena);
  rows_ = values.values().copy();
  for (std::size_t i = 0; i < rows_.size(); ++i)
    if (!std::isfinite(rows_.data()[i]))
      throw Error(ErrorKind::kNotFinite, "kernel",
                  fmt::format("is {} at {} and {}", rows_.data()[i],
                              sequence_text(all[kinds[i / all.size()]]), sequence_text(all[i % all.size()])));
}

void FoldedKernel::row(std::size_t x, std::span<double> out) const {
  const std::vector<std::uint32_t> numbers = numbers_under(form_of(x));
  const double* const values = rows_.row(kind_[x]);
  for (std::size_t y = 0; y < out.size(); ++y) out[y] = values[numbers[y]];
}

double FoldedKernel::diagonal(std::size_t x) const {
  return rows_(kind_[x], number_under(form_of(x), x));
}

}  // namespace telos::symmetry
