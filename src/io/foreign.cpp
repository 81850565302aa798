#include "io/foreign.h"

#include <fmt/format.h>

#include <array>

namespace telos {
namespace {

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings)
    if (text.ends_with(ending)) return true;
  return false;
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

ForeignFormat unsupported(std::string message, std::string hint) {
  return {ErrorKind::kUnsupported, std::move(message), std::move(hint)};
}

ForeignFormat pickle(std::string_view path) {
  // Inside the printed command a quote in the name would end the Python string.
  std::string name(file_name(path));
  if (name.find_first_of("'\"\\\n") != std::string::npos) name = "pytorch_model.bin";
  return unsupported(
      "a PyTorch pickle; pickle executes code, so it is not opened",
      fmt::format("convert with safetensors: python -c \"import torch, safetensors.torch as s; "
                  "d = torch.load('{}', map_location='cpu', weights_only=True); "
                  "s.save_file({{k: v.clone().contiguous() for k, v in d.items()}}, 'model.safetensors')\"",
                  printable(name)));
}

ForeignFormat onnx() {
  return unsupported(
      "an ONNX graph; expected safetensors",
      "export the weights of the original model: model.save_pretrained(DIR, safe_serialization=True)");
}

ForeignFormat gguf() {
  return unsupported("a GGUF file; expected safetensors",
                     "use the safetensors checkpoint that it was converted from");
}

ForeignFormat hdf5() {
  return unsupported(
      "an HDF5 file (Keras or TensorFlow); expected safetensors",
      "load it with transformers (from_tf=True), then model.save_pretrained(DIR, safe_serialization=True)");
}

ForeignFormat msgpack() {
  return unsupported(
      "a Flax msgpack file; expected safetensors",
      "load it with transformers (from_flax=True), then model.save_pretrained(DIR, safe_serialization=True)");
}

ForeignFormat compressed(std::string_view by) {
  return unsupported(fmt::format("compressed with {}; expected safetensors", by), "decompress it first");
}

/// ModelProto's first field is ir_version (tag 0x08, a small varint); the next is one of its length-delimited
/// fields 2 to 8.
bool looks_like_onnx(std::string_view head) {
  if (head.size() < 4 || head[0] != '\x08') return false;
  const auto version = static_cast<unsigned char>(head[1]);
  const auto tag = static_cast<unsigned char>(head[2]);
  return version >= 1 && version <= 32 && (tag & 7u) == 2 && tag >= 0x12 && tag <= 0x42;
}

}  // namespace

std::optional<ForeignFormat> recognise_foreign_name(std::string_view name) {
  if (ends_with_any(name, {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})) return pickle(name);
  if (name.ends_with(".gguf")) return gguf();
  if (name.ends_with(".onnx")) return onnx();
  if (ends_with_any(name, {".h5", ".hdf5", ".keras"})) return hdf5();
  if (name.ends_with(".msgpack")) return msgpack();
  return std::nullopt;
}

std::optional<ForeignFormat> recognise_foreign(std::string_view head, std::string_view path) {
  using namespace std::string_view_literals;
  const std::string_view name = file_name(path);
  if (head.empty())
    return ForeignFormat{ErrorKind::kBadFormat, "the file is empty", "the download failed; fetch it again"};
  if (head.starts_with("version https://git-lfs"))
    return unsupported("a Git LFS pointer, not the weights themselves",
                       "run `git lfs pull` in that repository");
  if (head.starts_with("# xet version"))
    return unsupported("a Xet pointer, not the weights themselves",
                       "install git-xet and check the repository out again");
  if (head.starts_with("GGUF") || head.starts_with("ggml") || head.starts_with("tjgg")) return gguf();
  if (head.starts_with("\x89HDF\r\n\x1a\n"sv)) return hdf5();
  if (head.starts_with("\x93NUMPY"sv))
    return unsupported("a NumPy array; expected safetensors",
                       "save named arrays with safetensors.numpy.save_file");
  if (head.starts_with("PK\x03\x04"sv) || head.starts_with("PK\x05\x06"sv)) {
    if (name.ends_with(".npz"))
      return unsupported("an npz archive; expected safetensors",
                         "save the arrays with safetensors.numpy.save_file");
    if (ends_with_any(name, {".keras"})) return hdf5();
    if (name.ends_with(".zip")) return unsupported("a zip archive; expected safetensors", "unpack it first");
    return pickle(path);
  }
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 1 && head[1] <= 5) return pickle(path);
  if (head.starts_with("\x1f\x8b"sv)) return compressed("gzip");
  if (head.starts_with("\x28\xb5\x2f\xfd"sv)) return compressed("zstd");
  if (head.starts_with("\xfd\x37zXZ"sv)) return compressed("xz");
  if (head.starts_with("BZh")) return compressed("bzip2");
  if (head.starts_with("<!DOCTYPE") || head.starts_with("<!doctype") || head.starts_with("<html"))
    return ForeignFormat{ErrorKind::kBadFormat, "a web page, not weights",
                         "the download led to a page (a login or an error); fetch the file itself"};
  if (name.ends_with(".onnx") || looks_like_onnx(head)) return onnx();
  return recognise_foreign_name(name);
}

}  // namespace telos
