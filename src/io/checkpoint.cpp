#include "telos/io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "io/decode.h"
#include "io/input_file.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "io/shards.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos {
namespace {

/// Bytes that one step reads and decodes: fits a second-level cache, and a system call is nothing beside it.
constexpr std::size_t kChunk = std::size_t{1} << 18;
/// Bytes between the ends of a window's rows that are cheaper to read than to step over by another system
/// call.
constexpr std::size_t kGap = 4096;

bool by_name(const TensorInfo& tensor, std::string_view name) {
  return tensor.name < name;
}

}  // namespace

struct Checkpoint::Impl {
  std::string path, directory;
  bool partial = false;
  std::vector<std::string> files;
  std::vector<std::optional<InputFile>> inputs;  ///< as files; empty where a shard is missing
  std::vector<TensorInfo> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<std::string> problems;

  SafetensorsHeader open_file(std::size_t i);
  void open_shards(const WeightFiles& weights);
  void report_missing_shard(const WeightFiles& weights, std::size_t shard, const Error& error);
  void report_absent(const WeightFiles& weights);
  const TensorInfo* find(std::string_view name) const;
  const InputFile& input_of(const TensorInfo& tensor) const;
  void require_float(const TensorInfo& tensor) const;
  std::string scheme(const TensorInfo& tensor) const;

  template <class T>
  void read_window(const TensorInfo& tensor, std::size_t row0, std::size_t col0, MatrixView<T> out) const;
};

namespace {

/// Decodes stretches of one tensor, through one buffer.
class Decoder {
 public:
  Decoder(const InputFile& file, const TensorInfo& tensor)
      : file_(file), tensor_(tensor), size_(float_bytes(tensor.dtype)) {}

  /// Calls use(bytes, elements, elements before) for each chunk of elements [first, first + n).
  template <class Use>
  void for_chunks(std::uint64_t first, std::uint64_t n, Use use) {
    const std::size_t per_chunk = kChunk / size_;
    for (std::uint64_t done = 0; done < n;) {
      check_interrupt();
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(n - done, per_chunk));
      use(fetch(first + done, count), count, static_cast<std::size_t>(done));
      done += count;
    }
  }

  /// Elements [first, first + n) to contiguous memory; where the file has them in that form they go there
  /// directly.
  template <class T>
  void stretch(std::uint64_t first, std::size_t n, T* out) {
    constexpr DType kSame = sizeof(T) == 4 ? DType::kF32 : DType::kF64;
    if (tensor_.dtype != kSame)
      return for_chunks(first, n, [&](const std::byte* in, std::size_t count, std::size_t done) {
        decode(tensor_.dtype, in, count, out + done);
      });
    constexpr std::size_t kStep = std::size_t{1} << 22;
    for (std::size_t done = 0; done < n; done += kStep) {
      check_interrupt();
      const std::size_t count = std::min(kStep, n - done);
      file_.read_exactly(tensor_.offset + (first + done) * size_, out + done, count * size_, place());
    }
  }

  /// A window of rows whose beginnings lie `stride` elements apart, the unwanted ends read along.
  template <class T>
  void rows(std::uint64_t first, std::size_t stride, MatrixView<T> out) {
    const std::size_t per_chunk = std::max<std::size_t>(1, kChunk / size_ / stride);
    for (std::size_t row = 0; row < out.rows(); row += per_chunk) {
      check_interrupt();
      const std::size_t count = std::min(per_chunk, out.rows() - row);
      const std::byte* in = fetch(first + std::uint64_t{row} * stride, (count - 1) * stride + out.cols());
      for (std::size_t i = 0; i < count; ++i)
        decode(tensor_.dtype, in + i * stride * size_, out.cols(), out.row(row + i));
    }
  }

 private:
  std::string place() const { return tensor_place(file_.path(), tensor_.name); }

  const std::byte* fetch(std::uint64_t first, std::size_t n) {
    if (buffer_.size() < n * size_) buffer_.resize(n * size_);
    file_.read_exactly(tensor_.offset + first * size_, buffer_.data(), n * size_, place());
    return buffer_.data();
  }

  const InputFile& file_;
  const TensorInfo& tensor_;
  std::size_t size_;
  std::vector<std::byte> buffer_;
};

