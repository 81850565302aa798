#pragma once

#include <cstddef>
#include <limits>
#include <vector>

// Reverse-mode differentiation of scalars, as it reads in a textbook: each operation notes on a tape by how
// much its result changes with each of its arguments, and backward() walks the tape from its end by the chain
// rule. One number at a time, double precision, nothing but the standard library: the oracle for the
// hand-derived gradients of the library, and the place to see what a gradient is.
//
//   Tape tape;
//   Var x = tape.variable(2), y = tape.variable(3);
//   Var z = x * y + exp(x);
//   std::vector<double> d = tape.backward(z);   // d[x.index] = y + e^x, d[y.index] = x

namespace telos::reference {

class Tape;

/// A number that remembers how it was made. A plain double turns into a constant, which is on no tape.
struct Var {
  Var(double constant = 0) : value(constant) {}
  Var(double v, Tape* t, std::size_t i) : value(v), tape(t), index(i) {}
  double value;
  Tape* tape = nullptr;
  std::size_t index = std::numeric_limits<std::size_t>::max();
};

class Tape {
 public:
  /// An independent variable.
  Var variable(double value);
  /// Notes a result of up to two arguments with its partial derivatives; arguments may be constants.
  static Var note(double value, const Var& a, double da, const Var& b = {}, double db = 0);
  /// d result / d (every number on the tape), by index.
  std::vector<double> backward(const Var& result) const;
  std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::size_t kConstant = std::numeric_limits<std::size_t>::max();
  struct Entry {
    std::size_t a, b;  // indices of the arguments, or kConstant
    double da, db;
  };
  std::vector<Entry> entries_;
};

Var operator+(const Var& a, const Var& b);
Var operator-(const Var& a, const Var& b);
Var operator*(const Var& a, const Var& b);
Var operator/(const Var& a, const Var& b);
Var operator-(const Var& a);
Var& operator+=(Var& a, const Var& b);

Var exp(const Var& a);
Var log(const Var& a);
Var log1p(const Var& a);
Var sqrt(const Var& a);
Var tanh(const Var& a);
Var erf(const Var& a);
Var abs(const Var& a);                // derivative 0 at 0
Var max(const Var& a, const Var& b);  // a where both are equal
Var relu(const Var& a);               // derivative 0 at 0

/// The number `value`, with the derivative of `through`: the straight-through estimator.
Var straight_through(double value, const Var& through);

/// The value alone.
inline double value_of(const Var& a) {
  return a.value;
}

// The same names for plain numbers, so that one template serves both.
inline double value_of(double a) {
  return a;
}
inline double relu(double a) {
  return a > 0 ? a : 0;
}
inline double straight_through(double value, double) {
  return value;
}

}  // namespace telos::reference
