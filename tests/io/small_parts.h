#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "telos/io/text_parts.h"

namespace telos {

/// A text in parts of about `bytes`.
class SmallParts final : public TextParts {
 public:
  SmallParts(std::string text, std::size_t bytes) : text_(std::move(text)), bytes_(bytes) {}

  void rewind() override { at_ = 0; }
  std::string_view next() override {
    std::size_t end = std::min(at_ + bytes_, text_.size());
    while (end < text_.size() && (static_cast<unsigned char>(text_[end]) & 0xC0u) == 0x80u) ++end;
    const std::size_t begin = std::exchange(at_, end);
    return std::string_view(text_).substr(begin, end - begin);
  }
  double bytes() const override { return static_cast<double>(text_.size()); }
  double bytes_read() const override { return static_cast<double>(at_); }

 private:
  std::string text_;
  std::size_t bytes_, at_ = 0;
};

}  // namespace telos
