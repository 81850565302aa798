#include "nn/planner.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace telos::nn {
namespace {

// 64 bytes of float, 128 of double: every piece starts on a cache line of its own.
constexpr std::size_t kAlign = 16;

std::size_t round_up(std::size_t elements) {
  return (elements + kAlign - 1) / kAlign * kAlign;
}

// A micro-batch's share of the second-level cache.
constexpr std::size_t kWorkspaceBytes = std::size_t{1} << 20;
// Rows of a micro-batch: the gradients of weights are sums over them, of which gemm() keeps 256 in registers.
constexpr std::size_t kMicroBatchRows = 256;
// Elements of a gradient that one thread reduces at a time.
constexpr std::size_t kReduceElements = 4096;

// Takes the next `elements` of a memory; kNone for none.
std::size_t take_next(std::size_t elements, std::size_t& total) {
  if (elements == 0) return kNone;
  return std::exchange(total, total + round_up(elements));
}

}  // namespace

MemoryPlan plan_memory(std::span<const Interval> pieces) {
  MemoryPlan plan;
  plan.offsets.assign(pieces.size(), 0);
  std::vector<std::size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return pieces[a].elements > pieces[b].elements; });
  std::vector<std::size_t> placed;  // in ascending order of offsets
  for (const std::size_t index : order) {
    const Interval& piece = pieces[index];
    const std::size_t size = round_up(piece.elements);
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const Interval& o = pieces[other];
      if (o.end < piece.begin || piece.end < o.begin) continue;
      if (plan.offsets[other] >= offset + size) break;
      offset = std::max(offset, plan.offsets[other] + round_up(o.elements));
    }
    plan.offsets[index] = offset;
    plan.elements = std::max(plan.elements, offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](std::size_t at, std::size_t p) { return at < plan.offsets[p]; }),
                  index);
  }
  return plan;
}

Program make_program(const Graph::Impl& graph, std::span<const std::uint32_t> wanted, bool backward) {
  const std::size_t count = graph.nodes.size();
  Program program;
  program.backward = backward;
  program.needed.assign(count, false);
  program.differentiated.assign(count, false);
  program.first_writer.assign(count, static_cast<std::uint32_t>(count));
  for (const std::uint32_t id : wanted) program.needed[id] = true;
  for (std::size_t id = count; id-- > 0;)
    if (program.needed[id])
      for (const std::uint32_t input : graph.nodes[id].inputs) program.needed[input] = true;

  std::vector<bool> shared(count, false);
  for (std::uint32_t id = 0; id < count; ++id) {
    const Node& node = graph.nodes[id];
    if (!program.needed[id]) continue;
    if (node.kind == Node::Kind::kParameter) program.differentiated[id] = backward;
    if (node.kind != Node::Kind::kOperation) continue;
    (node.shape.batch ? program.batch : program.prelude).push_back(id);
    for (const std::uint32_t input : node.inputs) {
      if (!program.differentiated[input]) continue;
      program.differentiated[id] = true;
      program.first_writer[input] = id;  // ids ascend: the last user is the first in backward order
      if (node.shape.batch && !graph.nodes[input].shape.batch) shared[input] = true;
    }
  }
  for (std::uint32_t id = 0; id < count; ++id)
    if (shared[id]) program.shared.push_back(id);
  return program;
}

Workspace plan_workspace(const Graph::Impl& graph, const Program& program,
                         std::span<const std::uint32_t> wanted, std::size_t samples) {
  const std::size_t steps = program.batch.size(), count = graph.nodes.size();
  std::vector<std::size_t> position(count, kNone);
  for (std::size_t i = 0; i < steps; ++i) position[program.batch[i]] = i;
  const auto backward_step = [&](std::uint32_t id) { return 2 * steps - position[id]; };

  // Last step that reads a node's value. Step `steps` lies between forward and backward: results are read.
  std::vector<std::size_t> last_use(count, 0);
  for (const std::uint32_t id : wanted)
    if (position[id] != kNone) last_use[id] = steps;
  for (const std::uint32_t id : program.batch) {
    const std::size_t end = program.differentiated[id] ? backward_step(id) : position[id];
    last_use[id] = std::max(last_use[id], end);
    for (const std::uint32_t input : graph.nodes[id].inputs) last_use[input] = std::max(last_use[input], end);
  }

  std::vector<Interval> pieces;
  std::vector<std::size_t*> targets;
  Workspace workspace;
  workspace.slots.resize(count);
  const auto take = [&](std::size_t elements, std::size_t begin, std::size_t end, std::size_t& slot) {
    if (elements == 0) return;
    pieces.push_back({elements, begin, end});
    targets.push_back(&slot);
  };
  for (const std::uint32_t id : program.batch) {
    const Node& node = graph.nodes[id];
    const std::size_t size = samples * node.shape.rows * node.shape.cols, at = position[id];
    const bool differentiated = program.differentiated[id];
    Slots& slots = workspace.slots[id];
    take(size, at, last_use[id], slots.value);
    if (differentiated) {
      const std::uint32_t writer = program.first_writer[id];
      take(size, writer == count ? steps : backward_step(writer), backward_step(id), slots.gradient);
    }
    take(node.operation->saved_elements(node.input_shapes, samples), at,
         differentiated ? backward_step(id) : at, slots.saved);
    const std::size_t scratch = node.operation->scratch_elements(node.input_shapes, samples);
    take(scratch, at, at, slots.scratch);
    if (differentiated) take(scratch, backward_step(id), backward_step(id), slots.backward_scratch);
  }
  const MemoryPlan plan = plan_memory(pieces);
  for (std::size_t i = 0; i < targets.size(); ++i) *targets[i] = plan.offsets[i];
  workspace.elements = plan.elements;
  return workspace;
}

