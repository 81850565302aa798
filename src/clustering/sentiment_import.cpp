// The published weights (DCN-FAU-AvH, clustering-hardmax-transformers) as a sentiment model.
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "clustering/torch_zip.h"
#include "io/input_file.h"
#include "io/safetensors.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/clustering/sentiment.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"

namespace telos::clustering {
namespace {

/// E, α, v, b in the order of the published module's parameters.
struct Weights {
  std::vector<float> embedding, alpha, v, bias;
};

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 33;

std::vector<float> floats(std::string_view bytes) {
  std::vector<float> out(bytes.size() / sizeof(float));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

/// The storages NAME/data/0 to NAME/data/3 of a zip file.
Weights read_torch(const std::string& path) {
  const std::vector<ZipEntry> entries = stored_entries(path);
  const InputFile file(path);
  const auto storage = [&](int index) {
    const std::string ending = fmt::format("/data/{}", index);
    const ZipEntry* found = nullptr;
    for (const ZipEntry& entry : entries) {
      if (!entry.name.ends_with(ending)) continue;
      if (found != nullptr)
        throw Error(ErrorKind::kBadFormat, path, fmt::format("two entries end in {}", ending));
      found = &entry;
    }
    if (found == nullptr)
      throw Error(ErrorKind::kBadFormat, path, fmt::format("no uncompressed entry ends in {}", ending),
                  "expected the published model: storages 0 to 3 are embedding, alpha, weights and bias");
    if (found->bytes % sizeof(float) != 0 || found->bytes > kMostBytes)
      throw Error(
          ErrorKind::kBadFormat, path,
          fmt::format("{} has {} bytes, expected float32 numbers", printable(found->name, 60), found->bytes));
    require_memory(static_cast<double>(found->bytes), path);
    std::string bytes(found->bytes, '\0');
    file.read_exactly(found->offset, bytes.data(), bytes.size(), path);
    return floats(bytes);
  };
  return {storage(0), storage(1), storage(2), storage(3)};
}

Weights read_safetensors(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  const auto tensor = [&](const char* name) {
    const TensorInfo* info = file.find(name);
    if (info == nullptr)
      throw Error(ErrorKind::kBadFormat, tensor_place(path, name), "the file does not have this tensor",
                  "expected encoder.weight, attention.alpha, decoder.weight and decoder.bias");
    if (info->dtype != DType::kF32)
      throw Error(ErrorKind::kUnsupported, tensor_place(path, name),
                  fmt::format("its type is {}, expected F32", to_string(info->dtype)));
    require_memory(static_cast<double>(info->bytes), path);
    std::vector<float> values(info->elements());
    file.read_all(*info, values);
    return values;
  };
  return {tensor("encoder.weight"), tensor("attention.alpha"), tensor("decoder.weight"),
          tensor("decoder.bias")};
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// Which columns of a vocabulary file say what; a file without a header line has the words alone.
struct Columns {
  std::size_t word = 0;
  std::optional<std::size_t> id, count;
  bool header = false;
};

Columns columns_of(const std::vector<std::string_view>& first, const std::string& path) {
  Columns out;
  if (first.size() == 1) return out;
  out.header = true;
  bool word = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (first[i] == "word") {
      out.word = i;
      word = true;
    }
    if (first[i] == "id") out.id = i;
    if (first[i] == "count") out.count = i;
  }
  if (!word)
    throw Error(ErrorKind::kBadFormat, path + ", line 1", "there are tabs, but no column is called word",
                "a vocabulary is a word a line, or a table with the columns id and word");
  return out;
}

std::uint64_t whole_number(std::string_view text, const std::string& where) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorKind::kBadFormat, where,
                fmt::format("\"{}\" is not a whole number", printable(text, 40)));
  return value;
}

Vocabulary read_vocabulary(const std::string& path) {
  const std::string text = read_text(path, std::uint64_t{1} << 30);
  std::vector<std::string_view> lines = split(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  if (lines.empty()) throw Error(ErrorKind::kBadFormat, path, "the vocabulary is empty");
  for (std::string_view& line : lines)
    if (line.ends_with('\r')) line.remove_suffix(1);
  const std::vector<std::string_view> first = split(lines[0], '\t');
  const Columns columns = columns_of(first, path);
  std::vector<std::string> words;
  std::vector<std::uint64_t> counts;
  bool padding = false;
  for (std::size_t i = columns.header ? 1 : 0; i < lines.size(); ++i) {
    const std::string where = fmt::format("{}, line {}", path, i + 1);
    const std::vector<std::string_view> cells = split(lines[i], '\t');
    if (cells.size() != first.size())
      throw Error(ErrorKind::kBadFormat, where,
                  fmt::format("{} columns, expected {}", cells.size(), first.size()));
    const bool is_padding = words.empty() && cells[columns.word] == "<PAD>";
    padding = padding || is_padding;
    if (columns.id) {
      const std::uint64_t id = whole_number(cells[*columns.id], where), expected = words.size() + !is_padding;
      if (id != expected)
        throw Error(ErrorKind::kBadFormat, where, fmt::format("the id is {}, expected {}", id, expected),
                    "words come in the order of their ids, <PAD> is 0");
    }
    if (is_padding) continue;
    words.emplace_back(cells[columns.word]);
    if (columns.count) counts.push_back(whole_number(cells[*columns.count], where));
  }
  try {
    return Vocabulary(std::move(words), std::move(counts));
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFormat, path, error.message());
  }
}

bool is_zip(const std::string& path) {
  return InputFile(path).head(4) == "PK\x03\x04";
}

}  // namespace

SentimentModel import_published(const std::string& weights, const std::string& vocabulary) {
  const Weights read = is_zip(weights) ? read_torch(weights) : read_safetensors(weights);
  if (read.alpha.size() != 1 || read.bias.size() != 1 || read.v.empty() ||
      read.embedding.size() % read.v.size() != 0)
    throw Error(ErrorKind::kShape, weights,
                fmt::format("embedding, alpha, weights and bias have {}, {}, {} and {} numbers, expected "
                            "V times d, 1, d and 1",
                            read.embedding.size(), read.alpha.size(), read.v.size(), read.bias.size()));
  SentimentModel model;
  model.config.dim = read.v.size();
  model.vocabulary = read_vocabulary(vocabulary);
  const std::size_t rows = read.embedding.size() / read.v.size();
  if (model.vocabulary.size() != rows)
    throw Error(ErrorKind::kShape, vocabulary,
                fmt::format("{} words, expected {}: the embedding has {} rows, the first for padding",
                            model.vocabulary.size() - 1, rows - 1, rows));
  model.embedding = Matrix<float>(rows, read.v.size());
  std::copy(read.embedding.begin(), read.embedding.end(), model.embedding.data());
  model.alpha = double{read.alpha[0]};
  model.v = read.v;
  model.bias = double{read.bias[0]};
  model.preprocess = published_preprocessing();
  model.origin = "imported";
  model.check(weights);
  return model;
}

}  // namespace telos::clustering
