#include "telos/base/arena.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>

namespace telos {

struct Arena::Impl {
  explicit Impl(int threads)
      // An arena may be wider than the machine: tests ask for seven threads on two cores.
      : limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)), arena(threads) {}
  tbb::global_control limit;
  tbb::task_arena arena;
};

Arena::Arena(int threads) : threads_(threads > 0 ? threads : tbb::info::default_concurrency()) {
  if (threads_ > 1) impl_ = std::make_unique<Impl>(threads_);
}

Arena::~Arena() = default;

void Arena::run(std::size_t n, void (*call)(const void*, std::size_t), const void* context) const {
  if (n <= 1 || impl_ == nullptr) {
    for (std::size_t i = 0; i < n; ++i) call(context, i);
    return;
  }
  // oneTBB's library is not instrumented, so ThreadSanitizer cannot see that it orders the loop's start before each
  // body and each body before the loop's end. These two flags say so; the loads and stores are real but uncontended.
  std::atomic<bool> started{false};
  std::atomic<std::size_t> ended{0};
  started.store(true, std::memory_order_release);
  impl_->arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::size_t>(0, n, 1),
        [&](const tbb::blocked_range<std::size_t>& range) {
          (void)started.load(std::memory_order_acquire);
          for (std::size_t i = range.begin(); i != range.end(); ++i) call(context, i);
          ended.fetch_add(range.size(), std::memory_order_release);
        },
        tbb::simple_partitioner());
  });
  (void)ended.load(std::memory_order_acquire);
}

}  // namespace telos
