#pragma once

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

// Piecewise linear values as layers of ReLUs.

namespace telos::positional {

/// How large a value can be, and how fine: |value| ≤ growth·max|x| + offset, a multiple of 2^−bits for whole
/// inputs; `exact` is false where a weight or an attention row has no short binary form.
struct Size {
  double growth = 0, offset = 0;
  int bits = 0;
  bool exact = true;

  void add(double weight, const Size& other);  ///< of sum + weight·other, in any order
  void cover(const Size& other);               ///< of either
  Size times(double weight) const;
};

/// A ReLU network under construction. Atoms are symbols (what the layer reads) and ReLUs of sums of atoms; a
/// ReLU that exists is not built again.
class Circuit {
 public:
  using Atom = std::size_t;
  /// Σ weight·atom, by atom.
  using Form = std::map<Atom, double>;
  struct Value {
    Form form;
    Size size;
  };

  Value symbol(const Size& size);
  Value relu(const Value& value);
  static Value sum(double a, const Value& x, double b, const Value& y);  ///< a·x + b·y
  Value min(const Value& x, const Value& y);                             ///< x − r(x − y)
  Value max(const Value& x, const Value& y);                             ///< x + r(y − x)
  /// one where bit = 1 and complement = 0, zero the other way round, for |one|, |zero| ≤ bound.
  Value select(const Value& bit, const Value& complement, const Value& one, const Value& zero, double bound);

  std::size_t symbols() const { return symbols_; }
  std::size_t depth() const;  ///< hidden layers that all ReLUs so far need

  /// Weights of a row, by index in the layer before; the first hidden layer indexes symbols in the order of
  /// their making.
  using Row = std::vector<std::pair<std::size_t, double>>;
  struct Layers {
    std::vector<std::vector<Row>> hidden;
    std::vector<Row> outputs;
    Size largest;  ///< of all sums on the way
  };
  /// The network with `hidden` ≥ max(1, depth()) hidden layers that gives `outputs`. A ReLU is computed as
  /// early as possible and then carried by one unit; the linear part of a value is carried by two, z = r(z) −
  /// r(−z), from the symbols on.
  Layers arrange(const std::vector<Value>& outputs, std::size_t hidden) const;

 private:
  struct Unit {
    bool is_symbol = true;
    std::size_t level = 0, index = 0;  ///< index among the symbols
    Form form;
    Size size;
  };
  std::vector<Unit> atoms_;
  std::map<Form, Atom> relus_;
  std::size_t symbols_ = 0;

  friend class Arrangement;
};

}  // namespace telos::positional
