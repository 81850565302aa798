// Opens and reads a checkpoint. The first byte picks the form of the rest: even, the file itself; odd, its
// JSON header up to a NUL byte and then its data, so that mutations of the header need not keep its length
// right.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "io/json.h"
#include "io/safetensors.h"
#include "support.h"
#include "telos/io/checkpoint.h"

namespace {

using namespace telos;
using fuzz::require;

std::string file_of(std::string_view input) {
  if (input.empty()) return {};
  const bool split = (static_cast<unsigned char>(input[0]) & 1) != 0;
  input.remove_prefix(1);
  if (!split) return std::string(input);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::uint64_t length = end;
  std::string out(reinterpret_cast<const char*>(&length), sizeof length);
  out += input.substr(0, end);
  out += input.substr(std::min(end + 1, input.size()));
  return out;
}

void check_tensors(const std::vector<TensorInfo>& tensors, std::uint64_t file_bytes, bool partial) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& t = tensors[i];
    require(i == 0 || tensors[i - 1].name < t.name, "tensors are not sorted");
    require(t.elements() * bits(t.dtype) == t.bytes * 8, "shape and bytes disagree");
    require(t.offset + t.bytes >= t.offset, "a place wraps");
    require(t.complete == (t.offset + t.bytes <= file_bytes), "complete is wrong");
    require(t.complete || partial, "a cut tensor without being asked for");
  }
}

/// The streaming parser of headers against the general parser: what one accepts the other reads alike.
void compare_with_tree(std::string_view header, const SafetensorsHeader& found) {
  const auto tree = parse_json(header, "h", {.max_bytes = 1 << 24, .max_depth = 3, .max_values = 1 << 24});
  require(tree.size() == found.tensors.size() + tree.count("__metadata__"), "the trees differ in size");
  for (const TensorInfo& t : found.tensors) {
    const auto& entry = tree.at(t.name);
    require(entry.at("shape").get<std::vector<std::uint64_t>>() == t.shape, "the shapes differ");
    require(entry.at("dtype").get<std::string>() == to_string(t.dtype), "the types differ");
    const auto offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
    require(offsets.at(1) - offsets.at(0) == t.bytes, "the sizes differ");
  }
}

void parse_header(std::string_view file, std::uint64_t file_bytes, bool partial) {
  fuzz::accepts([&] {
    const std::uint64_t length = safetensors_header_bytes(file.substr(0, 64), file_bytes, "f");
    require(length <= file_bytes - 8, "a header longer than the file");
    if (length > file.size() - 8) return;  // file_bytes was a lie of this harness
    const std::string_view json = file.substr(8, static_cast<std::size_t>(length));
    const SafetensorsHeader header = parse_safetensors_header(json, file_bytes, "f", partial);
    check_tensors(header.tensors, file_bytes, partial);
    compare_with_tree(json, header);
  });
}

void read_everything(const Checkpoint& checkpoint) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const bool readable = is_float(tensor.dtype) && tensor.complete;
    std::vector<float> all(readable ? tensor.elements() : 0);
    const bool read = fuzz::accepts([&] { checkpoint.read_all(tensor, all); });
    require(read == readable, "read_all() decides wrongly");
    require(fuzz::accepts([&] { checkpoint.scan(tensor); }) == readable, "scan() decides wrongly");
    if (!readable || tensor.shape.size() != 2 || all.empty()) continue;
    const auto rows = static_cast<std::size_t>(tensor.shape[0]),
               cols = static_cast<std::size_t>(tensor.shape[1]);
    Matrix<float> window(rows - rows / 2, cols - cols / 3);
    checkpoint.read(tensor, rows / 2, cols / 3, window);
    for (std::size_t i = 0; i < window.rows(); ++i)
      require(std::memcmp(window.row(i), &all[(rows / 2 + i) * cols + cols / 3],
                          window.cols() * sizeof(float)) == 0,
              "a window differs from the whole");
  }
}

/// Opens the bytes as a file in memory, for the system calls and error paths that parsing alone does not
/// have.
void open_file(const std::string& file) {
  static const int descriptor = ::memfd_create("telos", MFD_CLOEXEC);
  require(descriptor >= 0 && ::ftruncate(descriptor, 0) == 0, "no memory file");
  require(::pwrite(descriptor, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()),
          "no memory file");
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  for (const bool partial : {false, true})
    fuzz::accepts([&] {
      const Checkpoint checkpoint = Checkpoint::open(path, {.partial = partial});
      check_tensors(checkpoint.tensors(), file.size(), partial);
      require(checkpoint.file_bytes() == file.size(), "the size is wrong");
      read_everything(checkpoint);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = file_of(telos::fuzz::as_text(data, size));
  parse_header(file, file.size(), false);
  parse_header(file, file.size(), true);
  if (file.size() >= 8) parse_header(file, file.size() + (std::uint64_t{1} << 50), true);
  open_file(file);
  return 0;
}
