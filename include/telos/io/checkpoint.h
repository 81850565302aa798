#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/matrix.h"

namespace telos {

/// Element types of the safetensors format.
enum class DType {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};
std::string_view to_string(DType type) noexcept;  ///< as the format spells it: "BF16"
unsigned bits(DType type) noexcept;               ///< 32 for kF32, 4 for kF4
/// F64, F32, F16, BF16: the types whose values telos reads as weights.
bool is_float(DType type) noexcept;

/// One tensor of a checkpoint: what its header says, proven against the file.
struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::uint64_t> shape;  ///< empty for a scalar
  std::size_t file = 0;              ///< index into Checkpoint::files()
  std::uint64_t offset = 0;          ///< of its first byte in that file
  std::uint64_t bytes = 0;
  bool complete = true;  ///< false: the file ends before the tensor does (only with OpenOptions::partial)

  std::uint64_t elements() const noexcept;
  std::string shape_text() const;  ///< "[3072, 768]"
};

struct OpenOptions {
  /// Accept a cut-off file and missing shards; what is not there is marked incomplete or named in problems().
  bool partial = false;
};

/// Statistics that one pass over a tensor yields.
struct TensorScan {
  std::uint64_t elements = 0, nans = 0, infs = 0, zeros = 0;
  std::uint64_t first_bad = 0;  ///< index of the first NaN or Inf, if nans + infs > 0
  double max_abs = 0;           ///< over finite elements
};

/// Tensors of a `.safetensors` file, or of a directory with `model.safetensors`, with
/// `model.safetensors.index.json` and its shards, or with a single other `.safetensors` file. Never loaded
/// whole: opening reads headers only, and reading a tensor fetches its own bytes through a buffer of 256 KB,
/// or straight into `out` where file and caller agree on the type. Safe to read from several threads at once.
///
/// Files stay open and are read by pread, not mapped: a mapping dies by SIGBUS when another process cuts the
/// file, its pages count as this process's memory, and it is the slower way (BF16 from the page cache, one
/// core: 8.5 against 17 GB/s by pread in chunks of 256 KB). Extra memory is one buffer a thread, whatever the
/// size of the file.
///
/// Every rule of the format is checked before any tensor is touched (header length, UTF-8, JSON without
/// duplicate keys, sizes with checked arithmetic, no hole, no overlap, the file entirely indexed). Values are
/// not trusted: a file that shrinks while it is read gives Error{kTruncated}, never a crash.
class Checkpoint {
 public:
  /// Throws kMissingFile, kIo, kBadFormat, kTruncated, kUnsupported (pickle, Git LFS pointer, GGUF, …),
  /// kLimit.
  static Checkpoint open(const std::string& path, OpenOptions options = {});
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  const std::string& path() const;                 ///< as given
  const std::string& directory() const;            ///< where config.json and tokenizer.json are looked for
  const std::vector<std::string>& files() const;   ///< absolute or relative as derived from path()
  const std::vector<TensorInfo>& tensors() const;  ///< sorted by name
  const TensorInfo* find(std::string_view name) const;
  /// Entries of `__metadata__`, sorted by key; of the first file where shards disagree.
  const std::vector<std::pair<std::string, std::string>>& metadata() const;
  /// What could not be used, one line each (missing shards, cut tensors); empty unless opened with `partial`.
  const std::vector<std::string>& problems() const;
  std::uint64_t file_bytes() const;  ///< sum over files
  /// First 16 hex digits of SHA-256 over the files' bytes, in the order of files(). Reads everything: cost =
  /// file size.
  std::string sha256_prefix() const;

  /// Decodes rows [row0, row0 + out.rows()) and columns [col0, col0 + out.cols()) of a two-dimensional
  /// tensor; a one-dimensional tensor is a single row. F16 and BF16 are exact in float; F64 is rounded to
  /// float. Throws kUnsupported for types that are not float, kShape, kTruncated.
  void read(const TensorInfo& tensor, std::size_t row0, std::size_t col0, MatrixView<float> out) const;
  void read(const TensorInfo& tensor, std::size_t row0, std::size_t col0, MatrixView<double> out) const;
  /// All elements in order, whatever the number of dimensions. out.size() must equal elements().
  void read_all(const TensorInfo& tensor, std::span<float> out) const;
  /// The tensor's bytes as they lie in the file (little-endian, row-major), whatever its type: masks and
  /// indices. out.size() must equal `bytes`.
  void read_bytes(const TensorInfo& tensor, std::span<std::byte> out) const;
  TensorScan scan(const TensorInfo& tensor) const;

 private:
  Checkpoint();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes tensors to one safetensors file: to a temporary name in the same directory, fsync, then rename, so
/// that the file is complete or absent. Used for traces, conversions and tests.
struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> data;  ///< little-endian, row-major
};
void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata = {});

float decode_f16(std::uint16_t bits) noexcept;
float decode_bf16(std::uint16_t bits) noexcept;
std::uint16_t encode_bf16(float value) noexcept;  ///< round to nearest even; NaN stays NaN

}  // namespace telos
