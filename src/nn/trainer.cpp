#include "telos/nn/trainer.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <exception>
#include <string_view>

#include "io/safetensors.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/checkpoint.h"

namespace telos::nn {
namespace {

constexpr std::string_view kStatePrefix = "state.";
constexpr const char* kOptimizerKey = "trainer.optimizer";
constexpr const char* kStepsKey = "trainer.steps";

const char* name_of(OptimizerOptions::Kind kind) {
  switch (kind) {
    case OptimizerOptions::Kind::kAdam:
      return "adam";
    case OptimizerOptions::Kind::kAdamW:
      return "adamw";
    case OptimizerOptions::Kind::kSgd:
      return "sgd";
  }
  return "";
}

/// One flat buffer of the file and what the names of its tensors begin with.
template <class T>
struct Buffer {
  std::string prefix;
  std::span<T> values;
};

template <class Span>
std::vector<Buffer<typename Span::element_type>> buffers(OptimizerOptions::Kind kind, Span parameters,
                                                         Span first, Span second) {
  const bool sgd = kind == OptimizerOptions::Kind::kSgd;
  std::vector<Buffer<typename Span::element_type>> out{{"", parameters}};
  if (!first.empty()) out.push_back({sgd ? "sgd.momentum." : "adam.first.", first});
  if (!second.empty()) out.push_back({"adam.second.", second});
  return out;
}

std::vector<std::uint64_t> shape_of(const ParameterInfo& info) {
  if (info.vector) return {info.cols};
  return {info.rows, info.cols};
}

/// Reads the tensor of one parameter into `out`. Throws kBadFormat, kShape, kNotFinite.
void read_parameter(const Checkpoint& file, const std::string& name, const ParameterInfo& info,
                    std::span<float> out) {
  const std::string place = tensor_place(file.path(), name);
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr)
    throw Error(ErrorKind::kBadFormat, place, "the file does not have this tensor",
                "a checkpoint resumes only the model and the optimizer that wrote it");
  if (tensor->dtype != DType::kF32)
    throw Error(ErrorKind::kBadFormat, place,
                fmt::format("its type is {}, expected F32", to_string(tensor->dtype)));
  const std::vector<std::uint64_t> expected = shape_of(info);
  if (tensor->shape != expected)
    throw Error(
        ErrorKind::kShape, place,
        fmt::format("its shape is {}, expected [{}]", tensor->shape_text(), fmt::join(expected, ", ")));
  file.read_all(*tensor, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!std::isfinite(out[i]))
      throw Error(ErrorKind::kNotFinite, place, fmt::format("its element {} is {}", i, out[i]));
}

const std::string& metadata_value(const Checkpoint& file, const std::string& key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  throw Error(ErrorKind::kBadFormat, file.path(), "the metadata have no " + key,
              "expected a checkpoint that telos wrote while training");
}

std::uint64_t step_count(const Checkpoint& file) {
  const std::string& text = metadata_value(file, kStepsKey);
  std::uint64_t steps = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorKind::kBadFormat, file.path(),
                fmt::format("{} is \"{}\", expected a number of steps", kStepsKey, printable(text)));
  return steps;
}

}  // namespace

Trainer::Trainer(const ParameterLayout& layout, std::vector<float> parameters, OptimizerOptions options)
    : layout_(&layout),
      parameters_(std::move(parameters)),
      gradient_(layout.size()),
      optimizer_(layout, options) {
  if (parameters_.size() != layout.size())
    throw Error(ErrorKind::kShape, "trainer",
                fmt::format("{} initial values, expected {}", parameters_.size(), layout.size()));
}

double Trainer::step(Executor<float>& executor, const Batch<float>& batch, double rate, const Arena& arena,
                     std::span<float> losses) {
  const double loss = executor.gradient(parameters_, batch, gradient_, arena, losses);
  if (!std::isfinite(loss))
    throw Error(ErrorKind::kNotFinite, fmt::format("step {}", steps() + 1),
                std::isnan(loss) ? "the loss is not a number" : "the loss is infinite",
                "the parameters were left as they were; try a lower learning rate or clipping");
  gradient_norm_ = optimizer_.step(parameters_, gradient_, rate, &arena);
  return loss;
}

