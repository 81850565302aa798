// Models as safetensors files, and starts for other tasks.
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "bigram/train_parts.h"
#include "io/safetensors.h"
#include "telos/base/error.h"
#include "telos/io/checkpoint.h"

namespace telos::bigram {
namespace {

constexpr const char* kKey = "telos.bigram";
constexpr const char* kModelVersion = "1";

const TensorInfo& find_tensor(const Checkpoint& file, const std::string& name, std::size_t dimensions) {
  const TensorInfo* tensor = file.find(name);
  const std::string place = tensor_place(file.path(), name);
  if (tensor == nullptr)
    throw Error(ErrorKind::kBadFormat, place, "the file does not have this tensor",
                "a model that telos bigram train wrote is expected");
  if (tensor->dtype != DType::kF64)
    throw Error(ErrorKind::kBadFormat, place,
                fmt::format("its type is {}, expected F64", to_string(tensor->dtype)));
  if (tensor->shape.size() != dimensions || tensor->elements() == 0)
    throw Error(ErrorKind::kShape, place,
                fmt::format("its shape is {}, expected {}", tensor->shape_text(),
                            dimensions == 1 ? "a vector" : "a matrix"));
  return *tensor;
}

void read_finite(const Checkpoint& file, const TensorInfo& tensor, MatrixView<double> out) {
  file.read(tensor, 0, 0, out);
  for (std::size_t i = 0; i < out.rows(); ++i)
    for (std::size_t j = 0; j < out.cols(); ++j)
      if (!std::isfinite(out(i, j)))
        throw Error(ErrorKind::kNotFinite, tensor_place(file.path(), tensor.name),
                    fmt::format("the entry [{}, {}] is {}", i, j, out(i, j)));
}

void mix(ConstMatrixView<double> learned, double theta, Matrix<double>& start) {
  for (std::size_t i = 0; i < start.rows(); ++i)
    for (std::size_t j = 0; j < start.cols(); ++j)
      start(i, j) = theta * learned(i, j) + (1 - theta) * start(i, j);
}

/// V −= (Vμ − μ)1ᵀ
void recentre(Matrix<double>& v, std::span<const double> mu) {
  for (std::size_t i = 0; i < v.rows(); ++i) {
    double shift = -mu[i];
    for (std::size_t j = 0; j < v.cols(); ++j) shift += v(i, j) * mu[j];
    for (std::size_t j = 0; j < v.cols(); ++j) v(i, j) -= shift;
  }
}

}  // namespace

void write_model(const Model& model, std::span<const double> mu, const std::string& path) {
  if (model.v.rows() != mu.size() || model.v.cols() != mu.size() || model.a.rows() != mu.size())
    throw Error(ErrorKind::kShape, path,
                fmt::format("V is {} × {} and A has {} rows for {} tokens", model.v.rows(), model.v.cols(),
                            model.a.rows(), mu.size()));
  const auto matrix = [](const char* name, const Matrix<double>& m) {
    return TensorToWrite{.name = name,
                         .dtype = DType::kF64,
                         .shape = {m.rows(), m.cols()},
                         .data = std::as_bytes(std::span(m.data(), m.size()))};
  };
  const TensorToWrite tensors[] = {
      matrix("v", model.v),
      matrix("a", model.a),
      {.name = "mu", .dtype = DType::kF64, .shape = {mu.size()}, .data = std::as_bytes(mu)}};
  write_safetensors(path, tensors, {{kKey, kModelVersion}});
}

SavedModel read_model(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  const TensorInfo &mu = find_tensor(file, "mu", 1), &v = find_tensor(file, "v", 2),
                   &a = find_tensor(file, "a", 2);
  const std::uint64_t n = mu.shape[0];
  if (v.shape[0] != n || v.shape[1] != n || a.shape[0] != n)
    throw Error(ErrorKind::kShape, path,
                fmt::format("v is {} and a is {}, expected [{}, {}] and [{}, …] as mu is {}", v.shape_text(),
                            a.shape_text(), n, n, n, mu.shape_text()));
  SavedModel saved{{Matrix<double>(n, n), Matrix<double>(n, a.shape[1])}, std::vector<double>(n)};
  read_finite(file, v, saved.model.v);
  read_finite(file, a, saved.model.a);
  read_finite(file, mu, {saved.mu.data(), 1, n});
  return saved;
}

Model transfer_start(const Model& learned, const Instance& task, Keep keep, double theta) {
  if (!(theta >= 0 && theta <= 1))
    throw Error(ErrorKind::kUsage, "theta", fmt::format("expected from 0 to 1, found {}", theta));
  const auto require = [](const char* what, const Matrix<double>& found, const Matrix<double>& expected) {
    if (found.rows() != expected.rows() || found.cols() != expected.cols())
      throw Error(ErrorKind::kShape, "transfer",
                  fmt::format("the learned {} is {} × {}, this task needs {} × {}", what, found.rows(),
                              found.cols(), expected.rows(), expected.cols()));
  };
  Model start = initial_model(task);
  if (keep != Keep::kAttention) {
    require("V", learned.v, start.v);
    mix(learned.v, theta, start.v);
    recentre(start.v, task.mu);
  }
  if (keep != Keep::kValues) {
    require("A", learned.a, start.a);
    mix(learned.a, theta, start.a);
  }
  return start;
}

bool points_away(const TrainResult& transferred) {
  if (transferred.curve.empty()) return false;
  const Signals& start = transferred.curve.front().signals;
  constexpr double kRoundOff = 1e-12;  // a model that is carried over with share 0 has no signal
  return start.v < -kRoundOff || start.a < -kRoundOff;
}

bool is_negative_transfer(const TrainResult& transferred, const TrainResult& scratch) {
  const std::uint64_t with = transferred.samples_to_support, without = scratch.samples_to_support;
  return points_away(transferred) || (without != 0 && (with == 0 || with > without));
}

}  // namespace telos::bigram
