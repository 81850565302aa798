#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "cli/app.h"
#include "io/input_file.h"
#include "io/text.h"
#include "telos/base/error.h"
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

extern "C" void on_signal(int number) {
  // A second request does not wait for the safe point: the default action ends the process. Files are written
  // under temporary names and renamed when complete, so nothing half-written is left under a final name.
  if (interrupt_requested()) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  request_interrupt();
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t at = text.find_first_of("\"\\");
    out += printable(text.substr(0, at), std::string_view::npos);
    if (at == std::string_view::npos) return out;
    out += text[at];
    text.remove_prefix(at + 1);
  }
}

void print_out(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
  throw Error(ErrorKind::kIo, "stdout", "the result could not be written: " + system_message(errno),
              "check where it goes: a full disk, a closed pipe");
}

std::string read_stdin() {
  constexpr std::size_t kMost = std::size_t{1} << 32;  // as of files
  std::string bytes;
  std::array<char, 65536> part;
  for (;;) {
    check_interrupt();
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};  // a read alone would be taken up again after a signal
    if (::poll(&input, 1, 200) <= 0) continue;
    const ssize_t got = ::read(STDIN_FILENO, part.data(), part.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0)
      throw Error(ErrorKind::kIo, "stdin", "cannot be read: " + system_message(errno),
                  "give the text through a pipe, or as --file FILE");
    if (got == 0) return decode_text(std::move(bytes), "stdin");
    bytes.append(part.data(), static_cast<std::size_t>(got));
    if (bytes.size() > kMost)
      throw Error(ErrorKind::kLimit, "stdin", fmt::format("holds more than the limit of {} bytes", kMost),
                  "give a part of the text");
  }
}

void open_closed_streams() {
  // The other way round than they are used: what is read from them, or written to them, fails.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      static_cast<void>(::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

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
    std::fprintf(stderr, "%s%s\n", level == LogLevel::kWarning ? "telos: warning: " : "",
                 harmless(message).c_str());
  });
  if (terminal && !context.quiet)
    set_progress_sink([](const ProgressUpdate& update) { progress_line.show(update); });
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe (`telos … | head`) is a failed write, not a crash
}

}  // namespace telos::cli
