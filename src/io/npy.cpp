#include "io/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/input_file.h"
#include "io/safetensors.h"
#include "telos/base/error.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"

namespace telos {
namespace {

/// numpy itself refuses longer ones unless told otherwise.
constexpr std::size_t kMaxNpyHeader = 10'000;
constexpr std::string_view kMagic = "\x93NUMPY";

struct NpyHeader {
  std::string descr;
  bool fortran = false;
  std::vector<std::uint64_t> shape;
  std::size_t data_begin = 0;
};

/// Reads the header's Python dictionary, of which three keys with literals of fixed form are all there is.
class DictionaryReader {
 public:
  DictionaryReader(std::string_view text, std::size_t begin, const std::string& where)
      : text_(text), begin_(begin), where_(where) {}

  NpyHeader read() {
    NpyHeader header;
    std::array<bool, 3> seen{};
    expect('{');
    while (!accept('}')) {
      read_entry(header, seen);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) refuse("text after the dictionary");
    if (!seen[0] || !seen[1] || !seen[2]) refuse("expected the keys descr, fortran_order and shape");
    return header;
  }

 private:
  void read_entry(NpyHeader& header, std::array<bool, 3>& seen) {
    constexpr std::array<std::string_view, 3> kKeys{"descr", "fortran_order", "shape"};
    const std::string key = quoted();
    const auto index = static_cast<std::size_t>(std::find(kKeys.begin(), kKeys.end(), key) - kKeys.begin());
    if (index == kKeys.size()) refuse(fmt::format("unknown key \"{}\"", printable(key, 40)));
    if (std::exchange(seen[index], true)) refuse(fmt::format("the key \"{}\" appears twice", key));
    expect(':');
    if (index == 0) {
      skip_space();
      if (at_ < text_.size() && text_[at_] == '[')
        throw Error(ErrorKind::kUnsupported, where_, "a structured dtype; expected <f2, <f4, <f8, <i4 or <i8",
                    "save one field: np.save(path, a['field'])");
      header.descr = quoted();
    } else if (index == 1) {
      header.fortran = boolean();
    } else {
      header.shape = tuple();
    }
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!accept(c)) refuse(fmt::format("expected '{}'", c));
  }

  std::string quoted() {
    skip_space();
    if (at_ == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) refuse("expected a quoted string");
    const char quote = text_[at_++];
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) refuse("a string without its closing quote");
    std::string out(text_.substr(at_, end - at_));
    at_ = end + 1;
    return out;
  }

  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    refuse("expected True or False");
  }

  std::vector<std::uint64_t> tuple() {
    std::vector<std::uint64_t> out;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (error != std::errc{}) refuse("expected a whole number ≥ 0 below 2^64 in shape");
      at_ = static_cast<std::size_t>(end - text_.data());
      out.push_back(value);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  [[noreturn]] void refuse(const std::string& message) const {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", where_, begin_ + at_),
                "the npy header is not valid: " + message, "write the array with numpy.save");
  }

  std::string_view text_;
  std::size_t begin_;
  const std::string& where_;
  std::size_t at_ = 0;
};

NpyHeader parse_header(std::string_view bytes, const std::string& where) {
  const auto cut = [&](std::size_t expected) {
    throw Error(ErrorKind::kTruncated, where,
                fmt::format("expected {} bytes of npy header, the file holds {}", expected, bytes.size()),
                "the file is incomplete; fetch it again");
  };
  if (bytes.empty())
    throw Error(ErrorKind::kBadFormat, where, "the file is empty", "write the array with numpy.save");
  if (!bytes.starts_with(kMagic.substr(0, std::min(bytes.size(), kMagic.size()))))
    throw Error(ErrorKind::kBadFormat, where + ", byte 0",
                "not an npy file: its first bytes are not \\x93NUMPY",
                bytes.starts_with("PK") ? "an npz archive holds several arrays; save one with numpy.save"
                                        : "write the array with numpy.save");
  if (bytes.size() < 10) cut(10);
  const auto major = static_cast<unsigned char>(bytes[6]);
  if (major < 1 || major > 3)
    throw Error(ErrorKind::kUnsupported, where + ", byte 6",
                fmt::format("npy version {}; expected 1, 2 or 3", major), "write the array with numpy.save");
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  const std::size_t begin = 8 + length_bytes;
  if (bytes.size() < begin) cut(begin);
  std::size_t length = 0;
  for (std::size_t i = length_bytes; i-- > 0;)
    length = length << 8 | static_cast<unsigned char>(bytes[8 + i]);
  if (length > kMaxNpyHeader)
    throw Error(ErrorKind::kLimit, where + ", byte 8",
                fmt::format("the npy header takes {} bytes, above the limit of {}", length, kMaxNpyHeader),
                "write the array with numpy.save");
  if (bytes.size() - begin < length) cut(begin + length);
  NpyHeader header = DictionaryReader(bytes.substr(begin, length), begin, where).read();
  header.data_begin = begin + length;
  return header;
}

enum class Element { kF2, kF4, kF8, kI4, kI8 };

struct ElementType {
  Element kind;
  std::size_t size;
  bool big_endian;
};

