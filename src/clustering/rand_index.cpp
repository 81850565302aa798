#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <vector>

#include "clustering/measure_parts.h"
#include "telos/base/error.h"

namespace telos::clustering {
namespace {

double pairs_of(double n) {
  return n * (n - 1) / 2;
}

}  // namespace

Classes classes(std::span<const std::size_t> labels) {
  Classes out;
  std::unordered_map<std::size_t, std::size_t> known;
  std::vector<std::size_t> sizes;
  for (const std::size_t label : labels) {
    const std::size_t number = known.emplace(label, known.size()).first->second;
    if (number == sizes.size()) sizes.push_back(0);
    ++sizes[number];
    out.label.push_back(number);
  }
  out.count = sizes.size();
  for (const std::size_t size : sizes) out.pairs += pairs_of(static_cast<double>(size));
  out.order.resize(labels.size());
  std::iota(out.order.begin(), out.order.end(), 0);
  std::ranges::stable_sort(out.order, {}, [&](std::size_t i) { return out.label[i]; });
  return out;
}

double rand_index(const Classes& a, const Classes& b, std::span<const std::size_t> b_labels) {
  // Pairs in one class of both: class after class of a, each token pairs with those of its class in b.
  std::vector<std::size_t> met(b.count, 0);
  double both = 0;
  for (std::size_t begin = 0, end = 0; begin < a.order.size(); begin = end) {
    for (; end < a.order.size() && a.label[a.order[end]] == a.label[a.order[begin]]; ++end)
      both += static_cast<double>(met[b_labels[a.order[end]]]++);
    for (std::size_t k = begin; k < end; ++k) met[b_labels[a.order[k]]] = 0;
  }
  const double all = pairs_of(static_cast<double>(a.label.size()));
  const double expected = all > 0 ? a.pairs * b.pairs / all : 0, largest = (a.pairs + b.pairs) / 2;
  return largest == expected ? 1 : (both - expected) / (largest - expected);
}

double adjusted_rand_index(std::span<const std::size_t> a, std::span<const std::size_t> b) {
  if (a.size() != b.size())
    throw Error(ErrorKind::kShape, "adjusted Rand index",
                fmt::format("the labellings are of {} and {} tokens", a.size(), b.size()));
  const Classes of_a = classes(a), of_b = classes(b);
  return rand_index(of_a, of_b, of_b.label);
}

}  // namespace telos::clustering
