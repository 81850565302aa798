#include "telos/model/trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/checkpoint.h"

namespace telos {
namespace {

using Shape = std::vector<std::uint64_t>;

/// How far rows of attention may be from sums of 1, and entries below 0: what half precision leaves, in
/// whatever type it was then stored, is within it, and logits are not.
constexpr double kRowTolerance = 1e-2;

bool is_integer(DType type) {
  constexpr DType kIntegers[] = {DType::kBool, DType::kU8,  DType::kI8,  DType::kU16, DType::kI16,
                                 DType::kU32,  DType::kI32, DType::kU64, DType::kI64};
  return std::find(std::begin(kIntegers), std::end(kIntegers), type) != std::end(kIntegers);
}

/// Measures need every state: what a cut-off file leaves is of no use.
Checkpoint open_whole(const std::string& path) {
  try {
    return Checkpoint::open(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kTruncated) throw;
    throw Error(error.kind(), error.where(), error.message(), "copy or record the trace again");
  }
}

/// Largest l for which the file has "<stem>.l", or nothing.
std::optional<std::size_t> last_index(const Checkpoint& file, std::string_view stem) {
  std::optional<std::size_t> last;
  for (const TensorInfo& tensor : file.tensors()) {
    const std::string_view name = tensor.name;
    if (name.size() <= stem.size() + 1 || !name.starts_with(stem) || name[stem.size()] != '.') continue;
    const std::string_view digits = name.substr(stem.size() + 1);
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) continue;
    last = std::max(last.value_or(0), value);
  }
  return last;
}

/// Reads the tensors of one file against the shape of its first.
class TraceFile {
 public:
  explicit TraceFile(const std::string& path) : file_(open_whole(path)) {
    const TensorInfo& first = require("hidden.0");
    if (first.shape.size() != 2 && first.shape.size() != 3) wrong_shape(first, "[L, d] or [B, L, d]");
    batched_ = first.shape.size() == 3;
    trace_.sequences = batched_ ? static_cast<std::size_t>(first.shape[0]) : 1;
    trace_.tokens = static_cast<std::size_t>(first.shape[first.shape.size() - 2]);
    trace_.width = static_cast<std::size_t>(first.shape.back());
    if (first.elements() == 0) wrong_shape(first, "no dimension of 0");
    trace_.layers = last_index(file_, "hidden").value();
    if (trace_.layers == 0) require("hidden.1");
    trace_.source = path;
  }

  Trace read() {
    read_mask();
    for (std::size_t l = 0; l <= trace_.layers; ++l)
      trace_.hidden.push_back(tokens_by("hidden." + std::to_string(l), trace_.width));
    if (last_index(file_, "attn")) read_attention();
    read_per_layer("attn_input", trace_.attention_input);
    read_per_layer("attn_residual", trace_.attention_residual);
    if (file_.find("final_hidden") != nullptr) trace_.final_hidden = tokens_by("final_hidden", trace_.width);
    if (const TensorInfo* logits = file_.find("logits")) {
      if (logits->shape.empty()) wrong_shape(*logits, "[L, V]");
      trace_.logits = tokens_by("logits", static_cast<std::size_t>(logits->shape.back()));
    }
    return std::move(trace_);
  }

 private:
  const TensorInfo& require(const std::string& name) const {
    if (const TensorInfo* tensor = file_.find(name)) return *tensor;
    throw Error(ErrorKind::kBadFormat, file_.path(), "no tensor " + name + " in this trace",
                "a trace has hidden.0 … hidden.N and optionally attn.0 … attn.(N-1)");
  }
  [[noreturn]] void wrong_shape(const TensorInfo& tensor, const std::string& expected) const {
    throw Error(ErrorKind::kShape, file_.path() + ": " + printable(tensor.name),
                "expected " + expected + ", found " + tensor.shape_text());
  }
  static std::string text(const Shape& shape) {
    TensorInfo info;
    info.shape = shape;
    return info.shape_text();
  }

  /// All values of `tensor`, whose shape without a batch dimension must be `shape`.
  Matrix<float> values(const TensorInfo& tensor, Shape shape, std::size_t rows, std::size_t cols) const {
    if (batched_) shape.insert(shape.begin(), trace_.sequences);
    Shape found = tensor.shape;
    if (!batched_ && found.size() == shape.size() + 1 && found[0] == 1) found.erase(found.begin());
    if (found != shape)
      wrong_shape(tensor, text(shape) + " to go with hidden.0 " + text(file_.find("hidden.0")->shape));
    Matrix<float> result(rows, cols);
    file_.read_all(tensor, {result.data(), result.size()});
    const std::span<const float> all(result.data(), result.size());
    const auto bad = std::find_if_not(all.begin(), all.end(), [](float x) { return std::isfinite(x); });
    if (bad != all.end())
      throw Error(ErrorKind::kNotFinite, file_.path() + ": " + printable(tensor.name),
                  "the value at index " + std::to_string(bad - all.begin()) + " is NaN or infinite",
                  "record attention after the softmax, and hidden states before any NaN appears");
    return result;
  }
  Matrix<float> tokens_by(const std::string& name, std::size_t cols) const {
    return values(require(name), {trace_.tokens, cols}, trace_.sequences * trace_.tokens, cols);
  }

