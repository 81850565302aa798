#include "telos/symmetry/irreps.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

#include "symmetry/irreps_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"

namespace telos::symmetry {
namespace {

/// All partitions of `rest` into parts up to `largest`, each after the parts that `prefix` holds.
void add_partitions(std::uint32_t rest, std::uint32_t largest, Partition& prefix,
                    std::vector<Partition>& all) {
  if (rest == 0) {
    if (all.size() == kMaxPartitions)
      throw Error(
          ErrorKind::kLimit, "length",
          fmt::format("{} has more than {} irreps of the degree asked for",
                      std::accumulate(prefix.begin(), prefix.end(), 0u), format_count(kMaxPartitions)),
          "ask for a lower degree");
    all.push_back(prefix);
    return;
  }
  for (std::uint32_t part = std::min(rest, largest); part > 0; --part) {
    prefix.push_back(part);
    add_partitions(rest - part, part, prefix, all);
    prefix.pop_back();
  }
}

/// Calls visit(column − row, hook) for each cell.
template <class Visit>
void each_cell(const Partition& shape, const Visit& visit) {
  std::vector<std::uint32_t> height(shape.front(), 0);  // of each column
  for (const std::uint32_t part : shape)
    for (std::uint32_t c = 0; c < part; ++c) ++height[c];
  for (std::uint32_t r = 0; r < shape.size(); ++r)
    for (std::uint32_t c = 0; c < shape[r]; ++c)
      visit(std::int64_t{c} - std::int64_t{r}, (shape[r] - c) + (height[c] - r) - 1);
}

}  // namespace

void check_partition(const Partition& partition, const std::string& what) {
  const auto refuse = [&](const std::string& message) { throw Error(ErrorKind::kUsage, what, message); };
  if (partition.empty()) refuse("expected a partition, found no parts");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < partition.size(); ++i) {
    if (partition[i] == 0) refuse(fmt::format("part {} is 0, expected at least 1", i + 1));
    if (i > 0 && partition[i] > partition[i - 1])
      refuse(fmt::format("part {} is {}, after {}; expected the largest first", i + 1, partition[i],
                         partition[i - 1]));
    sum += partition[i];
    if (sum > kMaxLength)
      refuse(fmt::format("the parts sum to more than {}, which is as far as irreps are counted",
                         format_count(kMaxLength)));
  }
}

Partition parse_partition(std::string_view text, const std::string& where) {
  std::string_view rest = text;
  if (rest.size() >= 2 && rest.front() == '(' && rest.back() == ')') rest = rest.substr(1, rest.size() - 2);
  Partition partition;
  const char* at = rest.data();
  const char* const end = rest.data() + rest.size();
  for (;;) {
    std::uint32_t part = 0;
    const auto [after, status] = std::from_chars(at, end, part);
    if (status != std::errc() || (after != end && *after != ','))
      throw Error(
          ErrorKind::kUsage, where,
          fmt::format("expected the parts of a partition, like 6,2, found \"{}\"", printable(text, 40)));
    partition.push_back(part);
    if (after == end) break;
    at = after + 1;
  }
  check_partition(partition, where);
  return partition;
}

std::string to_text(const Partition& partition) {
  return fmt::format("({})", fmt::join(partition, ","));
}

std::uint32_t length_of(const Partition& partition) {
  return std::accumulate(partition.begin(), partition.end(), 0u);
}

std::uint32_t degree_of(const Partition& shape) {
  return shape.empty() ? 0 : length_of(shape) - shape.front();
}

std::vector<Partition> partitions(std::uint32_t length, std::uint32_t degree) {
  if (length == 0 || length > kMaxLength)
    throw Error(ErrorKind::kUsage, "length",
                fmt::format("expected 1 to {}, found {}", format_count(kMaxLength), length));
  std::vector<Partition> all;
  Partition prefix(1);
  for (std::uint32_t m = 0; m <= std::min(degree, length - 1); ++m) {
    prefix[0] = length - m;
    add_partitions(m, length - m, prefix, all);
  }
  return all;
}

Natural Quotient::value() const {
  std::map<std::uint32_t, std::int64_t> primes;
  for (const auto& [whole, power] : powers_) {
    if (power == 0) continue;
    std::uint32_t factor = whole;
    for (std::uint32_t p = 2; p <= factor / p; ++p)
      for (; factor % p == 0; factor /= p) primes[p] += power;
    if (factor > 1) primes[factor] += power;
  }
  Natural product = 1;
  std::uint64_t chunk = 1;
  for (const auto& [prime, power] : primes)
    for (std::int64_t i = 0; i < power; ++i) {
      if (chunk * prime > std::numeric_limits<std::uint32_t>::max()) {
        product *= static_cast<std::uint32_t>(chunk);
        chunk = 1;
      }
      chunk *= prime;
    }
  product *= static_cast<std::uint32_t>(chunk);
  return product;
}

Natural dimension(const Partition& shape) {
  check_partition(shape, "partition");
  Quotient quotient;
  quotient.multiply_factorial(length_of(shape));
  each_cell(shape, [&](std::int64_t, std::uint32_t hook) { quotient.divide(hook); });
  return quotient.value();
}

Natural multiplicity(const Partition& shape, std::uint32_t vocabulary) {
  check_partition(shape, "partition");
  if (vocabulary == 0 || vocabulary > kMaxVocabulary)
    throw Error(ErrorKind::kUsage, "vocabulary",
                fmt::format("expected 1 to {}, found {}", format_count(kMaxVocabulary), vocabulary));
  if (shape.size() > vocabulary) return 0;
  Quotient quotient;
  each_cell(shape, [&](std::int64_t content, std::uint32_t hook) {
    quotient.multiply(static_cast<std::uint32_t>(vocabulary + content));
    quotient.divide(hook);
  });
  return quotient.value();
}

Natural class_size(const Partition& cycles) {
  check_partition(cycles, "cycles");
  Quotient quotient;
  quotient.multiply_factorial(length_of(cycles));
  for (std::size_t i = 0, equal = 0; i < cycles.size(); ++i) {
    equal = i > 0 && cycles[i] == cycles[i - 1] ? equal + 1 : 1;
    quotient.divide(cycles[i]);
    quotient.divide(static_cast<std::uint32_t>(equal));
  }
  return quotient.value();
}

ClassSums class_sums(const Partition& shape) {
  check_partition(shape, "partition");
  const std::int64_t length = length_of(shape);
  ClassSums sums;
  each_cell(shape, [&](std::int64_t content, std::uint32_t) {
    sums.transpositions += content;
    sums.three_cycles += content * content;
  });
  sums.three_cycles -= length * (length - 1) / 2;
  return sums;
}

}  // namespace telos::symmetry
