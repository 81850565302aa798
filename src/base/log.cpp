#include "telos/base/log.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

#include "telos/base/error.h"

namespace telos {
namespace {

std::mutex sink_mutex;
LogSink log_sink;            // guarded by sink_mutex
ProgressSink progress_sink;  // guarded by sink_mutex
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "request_interrupt() must be async-signal-safe");

}  // namespace

void set_log_sink(LogSink sink) {
  const std::lock_guard lock(sink_mutex);
  log_sink = std::move(sink);
}

void log(LogLevel level, std::string_view message) {
  const std::lock_guard lock(sink_mutex);
  if (log_sink) log_sink(level, message);
}

void set_progress_sink(ProgressSink sink) {
  const std::lock_guard lock(sink_mutex);
  progress_sink = std::move(sink);
}

struct Progress::Impl {
  using Clock = std::chrono::steady_clock;
  std::string task, unit;
  double total;
  std::mutex mutex;
  double done = 0;
  Clock::time_point last = Clock::now();

  void report() const {
    const std::lock_guard lock(sink_mutex);
    if (progress_sink) progress_sink({task, unit, done, total});
  }
};

Progress::Progress(std::string task, std::string unit, double total)
    : impl_(new Impl{.task = std::move(task), .unit = std::move(unit), .total = total, .mutex = {}}) {}

Progress::~Progress() {
  impl_->done = impl_->total;
  impl_->report();
  delete impl_;
}

void Progress::advance(double amount) {
  const std::lock_guard lock(impl_->mutex);
  impl_->done += amount;
  const auto now = Impl::Clock::now();
  if (now - impl_->last < std::chrono::milliseconds(100)) return;
  impl_->last = now;
  impl_->report();
}

void request_interrupt() noexcept {
  interrupted.store(true, std::memory_order_relaxed);
}
bool interrupt_requested() noexcept {
  return interrupted.load(std::memory_order_relaxed);
}
void clear_interrupt() noexcept {
  interrupted.store(false, std::memory_order_relaxed);
}

void check_interrupt() {
  if (interrupt_requested())
    throw Error(ErrorKind::kInterrupted, "", "interrupted", "run the same command again");
}

}  // namespace telos
