#include "positional/program_formula.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::positional::syntax {
namespace {

/// Parts of formulas evaluated for one program: about a second, whatever the text asks for.
constexpr std::size_t kMaxWork = std::size_t{1} << 25;

bool is_comparison(std::string_view op) {
  static constexpr std::array<std::string_view, 6> kOps = {"==", "!=", "<", "<=", ">", ">="};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}
bool is_logical(const Node& node) {
  return node.text == "and" || node.text == "or" || node.text == "not" || is_comparison(node.text);
}

}  // namespace

std::optional<std::int64_t> whole_power(std::int64_t a, std::int64_t b) {
  std::int64_t out = 1;
  if (a == 0 || a == 1) return b == 0 ? 1 : a;
  if (a == -1) return b % 2 == 0 ? 1 : -1;
  for (std::int64_t k = 0; k < b; ++k)
    if (__builtin_mul_overflow(out, a, &out) || out > kMaxFormulaValue || out < -kMaxFormulaValue)
      return std::nullopt;
  return out;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  const std::int64_t q = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}
std::int64_t floor_remainder(std::int64_t a, std::int64_t b) {
  return a - floor_divide(a, b) * b;
}

std::int64_t ceil_log2(std::int64_t a) {
  return static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(a - 1)));
}

void Formulas::set(std::string_view name, std::int64_t value) {
  for (auto& [known, old] : names_)
    if (known == name) {
      old = value;
      return;
    }
  names_.emplace_back(name, value);
}
void Formulas::remove(std::string_view name) {
  std::erase_if(names_, [&](const auto& entry) { return entry.first == name; });
}
std::optional<std::int64_t> Formulas::find(std::string_view name) const {
  for (const auto& [known, value] : names_)
    if (known == name) return value;
  return std::nullopt;
}

void Formulas::work(const Node& node, std::size_t steps) {
  work_ += steps;
  if (work_ <= kMaxWork) return;
  problems_.add(node.place, "the program's formulas take more than 33 million steps",
                "use a smaller n, fewer rounds, or explicit lists");
  throw Stop{};
}

std::nullopt_t Formulas::fail(const Node& node, std::string message, std::string hint) {
  problems_.add(node.place, std::move(message), std::move(hint));
  return std::nullopt;
}

std::nullopt_t Formulas::unknown(const Node& node) {
  if (node.text == "i" || node.text == "n")
    return fail(node, "'" + std::string(node.text) + "' has no value here",
                node.text == "i" ? "only tables and conditions of a round know a node" : "declare n 8");
  std::vector<std::string> names;
  for (const auto& [known, value] : names_) names.emplace_back(known);
  return fail(node, "expected a number or a name with a value, found '" + printable(node.text, 40) + "'",
              nearest_hint(node.text, names));
}

std::optional<std::int64_t> Formulas::in_range(const Node& node, std::int64_t value, bool overflow) {
  if (overflow || value > kMaxFormulaValue || value < -kMaxFormulaValue)
    return fail(node, "the formula's value lies outside ±2^53");
  return value;
}

std::optional<std::int64_t> Formulas::whole(const Node& node) {
  work(node);
  switch (node.kind) {
    case Node::Kind::kNumber:
      if (node.number != std::floor(node.number) || node.number > static_cast<double>(kMaxFormulaValue))
        return fail(node, "expected a whole number, found " + printable(node.text, 40));
      return static_cast<std::int64_t>(node.number);
    case Node::Kind::kName:
      if (const auto value = find(node.text)) return value;
      return unknown(node);
    case Node::Kind::kField:
      return fail(node, "expected a formula of i and n, found a received value",
                  "tables are fixed before the program runs");
    case Node::Kind::kUnary:
      if (node.text == "-") {
        const auto value = whole(node.args[0]);
        return value ? std::optional(-*value) : std::nullopt;
      }
      break;
    case Node::Kind::kBinary:
      if (!is_logical(node)) return whole_binary(node);
      break;
    case Node::Kind::kCall:
      return whole_call(node);
  }
  return fail(node, "expected a number, found a condition", "conditions follow 'if' and 'where'");
}

std::optional<std::int64_t> Formulas::whole_binary(const Node& node) {
  const auto left = whole(node.args[0]);
  const auto right = whole(node.args[1]);
  if (!left || !right) return std::nullopt;
  const std::int64_t a = *left, b = *right;
  if (node.text == "+") return in_range(node, a + b);
  if (node.text == "-") return in_range(node, a - b);
  if (node.text == "*") {
    std::int64_t product = 0;
    const bool overflow = __builtin_mul_overflow(a, b, &product);
    return in_range(node, product, overflow);
  }
  if (node.text == "/" || node.text == "%") {
    if (b == 0) return fail(node, "division by zero");
    return node.text == "/" ? floor_divide(a, b) : floor_remainder(a, b);
  }
  if (node.text == "**") {
    if (b < 0) return fail(node, "the exponent " + std::to_string(b) + " is negative");
    const auto power = whole_power(a, b);
    return power ? power : fail(node, "the formula's value lies outside ±2^53");
  }
  if (a < 0 || b < 0)
    return fail(node, "exclusive or of " + std::to_string(a) + " and " + std::to_string(b),
                "'^' takes numbers that are not negative");
  return in_range(node, a ^ b);
}

