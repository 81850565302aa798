#include "telos/base/log.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/error.h"

namespace telos {
namespace {

TEST(Log, GoesToTheSinkAndNowhereWithoutOne) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel level, std::string_view message) {
    lines.push_back((level == LogLevel::kWarning ? "warning " : "note ") + std::string(message));
  });
  const Arena arena(7);
  arena.parallel_for(50, [](std::size_t i) { log(i % 2 ? LogLevel::kWarning : LogLevel::kInfo, "x"); });
  set_log_sink({});
  log(LogLevel::kWarning, "lost");
  EXPECT_EQ(lines.size(), 50u);
}

TEST(Progress, EndsAtItsTotalAndIsRare) {
  std::vector<double> done;
  set_progress_sink([&](const ProgressUpdate& update) {
    EXPECT_EQ(update.task, "heads");
    EXPECT_EQ(update.total, 100000);
    done.push_back(update.done);
  });
  {
    Progress progress("heads", "head", 100000);
    const Arena arena(2);
    arena.parallel_for(100000, [&](std::size_t) { progress.advance(); });
  }
  set_progress_sink({});
  ASSERT_FALSE(done.empty());
  EXPECT_EQ(done.back(), 100000);
  EXPECT_LT(done.size(), 1000u);
}

TEST(Interrupt, ThrowsOnceRequested) {
  clear_interrupt();
  EXPECT_NO_THROW(check_interrupt());
  std::signal(SIGUSR1, [](int) { request_interrupt(); });
  std::raise(SIGUSR1);
  EXPECT_TRUE(interrupt_requested());
  try {
    check_interrupt();
    FAIL() << "no exception";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInterrupted);
  }
  clear_interrupt();
  EXPECT_NO_THROW(check_interrupt());
}

}  // namespace
}  // namespace telos
