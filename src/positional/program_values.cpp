#include <algorithm>
#include <charconv>
#include <cmath>

#include "positional/program_build.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::positional::syntax {
namespace {

constexpr std::size_t kMaxParts = std::size_t{1} << 18;

Linear constant(double value, Place place) {
  return {.constant = value, .constant_place = place, .terms = {}};
}

Linear term(Expr e) {
  Linear out;
  out.terms.emplace_back(1, std::move(e));
  return out;
}

std::optional<Linear> scaled(std::optional<Linear> value, double weight) {
  if (!value) return std::nullopt;
  Linear out;
  out.add(weight, *value);
  return out;
}

Linear divided(Linear value, double divisor) {
  value.constant /= divisor;
  for (auto& [weight, e] : value.terms) weight /= divisor;
  return value;
}

Linear as_linear(Expr e) {
  if (e.kind != Expr::Kind::kSum) return term(std::move(e));
  Linear out;
  for (std::size_t k = 0; k < e.args.size(); ++k) out.add(e.weights[k], e.args[k]);
  return out;
}

}  // namespace

std::string quoted(std::string_view name) {
  return "'" + printable(name, 40) + "'";
}

std::string shortest(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

void Linear::add(double weight, const Linear& other) {
  if (constant == 0) constant_place = other.constant_place;
  constant += weight * other.constant;
  for (const auto& [w, term] : other.terms) add(weight * w, term);
}

void Linear::add(double weight, const Expr& term) {
  const bool read = term.kind == Expr::Kind::kRead;
  const auto same =
      !read ? terms.end()
            : std::find_if(terms.begin(), terms.end(), [&](const auto& t) { return t.second == term; });
  if (same == terms.end())
    terms.emplace_back(weight, term);
  else
    same->first += weight;
  std::erase_if(terms, [](const auto& t) { return t.first == 0; });
}

std::optional<Linear> ValueBuilder::value(const Node& node, Scope scope) {
  scope_ = scope;
  std::optional<Linear> out = linear(node);
  if (!out) return out;
  fold_constant(*out);
  return finite(node, std::move(*out));
}

std::string ValueBuilder::channel_hint(std::string_view name) const {
  if (c_.columns.contains(name) && !c_.channels.contains(name))
    return "it is an input: declare state v = " + printable(name, 40);
  if (c_.receives.contains(name)) return "it is received: write " + printable(name, 40) + ".CHANNEL";
  std::vector<std::string> names;
  if (scope_ == Scope::kColumns)
    for (const auto& [known, index] : c_.columns) names.emplace_back(known);
  else
    for (const Channel& c : c_.program.channels)
      if (c.kind != Channel::Kind::kNotBit) names.push_back(c.name);
  return nearest_hint(name, names);
}

std::nullopt_t ValueBuilder::fail(const Node& node, std::string message, std::string hint) {
  c_.problems.add(node.place, std::move(message), std::move(hint));
  return std::nullopt;
}

/// The number becomes a multiple of the constant channel.
void ValueBuilder::fold_constant(Linear& value) {
  if (value.constant == 0) return;
  if (c_.constant.empty())
    return c_.problems.add(value.constant_place,
                           "the constant " + shortest(value.constant) + " without a constant channel",
                           "declare constant one; without it f(c*x) = c*f(x)");
  const auto& known = scope_ == Scope::kColumns ? c_.columns : c_.channels;
  value.add(value.constant, Expr::own(known.find(c_.constant)->second));
  value.constant = 0;
}

Expr ValueBuilder::expr(Linear value) {
  fold_constant(value);
  if (value.terms.size() == 1 && value.terms[0].first == 1) return std::move(value.terms[0].second);
  Expr out = Expr::sum({}, {});
  for (auto& [weight, term] : value.terms) {
    out.weights.push_back(weight);
    out.args.push_back(std::move(term));
  }
  return out;
}

std::optional<Linear> ValueBuilder::linear(const Node& node) {
  if (++parts_ > kMaxParts) {
    c_.problems.add(node.place, "the program's values have more than 2^18 parts");
    throw Stop{};
  }
  switch (node.kind) {
    case Node::Kind::kNumber:
      return constant(node.number, node.place);
    case Node::Kind::kName:
      return name(node);
    case Node::Kind::kField:
      return field(node);
    case Node::Kind::kUnary:
      if (node.text == "-") return scaled(linear(node.args[0]), -1);
      break;
    case Node::Kind::kBinary:
      return binary(node);
    case Node::Kind::kCall:
      return call(node);
  }
  return fail(node, "expected a value, found a condition", "roles say what depends on the node: role a if …");
}

std::optional<Linear> ValueBuilder::name(const Node& node) {
  const auto& known = scope_ == Scope::kColumns ? c_.columns : c_.channels;
  const auto found = known.find(node.text);
  if (found != known.end()) return term(Expr::own(found->second));
  if (const auto value = c_.formulas.find(node.text))
    return constant(static_cast<double>(*value), node.place);
  if (node.text == "i")
    return fail(node, "'i' is no value, because all nodes share one network",
                "say by roles what nodes do differently, or give i as an input column");
  const char* what = scope_ == Scope::kColumns ? "an input" : "a channel";
  return fail(node, "expected " + std::string(what) + ", found " + quoted(node.text),
              channel_hint(node.text));
}

std::optional<Linear> ValueBuilder::field(const Node& node) {
  if (scope_ != Scope::kRound)
    return fail(node, "received values exist in rounds only", "compute the value in a round");
  const auto receive = c_.receives.find(node.text);
  if (receive == c_.receives.end()) {
    std::vector<std::string> names;
    for (const auto& [known, index] : c_.receives) names.emplace_back(known);
    const std::string hint = nearest_hint(node.text, names);
    return fail(node, "nothing is received as " + quoted(node.text),
                hint.empty() ? "add recv " + printable(node.text, 40) + " from …" : hint);
  }
  const auto channel = c_.channels.find(node.field);
  if (channel == c_.channels.end())
    return fail(node, "expected a channel after the dot, found " + quoted(node.field),
                channel_hint(node.field));
  return term(Expr::received(receive->second, channel->second));
}

std::optional<Linear> ValueBuilder::binary(const Node& node) {
  if (node.text != "+" && node.text != "-" && node.text != "*" && node.text != "/")
    return constant_formula(node);
  auto left = linear(node.args[0]);
  auto right = linear(node.args[1]);
  if (!left || !right) return std::nullopt;
  if (node.text == "+" || node.text == "-") {
    left->add(node.text == "+" ? 1 : -1, *right);
    return finite(node, std::move(*left));
  }
  if (node.text == "/") {
    if (!right->is_constant())
      return fail(node, "a quotient of two values is not piecewise linear", "divide by a number");
    if (right->constant == 0) return fail(node, "division by zero");
    return finite(node, divided(*left, right->constant));
  }
  if (!left->is_constant() && !right->is_constant())
    return fail(node, "a product of two values is not piecewise linear",
                "one factor is a number; select(bit, a, b) chooses by a bit");
  return finite(node, left->is_constant() ? *scaled(right, left->constant) : *scaled(left, right->constant));
}

std::optional<Linear> ValueBuilder::finite(const Node& node, Linear value) {
  bool good = std::isfinite(value.constant);
  for (const auto& [weight, e] : value.terms) good = good && std::isfinite(weight);
  if (!good) return fail(node, "the number is not finite");
  return value;
}

bool ValueBuilder::reads_channel(const Node& node) const {
  const auto& known = scope_ == Scope::kColumns ? c_.columns : c_.channels;
  return (node.kind == Node::Kind::kName && known.contains(node.text)) || node.kind == Node::Kind::kField ||
         std::ranges::any_of(node.args, [&](const Node& arg) { return reads_channel(arg); });
}

std::optional<Linear> ValueBuilder::constant_formula(const Node& node) {
  if (node.text != "**" && node.text != "%" && node.text != "^")
    return fail(node, "expected a value, found a condition",
                "roles say what depends on the node: role a if …");
  if (reads_channel(node))
    return fail(node, quoted(node.text) + " of a value is not piecewise linear",
                "both its sides are numbers, n or what a repeat counts");
  const auto value = c_.formulas.real(node);
  if (!value) return std::nullopt;
  return constant(*value, node.place);
}

std::optional<Linear> ValueBuilder::call(const Node& node) {
  if (scope_ != Scope::kRound && node.text != "log2")
    return fail(node, "start values and outputs are linear, found " + quoted(node.text),
                "compute it in a round");
  if (node.text == "log2") {
    const auto value = c_.formulas.whole(node);
    return value ? std::optional(constant(static_cast<double>(*value), node.place)) : std::nullopt;
  }
  if (node.text == "select") return select(node);
  const bool many = node.text == "min" || node.text == "max";
  if (!many && node.text != "relu" && node.text != "abs") {
    static const std::vector<std::string> names = {"min", "max", "relu", "abs", "select", "log2"};
    return fail(node, "expected a function, found " + quoted(node.text), nearest_hint(node.text, names));
  }
  if (node.args.empty() || (!many && node.args.size() != 1))
    return fail(node, quoted(node.text) + " takes " + (many ? "at least one value" : "one value") +
                          ", found " + std::to_string(node.args.size()));
  std::vector<Expr> args;
  for (const Node& arg : node.args) {
    auto value = linear(arg);
    if (!value) continue;
    if (node.text == "abs") args.push_back(expr(*scaled(value, -1)));
    args.push_back(expr(std::move(*value)));
  }
  if (args.size() < node.args.size()) return std::nullopt;
  if (node.text == "abs") {
    Linear out = term(Expr::relu(std::move(args[1])));
    out.add(1, Expr::relu(std::move(args[0])));
    return out;
  }
  if (node.text == "relu") return term(Expr::relu(std::move(args[0])));
  if (args.size() == 1) return as_linear(std::move(args[0]));
  return term(node.text == "min" ? Expr::min(std::move(args)) : Expr::max(std::move(args)));
}

std::optional<Linear> ValueBuilder::select(const Node& node) {
  if (!select_place_) select_place_ = node.place;
  if (node.args.size() != 3)
    return fail(node, "'select' takes a bit and two values, found " + std::to_string(node.args.size()),
                "write select(swap, partner.v, v)");
  const Node& bit = node.args[0];
  const auto channel = c_.channels.find(bit.text);
  const bool is_bit = bit.kind == Node::Kind::kName && channel != c_.channels.end() &&
                      c_.program.channels[channel->second].kind == Channel::Kind::kBit;
  if (!is_bit)
    fail(bit, "expected one of the node's own bits, found " + quoted(bit.text),
         "declare bit " + printable(bit.kind == Node::Kind::kName ? bit.text : "swap", 40));
  auto one = linear(node.args[1]);
  auto zero = linear(node.args[2]);
  if (!is_bit || !one || !zero) return std::nullopt;
  return term(Expr::select(channel->second, expr(std::move(*one)), expr(std::move(*zero))));
}

}  // namespace telos::positional::syntax
