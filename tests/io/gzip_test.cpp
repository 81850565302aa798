#include "io/gzip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/io/support.h"

namespace telos {
namespace {

using ::testing::HasSubstr;

std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string complaint(std::string_view bytes, std::uint64_t max_bytes = 1000) {
  try {
    gunzip(bytes, "a.gz", max_bytes);
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + " | " + error.what();
  }
  return "no error";
}

TEST(Gzip, MembersOneAfterTheOther) {
  const std::string text(200'000, 'x');
  EXPECT_EQ(gunzip(gzip(text), "a.gz", text.size()), text);
  EXPECT_EQ(gunzip(gzip("one ") + gzip("") + gzip("two"), "a.gz", 100), "one two");
  EXPECT_EQ(gunzip(gzip("padded") + std::string(512, '\0'), "a.gz", 100), "padded");
  EXPECT_TRUE(is_gzip(gzip("")));
  EXPECT_FALSE(is_gzip("\x1f"));
}

TEST(Gzip, AnExpansionIsBounded) {
  EXPECT_EQ(complaint(gzip(std::string(1000, 'x'))), "no error");
  EXPECT_THAT(complaint(gzip(std::string(1001, 'x'))), HasSubstr("limit | a.gz, byte"));
  EXPECT_THAT(complaint(gzip(std::string(50'000'000, 'x'))),
              HasSubstr("expands to more than the limit of 1,000 bytes"));
}

TEST(Gzip, CutAndDamagedFilesAreRefused) {
  const std::string whole = gzip("the quick brown fox");
  for (std::size_t size = 2; size < whole.size(); ++size)
    EXPECT_THAT(complaint(whole.substr(0, size)), HasSubstr("truncated | a.gz, byte")) << size;
  std::string checksum = whole;
  checksum[whole.size() - 8] ^= 1;
  EXPECT_THAT(complaint(checksum), HasSubstr("the compressed data are damaged: incorrect data check"));
  EXPECT_THAT(complaint(whole + "tail"), HasSubstr("bytes behind the end of the compressed data"));
}

TEST(Gzip, TextFilesMayBeCompressed) {
  const test::ScratchDirectory scratch;
  EXPECT_EQ(read_text(scratch.file("a.txt.gz", gzip("\xEF\xBB\xBFtext"))), "text");
  EXPECT_THROW(read_text(scratch.file("b.txt", gzip("\xFF\xFF"))), Error);
  EXPECT_THROW(read_text(scratch.file("c.txt", gzip(std::string(100, 'x'))), 99), Error);
}

}  // namespace
}  // namespace telos
