#include "model/block_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::model {
namespace {

/// Floats of a strip: 1 MB, which a second-level cache holds together with the lines that a transposition
/// writes.
constexpr std::size_t kStripFloats = std::size_t{1} << 18;
constexpr std::size_t kBlock = 8;

/// An exponent of all ones is NaN or infinity; the loop has no branch, so that it vectorises.
bool all_finite(const float* x, std::size_t n) {
  constexpr std::uint32_t kExponent = 0x7f800000u;
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < n; ++i) bad |= (std::bit_cast<std::uint32_t>(x[i]) & kExponent) == kExponent;
  return bad == 0;
}

/// Throws, or appends to `list` if there is one.
void report_not_finite(const Checkpoint& checkpoint, const TensorInfo& tensor,
                       std::vector<std::string>* list) {
  const TensorScan scan = checkpoint.scan(tensor);
  const std::string found =
      scan.nans + scan.infs == 0
          ? fmt::format("a value up to {:.3g} is beyond the range of float", scan.max_abs)
          : fmt::format("{} NaN and {} infinite values, the first at element {} of {}", scan.nans, scan.infs,
                        scan.first_bad, tensor.shape_text());
  const Error error(ErrorKind::kNotFinite, checkpoint.files()[tensor.file] + ": " + printable(tensor.name),
                    found, "the checkpoint is damaged, or training diverged");
  if (list == nullptr) throw error;
  list->push_back(error.what());
}

/// Rows of the tensor that are read at a time.
std::size_t strip_rows(std::size_t cols) {
  return std::clamp<std::size_t>(kStripFloats / std::max<std::size_t>(cols, 1) / kBlock * kBlock, kBlock,
                                 256);
}

/// Window (row0, col0) of the tensor, as it is stored. True if all of it is finite.
bool read_plain(const Checkpoint& checkpoint, const TensorInfo& tensor, std::size_t row0, std::size_t col0,
                MatrixView<float> out) {
  const std::size_t strip = strip_rows(out.cols());
  bool finite = true;
  for (std::size_t i = 0; i < out.rows(); i += strip) {
    check_interrupt();
    const auto part = out.block(i, 0, std::min(strip, out.rows() - i), out.cols());
    checkpoint.read(tensor, row0 + i, col0, part);
    for (std::size_t r = 0; r < part.rows(); ++r) finite = all_finite(part.row(r), part.cols()) && finite;
  }
  return finite;
}

/// out = (window (row0, col0) of the tensor)ᵀ. True if all of it is finite.
bool read_transposed(const Checkpoint& checkpoint, const TensorInfo& tensor, std::size_t row0,
                     std::size_t col0, MatrixView<float> out) {
  const std::size_t rows = out.cols(), cols = out.rows(), strip = std::min(strip_rows(cols), rows);
  // A stride of a power of two would map a column of the strip to few cache sets.
  const std::size_t stride = cols + 16;
  Matrix<float> buffer(strip, stride);
  bool finite = true;
  for (std::size_t i = 0; i < rows; i += strip) {
    const std::size_t count = std::min(strip, rows - i);
    const MatrixView<float> part(buffer.data(), count, cols, stride);
    finite = read_plain(checkpoint, tensor, row0 + i, col0, part) && finite;
    transpose(part, out.block(0, i, cols, count));
  }
  return finite;
}

}  // namespace

void transpose(ConstMatrixView<float> in, MatrixView<float> out) {
  const std::size_t rows = in.rows() / kBlock * kBlock, cols = in.cols() / kBlock * kBlock;
  for (std::size_t j = 0; j < cols; j += kBlock) {
    for (std::size_t i = 0; i < rows; i += kBlock) {
      const float* from = in.row(i) + j;
      float* to = out.row(j) + i;
      for (std::size_t b = 0; b < kBlock; ++b)
        for (std::size_t a = 0; a < kBlock; ++a) to[b * out.stride() + a] = from[a * in.stride() + b];
    }
  }
  for (std::size_t i = 0; i < in.rows(); ++i)
    for (std::size_t j = i < rows ? cols : 0; j < in.cols(); ++j) out(j, i) = in(i, j);
}

void read_out_as_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, Orientation stored,
                      const Runs& runs, MatrixView<float> out, std::vector<std::string>* not_finite) {
  std::size_t row = 0;
  bool finite = true;
  for (const auto& [first, count] : runs) {
    const auto part = out.block(row, 0, count, out.cols());
    finite = (stored == Orientation::kOutIn ? read_plain(checkpoint, tensor, first, 0, part)
                                            : read_transposed(checkpoint, tensor, 0, first, part)) &&
             finite;
    row += count;
  }
  if (!finite) report_not_finite(checkpoint, tensor, not_finite);
}

void read_in_as_rows(const Checkpoint& checkpoint, const TensorInfo& tensor, Orientation stored,
                     const Runs& runs, MatrixView<float> out, std::vector<std::string>* not_finite) {
  std::size_t col = 0;
  bool finite = true;
  for (const auto& [first, count] : runs) {
    const auto part = out.block(0, col, out.rows(), count);
    finite = (stored == Orientation::kOutIn ? read_transposed(checkpoint, tensor, first, 0, part)
                                            : read_plain(checkpoint, tensor, 0, first, part)) &&
             finite;
    col += count;
  }
  if (!finite) report_not_finite(checkpoint, tensor, not_finite);
}

std::vector<float> read_vector(const Checkpoint& checkpoint, const TensorInfo& tensor, const Runs& runs,
                               std::vector<std::string>* not_finite) {
  std::size_t size = 0;
  for (const auto& [first, count] : runs) size += count;
  std::vector<float> out(size);
  std::size_t done = 0;
  bool finite = true;
  for (const auto& [first, count] : runs) {
    finite =
        read_plain(checkpoint, tensor, 0, first, MatrixView<float>(out.data() + done, 1, count)) && finite;
    done += count;
  }
  if (!finite) report_not_finite(checkpoint, tensor, not_finite);
  return out;
}

}  // namespace telos::model
