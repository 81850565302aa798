#pragma once

#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace telos {

/// A row-major window onto memory that somebody else owns: element (i, j) lies at data[i * stride + j].
/// T may be const. Copying a view copies the window, not the elements.
template <class T>
class MatrixView {
 public:
  MatrixView() = default;
  MatrixView(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}
  MatrixView(T* data, std::size_t rows, std::size_t cols) : MatrixView(data, rows, cols, cols) {}
  /// A view of mutable elements is also a view of constant ones.
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) {
    return {data_, rows_, cols_, stride_};
  }

  T* data() const { return data_; }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t stride() const { return stride_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }

  T& operator()(std::size_t i, std::size_t j) const {
    assert(i < rows_ && j < cols_);
    return data_[i * stride_ + j];
  }
  T* row(std::size_t i) const {
    assert(i < rows_);
    return data_ + i * stride_;
  }
  /// The window of `rows` × `cols` elements that starts at (row, col).
  MatrixView block(std::size_t row, std::size_t col, std::size_t rows, std::size_t cols) const {
    assert(row + rows <= rows_ && col + cols <= cols_);
    return {data_ + row * stride_ + col, rows, cols, stride_};
  }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0, cols_ = 0, stride_ = 0;
};

template <class T>
using ConstMatrixView = MatrixView<const T>;

/// A dense row-major matrix that owns its elements: zero-initialised, 64-byte aligned, stride = cols.
/// Move-only; copy() makes a deep copy on purpose. T is a trivial arithmetic or complex type.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::size_t rows, std::size_t cols) : rows_(rows), cols_(cols) {
    if (rows != 0 && cols > static_cast<std::size_t>(-1) / sizeof(T) / rows)
      throw std::bad_array_new_length();
    const std::size_t n = rows * cols;
    if (n == 0) return;
    void* raw = ::operator new (n * sizeof(T), std::align_val_t{64});
    data_.reset(static_cast<T*>(raw));
    std::uninitialized_value_construct_n(data_.get(), n);
  }
  Matrix(Matrix&& other) noexcept
      : data_(std::move(other.data_)),
        rows_(std::exchange(other.rows_, 0)),
        cols_(std::exchange(other.cols_, 0)) {}
  Matrix& operator=(Matrix&& other) noexcept {
    data_ = std::move(other.data_);
    rows_ = std::exchange(other.rows_, 0);
    cols_ = std::exchange(other.cols_, 0);
    return *this;
  }

  Matrix copy() const {
    Matrix out(rows_, cols_);
    std::uninitialized_copy_n(data_.get(), size(), out.data_.get());
    return out;
  }

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t size() const { return rows_ * cols_; }
  bool empty() const { return size() == 0; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T* row(std::size_t i) { return data_.get() + i * cols_; }
  const T* row(std::size_t i) const { return data_.get() + i * cols_; }
  T& operator()(std::size_t i, std::size_t j) {
    assert(i < rows_ && j < cols_);
    return data_.get()[i * cols_ + j];
  }
  const T& operator()(std::size_t i, std::size_t j) const {
    assert(i < rows_ && j < cols_);
    return data_.get()[i * cols_ + j];
  }
  MatrixView<T> view() { return {data_.get(), rows_, cols_}; }
  ConstMatrixView<T> view() const { return {data_.get(), rows_, cols_}; }
  operator MatrixView<T>() { return view(); }
  operator ConstMatrixView<T>() const { return view(); }

 private:
  struct AlignedDelete {
    void operator()(T* p) const noexcept { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<T, AlignedDelete> data_;
  std::size_t rows_ = 0, cols_ = 0;
};

}  // namespace telos
