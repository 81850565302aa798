#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace telos {

/// A fixed number of threads for data-parallel loops.
///
/// Rule that makes results independent of the thread count: body(i) writes only what belongs to i, and reads
/// nothing that another body(j) writes; sums over i are formed afterwards, by the caller, in index order. The
/// way the indices are dealt to threads is then invisible in the result.
///
/// A loop inside a body, and a loop that a second thread starts meanwhile, run in their caller's own thread.
/// An exception from a body is rethrown in the caller once all bodies that have started have ended (the
/// others are skipped); if several throw, one of them is rethrown.
class Arena {
 public:
  static constexpr int kMostThreads = 1024;

  /// `threads` = 0 takes one thread for each core that this process may run on. Throws kLimit for more than
  /// kMostThreads, and where the system starts fewer than were asked for.
  explicit Arena(int threads = 0);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  int threads() const noexcept { return threads_; }

  /// Calls body(i) for each i in [0, n), in any order, at once on up to threads() threads. Cost of an empty
  /// loop: a few microseconds; with one thread or n ≤ 1 a plain loop.
  template <class Body>
  void parallel_for(std::size_t n, Body&& body) const {
    using B = std::remove_reference_t<Body>;
    run(
        n, [](const void* context, std::size_t i) { (*static_cast<const B*>(context))(i); },
        static_cast<const void*>(std::addressof(body)));
  }

 private:
  void run(std::size_t n, void (*call)(const void*, std::size_t), const void* context) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
  int threads_;
};

}  // namespace telos
