// Samples as safetensors files.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/bigram/data.h"
#include "telos/io/checkpoint.h"

namespace telos::bigram {
namespace {

constexpr const char* kFormatKey = "telos.bigram.samples";
constexpr const char* kTokensKey = "telos.bigram.tokens";
constexpr const char* kNamesKey = "telos.bigram.names";
constexpr const char* kChecksumKey = "telos.bigram.sha256";
constexpr const char* kSamplesVersion = "1";
constexpr const char* kExpectedFile = "a file that telos bigram sample wrote is expected";

[[noreturn]] void refuse_samples(const std::string& where, const std::string& message,
                                 const std::string& hint = {}, ErrorKind kind = ErrorKind::kBadFormat) {
  throw Error(kind, where, message, hint);
}

/// Tokens of `width` bytes each.
std::vector<std::uint8_t> packed(const std::vector<std::uint16_t>& tokens, std::size_t width) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(tokens.size() * width);
  for (const std::uint16_t token : tokens) {
    bytes.push_back(static_cast<std::uint8_t>(token));
    if (width == 2) bytes.push_back(static_cast<std::uint8_t>(token >> 8));
  }
  return bytes;
}

std::vector<std::uint16_t> unpacked(const std::vector<std::uint8_t>& bytes, std::size_t width) {
  std::vector<std::uint16_t> tokens(bytes.size() / width);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::uint16_t>(width == 1 ? bytes[i] : bytes[2 * i] | bytes[2 * i + 1] << 8);
  return tokens;
}

std::string checksum(std::span<const std::uint8_t> contexts, std::span<const std::uint8_t> last,
                     std::span<const std::uint8_t> output) {
  Sha256 hash;
  for (const std::span<const std::uint8_t> part : {contexts, last, output})
    hash.update(part.data(), part.size());
  return hash.hex();
}

const std::string* metadata_entry(const Checkpoint& file, const std::string& key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return &value;
  return nullptr;
}

const std::string& required_entry(const Checkpoint& file, const std::string& key) {
  const std::string* const found = metadata_entry(file, key);
  if (found == nullptr) refuse_samples(file.path(), "the metadata have no " + key, kExpectedFile);
  return *found;
}

std::size_t read_token_count(const Checkpoint& file) {
  const std::string& text = required_entry(file, kTokensKey);
  std::size_t tokens = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), tokens);
  if (error != std::errc() || end != text.data() + text.size() || tokens == 0 || tokens > kMostTokens)
    refuse_samples(file.path(), fmt::format("{} is \"{}\", expected a number from 1 to {}", kTokensKey,
                                            printable(text, 40), kMostTokens));
  return tokens;
}

std::vector<std::string> read_token_names(const Checkpoint& file, std::size_t tokens) {
  const std::string* const text = metadata_entry(file, kNamesKey);
  if (text == nullptr) return {};
  const std::string where = fmt::format("{}, {}", file.path(), kNamesKey);
  const auto json = parse_json(*text, where, {.max_depth = 2});
  if (!json.is_array() || json.size() != tokens)
    refuse_samples(where, fmt::format("expected a list of {} texts", tokens));
  std::vector<std::string> names;
  for (const auto& name : json) {
    if (!name.is_string()) refuse_samples(where, fmt::format("expected a list of {} texts", tokens));
    names.push_back(name.get<std::string>());
  }
  return names;
}

const TensorInfo& token_tensor(const Checkpoint& file, const std::string& name, std::size_t dimensions,
                               std::size_t width) {
  const TensorInfo* const found = file.find(name);
  const std::string place = tensor_place(file.path(), name);
  const DType type = width == 1 ? DType::kU8 : DType::kU16;
  if (found == nullptr) refuse_samples(place, "the file does not have this tensor", kExpectedFile);
  if (found->dtype != type)
    refuse_samples(place,
                   fmt::format("its type is {}, expected {}", to_string(found->dtype), to_string(type)));
  if (found->shape.size() != dimensions || found->elements() == 0)
    refuse_samples(place,
                   fmt::format("its shape is {}, expected {}", found->shape_text(),
                               dimensions == 1 ? "a vector" : "samples by positions"),
                   {}, ErrorKind::kShape);
  if (found->shape[0] > 0xFFFF'FFFF || found->shape.back() > 0xFFFF'FFFF)
    refuse_samples(place, fmt::format("its shape is {}, at most 4294967295 each", found->shape_text()), {},
                   ErrorKind::kLimit);
  return *found;
}