  void read_per_layer(const std::string& stem, std::vector<Matrix<float>>& to) {
    if (!last_index(file_, stem)) return;
    for (std::size_t l = 0; l < trace_.layers; ++l)
      to.push_back(tokens_by(stem + "." + std::to_string(l), trace_.width));
  }

  void read_attention() {
    const std::size_t last = last_index(file_, "attn").value();
    if (last >= trace_.layers)
      throw Error(ErrorKind::kBadFormat, file_.path(),
                  "attn." + std::to_string(last) + " belongs to layer " + std::to_string(last) +
                      ", but there are " + std::to_string(trace_.layers) + " layers (hidden.0 … hidden." +
                      std::to_string(trace_.layers) + ")");
    const TensorInfo& first = require("attn.0");
    const std::size_t dimensions = first.shape.size();
    if (dimensions < 3 || first.elements() == 0) wrong_shape(first, "[h, L, L] or [B, h, L, L]");
    trace_.heads = static_cast<std::size_t>(first.shape[dimensions - 3]);
    for (std::size_t l = 0; l < trace_.layers; ++l) {
      const TensorInfo& tensor = require("attn." + std::to_string(l));
      trace_.attention.push_back(values(tensor, {trace_.heads, trace_.tokens, trace_.tokens},
                                        trace_.sequences * trace_.heads * trace_.tokens, trace_.tokens));
      check_rows(tensor, trace_.attention.back());
    }
    trace_.causal =
        trace_.tokens > 1 && std::all_of(trace_.attention.begin(), trace_.attention.end(),
                                         [this](const Matrix<float>& a) { return lower_triangular(a); });
  }

  /// Row r of [B, h, L, L] is that of padding, of which nothing is asked.
  bool is_padding(std::size_t r) const {
    const std::size_t sequence = r / trace_.tokens / trace_.heads;
    return !trace_.mask.empty() && trace_.mask[sequence * trace_.tokens + r % trace_.tokens] == 0;
  }

  bool lower_triangular(const Matrix<float>& a) const {
    for (std::size_t r = 0; r < a.rows(); ++r)
      for (std::size_t j = r % trace_.tokens + 1; j < a.cols(); ++j)
        if (a(r, j) != 0 && !is_padding(r)) return false;
    return true;
  }

  /// Rows of real tokens must be what a softmax leaves.
  void check_rows(const TensorInfo& tensor, const Matrix<float>& a) const {
    const auto refuse = [&](std::size_t r, const std::string& found,
                            const char* hint = "record attention after the softmax, without dropout") {
      const std::size_t head = r / trace_.tokens;
      throw Error(ErrorKind::kBadFormat, file_.path() + ": " + printable(tensor.name),
                  "sequence " + std::to_string(head / trace_.heads) + ", head " +
                      std::to_string(head % trace_.heads) + ", row " + std::to_string(r % trace_.tokens) +
                      ": " + found,
                  hint);
    };
    for (std::size_t r = 0; r < a.rows(); ++r) {
      if (is_padding(r)) continue;
      const std::size_t first = r / (trace_.heads * trace_.tokens) * trace_.tokens;
      double sum = 0, on_padding = 0;
      for (std::size_t j = 0; j < a.cols(); ++j) {
        if (!trace_.mask.empty() && trace_.mask[first + j] == 0) on_padding += static_cast<double>(a(r, j));
        if (static_cast<double>(a(r, j)) < -kRowTolerance)
          refuse(r, "no entry of attention is negative, found " + std::to_string(a(r, j)));
        sum += static_cast<double>(a(r, j));
      }
      if (std::abs(sum - 1) > kRowTolerance) refuse(r, "expected a sum of 1, found " + std::to_string(sum));
      if (on_padding > kRowTolerance)
        refuse(r, "a real token attends to padding with " + std::to_string(on_padding) + " of its weight",
               "give the model its attention mask when recording, or a trace without the mask");
    }
  }

