#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cli/app.h"
#include "telos/base/log.h"
#include "telos/base/quantity.h"
#include "telos/io/files.h"

namespace telos::cli {
namespace {

using Clock = std::chrono::steady_clock;

// One progress line, redrawn in place; only ever on a terminal.
class ProgressLine {
 public:
  void show(const ProgressUpdate& update) {
    if (update.task != task_) {
      task_ = update.task;
      start_ = Clock::now();
    }
    const double fraction = update.total > 0 ? std::clamp(update.done / update.total, 0.0, 1.0) : 1.0;
    const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
    if (fraction >= 1) {
      clear();
      return;
    }
    constexpr int kWidth = 20;
    const int full = static_cast<int>(fraction * kWidth);
    std::string left =
        fraction > 0.02 && elapsed > 0.3 ? format_seconds(elapsed * (1 - fraction) / fraction) + " left" : "";
    std::string rate;
    if (elapsed > 0.3) {
      char text[48];
      std::snprintf(text, sizeof text, "%.3g %.*s/s  ", update.done / elapsed,
                    static_cast<int>(update.unit.size()), update.unit.data());
      rate = text;
    }
    std::fprintf(stderr, "\r%s %.0f/%.0f  [%s%s]  %3.0f %%  %s%s\033[K", task_.c_str(), update.done,
                 update.total, std::string(static_cast<std::size_t>(full), '=').c_str(),
                 std::string(static_cast<std::size_t>(kWidth - full), ' ').c_str(), 100 * fraction,
                 rate.c_str(), left.c_str());
    drawn_ = true;
  }
  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  std::string task_;
  Clock::time_point start_ = Clock::now();
  bool drawn_ = false;
};

ProgressLine progress_line;

extern "C" void on_signal(int) {
  // A second request does not wait for the safe point: the default action ends the process. Files are written
  // under temporary names and renamed when complete, so nothing half-written is left under a final name.
  if (interrupt_requested()) {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
  request_interrupt();
}

}  // namespace

bool stdout_is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}

bool colors_wanted(bool terminal) {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  return terminal && (no_color == nullptr || *no_color == '\0') &&
         !(term != nullptr && std::string(term) == "dumb");
}

void set_up_terminal(const Context& context) {
  const bool terminal = isatty(STDERR_FILENO) == 1;
  set_log_sink([quiet = context.quiet](LogLevel level, std::string_view message) {
    if (level == LogLevel::kDebug || (quiet && level != LogLevel::kWarning)) return;
    progress_line.clear();
    std::fprintf(stderr, "%s%.*s\n", level == LogLevel::kWarning ? "telos: warning: " : "",
                 static_cast<int>(message.size()), message.data());
  });
  if (terminal && !context.quiet)
    set_progress_sink([](const ProgressUpdate& update) { progress_line.show(update); });
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe (`telos … | head`) is a failed write, not a crash
}

}  // namespace telos::cli