bool Formulas::check_call(const Node& node) {
  const bool many = node.text == "min" || node.text == "max";
  if (!many && node.text != "abs" && node.text != "log2") {
    static const std::vector<std::string> names = {"min", "max", "abs", "log2"};
    fail(node, "expected a function of formulas, found '" + printable(node.text, 40) + "'",
         nearest_hint(node.text, names));
    return false;
  }
  if (!node.args.empty() && (many || node.args.size() == 1)) return true;
  fail(node, "'" + std::string(node.text) + "' takes " + (many ? "at least one value" : "one value") +
                 ", found " + std::to_string(node.args.size()));
  return false;
}

std::optional<std::int64_t> Formulas::whole_call(const Node& node) {
  if (!check_call(node)) return std::nullopt;
  std::optional<std::int64_t> out;
  for (const Node& arg : node.args) {
    const auto value = whole(arg);
    if (!value) return std::nullopt;
    if (!out) out = value;
    out = node.text == "max" ? std::max(*out, *value) : std::min(*out, *value);
  }
  if (node.text == "abs") return std::abs(*out);
  if (node.text != "log2") return out;
  if (*out < 1) return fail(node, "log2 of " + std::to_string(*out), "it takes numbers from 1 on");
  return ceil_log2(*out);
}

std::optional<bool> Formulas::truth(const Node& node) {
  work(node);
  const bool binary = node.kind == Node::Kind::kBinary;
  if (node.kind == Node::Kind::kUnary && node.text == "not") {
    const auto value = truth(node.args[0]);
    return value ? std::optional(!*value) : std::nullopt;
  }
  if (binary && (node.text == "and" || node.text == "or")) {
    const auto left = truth(node.args[0]);
    if (!left || *left == (node.text == "or")) return left;
    return truth(node.args[1]);
  }
  if (!binary || !is_comparison(node.text))
    return fail(node, "expected a condition, found a number", "write i >= 2**r");
  const auto left = whole(node.args[0]);
  const auto right = whole(node.args[1]);
  if (!left || !right) return std::nullopt;
  if (node.text == "==") return *left == *right;
  if (node.text == "!=") return *left != *right;
  if (node.text == "<") return *left < *right;
  if (node.text == "<=") return *left <= *right;
  if (node.text == ">") return *left > *right;
  return *left >= *right;
}

std::optional<double> Formulas::real(const Node& node) {
  work(node);
  if (node.kind == Node::Kind::kNumber) return node.number;
  if (node.kind == Node::Kind::kCall && node.text != "log2") return real_call(node);
  const bool arithmetic = node.kind == Node::Kind::kBinary && !is_logical(node) && node.text != "^";
  const bool negative = node.kind == Node::Kind::kUnary && node.text == "-";
  if (!arithmetic && !negative) {
    const auto value = whole(node);
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  }
  const auto left = real(node.args[0]);
  if (!left) return std::nullopt;
  if (negative) return -*left;
  const auto right = real(node.args[1]);
  if (!right) return std::nullopt;
  double out = 0;
  if (node.text == "+") out = *left + *right;
  if (node.text == "-") out = *left - *right;
  if (node.text == "*") out = *left * *right;
  if (node.text == "**") out = std::pow(*left, *right);
  if (node.text == "/" || node.text == "%") {
    if (*right == 0) return fail(node, "division by zero");
    out = node.text == "/" ? *left / *right : std::fmod(*left, *right);
    if (node.text == "%" && out != 0 && (out < 0) != (*right < 0)) out += *right;  // the divisor's sign
  }
  if (!std::isfinite(out)) return fail(node, "the formula's value is not finite");
  return out;
}

std::optional<double> Formulas::real_call(const Node& node) {
  if (!check_call(node)) return std::nullopt;
  std::optional<double> out;
  for (const Node& arg : node.args) {
    const auto value = real(arg);
    if (!value) return std::nullopt;
    if (!out) out = value;
    out = node.text == "max" ? std::max(*out, *value) : std::min(*out, *value);
  }
  return node.text == "abs" ? std::abs(*out) : *out;
}

}  // namespace telos::positional::syntax
