#include "io/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "io/foreign.h"
#include "io/gzip.h"
#include "io/input_file.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/base/nearest.h"
#include "telos/base/quantity.h"
#include "telos/base/utf8.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"
#include "telos/io/table.h"

namespace telos {
namespace {

constexpr std::size_t kHeadBytes = 64;

bool is_npy(std::string_view head) {
  return head.starts_with("\x93NUMPY");
}

/// Eight bytes of length, of which no real header needs more than four, then JSON.
bool is_safetensors(std::string_view head) {
  return head.size() > 8 && head[8] == '{' && head.substr(4, 4) == std::string_view("\0\0\0\0", 4);
}

Matrix<double> first_rows(Matrix<double> all, std::size_t max_rows) {
  if (max_rows == 0 || all.rows() <= max_rows) return all;
  Matrix<double> out(max_rows, all.cols());
  std::copy_n(all.data(), out.size(), out.data());
  return out;
}

std::vector<const TensorInfo*> candidates(const Checkpoint& checkpoint) {
  std::vector<const TensorInfo*> out;
  for (const TensorInfo& tensor : checkpoint.tensors())
    if (tensor.shape.size() == 2 && is_float(tensor.dtype)) out.push_back(&tensor);
  return out;
}

std::vector<std::string> names_of(const std::vector<const TensorInfo*>& tensors) {
  std::vector<std::string> names;
  for (const TensorInfo* tensor : tensors) names.push_back(tensor->name);
  return names;
}

std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 24;
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : ", ", printable(names[i]));
  return names.size() > kShown ? out + ", …" : out;
}

const TensorInfo& choose_tensor(const Checkpoint& checkpoint, const std::string& path,
                                const std::string& wanted) {
  const std::vector<const TensorInfo*> all = candidates(checkpoint);
  const std::vector<std::string> names = names_of(all);
  if (!wanted.empty()) {
    const TensorInfo* found = checkpoint.find(wanted);
    if (found == nullptr)
      throw Error(ErrorKind::kUsage, path, fmt::format("no tensor is called \"{}\"", printable(wanted)),
                  nearest_hint(wanted, names));
    if (found->shape.size() != 2)
      throw Error(ErrorKind::kShape, fmt::format("{}, tensor \"{}\"", path, printable(wanted)),
                  fmt::format("expected two dimensions, rows and columns; found {}", found->shape_text()));
    return *found;
  }
  if (all.size() == 1) return *all.front();
  throw Error(ErrorKind::kUsage, path,
              all.empty() ? std::string("no tensor has two dimensions")
                          : fmt::format("{} tensors have two dimensions; name one", all.size()),
              all.empty() ? std::string() : "they are " + first_names(names));
}

Vectors read_safetensors(const std::string& path, const VectorOptions& options) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  const TensorInfo& tensor = choose_tensor(checkpoint, path, options.tensor);
  std::uint64_t rows = tensor.shape[0];
  if (options.max_rows > 0) rows = std::min<std::uint64_t>(rows, options.max_rows);
  require_memory(8.0 * static_cast<double>(rows) * static_cast<double>(tensor.shape[1]), path,
                 "read the first rows only");
  Vectors out;
  out.format = "safetensors";
  out.tensor = tensor.name;
  out.values = Matrix<double>(rows, tensor.shape[1]);
  if (out.values.size() > 0) checkpoint.read(tensor, 0, 0, MatrixView<double>(out.values));
  return out;
}

/// Word vectors in word2vec's other format: the same first line, then bytes.
void refuse_binary_word_vectors(std::string_view head, const std::string& path) {
  const std::string_view line = head.substr(0, head.find('\n'));
  const std::size_t blank = line.find(' ');
  const auto whole = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (line.size() == head.size() || blank == std::string_view::npos || !whole(line.substr(0, blank)) ||
      !whole(line.substr(blank + 1)))
    return;
  std::string_view rest = head.substr(line.size() + 1);
  rest = rest.substr(0, rest.size() - std::min<std::size_t>(rest.size(), 3));  // may end inside a character
  if (valid_utf8_prefix(rest) == rest.size() && rest.find('\0') == std::string_view::npos) return;
  throw Error(
      ErrorKind::kUnsupported, path, "word vectors in word2vec's binary format; expected its text format",
      "gensim writes it: KeyedVectors.load_word2vec_format(PATH, binary=True).save_word2vec_format(OUT)");
}

void check_finite(const Vectors& vectors, const std::string& where) {
  const Matrix<double>& m = vectors.values;
  for (std::size_t i = 0; i < m.size(); ++i)
    if (!std::isfinite(m.data()[i]))
      throw Error(ErrorKind::kNotFinite,
                  fmt::format("{}, row {}, column {}", where, i / m.cols() + 1, i % m.cols() + 1),
                  fmt::format("expected a finite number, found {}", m.data()[i]));
}

std::vector<std::string> read_labels(const std::string& path, std::size_t rows, bool cut) {
  const std::string text = read_text(path);
  std::vector<std::string> labels;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    labels.emplace_back(line);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (cut && labels.size() > rows) labels.resize(rows);
  if (labels.size() != rows)
    throw Error(ErrorKind::kShape, path,
                fmt::format("{} labels for {} vectors", format_count(labels.size()), format_count(rows)),
                "expected a label a line, in the order of the vectors");
  return labels;
}

Vectors read_values(const std::string& path, const VectorOptions& options) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return read_safetensors(path, options);
  const std::string head = InputFile(path).head(kHeadBytes);
  if (is_safetensors(head) || path.ends_with(".safetensors")) return read_safetensors(path, options);
  if (is_npy(head)) {
    Vectors out;
    out.format = "npy";
    out.values = first_rows(read_npy(path), options.max_rows);
    return out;
  }
  if (!is_gzip(head)) {
    refuse_binary_word_vectors(head, path);
    if (const auto foreign = recognise_foreign(head, path))
      throw Error(foreign->kind, path, foreign->message, foreign->hint);
  }
  return parse_vector_text(read_text(path), path, options.max_rows);
}

}  // namespace

Vectors parse_vector_text(std::string_view text, const std::string& path, std::size_t max_rows) {
  if (is_word_vectors(text)) return parse_word_vectors(text, path, max_rows);
  const std::size_t begin = std::min(text.find_first_not_of("\r\n"), text.size());
  const std::size_t tab = text.find('\t', begin);
  const bool tabs = tab < text.find('\n', begin);
  NumberTable table = parse_number_csv(
      text, path, {.delimiter = tabs ? '\t' : ',', .quotes = !tabs, .row_names = true, .max_rows = max_rows});
  Vectors out;
  out.format = tabs ? "tsv" : "csv";
  out.values = std::move(table.values);
  out.labels = std::move(table.names);
  return out;
}

Vectors read_vectors(const std::string& path, const VectorOptions& options) {
  Vectors out = read_values(path, options);
  if (out.values.rows() == 0 || out.values.cols() == 0)
    throw Error(ErrorKind::kShape, path,
                fmt::format("{} vectors of {} numbers; expected at least one of each", out.values.rows(),
                            out.values.cols()));
  check_finite(out, path);
  if (!options.labels_path.empty())
    out.labels = read_labels(options.labels_path, out.values.rows(), options.max_rows > 0);
  return out;
}

}  // namespace telos
