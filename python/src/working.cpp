// What a call needs that may take long: threads, and Ctrl-C.

#include <nanobind/nanobind.h>

#include <signal.h>

#include "module.h"
#include "telos/base/log.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

struct sigaction before;  // what SIGINT did before an Interruptible

extern "C" void on_interrupt(int signal) {
  request_interrupt();
  before.sa_handler(signal);  // Python's own, which remembers it for the main thread
}

}  // namespace

Interruptible::Interruptible() {
  const nb::module_ threading = nb::module_::import_("threading"), signal = nb::module_::import_("signal");
  if (!threading.attr("current_thread")().is(threading.attr("main_thread")())) return;
  if (!signal.attr("getsignal")(SIGINT).is(signal.attr("default_int_handler"))) return;
  if (sigaction(SIGINT, nullptr, &before) != 0 || (before.sa_flags & SA_SIGINFO) != 0 ||
      before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN)
    return;
  struct sigaction ours = before;
  ours.sa_handler = on_interrupt;
  installed_ = sigaction(SIGINT, &ours, nullptr) == 0;
}

Interruptible::~Interruptible() {
  if (!installed_) return;
  sigaction(SIGINT, &before, nullptr);
  clear_interrupt();
}

Arena arena_of(int threads) {
  if (threads < 0 || threads > Arena::kMostThreads) throw nb::value_error("threads: expected 0 to 1,024");
  return Arena(threads);
}

}  // namespace telos::python
