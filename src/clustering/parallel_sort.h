#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "telos/base/arena.h"

namespace telos::clustering {

/// Sorts by a strict total order (so that the result is one and the same for any number of threads).
template <class T, class Less>
void parallel_sort(std::vector<T>& items, const Less& less, const Arena& arena) {
  constexpr std::size_t kRun = 65536;
  const std::size_t n = items.size();
  const auto at = [&](std::vector<T>& v, std::size_t i) {
    return v.begin() + static_cast<std::ptrdiff_t>(std::min(i, n));
  };
  arena.parallel_for((n + kRun - 1) / kRun,
                     [&](std::size_t b) { std::sort(at(items, b * kRun), at(items, (b + 1) * kRun), less); });
  std::vector<T> merged(n > kRun ? n : 0);
  for (std::size_t run = kRun; run < n; run *= 2) {
    arena.parallel_for((n + 2 * run - 1) / (2 * run), [&](std::size_t b) {
      const std::size_t begin = 2 * run * b;
      std::merge(at(items, begin), at(items, begin + run), at(items, begin + run), at(items, begin + 2 * run),
                 at(merged, begin), less);
    });
    items.swap(merged);
  }
}

}  // namespace telos::clustering
