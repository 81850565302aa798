// Files and tensors that are not read, each with its reason.
#include <gtest/gtest.h>

#include "support.h"
#include "telos/io/checkpoint.h"

namespace telos {
namespace {

using test::expect_error;
using test::ScratchDirectory;

TEST(Checkpoint, IntegersAreRefusedWithTheirScheme) {
  const ScratchDirectory scratch;
  const std::vector<std::byte> data(8);
  const auto with = [&](std::string name, DType type, std::vector<std::string> neighbours) {
    const std::uint64_t n = 8 * 8 / bits(type);
    std::vector<TensorToWrite> tensors{{name, type, {n}, data}};
    for (const std::string& neighbour : neighbours) tensors.push_back({neighbour, DType::kU8, {8}, data});
    write_safetensors(scratch / "q.safetensors", tensors);
    auto checkpoint = Checkpoint::open(scratch / "q.safetensors");
    std::vector<float> out(n);
    return *test::error_of([&] { checkpoint.read_all(*checkpoint.find(name), out); });
  };
  const struct {
    const char* name;
    DType type;
    std::vector<std::string> neighbours;
    const char* word;
  } rows[] = {{"l.0.q_proj.qweight", DType::kI32, {}, "GPTQ or AWQ"},
              {"l.0.q_proj.weight",
               DType::kU8,
               {"l.0.q_proj.weight.quant_state.bitsandbytes__nf4"},
               "bitsandbytes 4-bit"},
              {"l.0.q_proj.weight", DType::kI8, {"l.0.q_proj.SCB"}, "bitsandbytes 8-bit"},
              {"l.0.q_proj.weight", DType::kF8E4M3, {"l.0.q_proj.weight_scale_inv"}, "separate scales"},
              {"l.0.experts.up_blocks", DType::kU8, {}, "MXFP4"},
              {"l.0.q_proj.weight", DType::kF8E5M2, {}, "without its scale"},
              {"ids", DType::kI64, {}, "dtype I64 are not read; expected F64, F32, F16 or BF16"},
              {"flags", DType::kBool, {}, "dtype BOOL"}};
  for (const auto& row : rows) {
    const Error error = with(row.name, row.type, row.neighbours);
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_NE(error.message().find(row.word), std::string::npos) << error.what();
    EXPECT_NE(error.where().find(row.name), std::string::npos) << error.what();
  }
  const auto checkpoint = Checkpoint::open(scratch / "q.safetensors");
  Matrix<float> out(1, 8);
  expect_error([&] { checkpoint.read(checkpoint.tensors()[0], 0, 0, out.view()); }, ErrorKind::kUnsupported,
               {"BOOL"});
  expect_error([&] { checkpoint.scan(checkpoint.tensors()[0]); }, ErrorKind::kUnsupported, {"BOOL"});
}

TEST(Checkpoint, OtherFormatsAreNamed) {
  using namespace std::string_literals;
  const ScratchDirectory scratch;
  const std::string tail(100, 'x');
  const struct {
    const char* name;
    std::string bytes;
    ErrorKind kind;
    std::vector<std::string_view> words;
  } rows[] = {
      {"pytorch_model.bin",
       "PK\x03\x04" + tail,
       ErrorKind::kUnsupported,
       {"pickle executes code", "convert with safetensors: python -c", "torch.load('pytorch_model.bin'"}},
      {"old.pt", "\x80\x02}q\x00"s + tail, ErrorKind::kUnsupported, {"pickle executes code", "old.pt"}},
      {"disguised.safetensors", "PK\x03\x04" + tail, ErrorKind::kUnsupported, {"pickle executes code"}},
      {"pointer.safetensors",
       "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n",
       ErrorKind::kUnsupported,
       {"Git LFS pointer", "git lfs pull"}},
      {"xet.safetensors", "# xet version 0\nfilesize = 1\n", ErrorKind::kUnsupported, {"Xet pointer"}},
      {"m.gguf", "GGUF\x03\0\0\0"s + tail, ErrorKind::kUnsupported, {"GGUF"}},
      {"m.onnx", "\x08\x07\x12\x07pytorch" + tail, ErrorKind::kUnsupported, {"ONNX"}},
      {"unnamed", "\x08\x07\x12\x07pytorch" + tail, ErrorKind::kUnsupported, {"ONNX"}},
      {"tf_model.h5", "\x89HDF\r\n\x1a\n" + tail, ErrorKind::kUnsupported, {"HDF5"}},
      {"flax_model.msgpack", "\x81\xA1" + tail, ErrorKind::kUnsupported, {"Flax msgpack"}},
      {"m.safetensors.gz", "\x1f\x8b\x08" + tail, ErrorKind::kUnsupported, {"gzip", "decompress"}},
      {"m.zst", "\x28\xb5\x2f\xfd" + tail, ErrorKind::kUnsupported, {"zstd"}},
      {"m.xz", "\xfd\x37zXZ\0"s + tail, ErrorKind::kUnsupported, {"xz"}},
      {"m.bz2", "BZh9" + tail, ErrorKind::kUnsupported, {"bzip2"}},
      {"a.npy", "\x93NUMPY\x01\0"s + tail, ErrorKind::kUnsupported, {"NumPy"}},
      {"a.npz", "PK\x03\x04" + tail, ErrorKind::kUnsupported, {"npz"}},
      {"a.zip", "PK\x03\x04" + tail, ErrorKind::kUnsupported, {"zip archive", "unpack"}},
      {"m.keras", "PK\x03\x04" + tail, ErrorKind::kUnsupported, {"Keras"}},
      {"page.safetensors", "<!DOCTYPE html><html>", ErrorKind::kBadFormat, {"web page"}},
      {"short.safetensors", "GGUF", ErrorKind::kUnsupported, {"GGUF"}},
      {"quote'; import os.bin",
       "PK\x03\x04" + tail,
       ErrorKind::kUnsupported,
       {"torch.load('pytorch_model.bin'"}},
  };
  for (const auto& row : rows) {
    const std::string path = scratch.file(row.name, row.bytes);
    for (const std::string_view word : row.words)
      expect_error([&] { Checkpoint::open(path); }, row.kind, {word, row.name});
  }
}

TEST(Checkpoint, DirectoriesWithoutSafetensorsAreExplained) {
  const auto in_directory = [](std::vector<std::string> names, ErrorKind kind,
                               std::initializer_list<std::string_view> words) {
    const ScratchDirectory scratch;
    for (const std::string& name : names) scratch.file(name, "x");
    expect_error([&] { Checkpoint::open(scratch.path()); }, kind, words);
  };
  in_directory({}, ErrorKind::kMissingFile, {"holds no weights", "model.safetensors"});
  in_directory({"config.json", "training_args.bin"}, ErrorKind::kMissingFile, {"holds no weights"});
  in_directory({"config.json", "pytorch_model.bin"}, ErrorKind::kUnsupported,
               {"pytorch_model.bin", "pickle executes code", "convert with safetensors"});
  in_directory({"model.Q4_K.gguf"}, ErrorKind::kUnsupported, {"GGUF"});
  in_directory(
      {"1.safetensors", "2.safetensors", "3.safetensors", "4.safetensors", "5.safetensors", "6.safetensors"},
      ErrorKind::kMissingFile, {"6 other files", "5.safetensors, …"});
  in_directory({"model-00001-of-00002.safetensors"}, ErrorKind::kMissingFile,
               {"without their index", "model-00001-of-00002"});
  in_directory({"model-1-of-2.safetensors", "model-2-of-2.safetensors"}, ErrorKind::kMissingFile,
               {"without their index"});
  in_directory({"model.onnx"}, ErrorKind::kUnsupported, {"ONNX"});
  in_directory({"tf_model.h5"}, ErrorKind::kUnsupported, {"HDF5"});
  in_directory({"a.safetensors", "b.safetensors"}, ErrorKind::kMissingFile,
               {"2 other files: a.safetensors, b.safetensors"});
}

TEST(Checkpoint, PlacesThatAreNoFiles) {
  const ScratchDirectory scratch;
  expect_error([&] { Checkpoint::open(scratch / "nothing.safetensors"); }, ErrorKind::kMissingFile,
               {"no such file", "nothing.safetensors"});
  scratch.file("file", "x");
  expect_error([&] { Checkpoint::open(scratch / "file/model.safetensors"); }, ErrorKind::kMissingFile,
               {"no such file"});
  expect_error([&] { Checkpoint::open("/dev/null"); }, ErrorKind::kUnsupported, {"regular file"});
  const std::string pipe = scratch / "pipe.safetensors";
  ASSERT_EQ(::system(("mkfifo '" + pipe + "'").c_str()), 0);
  expect_error([&] { Checkpoint::open(pipe); }, ErrorKind::kUnsupported, {"pipe"});
  expect_error([&] { Checkpoint::open(""); }, ErrorKind::kUsage, {"no path"});
  expect_error([&] { Checkpoint::open(std::string("a\0b", 3)); }, ErrorKind::kUsage, {"NUL"});
}

}  // namespace
}  // namespace telos