void Trainer::save(const std::string& path,
                   const std::vector<std::pair<std::string, std::string>>& state) const {
  std::vector<TensorToWrite> tensors;
  for (const auto& buffer : buffers(optimizer_.options().kind, std::span<const float>(parameters_),
                                    optimizer_.first_moment(), optimizer_.second_moment()))
    for (const ParameterInfo& info : layout_->entries())
      tensors.push_back({.name = buffer.prefix + info.name,
                         .dtype = DType::kF32,
                         .shape = shape_of(info),
                         .data = std::as_bytes(buffer.values.subspan(info.offset, info.size()))});
  std::vector<std::pair<std::string, std::string>> metadata = {
      {kOptimizerKey, name_of(optimizer_.options().kind)}, {kStepsKey, std::to_string(steps())}};
  for (const auto& [name, value] : state) metadata.emplace_back(std::string(kStatePrefix) + name, value);
  write_safetensors(path, tensors, metadata);
}

std::vector<std::pair<std::string, std::string>> Trainer::load(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  const char* expected = name_of(optimizer_.options().kind);
  if (const std::string& found = metadata_value(file, kOptimizerKey); found != expected)
    throw Error(
        ErrorKind::kBadFormat, path,
        fmt::format("the checkpoint is of the optimizer {}, expected {}", printable(found), expected));
  const std::uint64_t count = step_count(file);

  std::vector<float> parameters(parameters_.size());
  std::vector<float> first(optimizer_.first_moment().size()), second(optimizer_.second_moment().size());
  const auto targets = buffers(optimizer_.options().kind, std::span<float>(parameters),
                               std::span<float>(first), std::span<float>(second));
  for (const auto& buffer : targets)
    for (const ParameterInfo& info : layout_->entries())
      read_parameter(file, buffer.prefix + info.name, info, buffer.values.subspan(info.offset, info.size()));
  if (const std::size_t known = targets.size() * layout_->entries().size(); file.tensors().size() != known)
    throw Error(ErrorKind::kBadFormat, path,
                fmt::format("{} tensors, expected {}: the checkpoint is of a larger model",
                            file.tensors().size(), known));

  std::vector<std::pair<std::string, std::string>> state;
  for (const auto& [name, value] : file.metadata())
    if (name.starts_with(kStatePrefix)) state.emplace_back(name.substr(kStatePrefix.size()), value);
  // Nothing below throws: either all is as in the file, or nothing has changed.
  parameters_ = std::move(parameters);
  std::copy(first.begin(), first.end(), optimizer_.first_moment().begin());
  std::copy(second.begin(), second.end(), optimizer_.second_moment().begin());
  optimizer_.set_steps(count);
  return state;
}

std::vector<RunEnd> train_each(std::span<const std::uint64_t> seeds, const Arena& arena,
                               const std::function<void(std::uint64_t seed, const Arena& single)>& body) {
  std::vector<RunEnd> ends(seeds.size());
  arena.parallel_for(seeds.size(), [&](std::size_t i) {
    check_interrupt();
    const Arena single(1);
    ends[i].seed = seeds[i];
    try {
      body(seeds[i], single);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kInterrupted || error.kind() == ErrorKind::kInternal) throw;
      ends[i].failed = true;
      ends[i].kind = error.kind();
      ends[i].message = error.what();
    }
  });
  return ends;
}

std::string exact_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  if (error != std::errc()) throw Error(ErrorKind::kInternal, "exact_text", "the number does not fit");
  return {text, end};
}

double exact_value(const std::string& text, const std::string& where) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorKind::kBadFormat, where, fmt::format("\"{}\" is not a number", printable(text)));
  return value;
}

}  // namespace telos::nn
