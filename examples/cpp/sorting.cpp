// A sorting network as the weights of a positional transformer, run on a list.
#include <telos/base/error.h>
#include <telos/positional/compiler.h>

#include <cstdio>

int main() try {
  using namespace telos::positional;
  const CompiledProgram sort = compile(builtin("sort", {.n = 8}).program);  // ends by proving itself
  telos::Matrix<double> list(1, 8);
  for (std::size_t i = 0; i < 8; ++i) list(0, i) = static_cast<double>(i * 5 % 8);
  const telos::Matrix<double> sorted = execute(sort, list, Execution::kFloat);
  std::printf("%zu layers, %zu parameters:", sort.report.layers, sort.report.parameters);
  for (std::size_t i = 0; i < 8; ++i) std::printf(" %g", sorted(0, i));
  std::printf("\n");
} catch (const telos::Error& error) {
  std::fprintf(stderr, "sorting: %s\n", error.what());
  return telos::exit_code(error.kind());
}
