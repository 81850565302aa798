#include "telos/nn/executor.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "nn/elementwise.h"
#include "nn/planner.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::nn {
namespace {

/// Samples of a micro-batch; with the graph's limit on the elements of a value no product of sizes overflows.
constexpr std::size_t kMostSamples = std::size_t{1} << 20;

[[noreturn]] void batch_error(const std::string& message) {
  throw Error(ErrorKind::kShape, "executor", message);
}

}  // namespace

template <class T>
struct Executor<T>::Impl {
  // A program with the memory of a micro-batch.
  struct Pass {
    Program program;
    Workspace workspace;
  };
  // All that a graph needs to run, before any memory is taken.
  struct Plan {
    std::size_t micro_batch, lanes, rooms;
    Pass outputs, loss, training;
    std::vector<std::uint32_t> output_ids, loss_ids;
    SharedPlan shared;  // one for all three programs
    LanePlan lane;

    Plan(const Graph::Impl& graph, const Options& options)
        : micro_batch(options.micro_batch),
          lanes(std::max<std::size_t>(1, options.lanes)),
          rooms(std::clamp<std::size_t>(options.threads, 1, lanes)) {
      if (micro_batch > kMostSamples)
        throw Error(ErrorKind::kLimit, "executor",
                    "micro-batches of " + std::to_string(micro_batch) + " samples, expected at most " +
                        std::to_string(kMostSamples));
      for (const auto& [name, id] : graph.outputs) output_ids.push_back(id);
      if (graph.loss) loss_ids.push_back(*graph.loss);
      outputs.program = make_program(graph, output_ids, false);
      loss.program = make_program(graph, loss_ids, false);
      training.program = make_program(graph, loss_ids, true);
      if (micro_batch == 0)
        micro_batch = graph.loss ? choose_micro_batch(graph, training.program, loss_ids, sizeof(T))
                                 : choose_micro_batch(graph, outputs.program, output_ids, sizeof(T));
      outputs.workspace = plan_workspace(graph, outputs.program, output_ids, micro_batch);
      loss.workspace = plan_workspace(graph, loss.program, loss_ids, micro_batch);
      training.workspace = plan_workspace(graph, training.program, loss_ids, micro_batch);
      const Program* const programs[] = {&outputs.program, &loss.program, &training.program};
      shared = plan_shared(graph, programs);
      lane = plan_lanes(graph, training.program);
    }

    std::size_t room_elements() const {
      return std::max({outputs.workspace.elements, loss.workspace.elements, training.workspace.elements});
    }

    double bytes() const {
      const auto real = [](std::size_t elements) { return static_cast<double>(elements); };
      return sizeof(T) *
             (real(rooms) * real(room_elements()) + real(lanes) * real(lane.elements) +
              real(shared.elements) + real(shared.scratch_elements) + real(shared.prepared_elements));
    }
  };
  // Memory of one micro-batch under way.
  struct Room {
    Matrix<T> memory;
    std::vector<Operand<T>> operands;
  };
  struct Lane {
    Matrix<T> gradients;  // of the shared values, one after the other
    double loss = 0;
  };
  // Rows of a table that the indices of the batch under way name, each once, by first appearance.
  struct TouchedRows {
    std::vector<std::size_t> rows;
    std::vector<std::uint64_t> seen;  // by row: the last round in which it was named
    std::uint64_t round = 0;
  };
  // One call of forward(), gradient() or loss().
  struct Run {
    const Pass& pass;
    std::span<const T> parameters;
    std::span<T> gradient;
    const Batch<T>& batch;
    std::span<T> losses{};  // of the samples; empty: not wanted
  };
  // Samples [first, first + samples) of the batch in a room; `lane` for gradients.
  struct MicroBatch {
    std::size_t first, samples;
    Room* room;
    Lane* lane;
  };

  const Graph::Impl& graph;
  const Plan plan;
  std::vector<Matrix<T>> constants;
  Matrix<T> shared_memory, shared_scratch, prepared_memory;
  std::vector<Operand<T>> shared_operands;
  std::vector<TouchedRows> touched;  // by table
  bool tables_clear = true;          // every lane's part of every table is 0
  std::vector<Lane> lanes;
  std::vector<Room> rooms;

