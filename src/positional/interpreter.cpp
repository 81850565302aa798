#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "telos/base/error.h"
#include "telos/positional/program.h"

namespace telos::positional {
namespace {

/// Whole numbers that refuse to wrap around, and floating-point numbers as they are.
template <class T>
struct Arithmetic {
  static T weight(double w) { return static_cast<T>(w); }
  /// sum + w·value
  static T add(T sum, T w, T value) { return sum + w * value; }
  static double size(T value) { return std::abs(static_cast<double>(value)); }
};

template <>
struct Arithmetic<std::int64_t> {
  static std::int64_t weight(double w) {
    // 2^62 is the largest power of two whose sums with themselves are still looked at by add().
    if (w != std::floor(w) || std::abs(w) > 0x1p62)
      throw Error(ErrorKind::kUsage, "program", fmt::format("the weight {}", w) + " is not a whole number",
                  "run it on float64");
    return static_cast<std::int64_t>(w);
  }
  static std::int64_t add(std::int64_t sum, std::int64_t w, std::int64_t value) {
    if (__builtin_mul_overflow(w, value, &value) || __builtin_add_overflow(sum, value, &sum))
      throw Error(ErrorKind::kLimit, "program", "a whole number exceeds 64 bits", "run it on smaller inputs");
    return sum;
  }
  static double size(std::int64_t value) { return std::abs(static_cast<double>(value)); }
};

template <class T>
class Interpreter {
 public:
  Interpreter(const Program& program, std::span<const T> given) : p_(program), channels_(p_.channels.size()) {
    if (given.size() != p_.n * p_.given())
      throw Error(ErrorKind::kShape, printable(p_.name),
                  "expected " + std::to_string(p_.n) + " nodes of " + std::to_string(p_.given()) +
                      " numbers, found " + std::to_string(given.size()) + " numbers");
    start(given);
  }

  std::vector<T> run() {
    for (const Round& round : p_.rounds) step(round);
    std::vector<T> out(p_.n * p_.outputs.size());
    for (std::size_t i = 0; i < p_.n; ++i)
      for (std::size_t o = 0; o < p_.outputs.size(); ++o)
        out[i * p_.outputs.size() + o] = linear(p_.outputs[o].weights, state_.data() + i * channels_);
    return out;
  }

 private:
  using A = Arithmetic<T>;

  static T linear(const std::vector<double>& weights, const T* values) {
    T sum{};
    for (std::size_t k = 0; k < weights.size(); ++k)
      if (weights[k] != 0) sum = A::add(sum, A::weight(weights[k]), values[k]);
    return sum;
  }

  void start(std::span<const T> given) {
    state_.resize(p_.n * channels_);
    std::vector<T> columns(p_.columns());
    for (std::size_t i = 0; i < p_.n; ++i) {
      const T* row = given.data() + i * p_.given();
      std::size_t at = 0;
      for (std::size_t j = 0; j < p_.inputs.size(); ++j) columns[at++] = row[j];
      if (p_.has_constant()) columns[at++] = T{1};
      for (std::size_t j = 0; j < p_.bits.size(); ++j) {
        const T bit = row[p_.inputs.size() + j];
        if (bit != T{0} && bit != T{1})
          throw Error(ErrorKind::kUsage, printable(p_.name),
                      "node " + std::to_string(i) + ", bit " + printable(p_.bits[j]) +
                          fmt::format(": expected 0 or 1, found {}", bit));
        columns[at++] = bit;
        columns[at++] = T{1} - bit;
      }
      for (std::size_t c = 0; c < channels_; ++c)
        state_[i * channels_ + c] = linear(p_.channels[c].start, columns.data());
    }
  }

  void step(const Round& round) {
    next_ = state_;
    for (std::size_t i = 0; i < p_.n; ++i) {
      if (round.role_of[i] == Round::kKeep) continue;
      for (const Assignment& a : round.roles[round.role_of[i]].assignments)
        next_[i * channels_ + a.channel] = value(round, a.value, i);
    }
    state_.swap(next_);
  }

