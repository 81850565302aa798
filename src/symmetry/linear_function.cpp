#include "telos/symmetry/linear_function.h"

#include <fmt/format.h>

#include "telos/base/error.h"

namespace telos::symmetry {

LinearFunction difference(const LinearFunction& f, const LinearFunction& g) {
  if (f.table.rows() != g.table.rows() || f.table.cols() != g.table.cols())
    throw Error(ErrorKind::kShape, "difference",
                fmt::format("functions of {} × {} and {} × {}", f.table.rows(), f.table.cols(),
                            g.table.rows(), g.table.cols()));
  LinearFunction d{f.constant - g.constant, f.table.copy()};
  for (std::size_t i = 0; i < d.table.size(); ++i) d.table.data()[i] -= g.table.data()[i];
  return d;
}

LinearFunction trivial_part(const LinearFunction& f) {
  const std::size_t length = f.table.rows(), letters = f.table.cols();
  LinearFunction part{0, Matrix<double>(length, letters)};
  for (std::size_t v = 0; v < letters; ++v) {
    double sum = 0;
    for (std::size_t b = 0; b < length; ++b) sum += f.table(b, v);
    for (std::size_t b = 0; b < length; ++b) part.table(b, v) = sum / static_cast<double>(length);
  }
  return part;
}

LinearFunction standard_part(const LinearFunction& f) {
  LinearFunction part = difference(f, trivial_part(f));
  part.constant = 0;
  return part;
}

}  // namespace telos::symmetry
