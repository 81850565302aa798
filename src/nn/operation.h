#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "telos/base/error.h"
#include "telos/nn/graph.h"

// What the files in ops/ share.
namespace telos::nn {

/// Turns two member templates of Derived into the virtual functions for float and double:
///   template <class T> void run_forward(const Call<T>&) const;
///   template <class T> void run_backward(const Call<T>&) const;
/// and, for an operation with prepared_elements(), also
///   template <class T> void run_prepare(const Call<T>&) const;
template <class Derived>
class OperationOf : public Operation {
 public:
  void forward(const Call<float>& call) const final { self().run_forward(call); }
  void forward(const Call<double>& call) const final { self().run_forward(call); }
  void backward(const Call<float>& call) const final { self().run_backward(call); }
  void backward(const Call<double>& call) const final { self().run_backward(call); }
  void prepare(const Call<float>& call) const final { self().run_prepare(call); }
  void prepare(const Call<double>& call) const final { self().run_prepare(call); }
  template <class T>
  void run_prepare(const Call<T>&) const {}

 private:
  const Derived& self() const { return static_cast<const Derived&>(*this); }
};

/// "3x4", with " a sample" where it depends on the batch.
std::string shape_text(const Shape& shape);

/// Throws kShape: "<operation>: <message>".
[[noreturn]] void shape_error(std::string_view operation, const std::string& message);

/// Throws kShape unless `found` is rows × cols real numbers, naming the input `what`.
void require_matrix(std::string_view operation, std::string_view what, const Shape& found, std::size_t rows,
                    std::size_t cols);
/// Throws kShape for an index input, or one that depends on the batch.
void require_real(std::string_view operation, std::string_view what, const Shape& found);
void require_no_batch(std::string_view operation, std::string_view what, const Shape& found);

}  // namespace telos::nn
