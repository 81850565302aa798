#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace telos::positional {

/// What a list task computes from the entries so far.
enum class ListTarget { kSum, kMin, kMax, kMedian, kSort, kMaxsub };

/// y from x, one number a position. Cumulative: position i sees x_1 … x_i; else each position holds the whole
/// list's answer. Sum; min; max; median: the mean of the two middle order statistics; sort: ascending, in
/// either form; maxsub: the best sum of a non-empty contiguous part (Kadane). Cost n, median n².
void list_target(ListTarget target, bool cumulative, std::span<const double> x, std::span<double> y);

/// A function of two numbers, a and b, read from text by recursive descent:
///   sum = product (("+" | "-") product)*, product = unary ("*" unary)*, unary = "-" unary | atom,
///   atom = number | "a" | "b" | ("min" | "max") "(" sum ("," sum)+ ")" | "abs" "(" sum ")" | "(" sum ")".
class Expression {
 public:
  enum class Op { kNumber, kA, kB, kAdd, kSubtract, kMultiply, kNegate, kMin, kMax, kAbs };
  struct Node {
    Op op = Op::kNumber;
    double number = 0;
    std::size_t left = 0, right = 0;  ///< operands, earlier in nodes()
  };
  double operator()(double a, double b) const { return value(nodes_.size() - 1, a, b); }
  /// f(ca, cb) = c^k·f(a, b) for c > 0 as far as its form shows it; none if it does not. The degree of 0 is
  /// any: 0 here.
  std::optional<int> degree() const;
  const std::vector<Node>& nodes() const { return nodes_; }  ///< the last one is the whole

 private:
  friend class RuleReader;
  double value(std::size_t node, double a, double b) const;
  std::vector<Node> nodes_;
};

/// "prefix(min)", "scan(a+b)", "whole(max)": a running fold, or its last value at each position.
struct ListRule {
  bool cumulative = true;
  std::optional<ListTarget> target{};      ///< by name, or
  std::optional<Expression> expression{};  ///< a fold of its own: y_1 = x_1, y_i = f(y_{i−1}, x_i)
  bool homogeneous() const;
  void apply(std::span<const double> x, std::span<double> y) const;
};

/// Throws kUsage naming the column (from 1), what was expected and what was found; kLimit for more than 4096
/// bytes or 64 nested brackets.
ListRule parse_list_rule(std::string_view text);

}  // namespace telos::positional
