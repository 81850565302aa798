#include "positional/circuit.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace telos::positional {
namespace {

/// Weights need no more bits after the point than this to be called exact.
constexpr int kMaxFractionBits = 20;

int fraction_bits(double weight) {
  int bits = 0;
  while (bits <= kMaxFractionBits && weight != std::floor(weight)) {
    weight *= 2;
    ++bits;
  }
  return bits;
}

void add_to(Circuit::Form& form, double weight, const Circuit::Form& other) {
  for (const auto& [atom, w] : other)
    if ((form[atom] += weight * w) == 0) form.erase(atom);
}

}  // namespace

Size Size::times(double weight) const {
  Size out = *this;
  out.growth *= std::abs(weight);
  out.offset *= std::abs(weight);
  out.bits += fraction_bits(weight);
  out.exact = out.exact && out.bits <= kMaxFractionBits;
  return out;
}
void Size::add(double weight, const Size& other) {
  const Size term = other.times(weight);
  growth += term.growth;
  offset += term.offset;
  bits = std::max(bits, term.bits);
  exact = exact && term.exact;
}
void Size::cover(const Size& other) {
  growth = std::max(growth, other.growth);
  offset = std::max(offset, other.offset);
  bits = std::max(bits, other.bits);
  exact = exact && other.exact;
}

Circuit::Value Circuit::symbol(const Size& size) {
  atoms_.push_back({.is_symbol = true, .level = 0, .index = symbols_++, .form = {}, .size = size});
  return {{{atoms_.size() - 1, 1.0}}, size};
}

Circuit::Value Circuit::relu(const Value& value) {
  if (value.form.empty()) return value;
  const auto [found, added] = relus_.emplace(value.form, atoms_.size());
  if (added) {
    std::size_t level = 0;
    for (const auto& [atom, weight] : value.form) level = std::max(level, atoms_[atom].level);
    atoms_.push_back(
        {.is_symbol = false, .level = level + 1, .index = 0, .form = value.form, .size = value.size});
  }
  return {{{found->second, 1.0}}, value.size};
}

Circuit::Value Circuit::sum(double a, const Value& x, double b, const Value& y) {
  Value out;
  add_to(out.form, a, x.form);
  add_to(out.form, b, y.form);
  out.size.add(a, x.size);
  out.size.add(b, y.size);
  return out;
}

Circuit::Value Circuit::min(const Value& x, const Value& y) {
  Value out = sum(1, x, -1, relu(sum(1, x, -1, y)));
  out.size = x.size;
  out.size.cover(y.size);
  return out;
}
Circuit::Value Circuit::max(const Value& x, const Value& y) {
  Value out = sum(1, x, 1, relu(sum(1, y, -1, x)));
  out.size = x.size;
  out.size.cover(y.size);
  return out;
}

Circuit::Value Circuit::select(const Value& bit, const Value& complement, const Value& one, const Value& zero,
                               double bound) {
  const auto gate = [&](const Value& value, const Value& off) {
    return sum(1, relu(sum(1, value, -bound, off)), -1, relu(sum(-1, value, -bound, off)));
  };
  Value out = sum(1, gate(one, complement), 1, gate(zero, bit));
  out.size = one.size;
  out.size.cover(zero.size);
  return out;
}

std::size_t Circuit::depth() const {
  std::size_t out = 0;
  for (const Unit& unit : atoms_) out = std::max(out, unit.level);
  return out;
}

/// Works from the outputs back: what the last hidden layer has to offer follows from the outputs, what the
/// one before has to offer from that, down to the symbols.
class Arrangement {
 public:
  using Atom = Circuit::Atom;
  using Form = Circuit::Form;
  using Row = Circuit::Row;

  explicit Arrangement(const Circuit& circuit) : c_(circuit) {}

  Circuit::Layers run(const std::vector<Circuit::Value>& outputs, std::size_t hidden) {
    std::vector<Form> wanted;
    for (const Circuit::Value& value : outputs) wanted.push_back(value.form);
    std::vector<Offer> offers(hidden + 1);
    for (std::size_t level = hidden; level > 0; --level) {
      offers[level] = offer(wanted);
      wanted = wishes(offers[level], level);
    }
    Circuit::Layers out;
    for (std::size_t level = 1; level <= hidden; ++level) {
      const std::vector<Form> units = wishes(offers[level], level);
      out.hidden.push_back(rows(units, level == 1 ? nullptr : &offers[level - 1], out.largest));
    }
    std::vector<Form> last;
    for (const Circuit::Value& value : outputs) last.push_back(value.form);
    out.outputs = rows(last, &offers[hidden], out.largest);
    return out;
  }