SafetensorsHeader read_header(const InputFile& file, bool partial) {
  const std::uint64_t length = safetensors_header_bytes(file.head(64), file.size(), file.path());
  std::string json(static_cast<std::size_t>(length), '\0');  // length ≤ 100 MB and ≤ the file
  file.read_exactly(8, json.data(), json.size(), file.path());
  return parse_safetensors_header(json, file.size(), file.path(), partial);
}

}  // namespace

SafetensorsHeader Checkpoint::Impl::open_file(std::size_t i) {
  inputs[i].emplace(files[i]);
  SafetensorsHeader header = read_header(*inputs[i], partial);
  for (TensorInfo& tensor : header.tensors) tensor.file = i;
  problems.insert(problems.end(), std::make_move_iterator(header.problems.begin()),
                  std::make_move_iterator(header.problems.end()));
  return header;
}

void Checkpoint::Impl::report_missing_shard(const WeightFiles& weights, std::size_t shard,
                                            const Error& error) {
  std::size_t count = 0;
  std::string first;
  for (const auto& [name, file] : weights.placed)
    if (file == shard && count++ == 0) first = name;
  const std::string message =
      fmt::format("the shard is missing or unreadable, and with it {} of {} tensors, the first {}: {}", count,
                  weights.placed.size(), printable(first), error.message());
  if (!partial)
    throw Error(error.kind(), error.where(),
                error.kind() == ErrorKind::kMissingFile ? message : error.message(),
                error.kind() == ErrorKind::kMissingFile ? "fetch it, or use --partial" : error.hint());
  problems.push_back(files[shard] + ": " + message);
  inputs[shard].reset();
}

/// Tensors that the index places in a shard which does not hold them.
void Checkpoint::Impl::report_absent(const WeightFiles& weights) {
  std::vector<std::size_t> absent(files.size(), 0);
  for (const auto& [name, shard] : weights.placed) {
    if (!inputs[shard] || find(name) != nullptr) continue;
    if (!partial)
      throw Error(ErrorKind::kBadFormat, tensor_place(weights.index, name),
                  fmt::format("the index places it in {}, which does not hold it", printable(files[shard])),
                  "the index and the shards are of different downloads; fetch both again, or use --partial");
    if (absent[shard]++ == 0)
      problems.push_back(fmt::format("{}: the index names tensors that it does not hold, the first {}",
                                     files[shard], printable(name)));
  }
}

void Checkpoint::Impl::open_shards(const WeightFiles& weights) {
  std::size_t opened = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    SafetensorsHeader header;
    try {
      header = open_file(i);
    } catch (const Error& error) {
      report_missing_shard(weights, i, error);
      continue;
    }
    if (opened++ == 0) metadata = std::move(header.metadata);
    for (TensorInfo& tensor : header.tensors) {
      // The index decides where a tensor is; one that it does not know is taken from where it lies.
      const auto at =
          std::lower_bound(weights.placed.begin(), weights.placed.end(), tensor.name,
                           [](const auto& entry, const std::string& name) { return entry.first < name; });
      const bool known = at != weights.placed.end() && at->first == tensor.name;
      if (!known || at->second == i) tensors.push_back(std::move(tensor));
    }
  }
  if (opened == 0)
    throw Error(ErrorKind::kMissingFile, weights.index, "none of the shards that the index names can be read",
                "fetch them");
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(tensors.begin(), tensors.end(),
                                        [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twice != tensors.end())
    throw Error(ErrorKind::kBadFormat, tensor_place(weights.index, twice->name),
                fmt::format("both {} and {} hold it, and the index does not say which counts",
                            printable(files[twice->file]), printable(files[(twice + 1)->file])),
                "remove the shard that does not belong to the model");
  report_absent(weights);
}

const TensorInfo* Checkpoint::Impl::find(std::string_view name) const {
  const auto at = std::lower_bound(tensors.begin(), tensors.end(), name, by_name);
  return at != tensors.end() && at->name == name ? &*at : nullptr;
}

