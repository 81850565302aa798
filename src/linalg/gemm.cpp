#include "telos/linalg/gemm.h"

#include <algorithm>
#include <string>

#include "linalg/gemm_kernel.h"
#include "linalg/shape_text.h"
#include "telos/base/error.h"

// The bits of an element of C depend on its row of A and its column of B alone, so rows and columns may be
// cut anywhere: all choices below are about speed only.
namespace telos {
namespace {

using kernel::Block;
using kernel::Finish;
using kernel::kPanel;
using kernel::padded_cols;
using kernel::Panels;

// Below this many operations (some 10 µs) a second thread costs more than it brings.
constexpr double kParallelFlops = 2e6;
// A packed copy of B is made in slices of at most this many elements.
constexpr std::size_t kSliceElements = std::size_t{1} << 22;

void require_shape(const char* where, const char* what, std::size_t rows, std::size_t cols,
                   std::size_t expected_rows, std::size_t expected_cols) {
  if (rows != expected_rows || cols != expected_cols)
    throw Error(ErrorKind::kShape, where,
                std::string(what) + " is " + shape_text(rows, cols) + ", expected " +
                    shape_text(expected_rows, expected_cols));
}

template <class T>
bool is_parallel(const Block<T>& block, const Arena& arena) {
  const double cols = static_cast<double>(block.col_end - block.col_begin);
  return arena.threads() > 1 &&
         2.0 * static_cast<double>(block.rows) * cols * static_cast<double>(block.k) > kParallelFlops;
}

// Cuts the product into blocks and computes them. `whole` describes all rows and the columns from col_begin
// to col_end.
template <class T>
void run_product(const Block<T>& whole, const Arena& arena) {
  const std::size_t cols = whole.col_end - whole.col_begin;
  const bool parallel = is_parallel(whole, arena);
  const std::size_t row_blocks = (whole.rows + kernel::kMaxBlockRows - 1) / kernel::kMaxBlockRows;
  const std::size_t panels = (cols + kPanel<T> - 1) / kPanel<T>;
  std::size_t panels_per_block = kernel::kMaxBlockCols / kPanel<T>;
  if (parallel) {
    const std::size_t wanted = 4 * static_cast<std::size_t>(arena.threads());
    const std::size_t col_blocks = std::max<std::size_t>(1, wanted / row_blocks);
    panels_per_block = std::clamp<std::size_t>(panels / col_blocks, 1, panels_per_block);
  }
  const std::size_t col_blocks = (panels + panels_per_block - 1) / panels_per_block;
  const auto body = [&](std::size_t index) {
    const std::size_t r = index / col_blocks, c = index % col_blocks;
    const std::size_t row = whole.rows * r / row_blocks, row_end = whole.rows * (r + 1) / row_blocks;
    Block<T> block = whole;
    if (whole.k != 0) block.a += whole.a_transposed ? row : row * whole.lda;
    block.rows = row_end - row;
    if (r > 0 && block.panels_state == Panels::kFill) block.panels_state = Panels::kReady;
    block.col_begin = whole.col_begin + c * panels_per_block * kPanel<T>;
    block.col_end = std::min(whole.col_end, block.col_begin + panels_per_block * kPanel<T>);
    if (whole.c != nullptr) block.c += row * whole.ldc;
    if (whole.wide != nullptr) block.wide += row * whole.ldc;
    if (whole.residual != nullptr) block.residual += row * whole.ld_residual;
    if (whole.addend != nullptr) block.addend += row * whole.ld_addend;
    kernel::run_block(block);
  };
  const std::size_t count = row_blocks * col_blocks;
  if (parallel)
    arena.parallel_for(count, body);
  else
    for (std::size_t i = 0; i < count; ++i) body(i);
}

template <class T>
T* packing_buffer(std::size_t size) {
  thread_local Matrix<T> buffer;
  if (buffer.size() < size) buffer = Matrix<T>(1, size);
  return buffer.data();
}

// C by way of packed panels of op(B). A plain B is packed by the first tile that reads it, at hardly any
// cost, again for each block of rows. Turning a transposed B costs more: blocks of rows share one packed
// copy, made slice by slice; alone, the first of them fills it, with helpers it is made beforehand.
template <class T>
void run_with_packing(Block<T> block, Op op_b, ConstMatrixView<T> b, const Arena& arena) {
  const std::size_t k = block.k, n = block.n;
  block.b = b.data();
  block.ldb = b.stride();
  block.b_transposed = op_b == Op::kTransposed;
  if (block.rows <= kernel::kMaxBlockRows || op_b == Op::kPlain) {
    block.panels_state = Panels::kLocal;
    block.col_end = n;
    return run_product(block, arena);
  }
  const std::size_t slice =
      std::max<std::size_t>(1, kSliceElements / std::max<std::size_t>(1, k) / kPanel<T>) * kPanel<T>;
  for (std::size_t begin = 0; begin < n; begin += slice) {
    const std::size_t end = std::min(n, begin + slice);
    block.panels = packing_buffer<T>(k * padded_cols<T>(end - begin));
    block.panels_begin = block.col_begin = begin;
    block.col_end = end;
    block.panels_state = Panels::kFill;
    if (is_parallel(block, arena)) {
      arena.parallel_for((end - begin + kPanel<T> - 1) / kPanel<T>, [&](std::size_t p) {
        const std::size_t col = begin + p * kPanel<T>;
        kernel::pack_panel(block.b, block.ldb, block.b_transposed, k, col, n,
                           block.panels + (col - begin) * k);
      });
      block.panels_state = Panels::kReady;
    }
    run_product(block, arena);
  }
}

template <class T>
Block<T> make_block(Op op_a, ConstMatrixView<T> a) {
  Block<T> block{};
  block.a = a.data();
  block.lda = a.stride();
  block.a_transposed = op_a == Op::kTransposed;
  block.rows = block.a_transposed ? a.cols() : a.rows();
  block.k = block.a_transposed ? a.rows() : a.cols();
  block.alpha = T{1};
  return block;
}

template <class T>
void check_product(const char* where, const Block<T>& block, Op op_b, ConstMatrixView<T> b,
                   std::size_t c_rows, std::size_t c_cols) {
  const std::size_t b_rows = op_b == Op::kPlain ? b.rows() : b.cols(),
                    n = op_b == Op::kPlain ? b.cols() : b.rows();
  require_shape(where, "op(B)", b_rows, n, block.k, n);
  require_shape(where, "C", c_rows, c_cols, block.rows, n);
}

}  // namespace

template <class T>
void gemm(Op op_a, Op op_b, T alpha, ConstMatrixView<T> a, ConstMatrixView<T> b, T beta, MatrixView<T> c,
          const Arena& arena) {
  Block<T> block = make_block(op_a, a);
  check_product("gemm", block, op_b, b, c.rows(), c.cols());
  if (c.empty()) return;
  block.n = c.cols();
  block.finish = alpha == T{1} && beta == T{0} ? Finish::kStore : Finish::kScale;
  block.alpha = alpha;
  block.beta = beta;
  block.c = c.data();
  block.ldc = c.stride();
  run_with_packing(block, op_b, b, arena);
}

void gemm_f32_f64(Op op_a, Op op_b, ConstMatrixView<float> a, ConstMatrixView<float> b, MatrixView<double> c,
                  const Arena& arena) {
  Block<float> block = make_block(op_a, a);
  check_product("gemm_f32_f64", block, op_b, b, c.rows(), c.cols());
  if (c.empty()) return;
  block.n = c.cols();
  block.finish = Finish::kWiden;
  block.wide = c.data();
  block.ldc = c.stride();
  run_with_packing(block, op_b, b, arena);
}

template <class T>
std::size_t packed_elements(std::size_t k, std::size_t n) {
  return k * padded_cols<T>(n);
}

template <class T>
PackedView<T> pack(Op op_b, ConstMatrixView<T> b, std::span<T> memory) {
  const bool transposed = op_b == Op::kTransposed;
  const std::size_t k = transposed ? b.cols() : b.rows(), n = transposed ? b.rows() : b.cols();
  require_shape("pack", "memory", 1, memory.size(), 1, packed_elements<T>(k, n));
  if (!memory.empty())
    for (std::size_t col = 0; col < n; col += kPanel<T>)
      kernel::pack_panel(b.data(), b.stride(), transposed, k, col, n, memory.data() + col * k);
  return {memory.data(), k, n};
}

template <class T>
PackedMatrix<T>::PackedMatrix(Op op_b, ConstMatrixView<T> b)
    : rows_(op_b == Op::kPlain ? b.rows() : b.cols()), cols_(op_b == Op::kPlain ? b.cols() : b.rows()) {
  data_ = Matrix<T>(rows_, padded_cols<T>(cols_));
  pack(op_b, b, std::span<T>(data_.data(), data_.size()));
}

template <class T>
void gemm_packed(ConstMatrixView<T> a, PackedView<T> b, const Epilogue<T>& epilogue, MatrixView<T> c,
                 const Arena& arena) {
  constexpr const char* kWhere = "gemm_packed";
  Block<T> block = make_block(Op::kPlain, a);
  require_shape(kWhere, "B", b.rows, b.cols, block.k, b.cols);
  require_shape(kWhere, "C", c.rows(), c.cols(), block.rows, b.cols);
  if (!epilogue.bias.empty()) require_shape(kWhere, "bias", 1, epilogue.bias.size(), 1, b.cols);
  if (!epilogue.residual.empty())
    require_shape(kWhere, "residual", epilogue.residual.rows(), epilogue.residual.cols(), c.rows(), c.cols());
  if (!epilogue.addend.empty())
    require_shape(kWhere, "addend", epilogue.addend.rows(), epilogue.addend.cols(), c.rows(), c.cols());
  if (c.empty()) return;
  const bool bare = epilogue.bias.empty() && epilogue.activation == Activation::kNone &&
                    epilogue.residual.empty() && epilogue.addend.empty();
  block.n = c.cols();
  block.panels_state = Panels::kReady;
  block.panels = const_cast<T*>(b.data);  // kReady: only read
  block.col_end = block.n;
  block.finish = bare ? Finish::kStore : Finish::kEpilogue;
  block.c = c.data();
  block.ldc = c.stride();
  block.bias = epilogue.bias.empty() ? nullptr : epilogue.bias.data();
  block.activation = epilogue.activation;
  block.residual = epilogue.residual.empty() ? nullptr : epilogue.residual.data();
  block.ld_residual = epilogue.residual.stride();
  block.addend = epilogue.addend.empty() ? nullptr : epilogue.addend.data();
  block.ld_addend = epilogue.addend.stride();
  run_product(block, arena);
}

template void gemm(Op, Op, float, ConstMatrixView<float>, ConstMatrixView<float>, float, MatrixView<float>,
                   const Arena&);
template void gemm(Op, Op, double, ConstMatrixView<double>, ConstMatrixView<double>, double,
                   MatrixView<double>, const Arena&);
template class PackedMatrix<float>;
template class PackedMatrix<double>;
template std::size_t packed_elements<float>(std::size_t, std::size_t);
template std::size_t packed_elements<double>(std::size_t, std::size_t);
template PackedView<float> pack(Op, ConstMatrixView<float>, std::span<float>);
template PackedView<double> pack(Op, ConstMatrixView<double>, std::span<double>);
template void gemm_packed(ConstMatrixView<float>, PackedView<float>, const Epilogue<float>&,
                          MatrixView<float>, const Arena&);
template void gemm_packed(ConstMatrixView<double>, PackedView<double>, const Epilogue<double>&,
                          MatrixView<double>, const Arena&);

}  // namespace telos
