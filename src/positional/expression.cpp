#include "positional/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::positional {
namespace {

constexpr std::size_t kMaxBytes = 4096, kMaxDepth = 64;

/// Running median of x_1 … x_i: `sorted` holds them in order.
double insert_for_median(std::vector<double>& sorted, double x) {
  sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), x), x);
  const std::size_t m = sorted.size();
  return 0.5 * (sorted[(m - 1) / 2] + sorted[m / 2]);
}

void running_target(ListTarget target, std::span<const double> x, std::span<double> y) {
  std::vector<double> sorted;
  double value = 0, ending_here = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool first = i == 0;
    switch (target) {
      case ListTarget::kSum:
        value = first ? x[i] : value + x[i];
        break;
      case ListTarget::kMin:
        value = first ? x[i] : std::min(value, x[i]);
        break;
      case ListTarget::kMax:
        value = first ? x[i] : std::max(value, x[i]);
        break;
      case ListTarget::kMedian:
        value = insert_for_median(sorted, x[i]);
        break;
      case ListTarget::kMaxsub:
        ending_here = first ? x[i] : std::max(x[i], ending_here + x[i]);
        value = first ? ending_here : std::max(value, ending_here);
        break;
      case ListTarget::kSort:
        break;  // has no running form
    }
    y[i] = value;
  }
}

/// The degree of a + b, min(a, b) or max(a, b): that of both, where a number 0 has any.
std::optional<int> common_degree(const Expression::Node& a, std::optional<int> degree_a,
                                 const Expression::Node& b, std::optional<int> degree_b) {
  const auto is_zero = [](const Expression::Node& node) {
    return node.op == Expression::Op::kNumber && node.number == 0;
  };
  if (is_zero(a)) return degree_b;
  if (is_zero(b)) return degree_a;
  return degree_a == degree_b ? degree_a : std::nullopt;
}

}  // namespace

void list_target(ListTarget target, bool cumulative, std::span<const double> x, std::span<double> y) {
  if (target == ListTarget::kSort) {
    std::copy(x.begin(), x.end(), y.begin());
    std::sort(y.begin(), y.end());
    return;
  }
  running_target(target, x, y);
  if (!cumulative && !y.empty()) std::fill(y.begin(), y.end(), y.back());
}

double Expression::value(std::size_t index, double a, double b) const {
  const Node& node = nodes_[index];
  switch (node.op) {
    case Op::kNumber:
      return node.number;
    case Op::kA:
      return a;
    case Op::kB:
      return b;
    case Op::kAdd:
      return value(node.left, a, b) + value(node.right, a, b);
    case Op::kSubtract:
      return value(node.left, a, b) - value(node.right, a, b);
    case Op::kMultiply:
      return value(node.left, a, b) * value(node.right, a, b);
    case Op::kNegate:
      return -value(node.left, a, b);
    case Op::kMin:
      return std::min(value(node.left, a, b), value(node.right, a, b));
    case Op::kMax:
      return std::max(value(node.left, a, b), value(node.right, a, b));
    case Op::kAbs:
      return std::abs(value(node.left, a, b));
  }
  return 0;
}

std::optional<int> Expression::degree() const {
  std::vector<std::optional<int>> degrees;
  for (const Node& node : nodes_) {
    switch (node.op) {
      case Op::kNumber:
        degrees.emplace_back(0);
        break;
      case Op::kA:
      case Op::kB:
        degrees.emplace_back(1);
        break;
      case Op::kNegate:
      case Op::kAbs:
        degrees.push_back(degrees[node.left]);
        break;
      case Op::kMultiply: {
        const auto left = degrees[node.left], right = degrees[node.right];
        degrees.push_back(left && right ? std::optional<int>(*left + *right) : std::nullopt);
        break;
      }
      default:
        degrees.push_back(
            common_degree(nodes_[node.left], degrees[node.left], nodes_[node.right], degrees[node.right]));
    }
  }
  return degrees.back();
}

bool ListRule::homogeneous() const {
  return target || expression->degree() == 1;
}

void ListRule::apply(std::span<const double> x, std::span<double> y) const {
  if (target) return list_target(*target, cumulative, x, y);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = i == 0 ? x[0] : (*expression)(y[i - 1], x[i]);
  if (!cumulative && !y.empty()) std::fill(y.begin(), y.end(), y.back());
}

