#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/pattern.h"

namespace telos::text {

/// A step from token strings to text. The text is all strings joined after the last step.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

std::unique_ptr<Decoder> wordpiece_decoder(std::string prefix, bool cleanup);
std::unique_ptr<Decoder> byte_level_decoder();
std::unique_ptr<Decoder> byte_fallback_decoder();
std::unique_ptr<Decoder> fuse_decoder();
std::unique_ptr<Decoder> replace_decoder(std::unique_ptr<Pattern> pattern, std::string content);
std::unique_ptr<Decoder> strip_decoder(char32_t content, std::size_t start, std::size_t stop);
std::unique_ptr<Decoder> metaspace_decoder(char32_t replacement, bool drop_first);
std::unique_ptr<Decoder> bpe_decoder(std::string suffix);
/// No decoder in the file: tokens with a space between.
std::unique_ptr<Decoder> joining_decoder();
std::unique_ptr<Decoder> sequence_decoder(std::vector<std::unique_ptr<Decoder>> steps);

}  // namespace telos::text
