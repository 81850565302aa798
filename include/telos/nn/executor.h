#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/nn/graph.h"

namespace telos::nn {

/// A batch in memory: one entry for each real input (samples·rows × cols) and each index input
/// (samples·rows), in the order in which the graph declared them.
template <class T>
struct Batch {
  std::size_t samples = 0;
  std::vector<ConstMatrixView<T>> real{};
  std::vector<std::span<const std::int32_t>> index{};
};

/// Runs a graph. All memory is planned and taken by the constructor; no call allocates, but for the panels
/// that gemm() keeps for each thread from its first product on. One call at a time.
///
/// A batch is cut into micro-batches that stay in the second-level cache on their way through the whole
/// network and back. Micro-batches are dealt to `lanes` in turn (micro-batch i to lane i mod lanes), each
/// lane adds up its gradients in order, and the lanes are added in order: bits do not depend on the number of
/// threads. More than `lanes` threads do not help, nor more than `threads`, which have a workspace each.
template <class T>
class Executor {
 public:
  struct Options {
    std::size_t micro_batch = 0;  ///< samples; 0: chosen from the graph's memory per sample
    std::size_t lanes = 8;
    std::size_t threads = 8;  ///< of the arenas that will run it; no more of them than this work at once
  };
  /// The graph must outlive the executor. Throws kLimit for more memory than this machine has.
  Executor(const Graph& graph, Options options);
  explicit Executor(const Graph& graph);
  ~Executor();
  Executor(Executor&&) noexcept;

  /// Fills `outputs` in the order in which the graph named them (samples·rows × cols each; rows × cols
  /// without batch).
  void forward(std::span<const T> parameters, const Batch<T>& batch, std::span<const MatrixView<T>> outputs,
               const Arena& arena);
  /// Returns the mean loss over the batch and writes its gradient. The loss is summed in double. `losses`, if
  /// not empty, gets each sample's loss (kShape for another number of them, or a loss without batch).
  double gradient(std::span<const T> parameters, const Batch<T>& batch, std::span<T> gradient,
                  const Arena& arena, std::span<T> losses = {});
  /// The mean loss alone.
  double loss(std::span<const T> parameters, const Batch<T>& batch, const Arena& arena);

  std::size_t micro_batch() const;
  std::size_t memory_bytes() const;  ///< planned for training
  /// The same of an executor that is not made: plans, and takes no memory.
  static double memory_needed(const Graph& graph, Options options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos::nn
