// Identifies a model from a config.json and a list of tensors. The input is the text of config.json, a line
// "---", and one line a tensor: name, dtype, sizes. A first line "partial" opens the checkpoint as such.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support.h"
#include "telos/io/checkpoint.h"
#include "telos/model/architecture.h"
#include "telos/model/plan.h"

namespace {

using namespace telos;
using fuzz::require;

constexpr std::uint64_t kMaxElements = 1 << 14;  // of the whole file, which is all zeros

/// A directory for the two files of a model; made once, overwritten by each input.
const std::string& directory() {
  static const std::string path = [] {
    std::string pattern = "/tmp/telos-fuzz-XXXXXX";
    require(::mkdtemp(pattern.data()) != nullptr, "no directory");
    return pattern;
  }();
  return path;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// The header of a safetensors file with these tensors, and the bytes of their data.
std::pair<std::string, std::uint64_t> header_of(std::string_view lines) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::uint64_t offset = 0;
  for (const std::string_view line : split(lines, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 2) continue;
    const std::uint64_t size = words[1] == "F32" || words[1] == "I32"    ? 4
                               : words[1] == "F16" || words[1] == "BF16" ? 2
                                                                         : 1;
    std::vector<std::uint64_t> shape;
    std::uint64_t elements = 1;
    for (std::size_t i = 2; i < words.size() && i < 6; ++i) {
      std::uint64_t n = 1;
      std::from_chars(words[i].data(), words[i].data() + words[i].size(), n);
      n = n % (kMaxElements + 1);
      if (elements * n > kMaxElements) n = 1;
      elements *= n;
      shape.push_back(n);
    }
    if (offset + elements * size > 4 * kMaxElements) break;
    header[std::string(words[0])] = {
        {"dtype", words[1]}, {"shape", shape}, {"data_offsets", {offset, offset + elements * size}}};
    offset += elements * size;
  }
  return {header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace), offset};
}

void write_model(std::string_view config, std::string_view tensors) {
  std::ofstream(directory() + "/config.json", std::ios::binary) << config;
  if (config.empty()) ::unlink((directory() + "/config.json").c_str());
  const auto [header, bytes] = header_of(tensors);
  const std::string path = directory() + "/model.safetensors";
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  const std::uint64_t length = header.size();
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << header;
  out.close();
  require(::truncate(path.c_str(), static_cast<off_t>(8 + length + bytes)) == 0, "cannot size the file");
}

/// As fuzz::accepts, but the list of candidates of an unknown family may be long.
template <class Call>
void accepts_long(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    require(error.kind() != ErrorKind::kInternal, error.what());
    for (const std::string& part : {error.where(), error.message(), error.hint()}) {
      require(part.size() < 4000, "an error is endless");
      for (const char c : part)
        require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a control character");
    }
  }
}

void check(const Checkpoint& checkpoint, const Architecture& a) {
  require(a.width > 0 && a.heads > 0 && a.kv_heads > 0 && a.head_width > 0, "a size is 0");
  require(a.heads % a.kv_heads == 0, "groups do not divide");
  require(!a.sites.empty(), "no layer");
  cost_of_spectra(checkpoint, a);
  cost_of_forward(checkpoint, a, 1, 2);
  for (std::size_t i = 0; i < a.sites.size() && i < 4; ++i) {
    const AttentionWeights w = read_attention(checkpoint, a, a.sites[i]);
    require(w.usable() == !w.output.empty() && w.usable() == !w.value_t.empty(),
            "problems and matrices disagree");
    if (!w.usable()) continue;
    require(w.value_t.rows() == a.kv_heads * a.head_width && w.value_t.cols() == a.width, "shape of W_V");
    require(w.output.rows() == a.heads * a.head_width && w.output.cols() == a.width, "shape of W_O");
    require(w.value_bias.empty() || w.value_bias.size() == w.value_t.rows(), "size of the bias");
    require(w.norm_gain.empty() || w.norm_gain.size() == a.width, "size of the gain");
    for (const Projection p : {Projection::kQuery, Projection::kKey})
      accepts_long([&] { read_projection(checkpoint, a, a.sites[i], p); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::as_text(data, size);
  const bool partial = text.starts_with("partial\n");
  if (partial) text.remove_prefix(8);
  const std::size_t cut = text.find("\n---\n");
  const std::string_view config = text.substr(0, cut == std::string_view::npos ? 0 : cut);
  const std::string_view tensors = cut == std::string_view::npos ? text : text.substr(cut + 5);
  write_model(config, tensors);
  accepts_long([&] {
    const Checkpoint checkpoint = Checkpoint::open(directory(), {.partial = partial});
    IdentifyOptions options;
    if (size % 3 == 1) options.heads = 1 + size % 5;
    check(checkpoint, identify(checkpoint, options));
  });
  return 0;
}
