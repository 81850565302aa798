#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/text.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/checkpoint.h"

namespace telos {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& name, const std::string& message) {
  throw Error(ErrorKind::kUsage, tensor_place(path, name), message);
}

void check_text(const std::string& path, const std::string& text) {
  if (valid_utf8_prefix(text) != text.size()) refuse(path, text, "the name or metadata is not UTF-8");
}

/// The bytes that dtype and shape ask for; throws kUsage unless the data are as many.
void check_size(const std::string& path, const TensorToWrite& tensor) {
  std::uint64_t size_bits = bits(tensor.dtype);
  for (const std::uint64_t n : tensor.shape)
    if (__builtin_mul_overflow(size_bits, n, &size_bits))
      refuse(path, tensor.name, "its size overflows 64 bits");
  if (size_bits % 8 != 0) refuse(path, tensor.name, "its elements do not fill whole bytes");
  if (size_bits / 8 != tensor.data.size())
    refuse(path, tensor.name,
           fmt::format("shape [{}] of {} takes {} bytes, found {}", fmt::join(tensor.shape, ", "),
                       to_string(tensor.dtype), size_bits / 8, tensor.data.size()));
}

/// Widest types first, then by name: every tensor is aligned to its type if the data are.
std::vector<const TensorToWrite*> layout(const std::string& path, std::span<const TensorToWrite> tensors) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) {
    check_text(path, tensor.name);
    check_size(path, tensor);
    if (tensor.name == "__metadata__") refuse(path, tensor.name, "a tensor cannot have this name");
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    const unsigned bits_a = bits(a->dtype), bits_b = bits(b->dtype);
    return bits_a != bits_b ? bits_a > bits_b : a->name < b->name;
  });
  return order;
}

std::string header_text(const std::string& path, const std::vector<const TensorToWrite*>& order,
                        const std::vector<std::pair<std::string, std::string>>& metadata) {
  nlohmann::json header = nlohmann::json::object();  // sorted: lookups of names stay fast
  for (const auto& [key, value] : metadata) {
    check_text(path, key);
    check_text(path, value);
    if (!header["__metadata__"].emplace(key, value).second)
      refuse(path, key, "the metadata have this key twice");
  }
  std::uint64_t offset = 0;
  for (const TensorToWrite* tensor : order) {
    const std::uint64_t end = offset + tensor->data.size();
    const bool is_new =
        header
            .emplace(tensor->name, nlohmann::json{{"dtype", std::string(to_string(tensor->dtype))},
                                                  {"shape", tensor->shape},
                                                  {"data_offsets", {offset, end}}})
            .second;
    if (!is_new) refuse(path, tensor->name, "two tensors have this name");
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // spaces are legal here, and align the data
  if (text.size() > kMaxHeaderBytes)
    throw Error(ErrorKind::kLimit, path,
                fmt::format("the header would take {} bytes, above the limit of {}", grouped(text.size()),
                            grouped(kMaxHeaderBytes)));
  return text;
}

}  // namespace

void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
  const std::vector<const TensorToWrite*> order = layout(path, tensors);
  const std::string header = header_text(path, order, metadata);
  AtomicFile file(path);
  const std::uint64_t length = header.size();
  file.append(&length, sizeof length);
  file.append(header);
  for (const TensorToWrite* tensor : order) {
    check_interrupt();
    file.append(tensor->data.data(), tensor->data.size());
  }
  file.commit();
}

}  // namespace telos
