#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "cli/app.h"
#include "telos/base/philox.h"
#include "telos/base/version.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"
#include "telos/report/words.h"
#include "telos/smoothing/theory.h"

namespace telos::cli {
namespace {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

struct Check {
  std::string name, found;
  bool ok;
};

// Random123's first known answer.
Check check_random() {
  constexpr std::array<std::uint32_t, 4> expected = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  const auto found = philox4x32({0, 0, 0, 0}, {0, 0});
  return {"random numbers (Philox4x32-10)", fmt::format("{:08x} …", found[0]), found == expected};
}

// The vector kernel against its definition, bit for bit: chains of fused multiply-adds over blocks of 256.
Check check_product(const Arena& arena) {
  const std::size_t m = 37, n = 45, k = 300;
  Matrix<float> a(m, k), b(k, n), c(m, n);
  Random random(1);
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = static_cast<float>(random.normal());
  for (std::size_t i = 0; i < b.size(); ++i) b.data()[i] = static_cast<float>(random.normal());
  gemm<float>(Op::kPlain, Op::kPlain, 1, a, b, 0, c, arena);
  std::size_t different = 0;
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      float total = 0;
      for (std::size_t block = 0; block < k; block += 256) {
        float sum = 0;
        for (std::size_t p = block; p < std::min(k, block + 256); ++p) sum = std::fma(a(i, p), b(p, j), sum);
        total = block == 0 ? sum : total + sum;
      }
      different += total != c(i, j);
    }
  return {fmt::format("matrix product ({}) against its definition", kernel_target()),
          fmt::format("{} of {} elements differ", different, m * n), different == 0};
}

// The companion matrix of (x − 1)(x − 2)(x − 3)(x − 4).
Check check_eigenvalues() {
  Matrix<double> a(4, 4);
  const double first[] = {10, -35, 50, -24};
  for (std::size_t j = 0; j < 4; ++j) a(0, j) = first[j];
  for (std::size_t i = 1; i < 4; ++i) a(i, i - 1) = 1;
  std::vector<double> real;
  for (const auto& value : general_eigen(a).values) real.push_back(value.real());
  std::sort(real.begin(), real.end());
  double error = 0;
  for (std::size_t i = 0; i < 4; ++i) error = std::max(error, std::abs(real[i] - static_cast<double>(i + 1)));
  return {"eigenvalues (LAPACK) of a companion matrix", "largest error " + format_number(error, 2),
          error < 1e-10};
}

Check check_zones() {
  using smoothing::Zone;
  const bool ok = smoothing::zone(.3) == Zone::kSmooth && smoothing::zone(-.3) == Zone::kSharp &&
                  smoothing::zone(-1.2) == Zone::kDepends &&
                  std::abs(smoothing::flip_point(-1.2) - 2.0 / 3) < 1e-12;
  return {"zones of the eigenvalue plane", "three known points", ok};
}

int doctor(Context& context) {
  const Arena& arena = context.arena();
  const std::vector<Check> checks = {check_random(), check_product(arena), check_eigenvalues(),
                                     check_zones()};
  bool ok = true;
  Table table{.id = "self_test",
              .title = "Self-test",
              .caption = {},
              .columns = {{.name = "check"}, {.name = "found"}, {.name = "result"}},
              .rows = {},
              .in_terminal = true};
  for (const Check& check : checks) {
    table.rows.push_back({check.name, check.found, std::string(check.ok ? "pass" : "FAIL")});
    ok = ok && check.ok;
  }
  Report report;
  report.command = "doctor";
  report.subject = "this machine";
  report.facts = {{"build", fmt::format("telos {} · {}", version(), build_info()), ""},
                  {"cpu", fmt::format("{} · kernels {}", cpu_name(), kernel_target()),
                   count_of(static_cast<std::size_t>(arena.threads()), "thread", "threads")},
                  {"lapack", lapack_vendor(), ""}};
  report.verdict = {ok ? "This build works on this machine."
                       : "A self-test failed: results on this machine cannot be trusted.",
                    fmt::format("{} self-tests", checks.size()),
                    {}};
  report.sections = {
      {.id = "self-test", .title = "Self-test", .paragraphs = {}, .figures = {}, .tables = {table}}};
  deliver(report, context);
  return ok ? 0 : 5;
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("doctor", "Build, processor, LAPACK, threads, and a self-test");
  add_common_options(*command, context);
  command->footer("Examples:\n  telos doctor\n  telos doctor -o json");
  command->callback([&context] { context.action = [&context] { return doctor(context); }; });
}

}  // namespace telos::cli
