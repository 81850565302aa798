// Text files: the result is UTF-8, and UTF-8 without a mark is left as it is. The oracle is a decoder that
// follows the definition: decode by bit patterns, then reject overlong forms, surrogates, and what lies
// beyond U+10FFFF.
#include "io/text.h"

#include <string>

#include "support.h"

namespace {

std::size_t valid_by_definition(std::string_view s) {
  std::size_t i = 0;
  while (i < s.size()) {
    const auto lead = static_cast<unsigned char>(s[i]);
    const std::size_t n = lead < 0x80         ? 1
                          : (lead >> 5) == 6  ? 2
                          : (lead >> 4) == 14 ? 3
                          : (lead >> 3) == 30 ? 4
                                              : 0;
    if (n == 0 || i + n > s.size()) break;
    std::uint32_t code = n == 1 ? lead : lead & (0x7Fu >> n);
    bool tails = true;
    for (std::size_t k = 1; k < n; ++k) {
      const auto c = static_cast<unsigned char>(s[i + k]);
      tails = tails && (c & 0xC0) == 0x80;
      code = code << 6 | (c & 0x3Fu);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (!tails || code < kLeast[n] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) break;
    i += n;
  }
  return i;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  const std::string_view bytes = fuzz::as_text(data, size);
  fuzz::require(valid_utf8_prefix(bytes) == valid_by_definition(bytes), "the validators differ");
  std::string text;
  const bool accepted = fuzz::accepts([&] { text = decode_text(std::string(bytes), "t.txt"); });
  if (!accepted) return 0;
  fuzz::require(valid_by_definition(text) == text.size(), "the result is not UTF-8");
  const bool marked =
      bytes.starts_with("\xEF\xBB\xBF") || bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF");
  if (!marked) fuzz::require(text == bytes, "plain UTF-8 was changed");
  return 0;
}