/// A cursor over the text of a rule.
class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  ListRule read() {
    ListRule rule;
    const std::size_t begin = skip_blanks();
    const std::string form = word();
    if (form != "prefix" && form != "scan" && form != "whole")
      refuse_name(begin, form, {"prefix", "scan", "whole"}, "prefix, scan or whole");
    rule.cumulative = form != "whole";
    expect('(', "'('");
    rule.target = named_target();
    if (!rule.target) {
      rule.expression.emplace();
      nodes_ = &rule.expression->nodes_;
      sum();
    }
    expect(')', rule.target ? "')'" : "an operator or ')'");
    if (skip_blanks() != text_.size()) refuse(at_, "the end", found());
    return rule;
  }

 private:
  using Op = Expression::Op;

  [[noreturn]] void refuse(std::size_t at, std::string_view expected, const std::string& what,
                           std::string hint = {}) const {
    throw Error(ErrorKind::kUsage, fmt::format("expression \"{}\"", printable(text_)),
                fmt::format("column {}: expected {}, found {}", at + 1, expected, what), std::move(hint));
  }
  [[noreturn]] void refuse_name(std::size_t at, const std::string& name,
                                const std::vector<std::string>& known, std::string_view expected) const {
    if (name.empty()) refuse(at, expected, found());
    refuse(at, expected, fmt::format("\"{}\"", printable(name, 40)), nearest_hint(name, known));
  }
  std::string found() const {
    return at_ == text_.size() ? std::string("the end")
                               : fmt::format("\"{}\"", printable(text_.substr(at_, 1)));
  }

  std::size_t skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    return at_;
  }
  bool accept(char c) {
    if (skip_blanks() == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c, std::string_view expected) {
    if (!accept(c)) refuse(at_, expected, found());
  }
  std::string word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  /// A name alone between the brackets; "min(a, b)" is an expression instead.
  std::optional<ListTarget> named_target() {
    constexpr std::pair<std::string_view, ListTarget> kNames[] = {{"sum", ListTarget::kSum},
                                                                  {"min", ListTarget::kMin},
                                                                  {"max", ListTarget::kMax},
                                                                  {"median", ListTarget::kMedian},
                                                                  {"maxsub", ListTarget::kMaxsub}};
    const std::size_t begin = skip_blanks();
    const std::string name = word();
    const bool alone = skip_blanks() < text_.size() && text_[at_] == ')';
    if (alone) {
      for (const auto& [known, target] : kNames)
        if (name == known) return target;
      if (name.size() > 1)
        refuse_name(begin, name, {"sum", "min", "max", "median", "maxsub"},
                    "sum, min, max, median, maxsub or an expression of a and b");
    }
    at_ = begin;
    return std::nullopt;
  }

  std::size_t add(Op op, std::size_t left = 0, std::size_t right = 0, double number = 0) {
    nodes_->push_back({op, number, left, right});
    return nodes_->size() - 1;
  }

  std::size_t sum() {
    std::size_t left = product();
    for (;;) {
      if (accept('+'))
        left = add(Op::kAdd, left, product());
      else if (accept('-'))
        left = add(Op::kSubtract, left, product());
      else
        return left;
    }
  }

  std::size_t product() {
    std::size_t left = unary();
    while (accept('*')) left = add(Op::kMultiply, left, unary());
    return left;
  }

  std::size_t unary() {
    if (++depth_ > kMaxDepth)
      throw Error(
          ErrorKind::kLimit, fmt::format("expression \"{}\"", printable(text_)),
          fmt::format("column {}: brackets and signs are nested more than {} deep", at_ + 1, kMaxDepth));
    const std::size_t node = accept('-') ? add(Op::kNegate, unary()) : atom();
    --depth_;
    return node;
  }

  std::size_t atom() {
    if (accept('(')) {
      const std::size_t inner = sum();
      expect(')', "an operator or ')'");
      return inner;
    }
    const std::size_t begin = skip_blanks();
    if (begin < text_.size() &&
        (std::isdigit(static_cast<unsigned char>(text_[begin])) != 0 || text_[begin] == '.'))
      return number();
    const std::string name = word();
    if (name == "a") return add(Op::kA);
    if (name == "b") return add(Op::kB);
    if (name == "min") return fold(Op::kMin);
    if (name == "max") return fold(Op::kMax);
    if (name != "abs")
      refuse_name(begin, name, {"a", "b", "min", "max", "abs"}, "a number, a, b, min, max, abs, '-' or '('");
    expect('(', "'('");
    const std::size_t inner = sum();
    expect(')', "an operator or ')'");
    return add(Op::kAbs, inner);
  }

  /// min(…) and max(…) of two or more, as a chain.
  std::size_t fold(Op op) {
    expect('(', "'('");
    std::size_t left = sum();
    expect(',', "an operator or ','");
    do {
      left = add(op, left, sum());
    } while (accept(','));
    expect(')', "an operator, ',' or ')'");
    return left;
  }

  std::size_t number() {
    double value = 0;
    const char* const end = text_.data() + text_.size();
    const auto read = std::from_chars(text_.data() + at_, end, value);
    if (read.ec != std::errc() || !std::isfinite(value))
      refuse(at_, "a number within the range of double", found());
    at_ = static_cast<std::size_t>(read.ptr - text_.data());
    return add(Op::kNumber, 0, 0, value);
  }

  std::string_view text_;
  std::size_t at_ = 0, depth_ = 0;
  std::vector<Expression::Node>* nodes_ = nullptr;
};

ListRule parse_list_rule(std::string_view text) {
  if (text.size() > kMaxBytes)
    throw Error(ErrorKind::kLimit, "expression",
                fmt::format("{} bytes, at most {} are read", text.size(), kMaxBytes));
  return RuleReader(text).read();
}

}  // namespace telos::positional
