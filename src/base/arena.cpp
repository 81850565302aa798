#include "telos/base/arena.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "telos/base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace telos {
namespace {

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

// One loop: indices are handed out in order, a chunk at a time, to whoever asks.
struct Loop {
  std::size_t n, chunk;
  void (*call)(const void*, std::size_t);
  const void* context;
  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;

  void work() {
    for (;;) {
      const std::size_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= n) return;
      const std::size_t end = std::min(n, begin + chunk);
      try {
        for (std::size_t i = begin; i < end; ++i) call(context, i);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        next.store(n, std::memory_order_relaxed);  // the rest need not start
      }
    }
  }
};

}  // namespace

// `state_` is the whole protocol, one 32-bit word so that a wait is one futex:
//   bits 0–14 helpers inside the loop | bit 15 a loop is open | bits 16–31 number of the loop
// A helper enters with a compare-exchange that only succeeds while the loop is open, so a helper that wakes
// late never delays the caller, and the caller may let `Loop` die once the count is back at zero.
struct Arena::Impl {
  static constexpr std::uint32_t kOpen = 1u << 15, kCount = kOpen - 1, kNext = 1u << 16;

  explicit Impl(int threads) {
    // A waiting thread looks for the next loop for some tens of microseconds before it sleeps: the gap
    // between the loops of a forward pass. With more threads than cores that would only steal time.
    spins_ = threads <= static_cast<int>(std::thread::hardware_concurrency()) ? 2000 : 0;
    helpers_.reserve(static_cast<std::size_t>(threads - 1));
    try {
      for (int i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
    } catch (const std::system_error& error) {
      const std::size_t started = helpers_.size() + 1;
      join();
      throw Error(ErrorKind::kLimit, "threads",
                  std::to_string(threads) + " asked for, " + std::to_string(started) + " could start (" +
                      error.code().message() + ")",
                  "ask for fewer");
    }
  }

  ~Impl() { join(); }

  void join() {
    stop_.store(true, std::memory_order_release);
    state_.fetch_add(kNext, std::memory_order_release);
    state_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  void help() {
    inside = this;
    std::uint32_t seen = 0;  // last loop (bits 16–31) that this thread took part in or missed
    for (;;) {
      std::uint32_t state = state_.load(std::memory_order_acquire);
      for (int i = 0; i < spins_ && (state & ~(kOpen | kCount)) == seen; ++i) {
        relax();
        state = state_.load(std::memory_order_acquire);
      }
      if (stop_.load(std::memory_order_acquire)) return;
      if ((state & ~(kOpen | kCount)) == seen) {
        state_.wait(state, std::memory_order_acquire);
        continue;
      }
      while ((state & kOpen) != 0 &&
             !state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
      }
      seen = state & ~(kOpen | kCount);
      if ((state & kOpen) == 0) continue;  // too late for this one
      loop_->work();
      state_.fetch_sub(1, std::memory_order_release);
    }
  }

  void run(Loop& loop) {
    loop_ = &loop;
    state_.store(((state_.load(std::memory_order_relaxed) & ~(kOpen | kCount)) + kNext) | kOpen,
                 std::memory_order_release);
    state_.notify_all();
    loop.work();
    state_.fetch_and(~kOpen, std::memory_order_acq_rel);
    for (int i = 0; (state_.load(std::memory_order_acquire) & kCount) != 0; ++i) {
      if (i < spins_)
        relax();
      else
        std::this_thread::yield();
    }
  }

  static thread_local const Impl* inside;  // the arena whose loop this thread is running
  std::atomic<bool> busy_{false};          // one caller at a time has a loop open
  std::atomic<std::uint32_t> state_{0};
  std::atomic<bool> stop_{false};
  Loop* loop_ = nullptr;  // written before, read after, state_ says that a loop is open
  int spins_ = 0;
  std::vector<std::thread> helpers_;
};

thread_local const Arena::Impl* Arena::Impl::inside = nullptr;

Arena::Arena(int threads)
    : threads_(threads > 0
                   ? threads
                   : std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads)) {
  if (threads_ > kMostThreads)
    throw Error(
        ErrorKind::kLimit, "threads",
        std::to_string(threads_) + " asked for, at most " + std::to_string(kMostThreads) + " are taken",
        "ask for fewer, or for 0: one for each core, up to that many");
  if (threads_ > 1) impl_ = std::make_unique<Impl>(threads_);
}

Arena::~Arena() = default;

void Arena::run(std::size_t n, void (*call)(const void*, std::size_t), const void* context) const {
  // A loop inside a loop, or a second caller at the same time, runs in its own thread: the others are busy
  // already.
  if (n > 1 && impl_ != nullptr && Impl::inside != impl_.get() &&
      !impl_->busy_.exchange(true, std::memory_order_acquire)) {
    const Impl* const outer = std::exchange(Impl::inside, impl_.get());
    Loop loop{.n = n,
              .chunk = std::max<std::size_t>(1, n / (static_cast<std::size_t>(threads_) * 64)),
              .call = call,
              .context = context,
              .failure_mutex = {},
              .failure = {}};
    impl_->run(loop);
    Impl::inside = outer;
    impl_->busy_.store(false, std::memory_order_release);
    if (loop.failure) std::rethrow_exception(loop.failure);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) call(context, i);
}

}  // namespace telos
