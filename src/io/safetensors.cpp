#include "io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "io/counting_iterator.h"
#include "io/foreign.h"
#include "io/json.h"
#include "telos/base/error.h"

namespace telos {
namespace {

struct DTypeRow {
  DType type;
  std::string_view name;
  unsigned bits;
};

constexpr std::array<DTypeRow, 22> kDTypes{{
    {DType::kBool, "BOOL", 8},
    {DType::kU8, "U8", 8},
    {DType::kI8, "I8", 8},
    {DType::kF8E5M2, "F8_E5M2", 8},
    {DType::kF8E4M3, "F8_E4M3", 8},
    {DType::kF8E8M0, "F8_E8M0", 8},
    {DType::kF8E4M3Fnuz, "F8_E4M3FNUZ", 8},
    {DType::kF8E5M2Fnuz, "F8_E5M2FNUZ", 8},
    {DType::kF4, "F4", 4},
    {DType::kF6E2M3, "F6_E2M3", 6},
    {DType::kF6E3M2, "F6_E3M2", 6},
    {DType::kI16, "I16", 16},
    {DType::kU16, "U16", 16},
    {DType::kF16, "F16", 16},
    {DType::kBF16, "BF16", 16},
    {DType::kI32, "I32", 32},
    {DType::kU32, "U32", 32},
    {DType::kF32, "F32", 32},
    {DType::kC64, "C64", 64},
    {DType::kF64, "F64", 64},
    {DType::kI64, "I64", 64},
    {DType::kU64, "U64", 64},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i)
    if (static_cast<std::size_t>(kDTypes[i].type) != i) return false;
  return true;
}
static_assert(rows_in_order(), "a row is found by its enumerator");

const DTypeRow& row(DType type) noexcept {
  return kDTypes[static_cast<std::size_t>(type)];
}

/// The handler of the streaming parser. It accepts one shape of document only,
///   {"__metadata__": {key: string, …}, name: {"dtype": string, "shape": [n, …], "data_offsets": [begin,
///   end]}, …},
/// and stores nothing else, so that a hostile header cannot make it build a large tree.
class HeaderHandler {
 public:
  HeaderHandler(std::string_view json, const std::string& path, SafetensorsHeader& out)
      : json_(json), path_(path), out_(out), furthest_(json.data()) {}

  void parse() {
    const CountingIterator begin(json_.data(), &furthest_), end(json_.data() + json_.size(), &furthest_);
    nlohmann::json::sax_parse(begin, end, this);
  }

  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a boolean"); }
  bool number_integer(std::int64_t value) { unexpected(fmt::format("the negative number {}", value)); }
  bool number_float(double, const std::string& text) {
    unexpected(fmt::format("the number {}", printable(text, 40)));
  }
  bool binary(const std::vector<std::uint8_t>&) { unexpected("binary data"); }

  bool number_unsigned(std::uint64_t value) {
    if (place_ != Place::kShape && place_ != Place::kOffsets) unexpected(fmt::format("the number {}", value));
    if (place_ == Place::kOffsets) {
      if (offsets_.size() == 2) fail(ErrorKind::kBadFormat, "data_offsets has more than two numbers");
      offsets_.push_back(value);
    } else {
      if (tensor_.shape.size() == kMaxDimensions)
        fail(ErrorKind::kLimit, fmt::format("the shape has more than {} dimensions", kMaxDimensions));
      tensor_.shape.push_back(value);
    }
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::kMetadata) {
      out_.metadata.back().second = std::move(value);
    } else if (place_ == Place::kTensor && field_ == Field::kDType) {
      if (!dtype_from_name(value, tensor_.dtype))
        fail(ErrorKind::kUnsupported, fmt::format("unknown dtype \"{}\"", printable(value, 40)),
             "the file is newer than this program, or damaged");
    } else {
      unexpected(fmt::format("the string \"{}\"", printable(value, 40)));
    }
    return true;
  }

