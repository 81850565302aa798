#include "io/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <utility>

#include "io/safetensors.h"
#include "telos/base/error.h"

namespace telos {

struct GunzipSteps::Impl {
  enum class Place { kMember, kBetween, kPadding };

  std::string where;
  std::uint64_t taken = 0;
  Place place = Place::kMember;
  z_stream stream{};
  std::array<Bytef, 1 << 16> buffer{};

  explicit Impl(std::string file) : where(std::move(file)) {
    constexpr int kGzipOnly = 16;
    if (::inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Impl() { ::inflateEnd(&stream); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[noreturn]] void refuse(ErrorKind kind, const std::string& message, const char* hint) const {
    throw Error(kind, fmt::format("{}, byte {}", where, taken), message, hint);
  }
  void take(std::string_view& in, std::size_t bytes) {
    in.remove_prefix(bytes);
    taken += bytes;
  }
  /// Behind a member: another one, or zeros to the end, with which tapes pad.
  void pass_on(std::string_view& in) {
    if (place == Place::kBetween && in.front() == '\x1f') {
      ::inflateReset(&stream);
      place = Place::kMember;
      return;
    }
    if (in.find_first_not_of('\0') != std::string_view::npos)
      refuse(ErrorKind::kBadFormat, "there are bytes behind the end of the compressed data",
             "compress it again");
    place = Place::kPadding;
    take(in, in.size());
  }
  bool step(std::string_view& in, std::string& out) {
    if (place != Place::kMember) {
      if (!in.empty()) pass_on(in);
      return !in.empty();
    }
    const std::size_t given = std::min<std::size_t>(in.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));  // zlib only reads it
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    const int answer = ::inflate(&stream, Z_NO_FLUSH);
    take(in, given - stream.avail_in);
    out.append(reinterpret_cast<const char*>(buffer.data()), buffer.size() - stream.avail_out);
    if (answer == Z_STREAM_END)
      place = Place::kBetween;
    else if (answer != Z_OK && answer != Z_BUF_ERROR)  // Z_BUF_ERROR: it needs more to go on
      refuse(
          ErrorKind::kBadFormat,
          fmt::format("the compressed data are damaged: {}", stream.msg != nullptr ? stream.msg : "unknown"),
          "fetch the file again");
    return !in.empty() || stream.avail_out == 0;
  }
};

GunzipSteps::GunzipSteps(std::string where) : impl_(std::make_unique<Impl>(std::move(where))) {}
GunzipSteps::~GunzipSteps() = default;
GunzipSteps::GunzipSteps(GunzipSteps&&) noexcept = default;
GunzipSteps& GunzipSteps::operator=(GunzipSteps&&) noexcept = default;

bool GunzipSteps::step(std::string_view& in, std::string& out) {
  return impl_->step(in, out);
}

void GunzipSteps::finish() const {
  if (impl_->place == Impl::Place::kMember)
    impl_->refuse(ErrorKind::kTruncated, "the compressed data end too early",
                  "the file is incomplete; fetch it again");
}

std::uint64_t GunzipSteps::taken() const {
  return impl_->taken;
}

bool is_gzip(std::string_view bytes) noexcept {
  return bytes.starts_with("\x1f\x8b");
}

std::string gunzip(std::string_view bytes, const std::string& where, std::uint64_t max_bytes) {
  GunzipSteps steps(where);
  std::string out;
  for (bool more = true; more;) {
    more = steps.step(bytes, out);
    if (out.size() > max_bytes)
      throw Error(ErrorKind::kLimit, fmt::format("{}, byte {}", where, steps.taken()),
                  fmt::format("expands to more than the limit of {} bytes", grouped(max_bytes)));
  }
  steps.finish();
  return out;
}

}  // namespace telos
