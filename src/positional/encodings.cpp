#include <bit>
#include <cmath>

#include "telos/base/error.h"
#include "telos/positional/model.h"

namespace telos::positional {
namespace {

Matrix<double> binary_rows(std::size_t count) {
  const std::size_t digits = count < 2 ? 1 : static_cast<std::size_t>(std::bit_width(count - 1));
  Matrix<double> rows(count, digits);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < digits; ++j) rows(i, j) = (i >> j & 1) != 0 ? 1 : -1;
  return rows;
}

Matrix<double> sinusoidal_rows(std::size_t count, std::size_t dim) {
  if (dim == 0 || dim % 2 != 0)
    throw Error(ErrorKind::kUsage, "sinusoidal encoding",
                "the width is " + std::to_string(dim) + ", expected a positive even number");
  Matrix<double> rows(count, dim);
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t t = 0; 2 * t < dim; ++t) {
      const double rate =
          std::exp(-2 * static_cast<double>(t) * std::log(10000.0) / static_cast<double>(dim));
      rows(i, 2 * t) = std::sin(static_cast<double>(i) * rate);
      rows(i, 2 * t + 1) = std::cos(static_cast<double>(i) * rate);
    }
  return rows;
}

}  // namespace

Matrix<double> encoding_rows(Encoding encoding, std::size_t count, std::size_t dim) {
  if (encoding == Encoding::kBinary) return binary_rows(count);
  if (encoding == Encoding::kSinusoidal) return sinusoidal_rows(count, dim);
  Matrix<double> identity(count, count);
  for (std::size_t i = 0; i < count; ++i) identity(i, i) = 1;
  return identity;
}

}  // namespace telos::positional
