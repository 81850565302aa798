// Which of a thousand random tokens lead, and where the others end after infinitely many layers of hardmax
// attention.
#include <telos/base/error.h>
#include <telos/clustering/hardmax.h>
#include <telos/clustering/lab.h>

#include <cstdio>

int main() try {
  using namespace telos::clustering;
  const DemoTokens set = demo_tokens("gaussian", 1000, 2, 1);
  const HardmaxRun run = run_hardmax(set.tokens, {.alpha = set.alpha}, telos::Arena());
  for (const Leader& leader : run.leaders)
    std::printf("token %zu leads %zu tokens since layer %zu\n", leader.token, leader.followers,
                leader.emergence);
  std::printf("token 0 ends at (%.4f, %.4f)\n", run.limits(0, 0), run.limits(0, 1));
} catch (const telos::Error& error) {
  std::fprintf(stderr, "leaders: %s\n", error.what());
  return telos::exit_code(error.kind());
}
