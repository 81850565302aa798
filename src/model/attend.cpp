#include <algorithm>
#include <cmath>
#include <vector>

#include "model/pass.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::model {
namespace {

/// Rows of one attention task. Causal blocks are short, because a block computes scores up to its last row
/// only.
constexpr std::size_t kCausalRows = 64, kRows = 256;
/// Score of a key that must not be seen: after the row's maximum is subtracted, exp gives exactly 0.
constexpr float kHidden = -1e30f;

/// One (sequence, head, block of rows).
struct Task {
  std::size_t sequence, head, begin, end;
};

/// Keys [first, last) that row i sees but for padding.
struct Range {
  std::size_t first, last;
};
Range keys_of(const Visibility& visibility, std::size_t window, std::size_t i) {
  const std::size_t last = visibility.causal ? i + 1 : visibility.tokens;
  // A window counts back from the token itself; it is a causal family's feature.
  return {window != 0 && i + 1 > window ? i + 1 - window : 0, last};
}

bool sees_nothing(std::span<const std::uint8_t> mask, Range keys) {
  return !mask.empty() && std::all_of(mask.begin() + static_cast<std::ptrdiff_t>(keys.first),
                                      mask.begin() + static_cast<std::ptrdiff_t>(keys.last),
                                      [](std::uint8_t real) { return real == 0; });
}

/// Scores → attention, in place, for row i over all L columns.
void finish_row(const Visibility& visibility, const Settings::Step& step, std::size_t sequence, std::size_t i,
                std::span<float> row) {
  const Range keys = keys_of(visibility, step.window, i);
  const auto mask = visibility.mask.empty()
                        ? visibility.mask
                        : visibility.mask.subspan(sequence * visibility.tokens, visibility.tokens);
  if (sees_nothing(mask, keys)) {
    std::fill(row.begin(), row.end(), 1.0f / static_cast<float>(row.size()));
    return;
  }
  if (!mask.empty())
    for (std::size_t j = keys.first; j < keys.last; ++j)
      if (mask[j] == 0) row[j] = kHidden;
  std::fill(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(keys.first), 0.0f);
  softmax_row<float>(row.subspan(keys.first), keys.last - keys.first, step.scale);
}

}  // namespace

void attend(const HeadShape& shape, const Settings::Step& step, const Visibility& visibility,
            ConstMatrixView<float> qkv, std::span<const ConstMatrixView<float>> fixed,
            MatrixView<float> attention, MatrixView<float> context, const Arena& arena) {
  const std::size_t tokens = visibility.tokens, block = visibility.causal ? kCausalRows : kRows;
  const std::size_t blocks = (tokens + block - 1) / block;
  arena.parallel_for(visibility.sequences * shape.heads * blocks, [&](std::size_t index) {
    const Task task{index / blocks / shape.heads, index / blocks % shape.heads, index % blocks * block,
                    std::min(tokens, index % blocks * block + block)};
    const std::size_t top = task.sequence * tokens, rows = task.end - task.begin;
    // No row of the block sees a key at or beyond `reach`, unless padding hides all its keys.
    std::size_t reach = visibility.causal ? task.end : tokens;
    if (!visibility.mask.empty()) reach = tokens;

    Matrix<float> scratch;
    if (attention.empty()) scratch = Matrix<float>(rows, tokens);
    const MatrixView<float> a =
        attention.empty() ? scratch.view()
                          : attention.block((task.sequence * shape.heads + task.head) * tokens + task.begin,
                                            0, rows, tokens);
    if (!fixed.empty() && !fixed[task.head].empty()) {
      const ConstMatrixView<float> given = fixed[task.head];
      const std::size_t first = (given.rows() == tokens ? 0 : top) + task.begin;
      for (std::size_t r = 0; r < rows; ++r) std::copy_n(given.row(first + r), tokens, a.row(r));
    } else {
      gemm<float>(Op::kPlain, Op::kTransposed, 1.0f,
                  qkv.block(top + task.begin, task.head * shape.width, rows, shape.width),
                  qkv.block(top, shape.key_column(task.head), reach, shape.width), 0.0f,
                  a.block(0, 0, rows, reach), arena);
      for (std::size_t r = 0; r < rows; ++r)
        finish_row(visibility, step, task.sequence, task.begin + r, {a.row(r), tokens});
    }
    gemm<float>(Op::kPlain, Op::kPlain, 1.0f, a.block(0, 0, rows, reach),
                qkv.block(top, shape.value_column(task.head), reach, shape.width), 0.0f,
                context.block(top + task.begin, task.head * shape.width, rows, shape.width), arena);
  });
}

}  // namespace telos::model
