#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "telos/base/error.h"
#include "telos/clustering/sentiment.h"

namespace telos::clustering::test {

inline Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {ErrorKind::kInternal, "", ""};
}

class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("telos_" + name + "_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Three words and the padding in two dimensions, two layers at T = 0.5, texts of five positions.
inline SentimentModel tiny_model() {
  SentimentModel model;
  model.config = {.dim = 2, .layers = 2, .max_length = 5, .temperature = 0.5};
  model.vocabulary = Vocabulary({"one", "two", "three"}, {7, 5, 2});
  model.embedding = Matrix<float>(4, 2);
  const float rows[4][2] = {{-0.3f, 0.2f}, {0.8f, 0.5f}, {-0.6f, 1.1f}, {1.2f, -0.4f}};
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t k = 0; k < 2; ++k) model.embedding(i, k) = rows[i][k];
  model.alpha = 0.7;
  model.v = {0.9f, -1.3f};
  model.bias = 0.1;
  model.origin = "test";
  return model;
}

}  // namespace telos::clustering::test
