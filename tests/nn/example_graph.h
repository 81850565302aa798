#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/nn/executor.h"
#include "tests/nn/operation_table.h"

namespace telos::nn::table {

/// An example as a network with a loss, so that the executor runs it: a batch input is added to a parameter
/// of its size, whose gradient is then the sum of the input's over the samples; and unless the example is a
/// loss itself, the loss is the binary cross-entropy of its result against given targets.
struct ExampleGraph {
  ExampleGraph(const Example& example, std::size_t samples, std::uint64_t seed);

  template <class T>
  std::vector<T> parameters() const {
    return {values.begin(), values.end()};
  }
  /// The samples in the order in which the graph declared its inputs; the views stay valid with *this and
  /// `storage`.
  template <class T>
  Batch<T> samples_in(std::vector<Matrix<T>>& storage) const;

  /// The result of each sample by the reference, one under the other.
  ref::Mat<double> result() const;
  /// Mean loss, and its derivative by each parameter, from the tape.
  double loss_on_tape(std::vector<double>& gradient) const;

  const Example& example;
  std::size_t samples;
  ParameterLayout layout;
  std::unique_ptr<Graph> graph;
  Shape shape;                                   ///< of the result
  std::vector<double> values;                    ///< of the parameters
  std::vector<std::vector<double>> real;         ///< of the real inputs, samples one after the other
  std::vector<std::vector<std::int32_t>> index;  ///< of the index inputs

 private:
  template <class T, class Number>
  Arguments<T> arguments(std::size_t sample, const Number& number) const;

  bool is_loss_ = false;
};

}  // namespace telos::nn::table
