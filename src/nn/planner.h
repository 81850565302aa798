#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/graph_parts.h"

// Which operations run, in which order, and where their memory lies.
namespace telos::nn {

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// A piece of memory that is in use during the steps begin … end.
struct Interval {
  std::size_t elements, begin, end;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< one for each interval, a multiple of 16 elements
  std::size_t elements = 0;
};

/// First fit, the largest piece first: pieces whose steps meet never share an element. Cost: the number of
/// pieces squared.
MemoryPlan plan_memory(std::span<const Interval> pieces);

/// Offsets of what belongs to a node; kNone for what it does not have.
struct Slots {
  std::size_t value = kNone, gradient = kNone, saved = kNone, scratch = kNone, backward_scratch = kNone;
};

/// What is computed for a set of wanted values, forward alone or forward and backward.
struct Program {
  bool backward = false;
  std::vector<bool> needed;          ///< by node: an ancestor of a wanted value, or one itself
  std::vector<bool> differentiated;  ///< by node: needed and a function of parameters; all false if !backward
  std::vector<std::uint32_t> prelude;       ///< operations without batch, in order of execution
  std::vector<std::uint32_t> batch;         ///< operations with batch, in order of execution
  std::vector<std::uint32_t> first_writer;  ///< by node: the first operation in backward order that uses it
  std::vector<std::uint32_t> shared;  ///< differentiated values without batch that operations with batch use
};

Program make_program(const Graph::Impl& graph, std::span<const std::uint32_t> wanted, bool backward);

/// Memory of one micro-batch of `samples`: values, their gradients, saved and scratch of the operations with
/// batch.
struct Workspace {
  std::vector<Slots> slots;  ///< by node
  std::size_t elements = 0;
};
Workspace plan_workspace(const Graph::Impl& graph, const Program& program,
                         std::span<const std::uint32_t> wanted, std::size_t samples);

/// Samples of a micro-batch where nobody says: as many as keep the workspace within a share of the
/// second-level cache, and its rows within one block of gemm()'s sums.
std::size_t choose_micro_batch(const Graph::Impl& graph, const Program& program,
                               std::span<const std::uint32_t> wanted, std::size_t element_bytes);

/// Memory of the values without batch, and of what operations prepare; nothing shares an element.
struct SharedPlan {
  std::vector<Slots> slots;           ///< by node; scratch is one memory for all
  std::vector<std::size_t> prepared;  ///< by node, in a memory of its own
  std::size_t elements = 0, scratch_elements = 0, prepared_elements = 0;
};
SharedPlan plan_shared(const Graph::Impl& graph, std::span<const Program* const> programs);

/// Part of the gradient of a value without batch. Lanes are added up part by part, element by element.
struct GradientPiece {
  std::uint32_t node;
  std::size_t begin, lane_offset, elements;
};
/// A parameter of whose gradient a batch touches few rows: those that indices of the batch name. Between two
/// runs a lane's part of it is 0, so that only these rows are added up and cleared again.
struct TableGradient {
  std::uint32_t node;
  std::size_t lane_offset;
  std::vector<std::uint32_t> indices;  ///< the index inputs, by node
};
/// A lane's gradients of Program::shared, one after the other, tables last.
struct LanePlan {
  std::vector<std::size_t> offset;  ///< by node
  std::vector<GradientPiece> pieces;
  std::vector<TableGradient> tables;
  std::size_t dense_elements = 0;  ///< before the tables
  std::size_t elements = 0;
};
LanePlan plan_lanes(const Graph::Impl& graph, const Program& program);

}  // namespace telos::nn