  Impl(const Graph& g, const Options& options) : graph(g.impl()), plan(graph, options) {
    for (const TableGradient& table : plan.lane.tables) {
      TouchedRows& rows = touched.emplace_back();
      rows.seen.resize(graph.nodes[table.node].shape.rows);
      rows.rows.reserve(rows.seen.size());
    }
    take_memory();
    for (const Matrix<double>& constant : graph.constants) {
      Matrix<T> copy(constant.rows(), constant.cols());
      std::transform(constant.data(), constant.data() + constant.size(), copy.data(),
                     [](double x) { return static_cast<T>(x); });
      constants.push_back(std::move(copy));
    }
  }

  void take_memory() {
    require_memory(plan.bytes(), "executor", "take shorter samples, a smaller network, or fewer lanes");
    std::size_t inputs = 1;
    for (const Node& node : graph.nodes) inputs = std::max(inputs, node.inputs.size());
    rooms.resize(plan.rooms);
    for (Room& room : rooms) {
      room.memory = Matrix<T>(1, plan.room_elements());
      room.operands.resize(inputs);
    }
    lanes.resize(plan.lanes);
    for (Lane& lane : lanes) lane.gradients = Matrix<T>(1, plan.lane.elements);
    shared_memory = Matrix<T>(1, plan.shared.elements);
    shared_scratch = Matrix<T>(1, plan.shared.scratch_elements);
    prepared_memory = Matrix<T>(1, plan.shared.prepared_elements);
    shared_operands.resize(inputs);
  }

  // ---- Views

  MatrixView<T> shared_value(std::uint32_t id) {
    const Shape& shape = graph.nodes[id].shape;
    return {shared_memory.data() + plan.shared.slots[id].value, shape.rows, shape.cols};
  }

  MatrixView<T> shared_gradient(const Run& run, std::uint32_t id) {
    const Node& node = graph.nodes[id];
    if (node.kind == Node::Kind::kParameter) return graph.layout.view(run.gradient, node.index);
    return {shared_memory.data() + plan.shared.slots[id].gradient, node.shape.rows, node.shape.cols};
  }

  MatrixView<T> batch_value(const Run& run, const MicroBatch& mb, std::uint32_t id) {
    const Shape& shape = graph.nodes[id].shape;
    return {mb.room->memory.data() + run.pass.workspace.slots[id].value, mb.samples * shape.rows, shape.cols};
  }

  MatrixView<T> batch_gradient(const Run& run, const MicroBatch& mb, std::uint32_t id) {
    const Shape& shape = graph.nodes[id].shape;
    return {mb.room->memory.data() + run.pass.workspace.slots[id].gradient, mb.samples * shape.rows,
            shape.cols};
  }

  ConstMatrixView<T> value_of(const Run& run, const MicroBatch& mb, std::uint32_t id) {
    const Node& node = graph.nodes[id];
    switch (node.kind) {
      case Node::Kind::kInput:
        return run.batch.real[node.index].block(mb.first * node.shape.rows, 0, mb.samples * node.shape.rows,
                                                node.shape.cols);
      case Node::Kind::kIndexInput:
        return {};
      case Node::Kind::kParameter:
        return graph.layout.view(run.parameters, node.index);
      case Node::Kind::kConstant:
        return constants[node.index];
      case Node::Kind::kOperation:
        return node.shape.batch ? ConstMatrixView<T>(batch_value(run, mb, id))
                                : ConstMatrixView<T>(shared_value(id));
    }
    return {};
  }

  // ---- Calls

  std::span<T> part(Matrix<T>& memory, std::size_t offset, std::size_t elements) {
    return offset == kNone ? std::span<T>() : std::span<T>(memory.data() + offset, elements);
  }

