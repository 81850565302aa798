#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace telos {

/// SHA-256 (FIPS 180-4) of a stream of bytes, by OpenSSL's libcrypto, which uses the processor's SHA
/// instructions.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* data, std::size_t bytes);
  /// 64 lower-case hex digits. Call once, last.
  std::string hex();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos
