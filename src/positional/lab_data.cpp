#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "positional/lab_parts.h"
#include "telos/base/error.h"

namespace telos::positional {
namespace {

template <class Index>
void shuffle(std::vector<Index>& items, Random& rng) {
  for (std::size_t i = items.size(); i-- > 1;)
    std::swap(items[i], items[rng.below(static_cast<std::uint32_t>(i + 1))]);
}

/// Rows of a Dataset, samples × rows·dim, as samples·rows × dim numbers or as ids.
template <class T>
Matrix<T> numbers_of(const Matrix<double>& from, std::size_t rows, std::size_t dim) {
  Matrix<T> to(rows, dim);
  std::transform(from.data(), from.data() + from.size(), to.data(),
                 [](double number) { return static_cast<T>(number); });
  return to;
}
std::vector<std::int32_t> ids_of(const Matrix<double>& from) {
  std::vector<std::int32_t> to(from.size());
  std::transform(from.data(), from.data() + from.size(), to.begin(),
                 [](double id) { return static_cast<std::int32_t>(id); });
  return to;
}

}  // namespace

std::uint32_t test_stream(double scale) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(scale));
}

template <class T>
SampleBlock<T> block_of(const Dataset& data) {
  SampleBlock<T> block{.samples = data.samples,
                       .length = data.length,
                       .rows = data.length + data.scratch,
                       .in_dim = data.shape.in_dim,
                       .out_dim = data.shape.out_dim,
                       .shape = data.shape};
  const std::size_t rows = block.samples * block.rows;
  if (data.shape.tokens)
    block.tokens = ids_of(data.x);
  else
    block.x = numbers_of<T>(data.x, rows, block.in_dim);
  if (data.shape.classes)
    block.classes = ids_of(data.y);
  else
    block.y = numbers_of<T>(data.y, rows, block.out_dim);
  return block;
}

template <class T>
SampleBlock<T> empty_block(const SampleBlock<T>& source, std::size_t samples) {
  SampleBlock<T> block{.samples = samples,
                       .length = source.length,
                       .rows = source.rows,
                       .in_dim = source.in_dim,
                       .out_dim = source.out_dim,
                       .shape = source.shape};
  const std::size_t rows = samples * source.rows;
  if (source.shape.tokens)
    block.tokens.resize(rows);
  else
    block.x = Matrix<T>(rows, source.in_dim);
  if (source.shape.classes)
    block.classes.resize(rows);
  else
    block.y = Matrix<T>(rows, source.out_dim);
  return block;
}

template <class T>
nn::Batch<T> SampleBlock<T>::batch(std::size_t first, std::size_t count, bool with_target) const {
  nn::Batch<T> out{.samples = count};
  const std::size_t row = first * rows, taken = count * rows;
  if (shape.tokens)
    out.index.push_back(std::span(tokens).subspan(row, taken));
  else
    out.real.push_back(x.view().block(row, 0, taken, in_dim));
  if (!with_target) return out;
  if (shape.classes)
    out.index.push_back(std::span(classes).subspan(row, taken));
  else
    out.real.push_back(y.view().block(row, 0, taken, out_dim));
  return out;
}

template <class T>
void SampleBlock<T>::copy_sample(std::size_t from, const SampleBlock& source, std::size_t to) {
  const auto copy_ids = [&](const std::vector<std::int32_t>& in, std::vector<std::int32_t>& out) {
    if (!in.empty()) std::copy_n(in.data() + from * rows, rows, out.data() + to * rows);
  };
  const auto copy_numbers = [&](const Matrix<T>& in, Matrix<T>& out) {
    if (!in.empty()) std::copy_n(in.row(from * rows), rows * in.cols(), out.row(to * rows));
  };
  copy_ids(source.tokens, tokens);
  copy_ids(source.classes, classes);
  copy_numbers(source.x, x);
  copy_numbers(source.y, y);
}

template <class T>
std::vector<SampleBlock<T>> draw_blocks(const Task& task, const SetSpec& set, std::uint64_t seed,
                                        std::span<const std::size_t> lengths, std::size_t scratch) {
  std::vector<SampleBlock<T>> blocks;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    std::size_t count = set.samples / lengths.size();
    if (i + 1 == lengths.size()) count += set.samples % lengths.size();
    // Lengths draw from parts of the stream that do not meet.
    const std::uint64_t first = set.first + (static_cast<std::uint64_t>(i) << 40);
    blocks.push_back(
        block_of<T>(draw(task, seed, set.stream, set.scale, set.split, lengths[i], scratch, count, first)));
  }
  return blocks;
}

std::vector<SetSpec> test_sets(const Task& task, std::span<const double> scales, std::size_t samples,
                               bool unseen) {
  using Split = Task::Split;
  if (task.given_samples() > 0) {
    const std::size_t held = given_samples(task, Split::kTest), half = held / 2;
    return {{.scale = 1, .split = Split::kTest, .samples = std::min(samples, held - half), .first = half}};
  }
  if (!task.scalable())
    return {{.scale = 1, .split = Split::kTest, .stream = test_stream(1), .samples = samples}};
  std::vector<SetSpec> sets;
  for (const double scale : scales) {
    const bool test = task.unseen_test() && (unseen || scale > 1);
    sets.push_back({.scale = scale,
                    .split = test ? Split::kTest : Split::kTrain,
                    .stream = test_stream(scale),
                    .samples = samples});
  }
  return sets;
}

SetSpec validation_set(const Task& task, std::size_t samples) {
  if (task.given_samples() == 0) return {.stream = kValidationStream, .samples = samples};
  const std::size_t held = given_samples(task, Task::Split::kTest);
  return {.split = Task::Split::kTest, .samples = std::min(samples, held / 2)};
}

std::vector<BatchPlan> plan_epoch(std::span<const SampleBlock<float>> blocks, std::size_t batch,
                                  std::uint64_t seed, std::uint64_t epoch) {
  Random rng(seed, kOrderStream, epoch);
  std::vector<BatchPlan> plan;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    std::vector<std::uint32_t> order(blocks[b].samples);
    std::iota(order.begin(), order.end(), 0u);
    shuffle(order, rng);
    for (std::size_t first = 0; first < order.size(); first += batch) {
      const std::size_t last = std::min(first + batch, order.size());
      plan.push_back({b,
                      {order.begin() + static_cast<std::ptrdiff_t>(first),
                       order.begin() + static_cast<std::ptrdiff_t>(last)}});
    }
  }
  if (blocks.size() > 1) shuffle(plan, rng);
  return plan;
}

template struct SampleBlock<float>;
template struct SampleBlock<double>;
template SampleBlock<float> block_of(const Dataset&);
template SampleBlock<double> block_of(const Dataset&);
template SampleBlock<float> empty_block(const SampleBlock<float>&, std::size_t);
template std::vector<SampleBlock<float>> draw_blocks(const Task&, const SetSpec&, std::uint64_t,
                                                     std::span<const std::size_t>, std::size_t);
template std::vector<SampleBlock<double>> draw_blocks(const Task&, const SetSpec&, std::uint64_t,
                                                      std::span<const std::size_t>, std::size_t);

}  // namespace telos::positional