  bool start_object(std::size_t) {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop && in_metadata_) {
      place_ = Place::kMetadata;
    } else if (place_ == Place::kTop) {
      place_ = Place::kTensor;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(std::string& name) {
    if (place_ == Place::kTop) {
      in_metadata_ = name == "__metadata__";
      if (in_metadata_ && metadata_seen_)
        fail(ErrorKind::kBadFormat, "the key \"__metadata__\" appears twice");
      metadata_seen_ = metadata_seen_ || in_metadata_;
      begin_tensor(std::move(name));
    } else if (place_ == Place::kMetadata) {
      out_.metadata.emplace_back(std::move(name), "");
    } else {
      begin_field(name);
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::kTensor) end_tensor();
    in_metadata_ = false;
    place_ = place_ == Place::kTop ? Place::kStart : Place::kTop;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ == Place::kTensor && field_ == Field::kShape) {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && field_ == Field::kOffsets) {
      place_ = Place::kOffsets;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() {
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", path_, 8 + position),
                "the header is not valid JSON: " + json_complaint(error.what()),
                "the file is damaged; fetch it again");
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };
  enum class Field { kDType, kShape, kOffsets };

  [[noreturn]] void fail(ErrorKind kind, const std::string& message, const std::string& hint = {}) const {
    std::string where = path_;
    if (place_ == Place::kTensor || place_ == Place::kShape || place_ == Place::kOffsets)
      where = tensor_place(path_, tensor_.name);
    const auto position = static_cast<std::size_t>(furthest_ - json_.data());
    throw Error(
        kind, fmt::format("{}, byte {}", where, 8 + position), message,
        hint.empty() ? "the file is damaged or hostile; fetch it again from a source that you trust" : hint);
  }

  [[noreturn]] void unexpected(const std::string& found) const {
    fail(ErrorKind::kBadFormat, fmt::format("expected {}, found {}", expected(), found));
  }

  std::string expected() const {
    switch (place_) {
      case Place::kStart:
        return "an object as header";
      case Place::kTop:
        if (in_metadata_) return "an object of strings as \"__metadata__\"";
        return fmt::format("an object for tensor \"{}\"", printable(tensor_.name));
      case Place::kMetadata:
        return fmt::format("a string as metadata \"{}\"", printable(out_.metadata.back().first));
      case Place::kShape:
        return "a whole number ≥ 0 below 2^64 in shape";
      case Place::kOffsets:
        return "a whole number ≥ 0 below 2^64 in data_offsets";
      case Place::kTensor:
        break;
    }
    return field_ == Field::kDType   ? "a string as dtype"
           : field_ == Field::kShape ? "an array as shape"
                                     : "an array as data_offsets";
  }

  void begin_tensor(std::string name) {
    tensor_ = TensorInfo{};
    tensor_.name = std::move(name);
    offsets_.clear();
    seen_ = {};
  }

  void begin_field(const std::string& name) {
    constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};
    const auto* at = std::find(kFields.begin(), kFields.end(), name);
    if (at == kFields.end())
      fail(ErrorKind::kUnsupported,
           fmt::format("unknown field \"{}\"; expected dtype, shape, data_offsets", printable(name, 40)),
           "the file is newer than this program, or damaged");
    const auto index = static_cast<std::size_t>(at - kFields.begin());
    if (seen_[index]) fail(ErrorKind::kBadFormat, fmt::format("the key \"{}\" appears twice", name));
    seen_[index] = true;
    field_ = static_cast<Field>(index);
  }

  void end_tensor() {
    if (!seen_[0] || !seen_[1] || !seen_[2])
      fail(ErrorKind::kBadFormat,
           fmt::format("{} is missing", !seen_[0] ? "dtype" : (!seen_[1] ? "shape" : "data_offsets")));
    if (offsets_.size() != 2)
      fail(ErrorKind::kBadFormat, fmt::format("data_offsets has {} numbers; expected two", offsets_.size()));
    const std::uint64_t begin = offsets_[0], end = offsets_[1];
    if (end < begin)
      fail(ErrorKind::kBadFormat, fmt::format("data_offsets [{}, {}] end before they begin", begin, end));
    std::uint64_t bits_needed = bits(tensor_.dtype);
    // Bits and not elements: in a format with 4-bit types the product that must fit is the one in bits.
    std::uint64_t elements = 1;
    for (const std::uint64_t n : tensor_.shape)
      if (__builtin_mul_overflow(elements, n, &elements)) too_large();
    if (__builtin_mul_overflow(elements, bits_needed, &bits_needed)) too_large();
    if (bits_needed % 8 != 0)
      fail(ErrorKind::kBadFormat,
           fmt::format("{} elements of {} bits do not fill whole bytes", elements, bits(tensor_.dtype)));
    if (end - begin != bits_needed / 8)
      fail(ErrorKind::kBadFormat,
           fmt::format("shape {} of {} takes {} bytes, data_offsets [{}, {}] hold {}", tensor_.shape_text(),
                       to_string(tensor_.dtype), grouped(bits_needed / 8), begin, end, grouped(end - begin)));
    tensor_.offset = begin;  // from the start of the data until check_layout()
    tensor_.bytes = end - begin;
    out_.tensors.push_back(std::move(tensor_));
  }

