#include "telos/base/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace telos {
namespace {

TEST(Error, EachKindHasItsNameAndExitCode) {
  const struct {
    ErrorKind kind;
    const char* name;
    int exit;
  } expected[] = {
      {ErrorKind::kUsage, "usage", 2},
      {ErrorKind::kMissingFile, "missing_file", 3},
      {ErrorKind::kIo, "io", 3},
      {ErrorKind::kBadFormat, "bad_format", 3},
      {ErrorKind::kTruncated, "truncated", 3},
      {ErrorKind::kUnsupported, "unsupported", 3},
      {ErrorKind::kShape, "shape", 3},
      {ErrorKind::kNotFinite, "not_finite", 4},
      {ErrorKind::kNoConvergence, "no_convergence", 4},
      {ErrorKind::kLimit, "limit", 3},
      {ErrorKind::kInterrupted, "interrupted", 130},
      {ErrorKind::kInternal, "internal", 5},
  };
  std::set<std::string> names;
  for (const auto& e : expected) {
    EXPECT_EQ(to_string(e.kind), e.name);
    EXPECT_EQ(exit_code(e.kind), e.exit) << e.name;
    names.emplace(to_string(e.kind));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorKind::kInternal) + 1)
      << "a kind has no row in this table";
}

TEST(Error, CarriesPlaceMessageAndHint) {
  const Error e(ErrorKind::kTruncated, "model.safetensors", "expected 8 bytes, found 3", "fetch it again");
  EXPECT_EQ(e.kind(), ErrorKind::kTruncated);
  EXPECT_EQ(e.where(), "model.safetensors");
  EXPECT_EQ(e.message(), "expected 8 bytes, found 3");
  EXPECT_EQ(e.hint(), "fetch it again");
  EXPECT_STREQ(e.what(), "model.safetensors: expected 8 bytes, found 3");
  EXPECT_STREQ(Error(ErrorKind::kUsage, "", "no model given").what(), "no model given");
}

TEST(Printable, KeepsTextAndEscapesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("héad.0 日本 😀"), "héad.0 日本 😀");
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1B[31mb");
  EXPECT_EQ(printable("tab\there\n"), "tab\\x09here\\x0A");
  EXPECT_EQ(printable("say \"x\""), "say \\x22x\\x22");
  EXPECT_EQ(printable("\xC2\x9B"), "\\xC2\\x9B") << "C1 control in UTF-8";
  EXPECT_EQ(printable("\xFF\xC0\xAF"), "\\xFF\\xC0\\xAF") << "not UTF-8";
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xED\\xA0\\x80") << "surrogate";
  EXPECT_EQ(printable("\xE6\x97"), "\\xE6\\x97") << "cut sequence";
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Printable, CutsLongNames) {
  const std::string out = printable(std::string(1000, 'x'), 10);
  EXPECT_EQ(out, std::string(10, 'x') + "…");
  EXPECT_EQ(printable(std::string(10, 'x'), 10), std::string(10, 'x'));
}

}  // namespace
}  // namespace telos
