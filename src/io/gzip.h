#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace telos {

/// Whether the first bytes are those of a gzip file, with which no text in UTF-8 begins.
bool is_gzip(std::string_view bytes) noexcept;

/// What a gzip file holds, its members one after the other. Throws kTruncated, kBadFormat (checksums
/// included), kLimit for more than `max_bytes` of content. `where` names the file.
std::string gunzip(std::string_view bytes, const std::string& where, std::uint64_t max_bytes);

/// gunzip() of a file that comes in parts.
class GunzipSteps {
 public:
  explicit GunzipSteps(std::string where);
  ~GunzipSteps();
  GunzipSteps(GunzipSteps&&) noexcept;
  GunzipSteps& operator=(GunzipSteps&&) noexcept;

  /// Takes from `in` and appends to `out`, at most 64 KiB. Whether it is to be called again before it is
  /// given more. Throws as gunzip().
  bool step(std::string_view& in, std::string& out);
  /// The file ends here. Throws kTruncated.
  void finish() const;
  /// Bytes that were taken.
  std::uint64_t taken() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos
