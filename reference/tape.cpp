#include "reference/tape.h"

#include <cmath>
#include <numbers>

namespace telos::reference {

Var Tape::variable(double value) {
  entries_.push_back({kConstant, kConstant, 0, 0});
  return {value, this, entries_.size() - 1};
}

Var Tape::note(double value, const Var& a, double da, const Var& b, double db) {
  Tape* tape = a.tape != nullptr ? a.tape : b.tape;
  if (tape == nullptr) return {value};
  tape->entries_.push_back({a.index, b.index, da, db});
  return {value, tape, tape->entries_.size() - 1};
}

std::vector<double> Tape::backward(const Var& result) const {
  std::vector<double> d(entries_.size(), 0.0);
  if (result.tape != this) return d;  // a constant
  d[result.index] = 1;
  for (std::size_t i = result.index + 1; i-- > 0;) {
    const Entry& e = entries_[i];
    if (e.a != kConstant) d[e.a] += e.da * d[i];
    if (e.b != kConstant) d[e.b] += e.db * d[i];
  }
  return d;
}

Var operator+(const Var& a, const Var& b) {
  return Tape::note(a.value + b.value, a, 1, b, 1);
}
Var operator-(const Var& a, const Var& b) {
  return Tape::note(a.value - b.value, a, 1, b, -1);
}
Var operator*(const Var& a, const Var& b) {
  return Tape::note(a.value * b.value, a, b.value, b, a.value);
}
Var operator/(const Var& a, const Var& b) {
  return Tape::note(a.value / b.value, a, 1 / b.value, b, -a.value / (b.value * b.value));
}
Var operator-(const Var& a) {
  return Tape::note(-a.value, a, -1);
}
Var& operator+=(Var& a, const Var& b) {
  return a = a + b;
}

Var exp(const Var& a) {
  const double e = std::exp(a.value);
  return Tape::note(e, a, e);
}
Var log(const Var& a) {
  return Tape::note(std::log(a.value), a, 1 / a.value);
}
Var log1p(const Var& a) {
  return Tape::note(std::log1p(a.value), a, 1 / (1 + a.value));
}
Var sqrt(const Var& a) {
  const double r = std::sqrt(a.value);
  return Tape::note(r, a, 1 / (2 * r));
}
Var tanh(const Var& a) {
  const double t = std::tanh(a.value);
  return Tape::note(t, a, 1 - t * t);
}
Var erf(const Var& a) {
  return Tape::note(std::erf(a.value), a, 2 * std::numbers::inv_sqrtpi * std::exp(-a.value * a.value));
}
Var abs(const Var& a) {
  return Tape::note(std::abs(a.value), a, a.value > 0 ? 1 : a.value < 0 ? -1 : 0);
}
Var max(const Var& a, const Var& b) {
  return a.value >= b.value ? Tape::note(a.value, a, 1) : Tape::note(b.value, b, 1);
}
Var relu(const Var& a) {
  return Tape::note(relu(a.value), a, a.value > 0 ? 1 : 0);
}

Var straight_through(double value, const Var& through) {
  return Tape::note(value, through, 1);
}

}  // namespace telos::reference
