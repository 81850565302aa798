#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "bigram/instance_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

void check_shape(ConstMatrixView<double> p) {
  const std::size_t n = std::max(p.rows(), p.cols());
  if (n > kMostTokens)
    throw Error(ErrorKind::kLimit, "P", fmt::format("has {} tokens, at most {} can be kept", n, kMostTokens),
                "keep the most frequent ones and one for the rest");
  if (p.rows() != p.cols() || p.empty())
    throw Error(
        ErrorKind::kShape, "P",
        fmt::format("is {} × {}, expected as many rows as columns, at least one", p.rows(), p.cols()));
}

void check_entries(ConstMatrixView<double> p) {
  for (std::size_t i = 0; i < p.rows(); ++i)
    for (std::size_t j = 0; j < p.cols(); ++j) {
      const double value = p(i, j);
      if (value >= 0 && std::isfinite(value)) continue;
      throw Error(std::isfinite(value) ? ErrorKind::kUsage : ErrorKind::kNotFinite,
                  fmt::format("P, row {}, column {}", i, j),
                  fmt::format("is {}, expected a probability", value));
    }
}

bool sums_to_one(double sum) {
  return std::abs(sum - 1) <= kSumTolerance;
}

void check_sums(ConstMatrixView<double> p) {
  const std::size_t n = p.rows();
  std::vector<double> columns(n), rows(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      columns[j] += p(i, j);
      rows[i] += p(i, j);
    }
  const auto wrong = std::ranges::find_if_not(columns, sums_to_one);
  if (wrong == columns.end()) return;
  const bool by_rows = std::ranges::all_of(rows, sums_to_one);
  throw Error(ErrorKind::kUsage, fmt::format("P, column {}", wrong - columns.begin()),
              fmt::format("sums to {:.9g}, expected 1 within {}{}", *wrong, kSumTolerance,
                          by_rows ? "; the rows do sum to 1" : ""),
              by_rows ? "transpose it: column j is the law of what follows j"
                      : "column j holds the probabilities of what follows token j");
}

/// Depth-first search from `root` over tokens not yet seen; `steps_to(from, to)` says where one may go.
/// Appends tokens as they are left.
template <class Steps>
void search(std::size_t root, const Steps& steps_to, std::vector<bool>& seen,
            std::vector<std::size_t>& left) {
  struct Visit {
    std::size_t token, next;
  };
  std::vector<Visit> path = {{root, 0}};
  seen[root] = true;
  while (!path.empty()) {
    Visit& top = path.back();
    while (top.next < seen.size() && (seen[top.next] || !steps_to(top.token, top.next))) ++top.next;
    if (top.next == seen.size()) {
      left.push_back(top.token);
      path.pop_back();
    } else {
      const std::size_t to = top.next;
      seen[to] = true;
      path.push_back({to, 0});
    }
  }
}

/// Strongly connected components (Kosaraju), each ascending, by their smallest tokens. O(N²).
std::vector<std::vector<std::size_t>> components(ConstMatrixView<double> p) {
  const std::size_t n = p.rows();
  std::vector<bool> seen(n);
  std::vector<std::size_t> order;
  for (std::size_t root = 0; root < n; ++root)
    if (!seen[root])
      search(
          root, [&](std::size_t from, std::size_t to) { return p(to, from) > 0; }, seen, order);
  seen.assign(n, false);
  std::vector<std::vector<std::size_t>> all;
  for (std::size_t at = n; at-- > 0;) {
    if (seen[order[at]]) continue;
    std::vector<std::size_t>& component = all.emplace_back();
    search(
        order[at], [&](std::size_t to, std::size_t from) { return p(to, from) > 0; }, seen, component);
    std::ranges::sort(component);
  }
  std::ranges::sort(all);
  return all;
}

/// "{0, 1, …}": the first few of a list, and how many more there are.
template <class Item, class Show>
std::string first_few(const std::vector<Item>& list, std::size_t most, const Show& show) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, list.size()); ++i) text += (i == 0 ? "" : ", ") + show(list[i]);
  if (list.size() > most) text += fmt::format(" and {} more", list.size() - most);
  return text;
}

void check_connected(ConstMatrixView<double> p) {
  const auto parts = components(p);
  if (parts.size() == 1) return;
  const auto show_part = [](const std::vector<std::size_t>& part) {
    return "{" + first_few(part, 8, [](std::size_t token) { return std::to_string(token); }) + "}";
  };
  throw Error(ErrorKind::kUsage, "P",
              fmt::format("the chain falls apart into {} strongly connected components: {}", parts.size(),
                          first_few(parts, 4, show_part)),
              "leave out tokens that cannot be reached from all others, or smooth the counts");
}

}  // namespace

void check_transitions(ConstMatrixView<double> p) {
  check_shape(p);
  check_entries(p);
  check_sums(p);
}

std::vector<double> stationary(ConstMatrixView<double> p) {
  check_transitions(p);
  check_connected(p);
  const std::size_t n = p.rows();
  require_memory(8 * static_cast<double>(n) * static_cast<double>(n), "P", "keep fewer tokens");
  Matrix<double> w(n, n);
  for (std::size_t i = 0; i < n; ++i) std::copy_n(p.row(i), n, w.row(i));
  // Take tokens out from the last on: paths through them become direct steps between those that are left.
  for (std::size_t out = n; out-- > 1;) {
    check_interrupt();
    double leaving = 0;
    for (std::size_t i = 0; i < out; ++i) leaving += w(i, out);
    double* into = w.row(out);
    for (std::size_t j = 0; j < out; ++j) into[j] /= leaving;
    for (std::size_t i = 0; i < out; ++i)
      for (std::size_t j = 0; j < out; ++j) w(i, j) += w(i, out) * into[j];
  }
  std::vector<double> mu(n);
  mu[0] = 1;
  double total = 1;
  for (std::size_t back = 1; back < n; ++back) {
    for (std::size_t j = 0; j < back; ++j) mu[back] += mu[j] * w(back, j);
    total += mu[back];
  }
  if (!std::isfinite(total))
    throw Error(ErrorKind::kUsage, "P", "the chain all but falls apart: its stationary law overflows",
                "smooth the counts");
  for (double& value : mu) value /= total;
  return mu;
}

}  // namespace telos::bigram
