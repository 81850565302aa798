#include "telos/io/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "io/input_file.h"
#include "io/json.h"
#include "io/text.h"
#include "support.h"
#include "telos/base/philox.h"
#include "telos/base/version.h"
#include "tests/repeats.h"

namespace telos {
namespace {

using test::expect_error;
using test::ScratchDirectory;
namespace fs = std::filesystem;

std::size_t files_in(const std::string& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

TEST(ReadFile, GivesTheBytes) {
  const ScratchDirectory scratch;
  using namespace std::string_literals;
  EXPECT_EQ(read_file(scratch.file("a", "x\0y\r\n"s)), "x\0y\r\n"s);
  EXPECT_EQ(read_file(scratch.file("b", "")), "");
  const std::string large(5'000'000, 'z');
  EXPECT_EQ(read_file(scratch.file("c", large)), large);
  EXPECT_FALSE(read_file("/proc/self/status").empty()) << "a file whose size says 0";
}

TEST(ReadFile, Refuses) {
  const ScratchDirectory scratch;
  expect_error([&] { read_file(scratch / "none"); }, ErrorKind::kMissingFile, {"none", "no such file"});
  expect_error([&] { read_file(scratch.path()); }, ErrorKind::kUnsupported, {"found a directory"});
  scratch.file("ten", "0123456789");
  EXPECT_EQ(read_file(scratch / "ten", 10).size(), 10u);
  expect_error([&] { read_file(scratch / "ten", 9); }, ErrorKind::kLimit, {"10 bytes", "limit of 9"});
  expect_error([&] { read_file("/proc/self/status", 5); }, ErrorKind::kLimit, {"limit of 5"});
  if (::geteuid() == 0) return;  // root may read anything
  fs::permissions(scratch / "ten", fs::perms::none);
  expect_error([&] { read_file(scratch / "ten"); }, ErrorKind::kIo, {"ermission"});
}

TEST(ReadFile, ReportsWhatTheSystemRefuses) {
  // The first page of the address space is never mapped: a file that opens, but cannot be read.
  expect_error([] { read_file("/proc/self/mem"); }, ErrorKind::kIo,
               {"/proc/self/mem, byte 0", "cannot be read"});
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a", "x");
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit none { 0, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto error = test::error_of([&] { read_file(path); });
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kIo);
  EXPECT_NE(error->hint().find("ulimit -n"), std::string::npos);
}

TEST(InputFile, MovesWithItsDescriptor) {
  const ScratchDirectory scratch;
  InputFile a(scratch.file("a", "aaa")), b(scratch.file("b", "bb"));
  InputFile moved(std::move(a));
  EXPECT_EQ(moved.head(10), "aaa");
  moved = std::move(b);
  EXPECT_EQ(moved.head(10), "bb");
  EXPECT_EQ(moved.size(), 2u);
  EXPECT_EQ(moved.path(), scratch / "b");
}

TEST(ReadText, UnderstandsMarks) {
  const ScratchDirectory scratch;
  using namespace std::string_literals;
  const auto text = [&](const std::string& bytes) { return read_text(scratch.file("t", bytes)); };
  EXPECT_EQ(text("plain"), "plain");
  EXPECT_EQ(text(""), "");
  EXPECT_EQ(text("\xEF\xBB\xBFwith a mark"), "with a mark");
  EXPECT_EQ(text("gr\xC3\xB6\xC3\x9F\x65 \xF0\x9F\x98\x80 \xE2\x82\xAC"), "größe 😀 €");
  EXPECT_EQ(text("\xFF\xFEh\0\xF6\0\x3D\xD8\x00\xDE\xAC\x20"s), "hö😀€");
  EXPECT_EQ(text("\xFE\xFF\0h\0\xF6\xD8\x3D\xDE\x00\x20\xAC"s), "hö😀€");
  EXPECT_EQ(text("\xFF\xFE"s), "");
}

TEST(ReadText, NamesTheFirstBadByte) {
  const ScratchDirectory scratch;
  using namespace std::string_literals;
  const struct {
    std::string bytes;
    ErrorKind kind;
    const char* word;
  } rows[] = {{"caf\xE9 noir", ErrorKind::kBadFormat, "byte 3"},
              {"0123456789012345678\xFF", ErrorKind::kBadFormat, "byte 19"},
              {"\xC0\xAF", ErrorKind::kBadFormat, "byte 0"},
              {"a\xED\xA0\x80", ErrorKind::kBadFormat, "byte 1"},
              {"ab\xF4\x90\x80\x80", ErrorKind::kBadFormat, "byte 2"},
              {"cut \xE2\x82", ErrorKind::kBadFormat, "byte 4"},
              {"\xEF\xBB\xBF\xFF", ErrorKind::kBadFormat, "byte 3"},
              {"\xFF\xFE\0\0a\0\0\0"s, ErrorKind::kUnsupported, "UTF-32"},
              {"\0\0\xFE\xFF\0\0\0a"s, ErrorKind::kUnsupported, "UTF-32"},
              {"\xFF\xFE"
               "a"s,
               ErrorKind::kBadFormat, "half a character"},
              {"\xFF\xFE\x3D\xD8"s, ErrorKind::kBadFormat, "byte 2: not valid UTF-16"},
              {"\xFF\xFE\x3D\xD8\x61\x00"s, ErrorKind::kBadFormat, "without the second"},
              {"\xFF\xFE\x61\x00\x00\xDE"s, ErrorKind::kBadFormat, "byte 4"}};
  for (const auto& row : rows) {
    const std::string path = scratch.file("t", row.bytes);
    const auto error = test::error_of([&] { read_text(path); });
    ASSERT_TRUE(error) << printable(row.bytes);
    EXPECT_EQ(error->kind(), row.kind);
    EXPECT_NE(std::string(error->what()).find(row.word), std::string::npos) << error->what();
  }
}

// Every code point, and every sequence of up to three bytes, against a decoder that follows the definition:
// decode by bit patterns, then reject overlong forms, surrogates and what lies beyond U+10FFFF.
bool well_formed_by_definition(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto lead = static_cast<unsigned char>(s[i]);
    const std::size_t n = lead < 0x80         ? 1
                          : (lead >> 5) == 6  ? 2
                          : (lead >> 4) == 14 ? 3
                          : (lead >> 3) == 30 ? 4
                                              : 0;
    if (n == 0 || i + n > s.size()) return false;
    std::uint32_t code = n == 1 ? lead : lead & (0x7Fu >> n);
    for (std::size_t k = 1; k < n; ++k) {
      const auto c = static_cast<unsigned char>(s[i + k]);
      if ((c & 0xC0) != 0x80) return false;
      code = code << 6 | (c & 0x3F);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[n] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    i += n;
  }
  return true;
}

TEST(Utf8, AgreesWithTheDefinitionOnAllShortSequences) {
  std::string s;
  for (std::uint32_t bits = 0; bits < 1u << 24; bits += bits < 1u << 16 ? 1 : 7) {
    s = {static_cast<char>(bits), static_cast<char>(bits >> 8), static_cast<char>(bits >> 16)};
    ASSERT_EQ(valid_utf8_prefix(s) == s.size(), well_formed_by_definition(s)) << bits;
  }
  for (std::uint32_t bits = 0; bits < 1u << 22; ++bits) {  // four-byte forms: the bits that vary
    s = {static_cast<char>(0xF0 | (bits >> 19)), static_cast<char>(bits >> 11),
         static_cast<char>(0x80 | (bits >> 5 & 0x3F)), static_cast<char>(bits << 3)};
    ASSERT_EQ(valid_utf8_prefix(s) == s.size(), well_formed_by_definition(s)) << bits;
  }
}

TEST(WriteFile, ReplacesTheContent) {
  const ScratchDirectory scratch;
  write_file_atomically(scratch / "a", "one");
  EXPECT_EQ(read_file(scratch / "a"), "one");
  write_file_atomically(scratch / "a", "");
  EXPECT_EQ(read_file(scratch / "a"), "");
  EXPECT_EQ(files_in(scratch.path()), 1u) << "no temporary file stays";
  const auto mode = fs::status(scratch / "a").permissions();
  EXPECT_NE(mode & fs::perms::owner_read, fs::perms::none);
  EXPECT_EQ(mode & fs::perms::owner_exec, fs::perms::none);
  fs::current_path(scratch.path());
  write_file_atomically("relative", "x");
  EXPECT_EQ(read_file("relative"), "x");
  fs::current_path("/");
}

TEST(WriteFile, LeavesNothingBehindWhenItFails) {
  const ScratchDirectory scratch;
  expect_error([&] { write_file_atomically(scratch / "none/a", "x"); }, ErrorKind::kIo,
               {"none/a", "No such file or directory"});
  expect_error([&] { write_file_atomically("/proc/telos-test", "x"); }, ErrorKind::kIo, {"/proc/telos-test"});
  fs::create_directory(scratch / "folder");
  expect_error([&] { write_file_atomically(scratch / "folder", "x"); }, ErrorKind::kIo,
               {"folder", "irectory"});
  expect_error([&] { write_file_atomically(scratch / "folder/", "x"); }, ErrorKind::kIo, {"folder"});
  EXPECT_EQ(files_in(scratch.path()), 1u);
  EXPECT_EQ(files_in(scratch / "folder"), 0u);
  if (::geteuid() == 0) return;  // root may write anywhere
  fs::permissions(scratch / "folder", fs::perms::owner_read | fs::perms::owner_exec);
  expect_error([&] { write_file_atomically(scratch / "folder/a", "x"); }, ErrorKind::kIo, {"ermission"});
  fs::permissions(scratch / "folder", fs::perms::owner_all);
}

// A limit on file sizes stands for a disk that is full: write() fails in the middle.
TEST(WriteFile, KeepsTheOldContentWhenTheDiskIsFull) {
  const ScratchDirectory scratch;
  write_file_atomically(scratch / "a", "old");
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 1000, before.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto error = test::error_of([&] { write_file_atomically(scratch / "a", std::string(100'000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kIo);
  EXPECT_EQ(read_file(scratch / "a"), "old");
  EXPECT_EQ(files_in(scratch.path()), 1u);
}

// A writer that is killed at any moment leaves a file that is whole: 40 children write contents of one
// repeated letter and are killed after a random time.
TEST(WriteFile, SurvivesKill) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "a";
  constexpr std::size_t kSize = 300'000;
  write_file_atomically(path, std::string(kSize, 'a'));
  Random random(1);
  constexpr int rounds = repeats(40, 8);
  int changed = 0;
  char last = 'a';
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a failed assertion of the parent must not leave it running
      for (char letter = 'b';; letter = letter == 'z' ? 'b' : static_cast<char>(letter + 1))
        write_file_atomically(path, std::string(kSize, letter));
    }
    // Kill it at a random moment after it has replaced the file once; a slow disk is given time for that.
    const auto now = [] { return std::chrono::steady_clock::now(); };
    const auto give_up = now() + std::chrono::seconds(30);
    auto stop = give_up;
    while (now() < stop) {
      const std::string content = read_file(path);
      ASSERT_EQ(content.size(), kSize);
      ASSERT_EQ(content.find_first_not_of(content[0]), std::string::npos) << "a mixture of two contents";
      if (stop == give_up && content[0] != last) {
        stop = now() + std::chrono::microseconds(random.below(15'000));
        ++changed;
      }
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child should have been killed while it wrote";
    const std::string content = read_file(path);
    ASSERT_EQ(content.size(), kSize);
    ASSERT_EQ(content.find_first_not_of(content[0]), std::string::npos);
    last = content[0];
  }
  EXPECT_EQ(changed, rounds) << "each child should have replaced the file";
}

TEST(WriteFile, TwoThreadsWriteTheSameName) {
  const ScratchDirectory scratch;
  const auto write = [&](char letter) {
    for (int i = 0; i < 50; ++i) write_file_atomically(scratch / "a", std::string(10'000, letter));
  };
  std::thread other(write, 'x');
  write('y');
  other.join();
  const std::string content = read_file(scratch / "a");
  EXPECT_EQ(content, std::string(10'000, content[0]));
  EXPECT_EQ(files_in(scratch.path()), 1u);
}

TEST(RunFolder, HoldsARun) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "runs/first";
  {
    RunFolder run(path);
    run.write("metrics.jsonl", "{}\n");
    run.write("tables/heads.csv", "layer,head\n");
    EXPECT_FALSE(fs::exists(path + "/run.json")) << "run.json says that the run is finished";
    run.finish(R"({"seed": 7, "model": {"path": "größe"}})");
  }
  EXPECT_EQ(read_file(path + "/tables/heads.csv"), "layer,head\n");
  const auto json = parse_json(read_file(path + "/run.json"), "run.json");
  EXPECT_EQ(json["telos"]["version"].get<std::string>(), version());
  EXPECT_EQ(json["telos"]["schema"].get<int>(), 1);
  EXPECT_EQ(json["seed"].get<int>(), 7);
  EXPECT_EQ(json["model"]["path"].get<std::string>(), "größe");
  EXPECT_GT(json["peak_memory_bytes"].get<std::uint64_t>(), 1'000'000u);
  EXPECT_NE(json["command"].at(0).get<std::string>().find("test_io_files"), std::string::npos);
  for (const char* time : {"start", "end"}) {
    const std::string text = json[time].get<std::string>();
    EXPECT_EQ(text.size(), 20u);
    EXPECT_EQ(text.back(), 'Z');
  }
  EXPECT_LE(json["start"].get<std::string>(), json["end"].get<std::string>());
  EXPECT_GT(json["host"]["hardware_threads"].get<int>(), 0);
}

TEST(RunFolder, BeganWhenTheCallerSays) {
  const ScratchDirectory scratch;
  RunFolder(scratch / "r", 86400).finish("");
  const auto json = parse_json(read_file(scratch / "r/run.json"), "run.json");
  EXPECT_EQ(json["start"].get<std::string>(), "1970-01-02T00:00:00Z");
}

TEST(RunFolder, TakesOverAnEarlierRun) {
  const ScratchDirectory scratch;
  RunFolder(scratch / "r").finish("");
  EXPECT_TRUE(fs::exists(scratch / "r/run.json"));
  RunFolder again(scratch / "r");
  EXPECT_FALSE(fs::exists(scratch / "r/run.json")) << "the new run is not finished";
  again.write("a.csv", "1\n");
  RunFolder third(scratch / "r");  // an unfinished run is taken over too
  EXPECT_EQ(read_file(scratch / "r/a.csv"), "1\n");
  // A copy that lost the hidden marker is known by its run.json.
  third.finish("");
  fs::remove(scratch / "r/.telos-run");
  EXPECT_NO_THROW(RunFolder(scratch / "r"));
}

TEST(RunFolder, KeepsNoFileOfAnotherFinishedRun) {
  const ScratchDirectory scratch;
  const auto there = [&](const char* name) { return fs::exists(scratch / "r" + "/" + name); };
  {
    RunFolder first(scratch / "r");
    for (const char* name : {"report.html", "tables/heads.csv", "figures/heads.svg"}) first.write(name, "1");
    first.finish("");
  }
  scratch.file("r/model.safetensors", "not written by write()");
  {
    RunFolder second(scratch / "r");
    second.write("report.html", "2");
    EXPECT_TRUE(there("tables/heads.csv")) << "the second may not come to its end";
  }
  RunFolder third(scratch / "r");
  for (const char* name : {"report.html", "tables/layers.csv"}) third.write(name, "3");
  third.finish("");
  EXPECT_FALSE(there("tables/heads.csv"));
  EXPECT_FALSE(there("figures")) << "an empty folder";
  EXPECT_TRUE(there("tables/layers.csv") && there("report.html") && there("model.safetensors"));
}

TEST(RunFolder, NamesInAMarkerLeadOnlyInside) {
  const ScratchDirectory scratch;
  RunFolder(scratch / "r").finish("");
  scratch.file("kept.txt", "mine");
  scratch.file("r/.telos-run",
               "A folder of results, written by telos.\n../kept.txt\n" + (scratch / "kept.txt") + "\n");
  RunFolder(scratch / "r").finish("");
  EXPECT_EQ(read_file(scratch / "kept.txt"), "mine");
}

TEST(RemovePath, TakesFilesFoldersAndNothing) {
  const ScratchDirectory scratch;
  scratch.file("a/b/c.txt", "x");
  scratch.file("d.txt", "x");
  for (const char* name : {"a", "d.txt", "not there"}) {
    remove_path(scratch / name);
    EXPECT_FALSE(fs::exists(scratch / name));
  }
  expect_error([] { remove_path("/proc/self/status"); }, ErrorKind::kIo,
               {"/proc/self/status", "cannot be removed"});
}

TEST(RunFolder, RefusesForeignDirectories) {
  const ScratchDirectory scratch;
  scratch.file("home/letter.txt", "dear");
  expect_error([&] { RunFolder run(scratch / "home"); }, ErrorKind::kUsage, {"home", "not of a telos run"});
  scratch.file("other/run.json", R"({"version": 3})");
  expect_error([&] { RunFolder run(scratch / "other"); }, ErrorKind::kUsage, {"not of a telos run"});
  EXPECT_TRUE(fs::exists(scratch / "other/run.json"));
  scratch.file("broken/run.json", "{");
  expect_error([&] { RunFolder run(scratch / "broken"); }, ErrorKind::kUsage, {"not of a telos run"});
  expect_error([&] { RunFolder run(scratch / "home/letter.txt"); }, ErrorKind::kUsage, {"found a file"});
  expect_error([&] { RunFolder run(scratch / "home/letter.txt/x"); }, ErrorKind::kIo, {"cannot be made"});
  expect_error([&] { RunFolder run("/proc/telos"); }, ErrorKind::kIo, {"cannot be made"});
}

TEST(RunFolder, WritesOnlyInside) {
  const ScratchDirectory scratch;
  RunFolder run(scratch / "r");
  for (const char* name :
       {"", "/tmp/x", "../x", "a/../../x", "a/..", ".", "a/", "run.json", ".telos-run", "a\nb"})
    expect_error([&] { run.write(name, "x"); }, ErrorKind::kUsage, {"does not name a file of the run"});
  EXPECT_FALSE(fs::exists(scratch / "x"));
}

TEST(RunFolder, FieldsMustBeAnObjectWithNamesOfTheirOwn) {
  const ScratchDirectory scratch;
  RunFolder run(scratch / "r");
  expect_error([&] { run.finish("[1]"); }, ErrorKind::kUsage, {"expected a JSON object"});
  expect_error([&] { run.finish("{"); }, ErrorKind::kBadFormat, {"fields of run.json"});
  expect_error([&] { run.finish(R"({"start": 1})"); }, ErrorKind::kUsage, {"\"start\" is taken"});
  EXPECT_FALSE(fs::exists(scratch / "r/run.json"));
}

TEST(PeakMemory, SeesAnAllocation) {
  const std::uint64_t before = peak_memory_bytes();
  EXPECT_GT(before, 500'000u);
  std::string large(200'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 4096) large[i] = static_cast<char>(i);
  EXPECT_GE(peak_memory_bytes(), before + 100'000'000) << large[4096];
}

}  // namespace
}  // namespace telos
