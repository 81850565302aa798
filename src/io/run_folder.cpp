#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "io/json.h"
#include "telos/base/error.h"
#include "telos/base/version.h"
#include "telos/io/files.h"

namespace telos {
namespace {

namespace fs = std::filesystem;

/// Marks a folder as ours from the first moment on: an interrupted run has no run.json. After its first line
/// it names the files of the last finished run, one a line.
constexpr const char* kMarker = ".telos-run";
constexpr const char* kMarkerLine = "A folder of results, written by telos.";
constexpr const char* kRunFile = "run.json";
constexpr int kSchema = 1;

std::string utc(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

[[noreturn]] void refuse(const std::string& path, const std::string& what, const std::error_code& error) {
  throw Error(ErrorKind::kIo, path, what + ": " + error.message(),
              "choose another directory, or check its permissions");
}

void make_directories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) refuse(path, "the directory cannot be made", error);
}

/// A run.json that this program wrote carries its name.
bool is_run_file(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  try {
    const auto run = parse_json(read_file(path.string(), 64'000'000), path.string());
    return run.is_object() && run.contains("telos") && run["telos"].is_object();
  } catch (const Error&) {
    return false;
  }
}

bool is_run(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / kMarker, ignored) || is_run_file(path / kRunFile);
}

/// Whether a name leads to a file below a folder.
bool leads_inside(const fs::path& name) {
  bool inside = name.is_relative() && name.has_filename();
  for (const fs::path& part : name) inside = inside && part != ".." && part != ".";
  return inside;
}

/// The files that the folder's last finished run wrote.
std::set<std::string> earlier_files(const fs::path& folder) {
  std::set<std::string> files;
  std::string text;
  try {
    text = read_file((folder / kMarker).string(), 16'000'000);
  } catch (const Error&) {
    return files;
  }
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line))
    if (leads_inside(line)) files.insert(line);
  return files;
}

void mark(const fs::path& folder, const std::set<std::string>& files) {
  std::string text = std::string(kMarkerLine) + "\n";
  for (const std::string& file : files) text += file + "\n";
  write_file_atomically((folder / kMarker).string(), text);
}

/// The value of `key` in a /proc text of lines "key : value".
std::string proc_field(const char* path, std::string_view key) {
  std::string text;
  try {
    text = read_file(path, 1 << 24);
  } catch (const Error&) {
    return {};
  }
  const std::size_t at = text.find(key);
  const std::size_t colon = at == std::string::npos ? at : text.find(':', at);
  if (colon == std::string::npos) return {};
  const std::size_t begin = text.find_first_not_of(" \t", colon + 1);
  return begin == std::string::npos ? std::string() : text.substr(begin, text.find('\n', begin) - begin);
}

/// The arguments of this process as the system recorded them, each as text that any JSON can hold.
std::vector<std::string> command_line() {
  std::vector<std::string> out;
  std::string text;
  try {
    text = read_file("/proc/self/cmdline", 1 << 24);
  } catch (const Error&) {
    return out;
  }
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\0', begin), text.size());
    out.push_back(printable(std::string_view(text).substr(begin, end - begin), 4096));
    begin = end + 1;
  }
  return out;
}

/// Whether the command names a file: as an argument, or behind the = of an option.
bool is_named(const std::vector<std::string>& arguments, const fs::path& path) {
  std::error_code ignored;
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    const std::size_t value = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    return fs::equivalent(value == std::string::npos ? argument : argument.substr(value + 1), path, ignored);
  });
}

nlohmann::ordered_json host() {
  struct utsname names {};
  ::uname(&names);
  return {{"name", printable(names.nodename)},
          {"system", fmt::format("{} {} {}", names.sysname, names.release, names.machine)},
          {"cpu", printable(proc_field("/proc/cpuinfo", "model name"))},
          {"hardware_threads", std::thread::hardware_concurrency()},
          {"memory", printable(proc_field("/proc/meminfo", "MemTotal"))}};
}

}  // namespace

struct RunFolder::Impl {
  std::time_t start;
  std::set<std::string> earlier;  ///< of the last finished run in this folder
  std::set<std::string> written;
};

void RunFolder::require_usable(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status))
    throw Error(ErrorKind::kUsage, path, "expected a directory for the run, found a file",
                "choose another directory");
  const bool empty = fs::is_empty(path, error);
  if (error) refuse(path, "the directory cannot be listed", error);
  if (!empty && !is_run(path))
    throw Error(ErrorKind::kUsage, path, "the directory holds files that are not of a telos run",
                "choose an empty or new directory");
}

RunFolder::RunFolder(std::string path, std::time_t start)
    : path_(std::move(path)), impl_(std::make_unique<Impl>(Impl{start, earlier_files(path_), {}})) {
  require_usable(path_);
  make_directories(path_);
  std::error_code error;
  mark(path_, impl_->earlier);
  // Whoever sees run.json may rely on the rest: it goes before anything else changes.
  fs::remove(fs::path(path_) / kRunFile, error);
  if (error) refuse(path_, "the earlier run.json cannot be removed", error);
}

RunFolder::~RunFolder() = default;

void RunFolder::write(const std::string& relative, std::string_view content) {
  const fs::path name = relative;
  if (!leads_inside(name) || relative == kRunFile || relative == kMarker ||
      relative.find('\n') != relative.npos)
    throw Error(ErrorKind::kUsage, path_,
                fmt::format("\"{}\" does not name a file of the run", printable(relative)));
  const fs::path target = fs::path(path_) / name;
  if (name.has_parent_path()) make_directories(target.parent_path().string());
  write_file_atomically(target.string(), content);
  impl_->written.insert(relative);
}

void RunFolder::remove_stale_files() const {
  std::error_code ignored;  // a file that cannot go is no reason to lose this run
  const std::vector<std::string> arguments = command_line();
  for (const std::string& file : impl_->earlier) {
    const fs::path path = fs::path(path_) / file;
    if (impl_->written.contains(file) || is_named(arguments, path)) continue;  // what was read stays
    fs::remove(path, ignored);
    if (fs::path(file).has_parent_path())
      fs::remove(path.parent_path(), ignored);  // if nothing is left in it
  }
}

void RunFolder::finish(const std::string& fields_json) {
  nlohmann::ordered_json run;
  run["telos"] = {
      {"schema", kSchema}, {"version", std::string(version())}, {"build", std::string(build_info())}};
  run["command"] = command_line();
  run["host"] = host();
  run["start"] = utc(impl_->start);
  run["end"] = utc(std::time(nullptr));
  run["peak_memory_bytes"] = peak_memory_bytes();
  if (!fields_json.empty()) {
    const auto fields = parse_json(fields_json, "the fields of run.json");
    if (!fields.is_object())
      throw Error(ErrorKind::kUsage, "the fields of run.json", "expected a JSON object");
    for (const auto& [key, value] : fields.items()) {
      if (run.contains(key))
        throw Error(ErrorKind::kUsage, "the fields of run.json",
                    fmt::format("the name \"{}\" is taken", printable(key)));
      run[key] = value;
    }
  }
  remove_stale_files();
  mark(path_, impl_->written);
  write_file_atomically((fs::path(path_) / kRunFile).string(), run.dump(2) + "\n");
}

}  // namespace telos
