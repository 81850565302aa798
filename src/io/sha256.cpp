#include "io/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "telos/base/error.h"

namespace telos {

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
  static void require(bool ok) {
    if (!ok) throw Error(ErrorKind::kInternal, "SHA-256", "libcrypto refused a digest operation");
  }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  Impl::require(impl_->context != nullptr && EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(const void* data, std::size_t bytes) {
  Impl::require(EVP_DigestUpdate(impl_->context, data, bytes) == 1);
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  Impl::require(EVP_DigestFinal_ex(impl_->context, digest.data(), &length) == 1);
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out;
}

}  // namespace telos
