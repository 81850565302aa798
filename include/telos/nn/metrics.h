#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace telos::nn {

/// What one line of metrics.jsonl says: a step, and named numbers in their order.
struct MetricsLine {
  std::uint64_t step = 0;
  std::vector<std::pair<std::string, double>> values;
  bool operator==(const MetricsLine&) const = default;
};

/// The file metrics.jsonl of a run directory: one JSON object a line, {"step": 100, "loss": 0.25, …}, written
/// while the run goes on. Numbers read back to the same bits; JSON has no infinities and no NaN, so that
/// these become null, and null reads back as NaN. Steps do not fall from line to line. Not for use from
/// several threads at once.
class MetricsLog {
 public:
  /// A new run: an earlier metrics.jsonl in `directory` is replaced. Throws kIo, kMissingFile (no such
  /// directory).
  explicit MetricsLog(const std::string& directory);
  /// A run that goes on after `resumed_step`: lines of later steps, and a last line that an interruption cut,
  /// are dropped. Throws kIo, kMissingFile, kBadFormat naming the line.
  MetricsLog(const std::string& directory, std::uint64_t resumed_step);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  /// Adds a line in memory. Throws kUsage for a step before the last one, the name "step", or a name twice.
  void append(const MetricsLine& line);
  /// Hands everything appended so far to the operating system. Throws kIo.
  void flush();

  const std::string& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The lines of `directory`/metrics.jsonl; a last line without a newline is left out. Throws kMissingFile,
/// kBadFormat naming the line.
std::vector<MetricsLine> read_metrics(const std::string& directory);

}  // namespace telos::nn