std::vector<std::uint8_t> bytes_of(const Checkpoint& file, const TensorInfo& tensor) {
  require_memory(static_cast<double>(tensor.bytes), file.path(), "write fewer samples to a file");
  std::vector<std::uint8_t> bytes(tensor.bytes);
  file.read_bytes(tensor, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

void check_below(const Samples& samples, const std::string& path) {
  const auto refuse_token = [&](const char* tensor, std::size_t sample, const std::string& place,
                                std::uint16_t token) {
    refuse_samples(tensor_place(path, tensor), fmt::format("{} of sample {} is {}, expected below {}", place,
                                                           sample, token, samples.tokens));
  };
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples.last[i] >= samples.tokens) refuse_token("last", i, "the token", samples.last[i]);
    if (samples.output[i] >= samples.tokens) refuse_token("output", i, "the token", samples.output[i]);
    for (std::size_t t = 0; t < samples.length; ++t)
      if (const std::uint16_t token = samples.token(i, t); token >= samples.tokens)
        refuse_token("tokens", i, fmt::format("position {}", t), token);
    if (i % 4096 == 0) check_interrupt();
  }
}

}  // namespace

std::string sample_checksum(const Samples& samples) {
  return checksum(samples.contexts, packed(samples.last, samples.width()),
                  packed(samples.output, samples.width()));
}

void write_samples(const Samples& samples, const std::string& path) {
  const std::size_t width = samples.width();
  const std::vector<std::uint8_t> last = packed(samples.last, width), output = packed(samples.output, width);
  const auto tensor = [&](const char* name, std::vector<std::uint64_t> shape,
                          std::span<const std::uint8_t> data) {
    return TensorToWrite{.name = name,
                         .dtype = width == 1 ? DType::kU8 : DType::kU16,
                         .shape = std::move(shape),
                         .data = std::as_bytes(data)};
  };
  const TensorToWrite tensors[] = {tensor("tokens", {samples.size(), samples.length}, samples.contexts),
                                   tensor("last", {samples.size()}, last),
                                   tensor("output", {samples.size()}, output)};
  std::vector<std::pair<std::string, std::string>> metadata = {
      {kFormatKey, kSamplesVersion},
      {kTokensKey, std::to_string(samples.tokens)},
      {kChecksumKey, checksum(samples.contexts, last, output)}};
  if (!samples.names.empty())
    metadata.emplace_back(
        kNamesKey,
        nlohmann::json(samples.names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  write_safetensors(path, tensors, metadata);
}

Samples read_samples(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  if (const std::string& version = required_entry(file, kFormatKey); version != kSamplesVersion)
    refuse_samples(path, fmt::format("{} is \"{}\", expected \"{}\"", kFormatKey, printable(version, 40),
                                     kSamplesVersion));
  Samples samples{.tokens = read_token_count(file)};
  const std::size_t width = samples.width();
  const TensorInfo &contexts = token_tensor(file, "tokens", 2, width),
                   &last = token_tensor(file, "last", 1, width),
                   &output = token_tensor(file, "output", 1, width);
  if (last.shape[0] != contexts.shape[0] || output.shape[0] != contexts.shape[0])
    refuse_samples(path,
                   fmt::format("tokens are {}, last {} and output {}, expected as many samples of each",
                               contexts.shape_text(), last.shape_text(), output.shape_text()),
                   {}, ErrorKind::kShape);
  samples.length = contexts.shape[1];
  samples.names = read_token_names(file, samples.tokens);
  samples.contexts = bytes_of(file, contexts);
  const std::vector<std::uint8_t> last_bytes = bytes_of(file, last), output_bytes = bytes_of(file, output);
  if (const std::string* const expected = metadata_entry(file, kChecksumKey);
      expected != nullptr && *expected != checksum(samples.contexts, last_bytes, output_bytes))
    refuse_samples(path, "the samples are not those that were written: their checksum differs",
                   "the file is damaged; copy or write it again");
  samples.last = unpacked(last_bytes, width);
  samples.output = unpacked(output_bytes, width);
  check_below(samples, path);
  return samples;
}

}  // namespace telos::bigram