  [[noreturn]] void too_large() const {
    fail(ErrorKind::kBadFormat, fmt::format("the size of shape {} of {} overflows 64 bits",
                                            tensor_.shape_text(), to_string(tensor_.dtype)));
  }

  std::string_view json_;
  const std::string& path_;
  SafetensorsHeader& out_;
  const char* furthest_;
  Place place_ = Place::kStart;
  Field field_ = Field::kDType;
  bool in_metadata_ = false, metadata_seen_ = false;
  TensorInfo tensor_;
  std::vector<std::uint64_t> offsets_;
  std::array<bool, 3> seen_{};
};

/// A tensor begins where the one before it ends, the first at 0. Makes offsets absolute; returns the bytes of
/// all.
std::uint64_t check_layout(SafetensorsHeader& header, std::uint64_t data_begin, const std::string& path) {
  std::vector<std::size_t> order(header.tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const TensorInfo &x = header.tensors[a], &y = header.tensors[b];
    // Tensors without bytes come before the one that begins at the same place.
    return std::pair(x.offset, x.bytes) < std::pair(y.offset, y.bytes);
  });
  std::uint64_t end = 0;
  const TensorInfo* before = nullptr;
  for (const std::size_t i : order) {
    const TensorInfo& tensor = header.tensors[i];
    if (tensor.offset != end) {
      const bool hole = tensor.offset > end;
      throw Error(ErrorKind::kBadFormat, tensor_place(path, tensor.name),
                  fmt::format("{}: its data_offsets begin at {}, expected {}, {}{}",
                              hole ? "a hole in the data" : "data overlap", tensor.offset, end,
                              before ? "the end of " : "the start of the data",
                              before ? "\"" + printable(before->name) + "\"" : ""),
                  "the file is damaged or hostile; fetch it again from a source that you trust");
    }
    end = tensor.offset + tensor.bytes;  // = data_offsets[1], which fits
    before = &tensor;
  }
  for (TensorInfo& tensor : header.tensors)
    if (__builtin_add_overflow(tensor.offset, data_begin, &tensor.offset) ||
        tensor.bytes > ~std::uint64_t{0} - tensor.offset)
      throw Error(ErrorKind::kBadFormat, tensor_place(path, tensor.name),
                  "its place in the file overflows 64 bits",
                  "the file is damaged or hostile; fetch it again from a source that you trust");
  return end;
}

/// The data must fill the file to its end.
void check_end(SafetensorsHeader& header, std::uint64_t data_bytes, std::uint64_t data_begin,
               std::uint64_t file_bytes, const std::string& path, bool partial) {
  const std::uint64_t held = file_bytes - data_begin;
  if (held == data_bytes) return;
  if (held > data_bytes)
    throw Error(
        ErrorKind::kBadFormat, fmt::format("{}, byte {}", path, data_begin + data_bytes),
        fmt::format("header declares {} bytes of tensors, the file holds {}: {} bytes belong to no tensor",
                    grouped(data_bytes), grouped(held), grouped(held - data_bytes)),
        "the file is damaged; fetch it again");
  std::size_t cut = 0;
  const TensorInfo* first = nullptr;
  for (TensorInfo& tensor : header.tensors) {
    tensor.complete = tensor.offset + tensor.bytes <= file_bytes;
    if (tensor.complete) continue;
    ++cut;
    if (first == nullptr || tensor.offset < first->offset) first = &tensor;
  }
  const double percent = 100.0 * static_cast<double>(held) / static_cast<double>(data_bytes);
  const std::string message = fmt::format(
      "the file is cut short: header declares {} bytes of tensors, the file holds {} ({} %); first tensor "
      "that is missing: {}",
      grouped(data_bytes), grouped(held), static_cast<int>(percent), printable(first->name));
  if (!partial)
    throw Error(ErrorKind::kTruncated, path, message,
                "the download is incomplete; fetch it again, or use --partial");
  header.problems.push_back(
      fmt::format("{}: {}; {} of {} tensors incomplete", path, message, cut, header.tensors.size()));
}

