#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "telos/io/checkpoint.h"
#include "telos/io/files.h"

namespace telos::testing {

/// A checkpoint in memory whose tensors a test changes before it is written again.
struct Editable {
  struct Tensor {
    std::vector<std::uint64_t> shape;
    std::vector<float> values;
    float& at(std::size_t row, std::size_t col) {
      return values[row * static_cast<std::size_t>(shape[1]) + col];
    }
    std::size_t rows() const { return static_cast<std::size_t>(shape[0]); }
    std::size_t cols() const { return static_cast<std::size_t>(shape[1]); }
  };
  std::map<std::string, Tensor> tensors;
  std::string config;

  explicit Editable(const std::string& directory) : config(read_text(directory + "/config.json")) {
    const Checkpoint checkpoint = Checkpoint::open(directory + "/model.safetensors");
    for (const TensorInfo& info : checkpoint.tensors()) {
      Tensor tensor{info.shape, std::vector<float>(static_cast<std::size_t>(info.elements()))};
      checkpoint.read_all(info, tensor.values);
      tensors.emplace(info.name, std::move(tensor));
    }
  }
  bool has(const std::string& name) const { return tensors.count(name) != 0; }
  Tensor& at(const std::string& name) { return tensors.at(name); }

  void write(const std::filesystem::path& directory) const {
    std::vector<TensorToWrite> out;
    for (const auto& [name, tensor] : tensors)
      out.push_back({name, DType::kF32, tensor.shape, std::as_bytes(std::span(tensor.values))});
    write_safetensors((directory / "model.safetensors").string(), out);
    std::ofstream(directory / "config.json") << config;
  }
};

/// A directory of this process that is removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static int made = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("telos_test_" + std::to_string(::getpid()) + "_" + std::to_string(made++));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace telos::testing
