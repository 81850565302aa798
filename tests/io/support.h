#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/error.h"

namespace telos::test {

/// A directory of its own for one test, removed with all it holds.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "telos-io-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  /// Writes a file and returns its path.
  std::string file(std::string_view name, std::string_view bytes) const {
    const std::string path = *this / name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out.flush()) throw std::runtime_error("cannot write " + path);
    return path;
  }

 private:
  std::string path_;
};

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

inline std::string length_bytes(std::uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof length};
}

/// A safetensors file of this header text and these data.
inline std::string safetensors_file(std::string_view header, std::string_view data = {}) {
  return length_bytes(header.size()) + std::string(header) + std::string(data);
}

/// The error that `call` throws, if it throws one.
inline std::optional<Error> error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

/// Expects an Error of this kind whose place, message and hint together contain each of `words`, each part
/// being one line of printable text.
inline void expect_error(const std::function<void()>& call, ErrorKind kind,
                         std::initializer_list<std::string_view> words) {
  const std::optional<Error> error = error_of(call);
  ASSERT_TRUE(error.has_value()) << "nothing was thrown; expected " << to_string(kind);
  const std::string all = error->where() + "\n" + error->message() + "\n" + error->hint();
  EXPECT_EQ(to_string(error->kind()), to_string(kind)) << all;
  for (const std::string_view word : words)
    EXPECT_NE(all.find(word), std::string::npos) << "no \"" << word << "\" in:\n" << all;
  for (const std::string& part : {error->where(), error->message(), error->hint()})
    for (const char c : part)
      EXPECT_GE(static_cast<unsigned char>(c), 0x20) << "a control character in: " << printable(part, 1000);
  EXPECT_FALSE(error->where().empty());
  EXPECT_LT(error->message().size(), 1000u);
}

}  // namespace telos::test