template <class Range, class Name>
void refuse_duplicates(const Range& sorted, const std::string& path, Name name) {
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [&](const auto& a, const auto& b) { return name(a) == name(b); });
  if (twice != sorted.end())
    throw Error(ErrorKind::kBadFormat, path,
                fmt::format("the key \"{}\" appears twice in the header", printable(name(*twice))),
                "the file is damaged or hostile; fetch it again from a source that you trust");
}

}  // namespace

std::string_view to_string(DType type) noexcept {
  return row(type).name;
}
unsigned bits(DType type) noexcept {
  return row(type).bits;
}
bool is_float(DType type) noexcept {
  return type == DType::kF64 || type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

bool dtype_from_name(std::string_view name, DType& type) noexcept {
  for (const DTypeRow& r : kDTypes)
    if (r.name == name) {
      type = r.type;
      return true;
    }
  return false;
}

std::uint64_t TensorInfo::elements() const noexcept {
  std::uint64_t n = 1;
  for (const std::uint64_t extent : shape) n *= extent;
  return n;
}

std::string TensorInfo::shape_text() const {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string tensor_place(std::string_view path, std::string_view name) {
  return fmt::format("{}, tensor \"{}\"", path, printable(name));
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::uint64_t safetensors_header_bytes(std::string_view head, std::uint64_t file_bytes,
                                       const std::string& path) {
  const auto refuse_foreign = [&] {
    if (const auto foreign = recognise_foreign(head, path))
      throw Error(foreign->kind, path, foreign->message, foreign->hint);
  };
  constexpr std::uint64_t kLengthBytes = 8;
  if (file_bytes < kLengthBytes || head.size() < kLengthBytes) {
    refuse_foreign();
    throw Error(ErrorKind::kTruncated, path,
                fmt::format("expected 8 bytes of header length, the file holds {} bytes in all", file_bytes),
                "the download is incomplete; fetch it again");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), sizeof length);
  // A genuine header is short and opens with a brace; with anything else the question is what this file is
  // instead.
  const bool brace = head.size() > kLengthBytes && head[kLengthBytes] == '{';
  if (length > kMaxHeaderBytes || (!brace && head.size() > kLengthBytes)) refuse_foreign();
  if (length > kMaxHeaderBytes)
    throw Error(
        brace ? ErrorKind::kLimit : ErrorKind::kBadFormat, path + ", byte 0",
        fmt::format("{}the header length is {}, above the limit of {} bytes",
                    brace ? "" : "not a safetensors file: ", grouped(length), grouped(kMaxHeaderBytes)),
        "check that this is a safetensors file");
  if (head.size() > kLengthBytes && !brace)
    throw Error(ErrorKind::kBadFormat, path + ", byte 8",
                fmt::format("not a safetensors file: expected '{{' as first byte of the header, found \"{}\"",
                            printable(head.substr(kLengthBytes, 1))),
                "check that this is a safetensors file");
  if (length > file_bytes - kLengthBytes)
    throw Error(ErrorKind::kTruncated, path,
                fmt::format("the header takes {} bytes, the file holds {} after the length", grouped(length),
                            grouped(file_bytes - kLengthBytes)),
                "the download is incomplete; fetch it again");
  if (length == 0)
    throw Error(ErrorKind::kBadFormat, path + ", byte 0", "the header is empty; expected a JSON object",
                "check that this is a safetensors file");
  return length;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           const std::string& path, bool partial) {
  if (json.empty() || json.front() != '{')
    throw Error(ErrorKind::kBadFormat, path + ", byte 8", "expected '{' as first byte of the header",
                "check that this is a safetensors file");
  refuse_nul(json, path, 8);
  SafetensorsHeader header;
  HeaderHandler(json, path, header).parse();
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
  std::sort(header.metadata.begin(), header.metadata.end());
  refuse_duplicates(header.tensors, path, [](const TensorInfo& t) -> const std::string& { return t.name; });
  refuse_duplicates(header.metadata, path,
                    [](const auto& entry) -> const std::string& { return entry.first; });
  const std::uint64_t data_begin = 8 + json.size();
  const std::uint64_t data_bytes = check_layout(header, data_begin, path);
  check_end(header, data_bytes, data_begin, file_bytes, path, partial);
  return header;
}

}  // namespace telos
