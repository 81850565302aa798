#include "telos/nn/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include "io/json.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/nn/trainer.h"

namespace telos::nn {
namespace {

constexpr const char* kStep = "step";

std::string path_in(const std::string& directory) {
  return (std::filesystem::path(directory) / "metrics.jsonl").string();
}

std::string text_of(const MetricsLine& line) {
  std::string text = fmt::format("{{\"{}\":{}", kStep, line.step);
  for (const auto& [name, value] : line.values)
    text += fmt::format(",{}:{}", nlohmann::json(name).dump(),
                        std::isfinite(value) ? exact_text(value) : std::string("null"));
  return text + "}\n";
}

MetricsLine line_of(std::string_view text, const std::string& where) {
  const auto json = parse_json(text, where);
  if (!json.is_object() || !json.contains(kStep) || !json[kStep].is_number_unsigned())
    throw Error(ErrorKind::kBadFormat, where, "expected an object with a step");
  MetricsLine line{.step = json[kStep].get<std::uint64_t>(), .values = {}};
  for (const auto& [name, value] : json.items()) {
    if (name == kStep) continue;
    if (!value.is_number() && !value.is_null())
      throw Error(ErrorKind::kBadFormat, where, fmt::format("\"{}\" is not a number", printable(name)));
    line.values.emplace_back(
        name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
  return line;
}

/// Calls f(line, its text with the newline) for each whole line.
template <class F>
void for_each_line(const std::string& path, const std::string& text, const F& f) {
  std::size_t number = 1;
  for (std::size_t begin = 0;; ++number) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) return;
    const std::string_view line = std::string_view(text).substr(begin, end + 1 - begin);
    f(line_of(line, fmt::format("{}, line {}", path, number)), line);
    begin = end + 1;
  }
}

}  // namespace

struct MetricsLog::Impl {
  std::string path;
  std::string waiting;  ///< lines that are not in the file yet
  std::optional<std::uint64_t> last_step;
  std::FILE* file = nullptr;

  [[noreturn]] void fail(const char* what) const {
    throw Error(ErrorKind::kIo, path, fmt::format("{}: {}", what, std::generic_category().message(errno)));
  }
  void open() {
    file = std::fopen(path.c_str(), "ab");
    if (file == nullptr) fail("cannot be opened for writing");
  }
};

MetricsLog::MetricsLog(const std::string& directory) : impl_(std::make_unique<Impl>()) {
  if (!std::filesystem::is_directory(directory))
    throw Error(ErrorKind::kMissingFile, directory, "there is no such directory");
  impl_->path = path_in(directory);
  write_file_atomically(impl_->path, "");
  impl_->open();
}

MetricsLog::MetricsLog(const std::string& directory, std::uint64_t resumed_step)
    : impl_(std::make_unique<Impl>()) {
  impl_->path = path_in(directory);
  std::string kept;
  for_each_line(impl_->path, read_file(impl_->path), [&](const MetricsLine& line, std::string_view text) {
    if (line.step > resumed_step) return;
    kept += text;
    impl_->last_step = line.step;
  });
  write_file_atomically(impl_->path, kept);
  impl_->open();
}

MetricsLog::~MetricsLog() {
  if (impl_->file == nullptr) return;
  // A destructor cannot report; who must know calls flush().
  std::fwrite(impl_->waiting.data(), 1, impl_->waiting.size(), impl_->file);
  std::fclose(impl_->file);
}

void MetricsLog::append(const MetricsLine& line) {
  const auto refuse = [&](const std::string& message) {
    throw Error(ErrorKind::kUsage, impl_->path, message);
  };
  if (impl_->last_step && line.step < *impl_->last_step)
    refuse(fmt::format("step {} after step {}", line.step, *impl_->last_step));
  for (std::size_t i = 0; i < line.values.size(); ++i) {
    const std::string& name = line.values[i].first;
    const auto same = [&](const auto& other) { return other.first == name; };
    const auto earlier = line.values.begin() + static_cast<std::ptrdiff_t>(i);
    if (name == kStep || std::any_of(line.values.begin(), earlier, same))
      refuse(fmt::format("the name \"{}\" is there twice", printable(name)));
  }
  impl_->waiting += text_of(line);
  impl_->last_step = line.step;
}

void MetricsLog::flush() {
  Impl& log = *impl_;
  if (std::fwrite(log.waiting.data(), 1, log.waiting.size(), log.file) != log.waiting.size() ||
      std::fflush(log.file) != 0)
    log.fail("cannot be written");
  log.waiting.clear();
}

const std::string& MetricsLog::path() const {
  return impl_->path;
}

std::vector<MetricsLine> read_metrics(const std::string& directory) {
  const std::string path = path_in(directory);
  std::vector<MetricsLine> lines;
  for_each_line(path, read_file(path),
                [&](const MetricsLine& line, std::string_view) { lines.push_back(line); });
  return lines;
}

}  // namespace telos::nn
