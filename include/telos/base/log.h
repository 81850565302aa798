#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace telos {

enum class LogLevel { kDebug, kInfo, kWarning };

/// Where the library's talk goes. The library itself never prints: a program that wants to see notes sets a
/// sink. Set once, before threads start; the sink may be called from any thread, one call at a time.
using LogSink = std::function<void(LogLevel, std::string_view message)>;
void set_log_sink(LogSink sink);
void log(LogLevel level, std::string_view message);

/// How far a long piece of work has come. The default sink does nothing; the command line draws a line on a
/// terminal. `done` and `total` are in `unit`s ("layer", "head", "MB"); a report with done == total closes
/// the line.
struct ProgressUpdate {
  std::string_view task;
  std::string_view unit;
  double done = 0;
  double total = 0;
};
using ProgressSink = std::function<void(const ProgressUpdate&)>;
void set_progress_sink(ProgressSink sink);

/// Reports progress of one task from any number of threads. Cheap: at most ten updates a second reach the
/// sink.
class Progress {
 public:
  Progress(std::string task, std::string unit, double total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void advance(double amount = 1);

 private:
  struct Impl;
  Impl* impl_;
};

/// Cooperative interruption: a signal handler calls request_interrupt(); long loops call check_interrupt(),
/// which throws Error{kInterrupted} once it was requested. request_interrupt() is async-signal-safe.
void request_interrupt() noexcept;
bool interrupt_requested() noexcept;
void clear_interrupt() noexcept;
void check_interrupt();

}  // namespace telos
