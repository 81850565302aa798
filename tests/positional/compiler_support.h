#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "telos/positional/compiler.h"

// Compiled built-ins, and direct code for what each computes.

namespace telos::positional::test_compiler {

using List = std::vector<double>;

inline const Arena& serial() {
  static const Arena arena(1);
  return arena;
}

inline CompiledProgram compile_builtin(const std::string& name, std::size_t n,
                                       std::size_t proof_vectors = 8) {
  Builtin made = builtin(name, {.n = n});
  made.options.proof_vectors = proof_vectors;
  return compile(made.program, made.options);
}

inline Matrix<double> rows(const std::vector<List>& lists) {
  Matrix<double> out(lists.size(), lists[0].size());
  for (std::size_t s = 0; s < lists.size(); ++s) std::copy(lists[s].begin(), lists[s].end(), out.row(s));
  return out;
}
inline List execute_one(const CompiledProgram& compiled, const List& x,
                        Execution execution = Execution::kDouble) {
  const Matrix<double> y = execute(compiled, rows({x}), execution);
  return {y.row(0), y.row(0) + y.cols()};
}

// ---- Direct code for each built-in

inline List cumulate(const List& x, const std::function<double(double, double)>& f) {
  List out = x;
  for (std::size_t i = 1; i < x.size(); ++i) out[i] = f(out[i - 1], x[i]);
  return out;
}
inline List maxsub(const List& x) {
  List out;
  double best = -std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < x.size(); ++j) {
    double sum = 0;
    for (std::size_t i = j + 1; i-- > 0;) best = std::max(best, sum += x[i]);
    out.push_back(best);
  }
  return out;
}
inline List median(const List& x) {
  List out, sorted;
  for (const double v : x) {
    sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), v), v);
    out.push_back((sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2);
  }
  return out;
}
inline List direct(const std::string& name, const List& x) {
  const auto less = [](double a, double b) { return std::min(a, b); };
  const auto more = [](double a, double b) { return std::max(a, b); };
  if (name == "cumsum" || name == "cumsum-dense") return cumulate(x, std::plus<>());
  if (name == "cummin") return cumulate(x, less);
  if (name == "cummax") return cumulate(x, more);
  if (name == "allreduce-sum") return List(x.size(), std::accumulate(x.begin(), x.end(), 0.0));
  if (name == "allreduce-min") return List(x.size(), *std::min_element(x.begin(), x.end()));
  if (name == "allreduce-max") return List(x.size(), *std::max_element(x.begin(), x.end()));
  if (name == "maxsub") return maxsub(x);
  if (name == "median") return median(x);
  List sorted = x;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

inline const std::vector<std::string>& list_programs() {
  static const std::vector<std::string> names = {"cumsum",        "cummin",        "cummax",
                                                 "allreduce-sum", "allreduce-min", "allreduce-max",
                                                 "sort",          "maxsub",        "median"};
  return names;
}
inline bool takes(const std::string& name, std::size_t n) {
  return name.rfind("allreduce", 0) != 0 || (n & (n - 1)) == 0;
}

}  // namespace telos::positional::test_compiler
