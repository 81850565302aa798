#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/io/checkpoint.h"

namespace telos {

/// The limit of the reference implementation on the length of a header.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
/// More dimensions than any tensor has; bounds the memory that a header can ask for.
inline constexpr std::size_t kMaxDimensions = 64;

/// What the header of one safetensors file says, proven against the file's size.
struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;                            ///< sorted by name; `file` is 0
  std::vector<std::pair<std::string, std::string>> metadata;  ///< sorted by key
  std::vector<std::string> problems;                          ///< only with `partial`
};

/// The length of the JSON header from the first bytes of a file (at least 9, if the file has them). `path`
/// names the file in errors. Throws kBadFormat, kTruncated, kLimit, kUnsupported (another format).
std::uint64_t safetensors_header_bytes(std::string_view head, std::uint64_t file_bytes,
                                       const std::string& path);

/// Parses the JSON header and checks each rule of the format: `json` are the bytes [8, 8 + json.size()) of
/// the file. With `partial` tensors beyond the end of the file are marked instead of refused. Throws
/// kBadFormat, kTruncated, kUnsupported (a dtype or field that the format does not have), kLimit.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           const std::string& path, bool partial = false);

/// `path, tensor "name"`, the name escaped: the `where` of errors about one tensor.
std::string tensor_place(std::string_view path, std::string_view name);

/// 1,234,567
std::string grouped(std::uint64_t number);

/// The type that the format spells `name`; false if there is none.
bool dtype_from_name(std::string_view name, DType& type) noexcept;

}  // namespace telos
