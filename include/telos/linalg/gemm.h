#pragma once

#include <cstddef>
#include <span>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"

namespace telos {

enum class Op { kPlain, kTransposed };

/// C ← alpha · op(A) · op(B) + beta · C, with op(A) m×k, op(B) k×n, C m×n (row-major). beta = 0 does not read
/// C.
///
/// Each element is formed the same way on every machine and for any number of threads: partial sums over
/// blocks of 256 consecutive k, each a chain of fused multiply-adds in ascending k from 0, added in ascending
/// order of the blocks. So the result is bit-identical for scalar, AVX2 and AVX-512 code, for any split of
/// the rows, and for 1 or 7 threads. With S that sum: alpha = 1 and beta = 0 store S; else alpha·S is
/// rounded, and beta ≠ 0 adds fma(beta, C, alpha·S). |error in S| ≤ γ_j (|A||B|) elementwise, j = min(k, 256)
/// + ⌈k/256⌉. NaN and infinities pass through. Views must not overlap C. Throws Error{kShape}. Cost 2mnk
/// flops; each thread keeps less than 1 MB of packed panels and partial sums for its next product, and a
/// transposed B under many rows (more than 132) takes up to 4 Mi elements more, or one strip of 32.
/// Instantiated for float and double.
template <class T>
void gemm(Op op_a, Op op_b, T alpha, ConstMatrixView<T> a, ConstMatrixView<T> b, T beta, MatrixView<T> c,
          const Arena& arena);

/// C ← op(A) · op(B) with float factors and a double result: each block of 256 k is summed in float, the
/// blocks in double. For spectra of half-precision weights, where d is thousands and the factors are exact in
/// float.
void gemm_f32_f64(Op op_a, Op op_b, ConstMatrixView<float> a, ConstMatrixView<float> b, MatrixView<double> c,
                  const Arena& arena);

/// A right-hand factor op(B) (k×n) in the order in which the kernel reads it, in memory that somebody else
/// owns.
template <class T>
struct PackedView {
  const T* data = nullptr;
  std::size_t rows = 0, cols = 0;  ///< k, n
};
/// Elements of a packed k×n factor: n is rounded up to half a panel (64 bytes).
template <class T>
std::size_t packed_elements(std::size_t k, std::size_t n);
/// Packs op(B) into `memory`, packed_elements() long (else kShape).
template <class T>
PackedView<T> pack(Op op_b, ConstMatrixView<T> b, std::span<T> memory);

/// A right-hand factor op(B) (k×n) copied once into the order in which the kernel reads it; for weights that
/// many products share.
template <class T>
class PackedMatrix {
 public:
  PackedMatrix() = default;
  PackedMatrix(Op op_b, ConstMatrixView<T> b);
  std::size_t rows() const { return rows_; }  ///< k
  std::size_t cols() const { return cols_; }  ///< n
  const T* data() const { return data_.data(); }
  operator PackedView<T>() const { return {data_.data(), rows_, cols_}; }

 private:
  Matrix<T> data_;
  std::size_t rows_ = 0, cols_ = 0;
};

enum class Activation { kNone, kRelu, kGeluErf, kGeluTanh, kQuickGelu, kSilu };

/// What is done to a product before it is stored: C = residual + activation((A·B + addend) + bias). Empty
/// parts are skipped.
template <class T>
struct Epilogue {
  std::span<const T> bias{};  ///< n values, or empty
  Activation activation = Activation::kNone;
  ConstMatrixView<T> residual{};  ///< m×n, or empty; may be the same memory as C
  ConstMatrixView<T> addend{};    ///< m×n, or empty; may be the same memory as C
};

/// C ← residual + activation((A · B + addend) + bias) with B packed beforehand. Same bits as gemm() followed
/// by the epilogue.
template <class T>
void gemm_packed(ConstMatrixView<T> a, PackedView<T> b, const Epilogue<T>& epilogue, MatrixView<T> c,
                 const Arena& arena);
template <class T>
void gemm_packed(ConstMatrixView<T> a, const PackedMatrix<T>& b, const Epilogue<T>& epilogue, MatrixView<T> c,
                 const Arena& arena) {
  gemm_packed(a, PackedView<T>(b), epilogue, c, arena);
}

/// Name of the instruction set that the kernels run on here, e.g. "AVX2" or "AVX3" (AVX-512).
const char* kernel_target();

}  // namespace telos
