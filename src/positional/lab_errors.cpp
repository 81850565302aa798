#include <algorithm>
#include <cmath>
#include <limits>

#include "positional/lab_parts.h"

namespace telos::positional {
namespace {

double ratio(double sum, std::size_t count) {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
}

}  // namespace

/// Mean square error of one position; not finite if an output is not, which then counts in no other figure.
template <class T>
double ErrorSum::number_loss(const SampleBlock<T>& block, ConstMatrixView<T> output, std::size_t row) {
  double squares = 0;
  for (std::size_t j = 0; j < block.out_dim; ++j) {
    const double target = static_cast<double>(block.y(row, j));
    const double error = std::abs(static_cast<double>(output(row, j)) - target);
    squares += error * error;
    if (!std::isfinite(error)) {
      ++overflowed_;
      continue;
    }
    absolute_ += error;
    largest_ = std::max(largest_, error);
    right_ += error <= tolerance_ * std::max(1.0, std::abs(target)) ? 1 : 0;
    ++entries_;
    if (target != 0) {
      relative_ += error / std::abs(target);
      ++relative_entries_;
    }
  }
  return squares / static_cast<double>(block.out_dim);
}

/// −log softmax(row)[target]; ties count for the lowest class.
template <class T>
double ErrorSum::class_loss(const SampleBlock<T>& block, ConstMatrixView<T> output, std::size_t row) {
  const T* logits = output.row(row);
  const std::size_t classes = output.cols();
  const auto best = static_cast<std::size_t>(std::max_element(logits, logits + classes) - logits);
  const double top = static_cast<double>(logits[best]);
  double sum = 0;
  for (std::size_t j = 0; j < classes; ++j) sum += std::exp(static_cast<double>(logits[j]) - top);
  const auto target = static_cast<std::size_t>(block.classes[row]);
  const double loss = top + std::log(sum) - static_cast<double>(logits[target]);
  if (!std::isfinite(loss)) {
    ++overflowed_;
    return loss;
  }
  right_ += best == target ? 1 : 0;
  ++entries_;
  return loss;
}

template <class T>
double ErrorSum::sample_loss(const SampleBlock<T>& block, ConstMatrixView<T> output, std::size_t sample) {
  const std::size_t counted = shape_.loss_rows == 0 ? block.length : shape_.loss_rows;
  double sum = 0;
  for (std::size_t i = 0; i < counted; ++i) {
    const std::size_t row = sample * block.rows + i;
    sum += shape_.classes ? class_loss(block, output, row) : number_loss(block, output, row);
  }
  return sum / static_cast<double>(counted);
}

template <class T>
void ErrorSum::add(const SampleBlock<T>& block, ConstMatrixView<T> output) {
  for (std::size_t first = 0; first < block.samples; first += batch_) {
    const std::size_t last = std::min(first + batch_, block.samples);
    double sum = 0;
    std::size_t good = 0;
    for (std::size_t sample = first; sample < last; ++sample) {
      const double loss = sample_loss(block, output, sample);
      if (!std::isfinite(loss)) continue;
      sum += loss;
      ++good;
    }
    loss_ += sum;
    good_samples_ += good;
    batch_means_ += good == 0 ? 0 : sum / static_cast<double>(good);
  }
  samples_ += block.samples;
}

ErrorRow ErrorSum::row(double scale) const {
  ErrorRow row{.scale = scale, .samples = samples_};
  row.mse = ratio(loss_, good_samples_);
  row.mse_sum = batch_means_;
  row.mse_over_scale2 = row.mse / (scale * scale);
  if (!shape_.classes) {  // a class is right or wrong
    row.mae = ratio(absolute_, entries_);
    row.mape = ratio(relative_, relative_entries_);
    row.max_error = largest_;
  }
  row.within = ratio(static_cast<double>(right_), entries_);
  row.overflowed = overflowed_;
  return row;
}

template <class T>
ErrorRow measure(const std::vector<SampleBlock<T>>& blocks, std::span<const T> parameters,
                 const std::function<Runner<T>&(std::size_t length)>& runner, double scale, double tolerance,
                 std::size_t batch, const Arena& arena) {
  ErrorSum sum(blocks.front().shape, tolerance, batch);
  for (const SampleBlock<T>& block : blocks) {
    const std::size_t columns = block.shape.classes ? block.shape.classes_count : block.out_dim;
    Matrix<T> output(block.samples * block.rows, columns);
    for (std::size_t first = 0; first < block.samples; first += batch) {
      const std::size_t count = std::min(batch, block.samples - first);
      const MatrixView<T> part = output.view().block(first * block.rows, 0, count * block.rows, columns);
      runner(block.length).executor.forward(parameters, block.batch(first, count, false), {&part, 1}, arena);
    }
    sum.add(block, ConstMatrixView<T>(output));
  }
  ErrorRow row = sum.row(scale);
  row.length = blocks.size() == 1 ? blocks.front().length : 0;
  return row;
}

template void ErrorSum::add(const SampleBlock<float>&, ConstMatrixView<float>);
template void ErrorSum::add(const SampleBlock<double>&, ConstMatrixView<double>);
template ErrorRow measure(const std::vector<SampleBlock<float>>&, std::span<const float>,
                          const std::function<Runner<float>&(std::size_t)>&, double, double, std::size_t,
                          const Arena&);
template ErrorRow measure(const std::vector<SampleBlock<double>>&, std::span<const double>,
                          const std::function<Runner<double>&(std::size_t)>&, double, double, std::size_t,
                          const Arena&);

}  // namespace telos::positional