  // Inputs, output, saved and prepared memory of an operation's call.
  Call<T> make_call(const Run& run, const MicroBatch& mb, std::uint32_t id) {
    const Node& node = graph.nodes[id];
    const bool batch = node.shape.batch;
    Call<T> call;
    call.samples = batch ? mb.samples : 1;
    call.first_sample = batch ? mb.first : 0;
    call.inputs = std::span(batch ? mb.room->operands : shared_operands).first(node.inputs.size());
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const Node& input = graph.nodes[node.inputs[i]];
      call.inputs[i] = {};
      if (input.kind == Node::Kind::kIndexInput)
        call.inputs[i].indices =
            run.batch.index[input.index].subspan(mb.first * input.shape.rows, mb.samples * input.shape.rows);
      else
        call.inputs[i].value = value_of(run, mb, node.inputs[i]);
    }
    call.output = batch ? batch_value(run, mb, id) : shared_value(id);
    const Slots& slots = batch ? run.pass.workspace.slots[id] : plan.shared.slots[id];
    call.saved = part(batch ? mb.room->memory : shared_memory, slots.saved,
                      node.operation->saved_elements(node.input_shapes, call.samples));
    call.prepared =
        part(prepared_memory, plan.shared.prepared[id], node.operation->prepared_elements(node.input_shapes));
    return call;
  }

  std::span<T> scratch_of(const Run& run, const MicroBatch& mb, std::uint32_t id, bool backward) {
    const Node& node = graph.nodes[id];
    const std::size_t samples = node.shape.batch ? mb.samples : 1;
    const std::size_t elements = node.operation->scratch_elements(node.input_shapes, samples);
    if (elements == 0) return {};  // null, by which an operation knows that it has none
    if (!node.shape.batch) return std::span<T>(shared_scratch.data(), elements);
    const Slots& slots = run.pass.workspace.slots[id];
    return part(mb.room->memory, backward ? slots.backward_scratch : slots.scratch, elements);
  }

  void run_forward(const Run& run, const MicroBatch& mb, std::uint32_t id) {
    Call<T> call = make_call(run, mb, id);
    call.scratch = scratch_of(run, mb, id, false);
    graph.nodes[id].operation->forward(call);
  }

  void run_backward(const Run& run, const MicroBatch& mb, std::uint32_t id) {
    const Node& node = graph.nodes[id];
    if (!run.pass.program.differentiated[id]) return;
    Call<T> call = make_call(run, mb, id);
    call.scratch = scratch_of(run, mb, id, true);
    call.output_gradient = node.shape.batch ? batch_gradient(run, mb, id) : shared_gradient(run, id);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const std::uint32_t input = node.inputs[i];
      if (!run.pass.program.differentiated[input]) continue;
      call.inputs[i].gradient = gradient_of(run, mb, node, input);
      const bool first_user = graph.nodes[input].shape.batch && run.pass.program.first_writer[input] == id;
      const bool seen = std::find(node.inputs.begin(), node.inputs.begin() + static_cast<std::ptrdiff_t>(i),
                                  input) != node.inputs.begin() + static_cast<std::ptrdiff_t>(i);
      if (!first_user || seen) continue;
      if (node.operation->stores_fresh_gradients())
        call.inputs[i].fresh = true;
      else
        std::fill_n(call.inputs[i].gradient.data(),
                    call.inputs[i].gradient.rows() * call.inputs[i].gradient.cols(), T{0});
    }
    node.operation->backward(call);
  }

  // The gradient that `user` adds to: its lane's where a value without batch is used on a micro-batch.
  MatrixView<T> gradient_of(const Run& run, const MicroBatch& mb, const Node& user, std::uint32_t input) {
    const Shape& shape = graph.nodes[input].shape;
    if (shape.batch) return batch_gradient(run, mb, input);
    if (!user.shape.batch) return shared_gradient(run, input);
    return {mb.lane->gradients.data() + plan.lane.offset[input], shape.rows, shape.cols};
  }

  // ---- The parts of a pass

  void check(const Run& run) const {
    if (run.parameters.size() != graph.layout.size())
      batch_error(std::to_string(run.parameters.size()) + " parameter values, expected " +
                  std::to_string(graph.layout.size()));
    if (run.pass.program.backward && run.gradient.size() != graph.layout.size())
      batch_error(std::to_string(run.gradient.size()) + " gradient values, expected " +
                  std::to_string(graph.layout.size()));
    if (run.batch.real.size() != graph.real_inputs || run.batch.index.size() != graph.index_inputs)
      batch_error(std::to_string(run.batch.real.size()) + " real and " +
                  std::to_string(run.batch.index.size()) + " index inputs, expected " +
                  std::to_string(graph.real_inputs) + " and " + std::to_string(graph.index_inputs));
    for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
      const Node& node = graph.nodes[id];
      if (!run.pass.program.needed[id]) continue;
      const std::size_t rows = run.batch.samples * node.shape.rows;
      if (node.kind == Node::Kind::kInput) {
        const ConstMatrixView<T>& x = run.batch.real[node.index];
        if (x.rows() != rows || x.cols() != node.shape.cols)
          batch_error("the input " + printable(node.name) + " is " + std::to_string(x.rows()) + "x" +
                      std::to_string(x.cols()) + ", expected " + std::to_string(rows) + "x" +
                      std::to_string(node.shape.cols));
      }
      if (node.kind == Node::Kind::kIndexInput && run.batch.index[node.index].size() != rows)
        batch_error("the input " + printable(node.name) + " has " +
                    std::to_string(run.batch.index[node.index].size()) + " indices, expected " +
                    std::to_string(rows));
    }
  }

  // Values without batch, then what the operations on micro-batches make of them.
  void run_prelude(const Run& run) {
    const MicroBatch none{};
    for (const std::uint32_t id : run.pass.program.prelude) {
      prepare(run, id);
      run_forward(run, none, id);
    }
    for (const std::uint32_t id : run.pass.program.batch) prepare(run, id);
  }

  void prepare(const Run& run, std::uint32_t id) {
    if (plan.shared.prepared[id] == kNone) return;
    const Node& node = graph.nodes[id];
    Call<T> call;
    call.inputs = std::span(shared_operands).first(node.inputs.size());
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      call.inputs[i] = {};
      if (!graph.nodes[node.inputs[i]].shape.batch) call.inputs[i].value = value_of(run, {}, node.inputs[i]);
    }
    call.prepared =
        part(prepared_memory, plan.shared.prepared[id], node.operation->prepared_elements(node.input_shapes));
    node.operation->prepare(call);
  }

  // Calls body(micro-batch) for all micro-batches: lanes in parallel, each in order. A room takes one lane
  // after the other, as long as there are any: which lane it gets shows in no bit.
  template <class Body>
  void for_micro_batches(const Run& run, const Arena& arena, const Body& body) {
    const std::size_t count = (run.batch.samples + plan.micro_batch - 1) / plan.micro_batch,
                      used = std::min(count, plan.lanes);
    std::atomic<std::size_t> next{0};
    arena.parallel_for(std::min(used, plan.rooms), [&](std::size_t r) {
      for (std::size_t l = next++; l < used; l = next++) {
        Lane& lane = lanes[l];
        lane.loss = 0;
        if (run.pass.program.backward) std::fill_n(lane.gradients.data(), plan.lane.dense_elements, T{0});
        for (std::size_t i = l; i < count; i += plan.lanes) {
          const std::size_t first = i * plan.micro_batch;
          body(MicroBatch{first, std::min(plan.micro_batch, run.batch.samples - first), &rooms[r], &lane});
        }
      }
    });
  }

  void forward_steps(const Run& run, const MicroBatch& mb) {
    for (const std::uint32_t id : run.pass.program.batch) run_forward(run, mb, id);
  }

  void add_loss(const Run& run, const MicroBatch& mb) {
    const ConstMatrixView<T> values = value_of(run, mb, *graph.loss);
    for (std::size_t i = 0; i < values.rows(); ++i) mb.lane->loss += double{values(i, 0)};
    if (!run.losses.empty())
      for (std::size_t i = 0; i < values.rows(); ++i) run.losses[mb.first + i] = values(i, 0);
  }

  double mean_loss(const Run& run) const {
    double sum = 0;
    const std::size_t count = (run.batch.samples + plan.micro_batch - 1) / plan.micro_batch;
    for (std::size_t l = 0; l < std::min(count, plan.lanes); ++l) sum += lanes[l].loss;
    return sum / static_cast<double>(run.batch.samples);
  }

  bool loss_has_batch() const { return graph.nodes[*graph.loss].shape.batch; }

  void require_loss(const Run& run) const {
    if (!graph.loss) throw Error(ErrorKind::kUsage, "executor", "the graph has no loss");
    if (loss_has_batch() && run.batch.samples == 0) batch_error("the mean loss of no samples");
    if (!run.losses.empty() && (!loss_has_batch() || run.losses.size() != run.batch.samples))
      batch_error("room for the losses of " + std::to_string(run.losses.size()) + " samples, expected " +
                  std::to_string(loss_has_batch() ? run.batch.samples : 0));
  }

  void reduce_lanes(const Run& run, const Arena& arena) {
    const std::size_t count = (run.batch.samples + plan.micro_batch - 1) / plan.micro_batch,
                      used = std::min(count, plan.lanes);
    arena.parallel_for(plan.lane.pieces.size(), [&](std::size_t p) {
      const GradientPiece& piece = plan.lane.pieces[p];
      T* const sum = shared_gradient(run, piece.node).data() + piece.begin;
      std::copy_n(lanes[0].gradients.data() + piece.lane_offset, piece.elements, sum);
      for (std::size_t l = 1; l < used; ++l) {
        const T* const part = lanes[l].gradients.data() + piece.lane_offset;
        add_to<T>({part, piece.elements}, {sum, piece.elements});
      }
    });
  }

  // A run that ended early has left its gradients behind.
  void clear_tables() {
    if (!std::exchange(tables_clear, false))
      for (Lane& lane : lanes) std::fill_n(lane.gradients.data(), plan.lane.elements, T{0});
  }

  void find_touched_rows(const Run& run, const TableGradient& table, TouchedRows& found) {
    found.rows.clear();
    ++found.round;
    for (const std::uint32_t input : table.indices)
      for (const std::int32_t index : run.batch.index[graph.nodes[input].index]) {
        const std::size_t row = static_cast<std::size_t>(index);
        if (std::exchange(found.seen[row], found.round) != found.round) found.rows.push_back(row);
      }
  }

  // Adds up the touched rows of a table, lanes in order as in reduce_lanes(), and clears them in the lanes.
  void reduce_table(const Run& run, const TableGradient& table, const TouchedRows& found,
                    const Arena& arena) {
    constexpr std::size_t kRows = 256;
    const std::size_t count = (run.batch.samples + plan.micro_batch - 1) / plan.micro_batch,
                      used = std::min(count, plan.lanes), cols = graph.nodes[table.node].shape.cols;
    const MatrixView<T> sum = shared_gradient(run, table.node);
    arena.parallel_for((found.rows.size() + kRows - 1) / kRows, [&](std::size_t piece) {
      for (std::size_t r = piece * kRows; r < std::min(found.rows.size(), (piece + 1) * kRows); ++r)
        for (std::size_t l = 0; l < used; ++l) {
          T* const part = lanes[l].gradients.data() + table.lane_offset + found.rows[r] * cols;
          T* const to = sum.row(found.rows[r]);
          for (std::size_t k = 0; k < cols; ++k) to[k] += std::exchange(part[k], T{0});
        }
    });
  }

  void reduce_tables(const Run& run, const Arena& arena) {
    for (std::size_t i = 0; i < plan.lane.tables.size(); ++i) {
      find_touched_rows(run, plan.lane.tables[i], touched[i]);
      reduce_table(run, plan.lane.tables[i], touched[i], arena);
    }
    tables_clear = true;
  }

  void zero_shared_gradients(const Run& run) {
    std::fill(run.gradient.begin(), run.gradient.end(), T{0});
    for (const std::uint32_t id : run.pass.program.prelude)
      if (run.pass.program.differentiated[id]) {
        const MatrixView<T> g = shared_gradient(run, id);
        std::fill_n(g.data(), g.rows() * g.cols(), T{0});
      }
  }

  double run_loss(const Run& run, const Arena& arena) {
    require_loss(run);
    check(run);
    run_prelude(run);
    if (!loss_has_batch()) return double{value_of(run, {}, *graph.loss)(0, 0)};
    for_micro_batches(run, arena, [&](const MicroBatch& mb) {
      forward_steps(run, mb);
      add_loss(run, mb);
    });
    return mean_loss(run);
  }

  double run_gradient(const Run& run, const Arena& arena) {
    require_loss(run);
    check(run);
    const Program& program = run.pass.program;
    run_prelude(run);
    zero_shared_gradients(run);
    double result = 0;
    if (!program.differentiated[*graph.loss])
      return run_loss({plan.loss, run.parameters, {}, run.batch, run.losses}, arena);
    if (loss_has_batch()) {
      clear_tables();
      for_micro_batches(run, arena, [&](const MicroBatch& mb) { forward_and_backward(run, mb); });
      reduce_lanes(run, arena);
      reduce_tables(run, arena);
      result = mean_loss(run);
    } else {
      result = double{value_of(run, {}, *graph.loss)(0, 0)};
      shared_gradient(run, *graph.loss)(0, 0) = T{1};
    }
    for (auto id = program.prelude.rbegin(); id != program.prelude.rend(); ++id) run_backward(run, {}, *id);
    return result;
  }

  void forward_and_backward(const Run& run, const MicroBatch& mb) {
    forward_steps(run, mb);
    add_loss(run, mb);
    const MatrixView<T> seed = batch_gradient(run, mb, *graph.loss);
    std::fill_n(seed.data(), mb.samples, static_cast<T>(1.0 / static_cast<double>(run.batch.samples)));
    const std::vector<std::uint32_t>& steps = run.pass.program.batch;
    for (auto id = steps.rbegin(); id != steps.rend(); ++id) run_backward(run, mb, *id);
  }

  void copy_rows(ConstMatrixView<T> from, MatrixView<T> to) {
    for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.cols(), to.row(i));
  }

  void run_outputs(const Run& run, std::span<const MatrixView<T>> results, const Arena& arena) {
    check(run);
    if (results.size() != plan.output_ids.size())
      batch_error(std::to_string(results.size()) + " results, expected " +
                  std::to_string(plan.output_ids.size()));
    bool any_batch = false;
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Shape& shape = graph.nodes[plan.output_ids[i]].shape;
      any_batch |= shape.batch;
      const std::size_t rows = shape.rows * (shape.batch ? run.batch.samples : 1);
      if (results[i].rows() != rows || results[i].cols() != shape.cols)
        batch_error("the result " + printable(graph.outputs[i].first) + " is " +
                    std::to_string(results[i].rows()) + "x" + std::to_string(results[i].cols()) +
                    ", expected " + std::to_string(rows) + "x" + std::to_string(shape.cols));
    }
    run_prelude(run);
    for (std::size_t i = 0; i < results.size(); ++i)
      if (!graph.nodes[plan.output_ids[i]].shape.batch)
        copy_rows(value_of(run, {}, plan.output_ids[i]), results[i]);
    if (!any_batch) return;
    for_micro_batches(run, arena, [&](const MicroBatch& mb) {
      forward_steps(run, mb);
      for (std::size_t i = 0; i < results.size(); ++i) {
        const Shape& shape = graph.nodes[plan.output_ids[i]].shape;
        if (!shape.batch) continue;
        copy_rows(value_of(run, mb, plan.output_ids[i]),
                  results[i].block(mb.first * shape.rows, 0, mb.samples * shape.rows, shape.cols));
      }
    });
  }
};

