#include "telos/io/text_parts.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "io/gzip.h"
#include "io/input_file.h"
#include "io/text.h"

namespace telos {
namespace {

constexpr std::size_t kPartBytes = std::size_t{1} << 20;

/// What is in a file, expanded if it is a gzip file.
class FileBytes {
 public:
  explicit FileBytes(const std::string& path) : file_(path) {
    if (is_gzip(file_.head(2))) gunzip_.emplace(path);
  }

  /// The next ones, empty at the end.
  std::string next() {
    std::string out;
    if (!gunzip_) {
      read(out);
      return out;
    }
    while (out.size() < kPartBytes) {
      if (!more_) {
        read(stored_);
        rest_ = stored_;
        if (rest_.empty()) {
          gunzip_->finish();
          break;
        }
      }
      more_ = gunzip_->step(rest_, out);
    }
    return out;
  }
  std::uint64_t position() const { return at_; }

 private:
  void read(std::string& into) {
    into.resize(kPartBytes);
    into.resize(file_.read_some(at_, into.data(), into.size()));
    at_ += into.size();
  }

  InputFile file_;
  std::uint64_t at_ = 0;
  std::optional<GunzipSteps> gunzip_;
  std::string stored_;
  std::string_view rest_;  // of stored_
  bool more_ = false;      // comes of what was taken
};

class FileParts final : public TextParts {
 public:
  explicit FileParts(std::vector<std::string> paths) : paths_(std::move(paths)) {
    for (const std::string& path : paths_) bytes_ += static_cast<double>(InputFile(path).size());
  }

  void rewind() override {
    index_ = 0;
    file_.reset();
    bytes_before_ = 0;
    last_ = '\n';
  }
  std::string_view next() override {
    part_.clear();
    while (part_.empty()) {
      if (!file_) {
        if (index_ == paths_.size()) return {};
        file_.emplace(paths_[index_]);
        decoder_.emplace(paths_[index_]);
        if (last_ != '\n') part_ += '\n';
      }
      const std::string bytes = file_->next();
      decoder_->push(bytes, bytes.empty(), part_);
      if (bytes.empty()) {
        bytes_before_ += static_cast<double>(file_->position());
        file_.reset();
        ++index_;
      }
      if (!part_.empty()) last_ = part_.back();
    }
    return part_;
  }
  double bytes() const override { return bytes_; }
  double bytes_read() const override {
    return bytes_before_ + (file_ ? static_cast<double>(file_->position()) : 0);
  }

 private:
  std::vector<std::string> paths_;
  double bytes_ = 0, bytes_before_ = 0;
  std::size_t index_ = 0;
  std::optional<FileBytes> file_;
  std::optional<TextDecoder> decoder_;
  std::string part_;
  char last_ = '\n';  // of the text so far
};

class MemoryParts final : public TextParts {
 public:
  explicit MemoryParts(std::string_view text) : text_(text) {}

  void rewind() override { at_ = 0; }
  std::string_view next() override {
    std::size_t end = std::min(at_ + kPartBytes, text_.size());
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; };
    while (end < text_.size() && continues(text_[end])) --end;
    const std::size_t begin = std::exchange(at_, end);
    return text_.substr(begin, end - begin);
  }
  double bytes() const override { return static_cast<double>(text_.size()); }
  double bytes_read() const override { return static_cast<double>(at_); }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<TextParts> open_texts(std::vector<std::string> paths) {
  return std::make_unique<FileParts>(std::move(paths));
}

std::unique_ptr<TextParts> text_parts(std::string_view text) {
  return std::make_unique<MemoryParts>(text);
}

}  // namespace telos