/// The file of a tensor whose bytes are all there. The tensor may have come from elsewhere than tensors(), so
/// that its numbers are proven once more.
const InputFile& Checkpoint::Impl::input_of(const TensorInfo& tensor) const {
  if (tensor.file >= inputs.size() || !inputs[tensor.file])
    throw Error(ErrorKind::kUsage, tensor_place(path, tensor.name), "the tensor is not of this checkpoint");
  const InputFile& input = *inputs[tensor.file];
  std::uint64_t size_bits = bits(tensor.dtype);
  bool overflow = false;
  for (const std::uint64_t n : tensor.shape)
    overflow = __builtin_mul_overflow(size_bits, n, &size_bits) || overflow;
  if (overflow || size_bits / 8 != tensor.bytes)
    throw Error(ErrorKind::kUsage, tensor_place(path, tensor.name), "the tensor is not of this checkpoint");
  if (!tensor.complete || tensor.offset > input.size() || tensor.bytes > input.size() - tensor.offset)
    throw Error(ErrorKind::kTruncated, tensor_place(input.path(), tensor.name),
                fmt::format("the tensor takes bytes {} to {}, the file holds {}", grouped(tensor.offset),
                            grouped(tensor.offset + tensor.bytes), grouped(input.size())),
                "the download is incomplete; fetch it again");
  return input;
}

/// What an integer or 8-bit tensor is part of, as far as its name and its neighbours show.
std::string Checkpoint::Impl::scheme(const TensorInfo& tensor) const {
  const std::string& name = tensor.name;
  const std::string stem = name.substr(0, name.rfind('.') + 1);
  const auto beside = [&](std::string_view ending) { return find(stem + std::string(ending)) != nullptr; };
  const auto after = [&](std::string_view ending) { return find(name + std::string(ending)) != nullptr; };
  if (name.ends_with("qweight") || name.ends_with("qzeros") || name.ends_with("g_idx"))
    return "packed by GPTQ or AWQ quantisation";
  if (after(".quant_state.bitsandbytes__nf4") || after(".quant_state.bitsandbytes__fp4") || after(".absmax"))
    return "bitsandbytes 4-bit quantisation";
  if (beside("SCB")) return "bitsandbytes 8-bit quantisation";
  if (name.ends_with("_blocks") || name.ends_with("_scales")) return "MXFP4 quantisation";
  if (beside("weight_scale_inv") || beside("weight_scale")) return "8-bit weights with separate scales";
  if (bits(tensor.dtype) < 16 && tensor.dtype != DType::kBool && tensor.dtype != DType::kU8 &&
      tensor.dtype != DType::kI8)
    return "a value without its scale is not a weight";
  return {};
}

void Checkpoint::Impl::require_float(const TensorInfo& tensor) const {
  if (is_float(tensor.dtype)) return;
  const std::string why = scheme(tensor);
  throw Error(ErrorKind::kUnsupported, tensor_place(path, tensor.name),
              fmt::format("values of dtype {} are not read; expected F64, F32, F16 or BF16{}{}",
                          to_string(tensor.dtype), why.empty() ? "" : ": ", why),
              why.empty() ? "" : "use the checkpoint before quantisation");
}

template <class T>
void Checkpoint::Impl::read_window(const TensorInfo& tensor, std::size_t row0, std::size_t col0,
                                   MatrixView<T> out) const {
  require_float(tensor);
  const std::size_t dims = tensor.shape.size();
  const std::uint64_t rows = dims == 2 ? tensor.shape[0] : 1, cols = dims == 0 ? 0 : tensor.shape[dims - 1];
  if (dims != 1 && dims != 2)
    throw Error(ErrorKind::kShape, tensor_place(path, tensor.name),
                fmt::format("expected one or two dimensions, found {}", tensor.shape_text()));
  if (row0 > rows || out.rows() > rows - row0 || col0 > cols || out.cols() > cols - col0)
    throw Error(ErrorKind::kShape, tensor_place(path, tensor.name),
                fmt::format("expected at least {} rows and {} columns after row {} and column {}, found {}",
                            out.rows(), out.cols(), row0, col0, tensor.shape_text()));
  const InputFile& input = input_of(tensor);
  if (out.empty()) return;
  Decoder decoder(input, tensor);
  const std::uint64_t first = row0 * cols + col0;
  const auto stride = static_cast<std::size_t>(cols);
  const std::size_t gap = (stride - out.cols()) * float_bytes(tensor.dtype);
  if (gap == 0 && out.stride() == out.cols()) {
    decoder.stretch(first, out.rows() * out.cols(), out.data());
  } else if (gap <= kGap && stride * float_bytes(tensor.dtype) <= kChunk) {
    decoder.rows(first, stride, out);
  } else {
    for (std::size_t i = 0; i < out.rows(); ++i)
      decoder.stretch(first + std::uint64_t{i} * stride, out.cols(), out.row(i));
  }
}

