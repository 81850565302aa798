#include "io/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

#include "io/safetensors.h"
#include "telos/base/error.h"

namespace telos {
namespace {

/// An inflater of zlib, freed with its scope.
class Inflater {
 public:
  Inflater() {
    constexpr int kGzipOnly = 16;
    if (::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Takes from `in` and appends to `out`, at most one buffer; zlib's answer.
  int step(std::string_view& in, std::string& out) {
    const std::size_t given = std::min<std::size_t>(in.size(), std::numeric_limits<uInt>::max());
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));  // zlib only reads it
    stream_.avail_in = static_cast<uInt>(given);
    stream_.next_out = buffer_.data();
    stream_.avail_out = static_cast<uInt>(buffer_.size());
    const int answer = ::inflate(&stream_, Z_NO_FLUSH);
    in.remove_prefix(given - stream_.avail_in);
    out.append(reinterpret_cast<const char*>(buffer_.data()), buffer_.size() - stream_.avail_out);
    return answer;
  }
  void next_member() { ::inflateReset(&stream_); }
  std::string complaint() const { return stream_.msg != nullptr ? stream_.msg : "unknown"; }

 private:
  z_stream stream_{};
  std::array<Bytef, 1 << 16> buffer_;
};

}  // namespace

bool is_gzip(std::string_view bytes) noexcept {
  return bytes.starts_with("\x1f\x8b");
}

std::string gunzip(std::string_view bytes, const std::string& where, std::uint64_t max_bytes) {
  const std::size_t size = bytes.size();
  const auto refuse = [&](ErrorKind kind, const std::string& message, const char* hint) {
    throw Error(kind, fmt::format("{}, byte {}", where, size - bytes.size()), message, hint);
  };
  std::string out;
  Inflater inflater;
  for (;;) {
    const int answer = inflater.step(bytes, out);
    if (out.size() > max_bytes)
      refuse(ErrorKind::kLimit, fmt::format("expands to more than the limit of {} bytes", grouped(max_bytes)),
             "");
    if (answer == Z_STREAM_END) {
      if (bytes.find_first_not_of('\0') == std::string_view::npos) return out;  // tapes pad with zeros
      if (!is_gzip(bytes))
        refuse(ErrorKind::kBadFormat, "there are bytes behind the end of the compressed data",
               "compress it again");
      inflater.next_member();
    } else if (answer == Z_BUF_ERROR) {
      refuse(ErrorKind::kTruncated, "the compressed data end too early",
             "the file is incomplete; fetch it again");
    } else if (answer != Z_OK) {
      refuse(ErrorKind::kBadFormat, "the compressed data are damaged: " + inflater.complaint(),
             "fetch the file again");
    }
  }
}

}  // namespace telos