  /// The mask is read byte by byte: frameworks write it as bool, integers or floats.
  void read_mask() {
    const TensorInfo* tensor = file_.find("mask");
    if (tensor == nullptr) return;
    Shape shape{trace_.tokens};
    if (batched_) shape.insert(shape.begin(), trace_.sequences);
    if (tensor->shape != shape && !(tensor->shape == Shape{1, trace_.tokens} && trace_.sequences == 1))
      wrong_shape(*tensor, text(shape) + " to go with hidden.0 " + text(file_.find("hidden.0")->shape));
    const std::size_t count = trace_.sequences * trace_.tokens;
    std::vector<double> entries(count);
    if (is_float(tensor->dtype)) {
      std::vector<float> floats(count);
      file_.read_all(*tensor, floats);
      std::copy(floats.begin(), floats.end(), entries.begin());
    } else {
      read_integers(*tensor, entries);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (entries[i] != 0 && entries[i] != 1)
        throw Error(ErrorKind::kBadFormat, file_.path() + ": mask",
                    "entry " + std::to_string(i) + " is neither 0 nor 1", "1 = a real token, 0 = padding");
      trace_.mask.push_back(static_cast<std::uint8_t>(entries[i]));
    }
    for (auto first = trace_.mask.begin(); first != trace_.mask.end();
         first += static_cast<std::ptrdiff_t>(trace_.tokens))
      if (std::count(first, first + static_cast<std::ptrdiff_t>(trace_.tokens), 1) == 0)
        throw Error(
            ErrorKind::kBadFormat, file_.path() + ": mask",
            "sequence " +
                std::to_string((first - trace_.mask.begin()) / static_cast<std::ptrdiff_t>(trace_.tokens)) +
                " has no real token",
            "leave that sequence out of the trace");
  }

  void read_integers(const TensorInfo& tensor, std::span<double> out) const {
    if (!is_integer(tensor.dtype))
      throw Error(ErrorKind::kUnsupported, file_.path() + ": mask",
                  "a mask of type " + std::string(to_string(tensor.dtype)) + " is not read",
                  "write it as U8 or F32");
    const std::size_t size = bits(tensor.dtype) / 8;
    std::string bytes(out.size() * size, '\0');
    std::ifstream stream(file_.files()[tensor.file], std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(tensor.offset));
    if (!stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
      throw Error(ErrorKind::kTruncated, file_.path() + ": mask", "the file ends before the tensor does");
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::string_view entry(bytes.data() + i * size, size);
      const bool rest_zero = entry.substr(1).find_first_not_of('\0') == std::string_view::npos;
      out[i] = rest_zero ? static_cast<double>(static_cast<unsigned char>(entry[0])) : 2.0;
    }
  }

  Checkpoint file_;
  bool batched_ = false;
  Trace trace_;
};

/// Collects tensors with a batch dimension where there is more than one sequence.
class TraceWriter {
 public:
  explicit TraceWriter(const Trace& trace) : trace_(trace) {}

  void add(const std::string& name, const Matrix<float>& matrix, Shape shape) {
    if (trace_.sequences > 1) shape.insert(shape.begin(), trace_.sequences);
    tensors_.push_back(
        {name, DType::kF32, std::move(shape), std::as_bytes(std::span(matrix.data(), matrix.size()))});
  }
  void add_layers(const std::string& stem, const std::vector<Matrix<float>>& matrices, const Shape& shape) {
    for (std::size_t l = 0; l < matrices.size(); ++l) add(stem + "." + std::to_string(l), matrices[l], shape);
  }
  void add_mask() {
    Shape shape{trace_.tokens};
    if (trace_.sequences > 1) shape.insert(shape.begin(), trace_.sequences);
    tensors_.push_back({"mask", DType::kU8, std::move(shape), std::as_bytes(std::span(trace_.mask))});
  }
  std::span<const TensorToWrite> tensors() const { return tensors_; }

 private:
  const Trace& trace_;
  std::vector<TensorToWrite> tensors_;
};

}  // namespace

Trace read_trace(const std::string& path) {
  return TraceFile(path).read();
}

bool is_trace(const std::string& path) {
  return Checkpoint::open(path).find("hidden.0") != nullptr;
}

void write_trace(const std::string& path, const Trace& trace) {
  if (trace.hidden.empty())
    throw Error(ErrorKind::kUsage, path, "the trace has no hidden states to write",
                "record them (Taps::hidden)");
  TraceWriter writer(trace);
  const Shape by_width{trace.tokens, trace.width};
  writer.add_layers("hidden", trace.hidden, by_width);
  writer.add_layers("attn", trace.attention, {trace.heads, trace.tokens, trace.tokens});
  writer.add_layers("attn_input", trace.attention_input, by_width);
  writer.add_layers("attn_residual", trace.attention_residual, by_width);
  if (!trace.final_hidden.empty()) writer.add("final_hidden", trace.final_hidden, by_width);
  if (!trace.logits.empty()) writer.add("logits", trace.logits, {trace.tokens, trace.logits.cols()});
  if (!trace.mask.empty()) writer.add_mask();
  write_safetensors(path, writer.tensors(), {{"format", "telos-trace"}, {"source", trace.source}});
}

}  // namespace telos
