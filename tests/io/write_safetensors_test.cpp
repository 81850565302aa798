#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>

#include "support.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"

namespace telos {
namespace {

using test::expect_error;
using test::ScratchDirectory;

TEST(WriteSafetensors, IsReadBack) {
  const ScratchDirectory scratch;
  const std::vector<double> doubles{1, 2, 3};
  const std::vector<std::uint16_t> halves{0x3C00, 0xC500};
  const std::vector<TensorToWrite> tensors{
      {"b", DType::kF16, {2, 1}, std::as_bytes(std::span(halves))},
      {"a \"quoted\" größe", DType::kF64, {3}, std::as_bytes(std::span(doubles))},
      {"empty", DType::kF32, {0, 7}, {}},
      {"scalar", DType::kU8, {}, std::as_bytes(std::span("x")).first(1)}};
  write_safetensors(scratch / "m.safetensors", tensors, {{"format", "pt"}, {"k", "line\nbreak"}});
  const auto checkpoint = Checkpoint::open(scratch / "m.safetensors");
  EXPECT_EQ(checkpoint.tensors().size(), 4u);
  EXPECT_EQ(checkpoint.metadata()[1].second, "line\nbreak");
  std::vector<float> out(3);
  checkpoint.read_all(*checkpoint.find("a \"quoted\" größe"), out);
  EXPECT_EQ(out, (std::vector<float>{1, 2, 3}));
  for (const TensorInfo& tensor : checkpoint.tensors())
    EXPECT_EQ(tensor.offset * 8 % bits(tensor.dtype), 0u) << "aligned to its type";
  write_safetensors(scratch / "none.safetensors", {});
  EXPECT_TRUE(Checkpoint::open(scratch / "none.safetensors").tensors().empty());
}

TEST(WriteSafetensors, RefusesWhatCannotBeRead) {
  const ScratchDirectory scratch;
  const std::vector<std::byte> data(8);
  const std::span<const std::byte> eight(data);
  const auto refused = [&](std::vector<TensorToWrite> tensors, std::string_view word,
                           std::vector<std::pair<std::string, std::string>> metadata = {}) {
    expect_error([&] { write_safetensors(scratch / "m.safetensors", tensors, metadata); }, ErrorKind::kUsage,
                 {word});
  };
  refused({{"w", DType::kF32, {3}, eight}}, "takes 12 bytes, found 8");
  refused({{"w", DType::kF4, {3}, eight}}, "whole bytes");
  refused({{"w", DType::kF32, {std::uint64_t{1} << 60}, eight}}, "overflows 64 bits");
  refused({{"w", DType::kF32, {2}, eight}, {"w", DType::kF64, {1}, eight}}, "two tensors have this name");
  refused({{"__metadata__", DType::kF32, {2}, eight}}, "cannot have this name");
  refused({{"\xFF", DType::kF32, {2}, eight}}, "not UTF-8");
  refused({}, "not UTF-8", {{"k", "\xFF"}});
  refused({}, "this key twice", {{"k", "1"}, {"k", "2"}});
  EXPECT_FALSE(std::filesystem::exists(scratch / "m.safetensors"));
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  expect_error([&] { write_safetensors(scratch / "none/m.safetensors", {}); }, ErrorKind::kIo,
               {"none/m.safetensors"});
}

DType any_type() {
  return static_cast<DType>(*rc::gen::inRange(0, static_cast<int>(DType::kU64) + 1));
}

// Any tensors of any types, names, shapes and bytes come back as they were.
RC_GTEST_PROP(SafetensorsProperty, WriteThenReadIsTheIdentity, ()) {
  struct Given {
    std::vector<std::uint64_t> shape;
    DType type;
    std::vector<std::byte> data;
  };
  const auto names = *rc::gen::unique<std::vector<std::string>>(
      rc::gen::container<std::string>(rc::gen::inRange<char>(0, 127)));
  std::vector<Given> given(names.size());
  std::vector<TensorToWrite> tensors;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Given& g = given[i];
    g.type = any_type();
    std::uint64_t elements = 1;
    for (std::size_t k = *rc::gen::inRange<std::size_t>(0, 4); k > 0; --k) {
      g.shape.push_back(*rc::gen::inRange<std::uint64_t>(0, 6));
      elements *= g.shape.back();
    }
    if (elements * bits(g.type) % 8 != 0) {
      g.shape.push_back(4);
      elements *= 4;
    }
    g.data.resize(elements * bits(g.type) / 8);
    for (std::byte& b : g.data) b = static_cast<std::byte>(*rc::gen::inRange(0, 256));
    tensors.push_back({names[i], g.type, g.shape, g.data});
  }
  const ScratchDirectory scratch;
  write_safetensors(scratch / "m.safetensors", tensors);
  const auto checkpoint = Checkpoint::open(scratch / "m.safetensors");
  RC_ASSERT(checkpoint.tensors().size() == names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const TensorInfo* tensor = checkpoint.find(names[i]);
    RC_ASSERT(tensor != nullptr);
    RC_ASSERT(tensor->dtype == given[i].type);
    RC_ASSERT(tensor->shape == given[i].shape);
    std::vector<std::byte> back(tensor->bytes);
    checkpoint.read_bytes(*tensor, back);
    RC_ASSERT(back == given[i].data);
  }
  // Written again in another order, the file is the same to the byte.
  std::reverse(tensors.begin(), tensors.end());
  write_safetensors(scratch / "again.safetensors", tensors);
  RC_ASSERT(read_file(scratch / "again.safetensors") == read_file(scratch / "m.safetensors"));
}

}  // namespace
}  // namespace telos
