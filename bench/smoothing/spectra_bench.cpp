// bench_spectra MODEL [REPEATS] [THREADS]     spectra of all heads from weights alone; one line a repeat:
//                                             "seconds heads peak_MB"
// bench_spectra --synthetic-7b DIR            writes a checkpoint of the shape of a 7B decoder into DIR
// first: 32 layers,
//                                             32 heads × 128, d 4096, BF16. W_V, W_O and the norms hold
//                                             random numbers; the rest of the 13.5 GB are holes that take no
//                                             space on disk.
// The bar: below 15 s and 600 MB resident on two cores.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"
#include "telos/smoothing/spectra.h"

namespace {

constexpr std::uint64_t kLayers = 32, kWidth = 4096, kMlp = 11008, kVocabulary = 32000;

struct Entry {
  std::string name;
  std::uint64_t rows, cols;
  double centre, spread;  ///< values centre ± spread/2, uniform; spread 0: a hole
  std::uint64_t elements() const { return rows * cols; }
};

std::vector<Entry> entries() {
  std::vector<Entry> out = {{"model.embed_tokens.weight", kVocabulary, kWidth, 0, 0}};
  for (std::uint64_t l = 0; l < kLayers; ++l) {
    const std::string at = "model.layers." + std::to_string(l) + ".";
    // Uniform with variance 1/d, like an untrained layer; the norms as gains around 0.4.
    const double spread = std::sqrt(12.0 / static_cast<double>(kWidth));
    out.push_back({at + "input_layernorm.weight", 1, kWidth, 0.4, 0.2});
    for (const char* name : {"q_proj", "k_proj"})
      out.push_back({at + "self_attn." + name + ".weight", kWidth, kWidth, 0, 0});
    for (const char* name : {"v_proj", "o_proj"})
      out.push_back({at + "self_attn." + name + ".weight", kWidth, kWidth, 0, spread});
    out.push_back({at + "post_attention_layernorm.weight", 1, kWidth, 0.4, 0.2});
    for (const char* name : {"gate_proj", "up_proj"})
      out.push_back({at + "mlp." + name + ".weight", kMlp, kWidth, 0, 0});
    out.push_back({at + "mlp.down_proj.weight", kWidth, kMlp, 0, 0});
  }
  out.push_back({"model.norm.weight", 1, kWidth, 0.4, 0.2});
  out.push_back({"lm_head.weight", kVocabulary, kWidth, 0, 0});
  return out;
}

std::string header_of(const std::vector<Entry>& all) {
  std::string json = "{";
  std::uint64_t offset = 0;
  for (const Entry& e : all) {
    const std::string shape =
        e.rows == 1 ? std::to_string(e.cols) : std::to_string(e.rows) + "," + std::to_string(e.cols);
    json += (json.size() > 1 ? ",\"" : "\"") + e.name + "\":{\"dtype\":\"BF16\",\"shape\":[" + shape +
            "],\"data_offsets\":[" + std::to_string(offset) + "," +
            std::to_string(offset + 2 * e.elements()) + "]}";
    offset += 2 * e.elements();
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  return json;
}

void write_at(int file, const void* data, std::size_t bytes, std::uint64_t offset) {
  if (::pwrite(file, data, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes))
    throw std::runtime_error("write failed: is the disk full? 2.2 GB are needed");
}

void write_synthetic(const std::string& directory) {
  std::filesystem::create_directories(directory);
  const std::vector<Entry> all = entries();
  const std::string header = header_of(all);
  const int file = ::open((directory + "/model.safetensors").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (file < 0) throw std::runtime_error("cannot write into " + directory);
  std::uint64_t size = header.size(), offset = 8 + header.size();
  write_at(file, &size, 8, 0);
  write_at(file, header.data(), header.size(), 8);
  std::vector<std::uint16_t> block(1 << 16);
  for (std::uint32_t t = 0; t < all.size(); ++t) {
    const Entry& e = all[t];
    for (std::uint64_t at = 0; e.spread > 0 && at < e.elements(); at += block.size()) {
      const std::uint64_t count = std::min<std::uint64_t>(block.size(), e.elements() - at);
      for (std::uint64_t i = 0; i < count; i += 8) {
        const auto word = telos::philox4x32(
            {static_cast<std::uint32_t>(at + i), static_cast<std::uint32_t>((at + i) >> 32), t, 0}, {7, 0});
        for (std::uint64_t j = 0; j < 8 && i + j < count; ++j) {
          const double uniform =
              static_cast<double>((word[j / 2] >> (16 * (j % 2))) & 0xffff) / 65536.0 - 0.5;
          block[i + j] = telos::encode_bf16(static_cast<float>(e.centre + e.spread * uniform));
        }
      }
      write_at(file, block.data(), 2 * count, offset + 2 * at);
    }
    offset += 2 * e.elements();
  }
  if (::ftruncate(file, static_cast<off_t>(offset)) != 0 || ::close(file) != 0)
    throw std::runtime_error("ftruncate failed");
  telos::write_file_atomically(
      directory + "/config.json",
      "{\"model_type\": \"llama\", \"hidden_size\": 4096, \"num_attention_heads\": 32, "
      "\"num_key_value_heads\": 32, \"num_hidden_layers\": 32, \"intermediate_size\": 11008, "
      "\"vocab_size\": 32000, \"rms_norm_eps\": 1e-05, \"max_position_embeddings\": 4096}");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr,
                 "usage: bench_spectra MODEL [REPEATS] [THREADS] | bench_spectra --synthetic-7b DIR\n");
    return 2;
  }
  try {
    std::string model = argv[1];
    if (model == "--synthetic-7b") {
      if (argc < 3) throw std::runtime_error("--synthetic-7b needs a directory");
      model = argv[2];
      write_synthetic(model);
      std::printf("wrote %s\n", model.c_str());
      return 0;
    }
    const int repeats = argc > 2 ? std::atoi(argv[2]) : 1, threads = argc > 3 ? std::atoi(argv[3]) : 2;
    const telos::Arena arena(threads);
    for (int i = 0; i < repeats; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const telos::Checkpoint checkpoint = telos::Checkpoint::open(model);
      const telos::smoothing::WeightSpectra found =
          telos::smoothing::weight_spectra(checkpoint, telos::identify(checkpoint), {}, arena);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      std::printf("%.4f %zu %.0f\n", seconds.count(), found.heads(),
                  static_cast<double>(telos::peak_memory_bytes()) / 1e6);
      std::fflush(stdout);
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_spectra: %s\n", e.what());
    return 1;
  }
  return 0;
}
