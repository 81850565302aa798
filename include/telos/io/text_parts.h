#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Texts that need not fit into memory.

namespace telos {

/// A text in parts, read from its beginning as often as needed.
class TextParts {
 public:
  virtual ~TextParts() = default;
  virtual void rewind() = 0;
  /// The next part, about 1 MiB of whole characters in UTF-8; empty at the end only. Valid until the next
  /// call.
  virtual std::string_view next() = 0;
  /// Bytes of all, as they are stored, and how many of them were read.
  virtual double bytes() const = 0;
  virtual double bytes_read() const = 0;
};

/// Text files one after the other, each as read_text() gives it; one that does not end a line is followed by
/// "\n" if there is another. Throws kMissingFile, kIo, kUnsupported (no regular file: a pipe can be read
/// once only); next() also what read_text() throws.
std::unique_ptr<TextParts> open_texts(std::vector<std::string> paths);
/// Well-formed UTF-8 that somebody else holds.
std::unique_ptr<TextParts> text_parts(std::string_view text);

}  // namespace telos