std::size_t choose_micro_batch(const Graph::Impl& graph, const Program& program,
                               std::span<const std::uint32_t> wanted, std::size_t element_bytes) {
  const Workspace one = plan_workspace(graph, program, wanted, 1);
  std::size_t rows = 1;
  for (const std::uint32_t id : program.batch) rows = std::max(rows, graph.nodes[id].shape.rows);
  const std::size_t by_memory = kWorkspaceBytes / std::max<std::size_t>(1, one.elements * element_bytes);
  return std::max<std::size_t>(1, std::min(by_memory, kMicroBatchRows / rows));
}

SharedPlan plan_shared(const Graph::Impl& graph, std::span<const Program* const> programs) {
  const std::size_t count = graph.nodes.size();
  SharedPlan plan;
  plan.slots.resize(count);
  plan.prepared.assign(count, kNone);
  for (std::size_t id = 0; id < count; ++id) {
    const auto any = [&](const std::vector<bool> Program::*set) {
      return std::any_of(programs.begin(), programs.end(), [&](const Program* p) { return (p->*set)[id]; });
    };
    const Node& node = graph.nodes[id];
    if (node.kind != Node::Kind::kOperation || !any(&Program::needed)) continue;
    const Operation& operation = *node.operation;
    plan.prepared[id] = take_next(operation.prepared_elements(node.input_shapes), plan.prepared_elements);
    if (node.shape.batch) continue;
    Slots& slots = plan.slots[id];
    slots.value = take_next(node.shape.rows * node.shape.cols, plan.elements);
    if (any(&Program::differentiated))
      slots.gradient = take_next(node.shape.rows * node.shape.cols, plan.elements);
    slots.saved = take_next(operation.saved_elements(node.input_shapes, 1), plan.elements);
    plan.scratch_elements = std::max(plan.scratch_elements, operation.scratch_elements(node.input_shapes, 1));
  }
  return plan;
}

namespace {

/// The index inputs by which the operations with batch read a parameter, if that is the only way they do.
std::vector<std::uint32_t> indices_of_table(const Graph::Impl& graph, const Program& program,
                                            std::uint32_t id) {
  std::vector<std::uint32_t> indices;
  if (graph.nodes[id].kind != Node::Kind::kParameter) return indices;
  for (const std::uint32_t user : program.batch) {
    const Node& node = graph.nodes[user];
    if (std::find(node.inputs.begin(), node.inputs.end(), id) == node.inputs.end()) continue;
    if (!node.operation->touches_indexed_rows() || node.inputs[1] != id ||
        graph.nodes[node.inputs[0]].kind != Node::Kind::kIndexInput)
      return {};
    indices.push_back(node.inputs[0]);
  }
  return indices;
}

}  // namespace

LanePlan plan_lanes(const Graph::Impl& graph, const Program& program) {
  LanePlan plan;
  plan.offset.assign(graph.nodes.size(), kNone);
  for (const std::uint32_t id : program.shared) {
    if (auto indices = indices_of_table(graph, program, id); !indices.empty()) {
      plan.tables.push_back({id, 0, std::move(indices)});
      continue;
    }
    const std::size_t size = graph.nodes[id].shape.rows * graph.nodes[id].shape.cols;
    const std::size_t offset = plan.offset[id] = take_next(size, plan.elements);
    for (std::size_t begin = 0; begin < size; begin += kReduceElements)
      plan.pieces.push_back({id, begin, offset + begin, std::min(kReduceElements, size - begin)});
  }
  plan.dense_elements = plan.elements;
  for (TableGradient& table : plan.tables)
    table.lane_offset = plan.offset[table.node] =
        take_next(graph.nodes[table.node].shape.rows * graph.nodes[table.node].shape.cols, plan.elements);
  return plan;
}

}  // namespace telos::nn
