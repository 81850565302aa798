#include "io/shards.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support.h"
#include "telos/base/log.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"

namespace telos {
namespace {

using test::expect_error;
using test::safetensors_file;
using test::ScratchDirectory;

const std::string kGolden = TELOS_TEST_DIR "/io/golden/";
namespace fs = std::filesystem;

/// A copy of the golden model in three shards, to be damaged.
struct ShardedCopy : ScratchDirectory {
  ShardedCopy() { fs::copy(kGolden + "sharded", path(), fs::copy_options::recursive); }
  std::string shard(int i) const {
    return *this / ("model-0000" + std::to_string(i) + "-of-00003.safetensors");
  }
  std::string index() const { return *this / "model.safetensors.index.json"; }
};

void expect_same_tensors(const Checkpoint& a, const Checkpoint& b) {
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (std::size_t i = 0; i < a.tensors().size(); ++i) {
    const TensorInfo &x = a.tensors()[i], &y = b.tensors()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.shape, y.shape);
    std::vector<float> values_x(x.elements()), values_y(y.elements());
    a.read_all(x, values_x);
    b.read_all(y, values_y);
    EXPECT_EQ(values_x, values_y) << x.name;
  }
}

TEST(Shards, EqualTheSingleFile) {
  const auto single = Checkpoint::open(kGolden + "single");
  const auto sharded = Checkpoint::open(kGolden + "sharded");
  expect_same_tensors(single, sharded);
  EXPECT_EQ(sharded.files().size(), 3u);
  EXPECT_EQ(sharded.directory(), kGolden + "sharded");
  EXPECT_EQ(single.metadata(), sharded.metadata());
  expect_same_tensors(single, Checkpoint::open(kGolden + "sharded/model.safetensors.index.json"));
  EXPECT_EQ(Checkpoint::open(kGolden + "single/model.safetensors").directory(), kGolden + "single");
  EXPECT_EQ(Checkpoint::open(kGolden + "single/").directory(), kGolden + "single/");
}

TEST(Shards, ASingleFileWinsAndAnOddNameIsFound) {
  const ShardedCopy copy;
  fs::copy_file(kGolden + "single/model.safetensors", copy / "model.safetensors");
  EXPECT_EQ(Checkpoint::open(copy.path()).files().size(), 1u);
  const ScratchDirectory scratch;
  fs::copy_file(kGolden + "single/model.safetensors", scratch / "weights_v2.safetensors");
  EXPECT_EQ(Checkpoint::open(scratch.path()).tensors().size(), 5u);
}

TEST(Shards, SymbolicLinksAreFollowed) {
  const ScratchDirectory scratch;
  fs::create_symlink(fs::absolute(kGolden + "single/model.safetensors"), scratch / "model.safetensors");
  EXPECT_EQ(Checkpoint::open(scratch.path()).tensors().size(), 5u);
}

TEST(Shards, OneShardByNameIsReadWithAWarning) {
  const ShardedCopy copy;
  std::string said;
  set_log_sink([&](LogLevel, std::string_view message) { said = message; });
  EXPECT_EQ(Checkpoint::open(copy.shard(1)).tensors().size(), 2u);
  set_log_sink(nullptr);
  EXPECT_NE(said.find("one shard of several"), std::string::npos);
  // "of 1" is all there is.
  const ScratchDirectory scratch;
  fs::copy_file(kGolden + "single/model.safetensors", scratch / "model-00001-of-00001.safetensors");
  EXPECT_EQ(Checkpoint::open(scratch.path()).tensors().size(), 5u);
}

TEST(Shards, AMissingShard) {
  const ShardedCopy copy;
  fs::remove(copy.shard(1));
  expect_error([&] { Checkpoint::open(copy.path()); }, ErrorKind::kMissingFile,
               {"model-00001-of-00003.safetensors", "2 of 5 tensors", "layer.0.weight", "--partial"});
  const auto partial = Checkpoint::open(copy.path(), {.partial = true});
  ASSERT_EQ(partial.problems().size(), 1u);
  EXPECT_NE(partial.problems()[0].find("model-00001-of-00003.safetensors"), std::string::npos);
  EXPECT_NE(partial.problems()[0].find("2 of 5 tensors"), std::string::npos);
  EXPECT_EQ(partial.tensors().size(), 3u);
  EXPECT_EQ(partial.find("layer.0.weight"), nullptr);
  std::vector<float> out(24);
  partial.read_all(*partial.find("layer.4.weight"), out);
  const auto whole = Checkpoint::open(kGolden + "single");
  std::vector<float> expected(24);
  whole.read_all(*whole.find("layer.4.weight"), expected);
  EXPECT_EQ(out, expected);
  EXPECT_GT(partial.file_bytes(), 0u);
  EXPECT_EQ(partial.sha256_prefix().size(), 16u);
  fs::remove(copy.shard(2));
  fs::remove(copy.shard(3));
  expect_error([&] { Checkpoint::open(copy.path(), {.partial = true}); }, ErrorKind::kMissingFile,
               {"none of the shards"});
}

TEST(Shards, ADamagedShard) {
  const ShardedCopy copy;
  const std::string whole = read_file(copy.shard(3));
  copy.file("model-00003-of-00003.safetensors", std::string_view(whole).substr(0, whole.size() - 1));
  expect_error([&] { Checkpoint::open(copy.path()); }, ErrorKind::kTruncated,
               {"model-00003-of-00003", "cut short"});
  const auto partial = Checkpoint::open(copy.path(), {.partial = true});
  EXPECT_EQ(partial.problems().size(), 1u);
  EXPECT_EQ(partial.tensors().size(), 5u);
  EXPECT_NE(partial.find("layer.1.weight")->complete, partial.find("layer.2.weight")->complete);
  copy.file("model-00003-of-00003.safetensors", "PK\x03\x04 pickled");
  expect_error([&] { Checkpoint::open(copy.path()); }, ErrorKind::kUnsupported, {"pickle executes code"});
  EXPECT_EQ(Checkpoint::open(copy.path(), {.partial = true}).tensors().size(), 3u);
}

TEST(Shards, TheIndexNamesATensorThatTheShardLacks) {
  const ShardedCopy copy;
  std::string index = read_file(copy.index());
  const std::string key = "\"layer.4.weight\"";
  index.replace(index.find(key), key.size(), "\"layer.9.weight\"");
  copy.file("model.safetensors.index.json", index);
  expect_error([&] { Checkpoint::open(copy.path()); }, ErrorKind::kBadFormat,
               {"layer.9.weight", "model-00002-of-00003", "does not hold it"});
  const auto partial = Checkpoint::open(copy.path(), {.partial = true});
  EXPECT_EQ(partial.problems().size(), 1u);
  EXPECT_NE(partial.find("layer.4.weight"), nullptr)
      << "a tensor that the index does not know is still there";
}

TEST(Shards, TheIndexDecidesBetweenTwoShardsThatHoldATensor) {
  const ShardedCopy copy;
  fs::copy_file(kGolden + "single/model.safetensors", copy.shard(2), fs::copy_options::overwrite_existing);
  const auto checkpoint = Checkpoint::open(copy.path());
  EXPECT_EQ(checkpoint.tensors().size(), 5u);
  EXPECT_EQ(checkpoint.find("layer.0.weight")->file, 0u);
  EXPECT_EQ(checkpoint.find("layer.4.weight")->file, 1u);
}

TEST(Shards, TwoShardsHoldATensorThatTheIndexDoesNotKnow) {
  const ScratchDirectory scratch;
  const auto shard = [&](const char* name, const char* own) {
    std::string header = "{\"";
    header += own;
    header +=
        "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"both\":{\"dtype\":\"U8\",\"shape\":[1],"
        "\"data_offsets\":[1,2]}}";
    scratch.file(name, safetensors_file(header, "xy"));
  };
  shard("1.safetensors", "a");
  shard("2.safetensors", "b");
  scratch.file("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})");
  expect_error([&] { Checkpoint::open(scratch.path()); }, ErrorKind::kBadFormat,
               {"\"both\"", "1.safetensors", "2.safetensors"});
}

TEST(Shards, AnIndexMustBeWhatItClaims) {
  const auto refused = [](std::string_view json, ErrorKind kind,
                          std::initializer_list<std::string_view> words) {
    expect_error([&] { parse_index(json, "dir/model.safetensors.index.json", "dir"); }, kind, words);
  };
  using K = ErrorKind;
  refused("", K::kBadFormat, {"not valid JSON"});
  refused("[]", K::kBadFormat, {"no object \"weight_map\""});
  refused("{}", K::kBadFormat, {"no object \"weight_map\""});
  refused(R"({"weight_map":[]})", K::kBadFormat, {"no object \"weight_map\""});
  refused(R"({"weight_map":{}})", K::kBadFormat, {"names no tensor"});
  refused(R"({"weight_map":{"w":3}})", K::kBadFormat, {"file of tensor \"w\" is not a string"});
  refused(R"({"weight_map":{"w":"a.safetensors","w":"b.safetensors"}})", K::kBadFormat,
          {"\"w\" appears twice"});
  for (const char* escape : {"../a.safetensors", "/etc/a.safetensors", "sub/a.safetensors",
                             "..\\\\a.safetensors", "", "a\\u0000.safetensors"}) {
    std::string json = R"({"weight_map":{"w":")";
    json += escape;
    json += "\"}}";
    refused(json, K::kBadFormat, {"not a plain file name", "cannot point outside its directory"});
  }
  refused(R"({"weight_map":{"w":".."}})", K::kUnsupported, {"not a .safetensors file"});
  refused(R"({"weight_map":{"w":"pytorch_model.bin"}})", K::kUnsupported, {"pickle executes code"});
  refused(R"({"weight_map":{"w":"\u001b[2J/x"}})", K::kBadFormat, {"\\x1B[2J"});
  std::string many = "{\"weight_map\":{\"t\":\"s.safetensors\"";
  for (int i = 0; i < 4096; ++i) {
    const std::string n = std::to_string(i);
    many.append(",\"").append(n).append("\":\"").append(n).append(".safetensors\"");
  }
  refused(many + "}}", K::kLimit, {"4097 shards", "4096"});
}

TEST(Shards, AnIndexThatIsAPointer) {
  const ScratchDirectory scratch;
  scratch.file("model.safetensors.index.json", "version https://git-lfs.github.com/spec/v1\n");
  expect_error([&] { Checkpoint::open(scratch.path()); }, ErrorKind::kUnsupported, {"Git LFS pointer"});
  scratch.file("model.safetensors.index.json", "");
  expect_error([&] { Checkpoint::open(scratch.path()); }, ErrorKind::kBadFormat, {"the file is empty"});
  scratch.file("pytorch_model.bin.index.json", "{}");
  expect_error([&] { Checkpoint::open(scratch / "pytorch_model.bin.index.json"); }, ErrorKind::kUnsupported,
               {"pickle executes code"});
}

}  // namespace
}  // namespace telos
