#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "reference/nn.h"
#include "telos/nn/graph.h"

// The table of operations: one line makes an operation part of every test and of the benchmark. Tests compare
// its forward with reference/nn.h in double and float, its gradients with the tape's and with finite
// differences, and its bits over instruction sets, threads and micro-batches.

namespace telos::nn::table {

namespace ref = reference::nn;

/// An input of an example: how it comes into the graph, and which numbers it gets.
struct Input {
  enum class Kind {
    kBatch,   ///< other values for each sample; differentiated through a parameter that all samples add
    kShared,  ///< a parameter
    kIndex,   ///< whole numbers in [low, high), others for each sample
  } kind;
  std::size_t rows, cols;
  double low = 0, high = 0;  ///< kIndex; else uniform in [low, high], or standard normal if they are equal
};
Input batch(std::size_t rows, std::size_t cols, double low = 0, double high = 0);
Input shared(std::size_t rows, std::size_t cols, double low = 0, double high = 0);
Input indices(std::size_t rows, int low, int high);

/// What the reference sees of an input for one sample.
template <class T>
struct Argument {
  ref::Mat<T> value;     ///< kBatch, kShared
  ref::Indices indices;  ///< kIndex
};
template <class T>
using Arguments = std::vector<Argument<T>>;

struct Example {
  std::string name;
  std::vector<Input> inputs;
  std::function<Value(Graph&, const std::vector<Value>&)> build;
  std::function<ref::Mat<double>(const Arguments<double>&)> in_double;
  std::function<ref::Mat<reference::Var>(const Arguments<reference::Var>&)> on_tape;
  /// kKinks: differences over a kink are skipped. kEstimator: the derivative is by definition not the
  /// function's, and the tape alone is its oracle.
  enum class Derivative { kSmooth, kKinks, kEstimator } derivative = Derivative::kSmooth;
};
/// GoogleTest prints an example by its name, not byte by byte.
inline void PrintTo(const Example& example, std::ostream* out) {
  *out << example.name;
}

/// All examples; names begin with the operation's.
const std::vector<Example>& operations();

}  // namespace telos::nn::table
