#include <algorithm>
#include <string>

#include "model/pass.h"
#include "telos/base/error.h"
#include "telos/linalg/gemm.h"

namespace telos::model {
namespace {

void check_range(const char* what, std::int32_t value, std::size_t limit, std::size_t row,
                 std::size_t tokens) {
  if (value >= 0 && static_cast<std::size_t>(value) < limit) return;
  throw Error(ErrorKind::kBadFormat,
              "sequence " + std::to_string(row / tokens) + ", token " + std::to_string(row % tokens),
              std::string(what) + " " + std::to_string(value) + " is not in 0 … " + std::to_string(limit - 1),
              "the text was encoded with another model's tokenizer");
}

/// Row of the position table for each token of one sequence.
std::vector<std::size_t> positions_of(const Settings& settings, std::span<const std::int32_t> ids) {
  std::vector<std::size_t> result(ids.size());
  const auto padding = static_cast<std::size_t>(settings.padding_id);
  std::size_t real = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (settings.positions == Positions::kCounted)
      result[i] = i;
    else
      result[i] = ids[i] == settings.padding_id ? padding : padding + ++real;
  }
  return result;
}

void add(const float* from, std::size_t count, float* to) {
  for (std::size_t j = 0; j < count; ++j) to[j] += from[j];
}

}  // namespace

void embed_tokens(const Embedding& embedding, const Settings& settings, const TokenBatch& batch,
                  MatrixView<float> x, const Arena& arena) {
  for (std::size_t row = 0; row < batch.ids.size(); ++row) {
    check_range("token id", batch.ids[row], embedding.token.rows(), row, batch.tokens);
    if (!batch.types.empty() && !embedding.type.empty())
      check_range("segment id", batch.types[row], embedding.type.rows(), row, batch.tokens);
  }
  const std::size_t width = embedding.token.cols();
  const bool mapped = embedding.map.weight.cols() != 0;
  Matrix<float> narrow = mapped ? Matrix<float>(x.rows(), width) : Matrix<float>();
  const MatrixView<float> sum = mapped ? narrow.view() : x;
  arena.parallel_for(batch.sequences, [&](std::size_t sequence) {
    const std::size_t top = sequence * batch.tokens;
    const auto positions = positions_of(settings, std::span(batch.ids).subspan(top, batch.tokens));
    for (std::size_t i = 0; i < batch.tokens; ++i) {
      float* row = sum.row(top + i);
      std::copy_n(embedding.token.row(static_cast<std::size_t>(batch.ids[top + i])), width, row);
      if (!embedding.position.empty()) add(embedding.position.row(positions[i]), width, row);
      if (!embedding.type.empty())
        add(embedding.type.row(batch.types.empty() ? 0 : static_cast<std::size_t>(batch.types[top + i])),
            width, row);
    }
  });
  if (embedding.norm.kind != NormKind::kNone) normalise(embedding.norm, sum, sum, arena);
  if (mapped) gemm_packed<float>(sum, embedding.map.weight, {.bias = embedding.map.bias}, x, arena);
}

void embed_images(const Embedding& embedding, const Settings& settings, ConstMatrixView<float> pixels,
                  MatrixView<float> x, const Arena& arena) {
  const std::size_t height = embedding.patch_height, width = embedding.patch_width;
  const std::size_t across = settings.image_width / width, down = settings.image_height / height;
  const std::size_t patches = down * across, leading = embedding.leading.rows(), tokens = leading + patches;
  Matrix<float> unfolded(pixels.rows() * patches, embedding.channels * height * width);
  arena.parallel_for(unfolded.rows(), [&](std::size_t r) {
    const std::size_t patch = r % patches, y0 = patch / across * height, x0 = patch % across * width;
    float* to = unfolded.row(r);
    for (std::size_t c = 0; c < embedding.channels; ++c)
      for (std::size_t y = y0; y < y0 + height; ++y, to += width)
        std::copy_n(pixels.row(r / patches) + (c * settings.image_height + y) * settings.image_width + x0,
                    width, to);
  });
  for (std::size_t image = 0; image < pixels.rows(); ++image) {
    const MatrixView<float> rows = x.block(image * tokens, 0, tokens, x.cols());
    for (std::size_t i = 0; i < leading; ++i) std::copy_n(embedding.leading.row(i), x.cols(), rows.row(i));
    gemm_packed<float>(unfolded.view().block(image * patches, 0, patches, unfolded.cols()),
                       embedding.map.weight, {.bias = embedding.map.bias},
                       rows.block(leading, 0, patches, x.cols()), arena);
    for (std::size_t i = 0; i < tokens; ++i) add(embedding.position.row(i), x.cols(), rows.row(i));
  }
}

}  // namespace telos::model
