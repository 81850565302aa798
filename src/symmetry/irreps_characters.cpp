#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "symmetry/irreps_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::symmetry {
namespace {

[[noreturn]] void beyond_64_bits(const Partition& shape) {
  throw Error(ErrorKind::kLimit, "character of " + to_text(shape), "does not fit in 64 bits");
}

/// Shapes as beta-numbers λ_r + (rows − 1 − r), which are distinct; each with a signed count. Taking off a
/// rim hook of k cells is moving one number b to b − k, if that is free; its sign is that of the numbers
/// jumped over.
using SignedShapes = std::map<std::vector<std::uint32_t>, std::int64_t>;

std::vector<std::uint32_t> beta_numbers(const Partition& shape) {
  std::vector<std::uint32_t> beta(shape.size());
  for (std::size_t r = 0; r < shape.size(); ++r)
    beta[r] = shape[r] + static_cast<std::uint32_t>(shape.size() - 1 - r);
  return beta;
}

/// The shape of beta-numbers in falling order, without empty rows.
Partition shape_of(const std::vector<std::uint32_t>& beta) {
  Partition shape;
  for (std::size_t r = 0; r < beta.size(); ++r)
    if (const std::uint32_t part = beta[r] - static_cast<std::uint32_t>(beta.size() - 1 - r); part > 0)
      shape.push_back(part);
  return shape;
}

SignedShapes without_rim_hooks(const SignedShapes& shapes, std::uint32_t size, const Partition& whole,
                               std::size_t& steps) {
  SignedShapes next;
  for (const auto& [beta, count] : shapes) {
    check_interrupt();
    if ((steps += beta.size()) > kMaxSteps)
      throw Error(ErrorKind::kLimit, "character of " + to_text(whole),
                  "has too many ways to take cycles off the shape",
                  "ask for shapes of a lower degree, or for permutations with longer cycles");
    for (std::size_t r = 0; r < beta.size(); ++r) {
      if (beta[r] < size) break;
      const std::uint32_t moved = beta[r] - size;
      const auto lower = std::find_if(beta.begin() + static_cast<std::ptrdiff_t>(r) + 1, beta.end(),
                                      [&](std::uint32_t b) { return b <= moved; });
      if (lower != beta.end() && *lower == moved) continue;
      const auto to = static_cast<std::size_t>(lower - beta.begin()) - 1;
      std::vector<std::uint32_t> smaller = beta;
      smaller.erase(smaller.begin() + static_cast<std::ptrdiff_t>(r));
      smaller.insert(smaller.begin() + static_cast<std::ptrdiff_t>(to), moved);
      std::int64_t& sum = next[std::move(smaller)];
      const bool overflow = (to - r) % 2 == 0 ? __builtin_add_overflow(sum, count, &sum)
                                              : __builtin_sub_overflow(sum, count, &sum);
      if (overflow) beyond_64_bits(whole);
    }
  }
  std::erase_if(next, [](const auto& shape) { return shape.second == 0; });
  return next;
}

/// Σ count · f of what is left for the fixed points.
std::int64_t sum_of_dimensions(const SignedShapes& shapes, const Partition& whole) {
  std::int64_t sum = 0;
  for (const auto& [beta, count] : shapes) {
    const Partition rest = shape_of(beta);
    const auto f = rest.empty() ? std::int64_t{1} : dimension(rest).to_int64();
    std::int64_t term = 0;
    if (!f || __builtin_mul_overflow(*f, count, &term) || __builtin_add_overflow(sum, term, &sum))
      beyond_64_bits(whole);
  }
  return sum;
}

}  // namespace

std::int64_t character(const Partition& shape, const Partition& cycles) {
  check_partition(shape, "partition");
  check_partition(cycles, "cycles");
  if (length_of(shape) != length_of(cycles))
    throw Error(ErrorKind::kUsage, "cycles",
                fmt::format("{} has length {}, the irrep {} has {}", to_text(cycles), length_of(cycles),
                            to_text(shape), length_of(shape)));
  SignedShapes shapes{{beta_numbers(shape), 1}};
  std::size_t steps = 0;
  for (const std::uint32_t cycle : cycles) {
    if (cycle == 1) break;
    shapes = without_rim_hooks(shapes, cycle, shape, steps);
  }
  return sum_of_dimensions(shapes, shape);
}

Matrix<std::int64_t> character_table(std::uint32_t length) {
  if (length == 0 || length > kMaxTableLength)
    throw Error(
        ErrorKind::kUsage, "length",
        fmt::format("expected 1 to {} for a whole character table, found {}", kMaxTableLength, length),
        "the characters of one irrep can be had for longer sequences");
  const std::vector<Partition> all = partitions(length);
  Matrix<std::int64_t> table(all.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j) table(i, j) = character(all[i], all[j]);
  return table;
}

}  // namespace telos::symmetry
