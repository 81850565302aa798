#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"

namespace telos::nn {

// ---- Parameters
// -------------------------------------------------------------------------------------------------------------

/// One named matrix among the parameters; a vector is one row. Stored row-major from `offset` on.
struct ParameterInfo {
  std::string name;
  std::size_t rows = 0, cols = 0, offset = 0;
  bool vector = false;  ///< written to files with one dimension instead of two
  bool decay = true;    ///< AdamW's weight decay acts on it
  std::size_t size() const { return rows * cols; }
};

/// Names and shapes of all parameters in one flat buffer. Values, gradients and the moments of an optimiser
/// are plain spans of size() elements in this order, which is also the order of files.
class ParameterLayout {
 public:
  /// Returns the parameter's index. Throws kUsage for a name that is taken, kShape for no elements, kLimit
  /// for more than 2^48 in all.
  std::size_t add(std::string name, std::size_t rows, std::size_t cols, bool decay = true);
  std::size_t add_vector(std::string name, std::size_t size, bool decay = false);

  std::size_t size() const { return size_; }  ///< elements of all parameters
  const std::vector<ParameterInfo>& entries() const { return entries_; }
  const ParameterInfo& operator[](std::size_t index) const { return entries_[index]; }
  /// Index of a name. Throws kUsage naming the nearest one.
  std::size_t find(std::string_view name) const;

  template <class T>
  MatrixView<T> view(std::span<T> values, std::size_t index) const {
    const ParameterInfo& p = entries_[index];
    return {values.data() + p.offset, p.rows, p.cols};
  }

 private:
  std::vector<ParameterInfo> entries_;
  std::size_t size_ = 0;
};

// ---- Operations and graphs
// -----------------------------------------------------------------------------------------------------

/// Size of a value: `rows` × `cols`, per sample if it depends on the batch. The rows of a batch lie sample
/// after sample: row (sample · rows + r).
struct Shape {
  std::size_t rows = 0, cols = 0;
  bool batch = false;  ///< one for each sample; false: a function of the parameters alone
  bool index = false;  ///< whole numbers (token ids), not differentiated
  bool operator==(const Shape&) const = default;
};

/// What an operation sees of one of its inputs in a call.
template <class T>
struct Operand {
  ConstMatrixView<T> value{};               ///< samples·rows × cols, or rows × cols without batch
  std::span<const std::int32_t> indices{};  ///< for index inputs instead of `value`
  MatrixView<T> gradient{};                 ///< backward: to be added to; empty where nobody needs it
  bool fresh = false;                       ///< see Operation::stores_fresh_gradients()
};

/// One call of an operation, forward or backward, on a micro-batch. Runs in one thread: the executor's
/// parallelism is over micro-batches.
template <class T>
struct Call {
  std::size_t samples = 1;       ///< of this micro-batch; 1 for an operation without batch
  std::size_t first_sample = 0;  ///< where this micro-batch begins in the batch, for messages
  std::span<Operand<T>> inputs{};
  MatrixView<T> output{};                ///< forward: to be written; backward: as forward wrote it
  ConstMatrixView<T> output_gradient{};  ///< backward only
  std::span<T> saved{};                  ///< memory that lives from forward to backward: see saved_elements()
  std::span<T> scratch{};                ///< memory of this call only: see scratch_elements()
  std::span<T> prepared{};               ///< written by prepare(): see prepared_elements()
};

/// A differentiable function of values. forward() writes `output`; backward() ADDS to the inputs' gradients.
/// Neither allocates. An implementation is one file in src/nn/ops and one line in its table of operations,
/// which the three tests (against the reference, against finite differences, speed) run through.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual std::string_view name() const = 0;
  /// Shape of the result. Throws kShape for inputs that do not fit.
  virtual Shape shape(std::span<const Shape> inputs) const = 0;
  /// Elements of `saved` and `scratch` for a micro-batch of `samples`.
  virtual std::size_t saved_elements(std::span<const Shape>, std::size_t /*samples*/) const { return 0; }
  virtual std::size_t scratch_elements(std::span<const Shape>, std::size_t /*samples*/) const { return 0; }
  /// Elements of `prepared`: what prepare() makes of the inputs without batch once a step, before forward and
  /// backward of all micro-batches (weights in the order in which a kernel reads them). Its call has only
  /// `prepared` and the values of those inputs.
  virtual std::size_t prepared_elements(std::span<const Shape>) const { return 0; }
  virtual void prepare(const Call<float>&) const {}
  virtual void prepare(const Call<double>&) const {}
  /// True: backward() stores into gradients marked `fresh`, whose memory holds anything, instead of adding,
  /// and takes the inputs in order (the same value may come twice). Saves two passes over the memory.
  virtual bool stores_fresh_gradients() const { return false; }
  /// True: backward() adds to the gradient of input 1 only in the rows that the indices of input 0 name. The
  /// executor then neither clears nor adds up the other rows of a large table in each lane.
  virtual bool touches_indexed_rows() const { return false; }
  /// Multiplications and additions of forward for one sample (backward counts double).
  virtual double flops(std::span<const Shape> inputs) const = 0;
  virtual void forward(const Call<float>& call) const = 0;
  virtual void forward(const Call<double>& call) const = 0;
  virtual void backward(const Call<float>& call) const = 0;
  virtual void backward(const Call<double>& call) const = 0;
};

/// A value in a graph.
struct Value {
  std::uint32_t id = 0;
};

/// A computation described once, before it runs: inputs, parameters, constants, operations, results. Values
/// that do not depend on the batch (attention from positions alone, folded weights) are computed once a
/// step, and differentiated once a step; the others run micro-batch by micro-batch.
class Graph {
 public:
  /// Keeps a copy of the layout: parameters added to it later do not exist here.
  explicit Graph(const ParameterLayout& layout);
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  /// A real input with rows × cols numbers a sample; an index input with `rows` whole numbers a sample.
  Value input(std::string name, std::size_t rows, std::size_t cols);
  Value index_input(std::string name, std::size_t rows);
  Value parameter(std::size_t index);
  Value parameter(std::string_view name);
  Value constant(ConstMatrixView<double> value);
  /// Adds an operation. Throws what Operation::shape throws, and kLimit for a value of more than 2^40
  /// elements, as input() and constant() do.
  Value apply(std::unique_ptr<Operation> operation, std::vector<Value> inputs);

  /// Names a value as result of forward passes.
  void output(std::string name, Value value);
  /// The value (1×1 a sample) whose mean over the batch is differentiated.
  void loss(Value value);

  const ParameterLayout& layout() const;
  const Shape& shape(Value value) const;
  /// Multiplications and additions of one forward pass: once a step, and a sample.
  double flops_per_step() const;
  double flops_per_sample() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos::nn
