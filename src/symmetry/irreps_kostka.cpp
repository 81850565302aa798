#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "symmetry/irreps_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::symmetry {
namespace {

/// Inner shapes, padded to the rows of the whole one, and the tableaux that fill each.
using Fillings = std::map<Partition, Natural>;

/// Counts the fillings of λ letter by letter: the cells of one letter are a horizontal strip, no two in a
/// column.
class StripCounter {
 public:
  explicit StripCounter(const Partition& shape) : shape_(shape) { fillings_[Partition(shape.size(), 0)] = 1; }

  void add_letter(std::uint32_t cells) {
    next_.clear();
    for (const auto& [inner, count] : fillings_) {
      check_interrupt();
      room_.assign(shape_.size() + 1, 0);
      for (std::size_t r = shape_.size(); r-- > 0;)
        room_[r] = room_[r + 1] + (r == 0 ? shape_[0] : std::min(shape_[r], inner[r - 1])) - inner[r];
      if (room_[0] < cells) continue;
      Partition outer = inner;
      grow(outer, count, 0, cells);
    }
    fillings_.swap(next_);
  }

  Natural count() const {
    const auto whole = fillings_.find(shape_);
    return whole == fillings_.end() ? Natural(0) : whole->second;
  }

 private:
  /// Puts `cells` into row `row` and those below; room_[row] is not less.
  void grow(Partition& outer, const Natural& count, std::size_t row, std::uint32_t cells) {
    if (cells == 0) {
      if (++steps_ > kMaxSteps)
        throw Error(ErrorKind::kLimit, "Kostka number of " + to_text(shape_),
                    "has too many inner shapes to be counted", "ask for shapes of a lower degree");
      next_[outer] += count;
      return;
    }
    const std::uint32_t start = outer[row], below = room_[row + 1], here = room_[row] - below;
    for (std::uint32_t put = cells > below ? cells - below : 0; put <= std::min(here, cells); ++put) {
      outer[row] = start + put;
      grow(outer, count, row + 1, cells - put);
    }
    outer[row] = start;
  }

  const Partition& shape_;
  Fillings fillings_, next_;
  std::vector<std::uint32_t> room_;  // cells that a strip may have in a row and those below it
  std::size_t steps_ = 0;
};

}  // namespace

Natural kostka(const Partition& shape, std::span<const std::uint32_t> counts) {
  check_partition(shape, "partition");
  const std::uint64_t sum = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (sum != length_of(shape))
    throw Error(ErrorKind::kUsage, "counts",
                fmt::format("sum to {}, the irrep {} has length {}", sum, to_text(shape), length_of(shape)));
  StripCounter counter(shape);
  for (const std::uint32_t cells : counts)
    if (cells > 0) counter.add_letter(cells);
  return counter.count();
}

}  // namespace telos::symmetry
