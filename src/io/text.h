#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "telos/base/utf8.h"

namespace telos {

/// Bytes of a text file as UTF-8: a UTF-8 mark is dropped, UTF-16 with a mark is converted. Throws kBadFormat
/// naming the offset of the first bad byte, kUnsupported for UTF-32. `where` names the file.
std::string decode_text(std::string bytes, const std::string& where);

/// decode_text() of a file that comes in parts.
class TextDecoder {
 public:
  explicit TextDecoder(std::string where) : where_(std::move(where)) {}
  /// Appends what is complete with `bytes` to `out`; all that is left with the last ones.
  void push(std::string_view bytes, bool last, std::string& out);

 private:
  enum class Form { kUnknown, kUtf8, kUtf16Little, kUtf16Big };

  std::string where_, held_;  // held_: what is not complete
  std::uint64_t offset_ = 0;  // of held_ in the file
  Form form_ = Form::kUnknown;
};

}  // namespace telos