Checkpoint::Checkpoint() : impl_(std::make_unique<Impl>()) {}
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

Checkpoint Checkpoint::open(const std::string& path, OpenOptions options) {
  WeightFiles weights = find_weights(path);
  Checkpoint checkpoint;
  Impl& impl = *checkpoint.impl_;
  impl.path = path;
  impl.directory = weights.directory;
  impl.partial = options.partial;
  impl.files = weights.files;
  impl.inputs.resize(impl.files.size());
  if (weights.index.empty()) {
    SafetensorsHeader header = impl.open_file(0);
    impl.tensors = std::move(header.tensors);
    impl.metadata = std::move(header.metadata);
  } else {
    impl.open_shards(weights);
  }
  return checkpoint;
}

const std::string& Checkpoint::path() const {
  return impl_->path;
}
const std::string& Checkpoint::directory() const {
  return impl_->directory;
}
const std::vector<std::string>& Checkpoint::files() const {
  return impl_->files;
}
const std::vector<TensorInfo>& Checkpoint::tensors() const {
  return impl_->tensors;
}
const TensorInfo* Checkpoint::find(std::string_view name) const {
  return impl_->find(name);
}
const std::vector<std::pair<std::string, std::string>>& Checkpoint::metadata() const {
  return impl_->metadata;
}
const std::vector<std::string>& Checkpoint::problems() const {
  return impl_->problems;
}

std::uint64_t Checkpoint::file_bytes() const {
  std::uint64_t total = 0;
  for (const auto& input : impl_->inputs)
    if (input) total += input->size();
  return total;
}

std::string Checkpoint::sha256_prefix() const {
  Sha256 hash;
  Progress progress("hashing the weights", "MB", static_cast<double>(file_bytes()) / 1e6);
  std::vector<std::byte> buffer(4 * kChunk);
  for (const auto& input : impl_->inputs) {
    if (!input) continue;
    for (std::uint64_t done = 0; done < input->size();) {
      check_interrupt();
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), input->size() - done));
      input->read_exactly(done, buffer.data(), count, input->path());
      hash.update(buffer.data(), count);
      done += count;
      progress.advance(static_cast<double>(count) / 1e6);
    }
  }
  return hash.hex().substr(0, 16);
}

void Checkpoint::read(const TensorInfo& tensor, std::size_t row0, std::size_t col0,
                      MatrixView<float> out) const {
  impl_->read_window(tensor, row0, col0, out);
}

void Checkpoint::read(const TensorInfo& tensor, std::size_t row0, std::size_t col0,
                      MatrixView<double> out) const {
  impl_->read_window(tensor, row0, col0, out);
}

void Checkpoint::read_all(const TensorInfo& tensor, std::span<float> out) const {
  impl_->require_float(tensor);
  const InputFile& input = impl_->input_of(tensor);
  if (out.size() != tensor.elements())
    throw Error(ErrorKind::kShape, tensor_place(impl_->path, tensor.name),
                fmt::format("expected room for {} elements of {}, found {}", tensor.elements(),
                            tensor.shape_text(), out.size()));
  Decoder(input, tensor).stretch(0, out.size(), out.data());
}

void Checkpoint::read_bytes(const TensorInfo& tensor, std::span<std::byte> out) const {
  const InputFile& input = impl_->input_of(tensor);
  if (out.size() != tensor.bytes)
    throw Error(ErrorKind::kShape, tensor_place(impl_->path, tensor.name),
                fmt::format("expected room for {} bytes, found {}", tensor.bytes, out.size()));
  input.read_exactly(tensor.offset, out.data(), out.size(), tensor_place(input.path(), tensor.name));
}

TensorScan Checkpoint::scan(const TensorInfo& tensor) const {
  impl_->require_float(tensor);
  const InputFile& input = impl_->input_of(tensor);
  TensorScan result;
  Decoder(input, tensor)
      .for_chunks(0, tensor.elements(), [&](const std::byte* in, std::size_t count, std::size_t) {
        scan_elements(tensor.dtype, in, count, result);
      });
  return result;
}

}  // namespace telos