ElementType element_type(const std::string& descr, const std::string& where) {
  constexpr std::array<std::pair<std::string_view, ElementType>, 5> kTypes{
      {{"f2", {Element::kF2, 2, false}},
       {"f4", {Element::kF4, 4, false}},
       {"f8", {Element::kF8, 8, false}},
       {"i4", {Element::kI4, 4, false}},
       {"i8", {Element::kI8, 8, false}}}};
  if (descr.size() == 3 && (descr[0] == '<' || descr[0] == '>' || descr[0] == '='))
    for (const auto& [name, type] : kTypes)
      if (descr.substr(1) == name) return {type.kind, type.size, descr[0] == '>'};
  const bool object = descr.find('O') != std::string::npos;
  throw Error(ErrorKind::kUnsupported, where,
              fmt::format("dtype '{}'; expected <f2, <f4, <f8, <i4 or <i8{}", printable(descr, 40),
                          object ? " (an array of objects is a pickle, which executes code)" : ""),
              "convert it: np.save(path, a.astype('<f8'))");
}

template <class U>
U load_unit(const char* in, bool big_endian) {
  std::array<unsigned char, sizeof(U)> bytes;
  std::memcpy(bytes.data(), in, sizeof(U));
  if (big_endian) std::reverse(bytes.begin(), bytes.end());
  U out;
  std::memcpy(&out, bytes.data(), sizeof(U));
  return out;
}

double element(const char* in, ElementType type) {
  switch (type.kind) {
    case Element::kF2:
      return double{decode_f16(load_unit<std::uint16_t>(in, type.big_endian))};
    case Element::kF4:
      return double{load_unit<float>(in, type.big_endian)};
    case Element::kF8:
      return load_unit<double>(in, type.big_endian);
    case Element::kI4:
      return static_cast<double>(load_unit<std::int32_t>(in, type.big_endian));
    case Element::kI8:
      return static_cast<double>(load_unit<std::int64_t>(in, type.big_endian));
  }
  return 0;
}

template <class T>
void write_array(const std::string& path, ConstMatrixView<T> matrix) {
  AtomicFile file(path);
  file.append(npy_header(matrix.rows(), matrix.cols(), sizeof(T)));
  for (std::size_t i = 0; i < matrix.rows() && matrix.cols() > 0; ++i)
    file.append(matrix.row(i), matrix.cols() * sizeof(T));
  file.commit();
}

}  // namespace

std::string npy_header(std::size_t rows, std::size_t cols, std::size_t item) {
  std::string dictionary =
      fmt::format("{{'descr': '<f{}', 'fortran_order': False, 'shape': ({}, {}), }}", item, rows, cols);
  // The data begin at a multiple of 64 bytes; the dictionary ends in a newline.
  dictionary.resize((10 + dictionary.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  dictionary += '\n';
  const std::array<char, 4> version_and_length{1, 0, static_cast<char>(dictionary.size() & 0xFF),
                                               static_cast<char>(dictionary.size() >> 8)};
  std::string header(kMagic);
  header.append(version_and_length.data(), version_and_length.size());
  return header + dictionary;
}

Matrix<double> parse_npy(std::string_view bytes, const std::string& where) {
  const NpyHeader header = parse_header(bytes, where);
  const ElementType type = element_type(header.descr, where);
  if (header.shape.empty() || header.shape.size() > 2)
    throw Error(ErrorKind::kUnsupported, where,
                fmt::format("an array of {} dimensions; expected one or two", header.shape.size()),
                "reshape it: np.save(path, a.reshape(rows, -1))");
  const std::uint64_t rows = header.shape.size() == 2 ? header.shape[0] : 1, cols = header.shape.back();
  std::uint64_t elements = 0, needed = 0;
  if (__builtin_mul_overflow(rows, cols, &elements) ||
      __builtin_mul_overflow(elements, std::uint64_t{type.size}, &needed))
    throw Error(ErrorKind::kBadFormat, where,
                fmt::format("the size of shape ({}, {}) overflows 64 bits", rows, cols),
                "write the array with numpy.save");
  const std::uint64_t held = bytes.size() - header.data_begin;
  if (held != needed)
    throw Error(held < needed ? ErrorKind::kTruncated : ErrorKind::kBadFormat, where,
                fmt::format("shape ({}, {}) of '{}' takes {} bytes, the file holds {}", rows, cols,
                            header.descr, grouped(needed), grouped(held)),
                held < needed ? "the file is incomplete; fetch it again" : "write one array a file");
  Matrix<double> out(static_cast<std::size_t>(rows), static_cast<std::size_t>(cols));
  const char* data = bytes.data() + header.data_begin;
  const std::size_t step_row = header.fortran ? 1 : out.cols(), step_col = header.fortran ? out.rows() : 1;
  for (std::size_t i = 0; i < out.rows() && out.cols() > 0; ++i)
    for (std::size_t j = 0; j < out.cols(); ++j)
      out(i, j) = element(data + (i * step_row + j * step_col) * type.size, type);
  return out;
}

Matrix<double> read_npy(const std::string& path) {
  return parse_npy(read_file(path), path);
}

void write_npy(const std::string& path, ConstMatrixView<double> matrix) {
  write_array(path, matrix);
}
void write_npy(const std::string& path, ConstMatrixView<float> matrix) {
  write_array(path, matrix);
}

}  // namespace telos