template <class T>
Executor<T>::Executor(const Graph& graph, Options options) : impl_(std::make_unique<Impl>(graph, options)) {}
template <class T>
Executor<T>::Executor(const Graph& graph) : Executor(graph, Options{}) {}
template <class T>
Executor<T>::~Executor() = default;
template <class T>
Executor<T>::Executor(Executor&&) noexcept = default;

template <class T>
void Executor<T>::forward(std::span<const T> parameters, const Batch<T>& batch,
                          std::span<const MatrixView<T>> outputs, const Arena& arena) {
  impl_->run_outputs({impl_->plan.outputs, parameters, {}, batch}, outputs, arena);
}

template <class T>
double Executor<T>::gradient(std::span<const T> parameters, const Batch<T>& batch, std::span<T> gradient,
                             const Arena& arena, std::span<T> losses) {
  return impl_->run_gradient({impl_->plan.training, parameters, gradient, batch, losses}, arena);
}

template <class T>
double Executor<T>::loss(std::span<const T> parameters, const Batch<T>& batch, const Arena& arena) {
  return impl_->run_loss({impl_->plan.loss, parameters, {}, batch}, arena);
}

template <class T>
std::size_t Executor<T>::micro_batch() const {
  return impl_->plan.micro_batch;
}

template <class T>
std::size_t Executor<T>::memory_bytes() const {
  return static_cast<std::size_t>(impl_->plan.bytes());
}

template <class T>
double Executor<T>::memory_needed(const Graph& graph, Options options) {
  return typename Impl::Plan(graph.impl(), options).bytes();
}

template class Executor<float>;
template class Executor<double>;

}  // namespace telos::nn