  T value(const Round& round, const Expr& e, std::size_t i) const {
    using Kind = Expr::Kind;
    switch (e.kind) {
      case Kind::kRead:
        return read(round, e, i);
      case Kind::kSum: {
        T sum{};
        for (std::size_t k = 0; k < e.args.size(); ++k)
          sum = A::add(sum, A::weight(e.weights[k]), value(round, e.args[k], i));
        return sum;
      }
      case Kind::kRelu:
        return std::max(value(round, e.args[0], i), T{0});
      case Kind::kSelect:
        return select(round, e, i);
      default:
        break;
    }
    T best = value(round, e.args[0], i);
    for (std::size_t k = 1; k < e.args.size(); ++k) {
      const T other = value(round, e.args[k], i);
      best = e.kind == Kind::kMin ? std::min(best, other) : std::max(best, other);
    }
    return best;
  }

  T read(const Round& round, const Expr& e, std::size_t i) const {
    if (e.receive == Expr::kOwn) return state_[i * channels_ + e.channel];
    T sum{};
    for (const Source& s : round.receives[e.receive].table[i])
      sum = A::add(sum, A::weight(s.weight), state_[s.node * channels_ + e.channel]);
    return sum;
  }

  T select(const Round& round, const Expr& e, std::size_t i) const {
    const T one = value(round, e.args[0], i), zero = value(round, e.args[1], i);
    for (const T v : {one, zero})
      if (!(A::size(v) <= p_.bound))
        throw Error(ErrorKind::kUsage, printable(p_.name),
                    "node " + std::to_string(i) +
                        fmt::format(": select() meets {}, beyond the bound {}", v, p_.bound),
                    "declare a larger bound, or give smaller values");
    return state_[i * channels_ + e.channel] == T{1} ? one : zero;
  }

  const Program& p_;
  std::size_t channels_;
  std::vector<T> state_{}, next_{};
};

}  // namespace

template <class T>
std::vector<T> interpret(const Program& program, std::span<const T> given) {
  return Interpreter<T>(program, given).run();
}
template std::vector<std::int64_t> interpret(const Program&, std::span<const std::int64_t>);
template std::vector<double> interpret(const Program&, std::span<const double>);
template std::vector<float> interpret(const Program&, std::span<const float>);

std::vector<double> network_inputs(const Program& program, std::span<const double> given) {
  if (given.size() != program.n * program.given())
    throw Error(ErrorKind::kShape, printable(program.name),
                "expected " + std::to_string(program.n) + " nodes of " + std::to_string(program.given()) +
                    " numbers, found " + std::to_string(given.size()) + " numbers");
  std::vector<double> out;
  out.reserve(program.n * program.columns());
  const auto at = [&](std::size_t node, std::size_t column, const std::string& name) {
    const double v = given[node * program.given() + column];
    if (!std::isfinite(v))
      throw Error(
          ErrorKind::kNotFinite, printable(program.name),
          "node " + std::to_string(node) + ", column " + printable(name) + ": the value is not finite");
    return v;
  };
  for (std::size_t i = 0; i < program.n; ++i) {
    for (std::size_t j = 0; j < program.inputs.size(); ++j) out.push_back(at(i, j, program.inputs[j]));
    if (program.has_constant()) out.push_back(1);
    for (std::size_t j = 0; j < program.bits.size(); ++j) {
      const double bit = at(i, program.inputs.size() + j, program.bits[j]);
      if (bit != 0 && bit != 1)
        throw Error(ErrorKind::kUsage, printable(program.name),
                    "node " + std::to_string(i) + ", bit " + printable(program.bits[j]) +
                        fmt::format(": expected 0 or 1, found {}", bit));
      out.push_back(bit);
      out.push_back(1 - bit);
    }
  }
  return out;
}

}  // namespace telos::positional