 private:
  /// What a hidden layer holds: pairs of units for linear forms of symbols, then one unit a ReLU.
  struct Offer {
    std::vector<Form> pairs;
    std::vector<Atom> relus;
    bool by_symbol = false;  ///< the pairs are single symbols
  };

  Form linear_part(const Form& form) const {
    Form out;
    for (const auto& [atom, weight] : form)
      if (c_.atoms_[atom].is_symbol) out.emplace(atom, weight);
    return out;
  }

  Offer offer(const std::vector<Form>& wanted) const {
    Offer out;
    std::set<Form> forms;
    std::set<Atom> symbols, relus;
    for (const Form& form : wanted) {
      const Form linear = linear_part(form);
      if (!linear.empty() && forms.insert(linear).second) out.pairs.push_back(linear);
      for (const auto& [atom, weight] : form) {
        if (c_.atoms_[atom].is_symbol)
          symbols.insert(atom);
        else if (relus.insert(atom).second)
          out.relus.push_back(atom);
      }
    }
    if (symbols.size() < out.pairs.size()) {
      out.by_symbol = true;
      out.pairs.clear();
      for (const Atom atom : symbols) out.pairs.push_back({{atom, 1.0}});
    }
    return out;
  }

  /// The sums that the units of a layer take the ReLU of, in their order.
  std::vector<Form> wishes(const Offer& offer, std::size_t level) const {
    std::vector<Form> out;
    for (const Form& pair : offer.pairs) {
      out.push_back(pair);
      Form negative;
      add_to(negative, -1, pair);
      out.push_back(std::move(negative));
    }
    for (const Atom atom : offer.relus)
      out.push_back(c_.atoms_[atom].level == level ? c_.atoms_[atom].form : Form{{atom, 1.0}});
    return out;
  }

  std::vector<Row> rows(const std::vector<Form>& forms, const Offer* before, Size& largest) const {
    std::vector<Row> out;
    for (const Form& form : forms) {
      Size size;
      out.push_back(before == nullptr ? row_of_symbols(form, size) : row_of_units(form, *before, size));
      largest.cover(size);
    }
    return out;
  }

  Row row_of_symbols(const Form& form, Size& size) const {
    Row out;
    for (const auto& [atom, weight] : form) {
      out.emplace_back(c_.atoms_[atom].index, weight);
      size.add(weight, c_.atoms_[atom].size);
    }
    return out;
  }

  Row row_of_units(const Form& form, const Offer& before, Size& size) const {
    Row out;
    const auto carry = [&](const Form& pair, double weight) {
      const auto at = static_cast<std::size_t>(std::find(before.pairs.begin(), before.pairs.end(), pair) -
                                               before.pairs.begin());
      out.emplace_back(2 * at, weight);
      out.emplace_back(2 * at + 1, -weight);
      Size of_pair;  // one of the two units is 0
      for (const auto& [atom, w] : pair) of_pair.add(w, c_.atoms_[atom].size);
      size.add(weight, of_pair);
    };
    const Form linear = linear_part(form);
    if (before.by_symbol)
      for (const auto& [atom, weight] : linear) carry({{atom, 1.0}}, weight);
    else if (!linear.empty())
      carry(linear, 1);
    for (const auto& [atom, weight] : form) {
      if (c_.atoms_[atom].is_symbol) continue;
      const auto at = static_cast<std::size_t>(std::find(before.relus.begin(), before.relus.end(), atom) -
                                               before.relus.begin());
      out.emplace_back(2 * before.pairs.size() + at, weight);
      size.add(weight, c_.atoms_[atom].size);
    }
    return out;
  }

  const Circuit& c_;
};

Circuit::Layers Circuit::arrange(const std::vector<Value>& outputs, std::size_t hidden) const {
  return Arrangement(*this).run(outputs, hidden);
}

}  // namespace telos::positional
