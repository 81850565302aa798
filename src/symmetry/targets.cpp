#include "telos/symmetry/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <utility>

#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/symmetry/projection.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kMostPairLength = 2048;  // W of a pair target is a matrix of positions

using Tokens = std::span<const std::uint32_t>;

/// √(V/2) ([0] − [1]) and √(V/6) ([0] + [1] − 2 [2]).
double first_letters(std::uint32_t letter, double vocabulary) {
  return std::sqrt(vocabulary / 2) * (letter == 0 ? 1 : letter == 1 ? -1 : 0);
}
double third_letter(std::uint32_t letter, double vocabulary) {
  return std::sqrt(vocabulary / 6) * (letter < 2 ? 1 : letter == 2 ? -2 : 0);
}

Matrix<double> copy_of(ConstMatrixView<double> w) {
  Matrix<double> copy(w.rows(), w.cols());
  for (std::size_t i = 0; i < w.rows(); ++i) std::copy_n(w.row(i), w.cols(), copy.row(i));
  return copy;
}

Target target_of(const std::string& name, const std::string& meaning, std::vector<TargetPart> parts) {
  double largest = 0;
  for (const TargetPart& part : parts) largest = std::max(largest, part.energy);
  std::erase_if(parts, [&](const TargetPart& part) { return part.energy <= 1e-14 * largest; });
  std::stable_sort(parts.begin(), parts.end(),
                   [](const TargetPart& a, const TargetPart& b) { return a.energy > b.energy; });
  return {name, meaning, std::move(parts)};
}

/// Whole numbers, `count` of them, each below `limit`.
std::vector<std::uint32_t> arguments(const std::string& target, const std::string& list, std::size_t count,
                                     std::uint32_t limit) {
  std::vector<std::uint32_t> numbers;
  const char *at = list.data(), *const end = at + list.size();
  while (at < end) {
    std::uint32_t number = 0;
    const auto [after, status] = std::from_chars(at, end, number);
    if (status != std::errc() || (after != end && (*after != ',' || after + 1 == end))) break;
    numbers.push_back(number);
    at = after == end ? end : after + 1;
  }
  const bool below = std::all_of(numbers.begin(), numbers.end(), [&](std::uint32_t n) { return n < limit; });
  if (at != end || numbers.size() != count || !below)
    throw Error(ErrorKind::kUsage, "target",
                fmt::format("{}: expected {} from 0 to {} after the colon", printable(target, 40),
                            count == 1 ? "a number" : "two numbers", limit - 1));
  return numbers;
}

void require_pairs(const std::string& name, std::uint32_t vocabulary, std::uint32_t length,
                   const TokenLaw& law) {
  if (!std::isinf(law.alpha))
    throw Error(ErrorKind::kUnsupported, "target",
                fmt::format("{}: functions of two positions are known for independent tokens only", name),
                "--law iid");
  if (vocabulary < 3 || length < 2 || length > kMostPairLength)
    throw Error(ErrorKind::kUsage, "target",
                fmt::format("{}: expected at least 3 letters and 2 to {} positions, found {} and {}", name,
                            kMostPairLength, vocabulary, length));
}

/// Σ W[b][c] ψ(x_b) χ(x_c), over the root of the sum of squares.
Target pair_target(const std::string& name, const std::string& meaning, const Matrix<double>& w,
                   double vocabulary) {
  const auto length = static_cast<std::uint32_t>(w.rows());
  const PairEnergy e = pair_energy(w);
  const double total = e.total();
  std::vector<TargetPart> parts = {{trivial_irrep(length), 2, e.trivial / total},
                                   {standard_irrep(length), 2, e.standard() / total}};
  if (length > 3) parts.push_back({{length - 2, 2}, 2, e.symmetric / total});
  if (length > 2) parts.push_back({{length - 2, 1, 1}, 2, e.antisymmetric / total});
  Target target = target_of(name, meaning, std::move(parts));
  target.function = [w = std::make_shared<Matrix<double>>(w.copy()), total, vocabulary](Tokens x) {
    double sum = 0;
    for (std::size_t b = 0; b < x.size(); ++b)
      for (std::size_t c = 0; c < x.size(); ++c)
        if ((*w)(b, c) != 0)
          sum += (*w)(b, c) * first_letters(x[b], vocabulary) * third_letter(x[c], vocabulary);
    return sum / std::sqrt(total);
  };
  return target;
}

/// Probability of so many ones out of `length` tokens of two letters.
double count_probability(std::uint32_t ones, std::uint32_t length, const TokenLaw& law) {
  const double n = length, k = ones, alpha = law.alpha;
  const double orders = std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
  if (std::isinf(alpha)) return std::exp(orders - n * std::log(2.));
  return std::exp(orders + std::lgamma(k + alpha) + std::lgamma(n - k + alpha) - 2 * std::lgamma(alpha) +
                  std::lgamma(2 * alpha) - std::lgamma(n + 2 * alpha));
}

/// sign(S)/√P(S ≠ 0), S = ones − zeros, of which S carries the share E² |S|/(E S² P(S ≠ 0)).
Target majority_target(const std::string& name, std::uint32_t length, const TokenLaw& law) {
  double product = 0, squares = 0, decided = 0;
  for (std::uint32_t ones = 0; ones <= length; ++ones) {
    const double p = count_probability(ones, length, law), s = 2. * ones - length;
    product += p * std::abs(s);
    squares += p * s * s;
    decided += s == 0 ? 0 : p;
  }
  const double share = std::min(1., product * product / (squares * decided));
  Target target = target_of(name, "which of two letters comes more often",
                            {{trivial_irrep(length), 1, share}, {trivial_irrep(length), {}, 1 - share}});
  target.function = [scale = 1 / std::sqrt(decided)](Tokens x) {
    double s = 0;
    for (const std::uint32_t letter : x) s += letter == 1 ? 1 : -1;
    return s == 0 ? 0 : std::copysign(scale, s);
  };
  return target;
}

Target copy_target(const std::string& name, std::uint32_t position, std::uint32_t length, double rho,
                   double vocabulary) {
  const double l = length;
  std::vector<TargetPart> parts = {{trivial_irrep(length), 1, (1 + (l - 1) * rho) / l}};
  if (length > 1) parts.push_back({standard_irrep(length), 1, (1 - 1 / l) * (1 - rho)});
  Target target = target_of(name, fmt::format("the token at position {}", position), std::move(parts));
  target.weights = Matrix<double>(length, 1);
  target.weights(position, 0) = 1;
  target.function = [position, vocabulary](Tokens x) { return first_letters(x[position], vocabulary); };
  return target;
}

Target count_target(const std::string& name, std::uint32_t letter, std::uint32_t length, double rho,
                    double vocabulary) {
  Target target =
      target_of(name, fmt::format("how often letter {} comes", letter), {{trivial_irrep(length), 1, 1}});
  const double l = length, weight = 1 / std::sqrt(l * (1 + (l - 1) * rho));
  target.weights = Matrix<double>(length, 1);
  for (std::size_t b = 0; b < length; ++b) target.weights(b, 0) = weight;
  target.function = [letter, vocabulary, weight](Tokens x) {
    const auto c = static_cast<double>(std::count(x.begin(), x.end(), letter));
    return weight * (vocabulary * c - static_cast<double>(x.size())) / std::sqrt(vocabulary - 1);
  };
  return target;
}

}  // namespace

double Target::energy() const {
  double sum = 0;
  for (const TargetPart& part : parts) sum += part.energy;
  return sum;
}

Target linear_target(const std::string& name, ConstMatrixView<double> w, const TokenLaw& law) {
  linear_energy(w);  // checks
  check_law(law);
  const auto length = static_cast<std::uint32_t>(w.rows()), vocabulary = static_cast<std::uint32_t>(w.cols());
  const double v = vocabulary, l = length, rho = law.correlation(vocabulary);
  Matrix<double> centred(w.rows(), w.cols());
  double mean = 0;
  for (std::size_t b = 0; b < w.rows(); ++b) {
    double here = 0;
    for (std::size_t c = 0; c < w.cols(); ++c) here += w(b, c) / v;
    for (std::size_t c = 0; c < w.cols(); ++c) centred(b, c) = w(b, c) - here;
    mean += here;
  }
  const LinearEnergy e = linear_energy(centred);
  std::vector<TargetPart> parts = {{trivial_irrep(length), 0, mean * mean},
                                   {trivial_irrep(length), 1, e.trivial / v * (1 + (l - 1) * rho)}};
  if (length > 1) parts.push_back({standard_irrep(length), 1, e.standard / v * (1 - rho)});
  Target target = target_of(name, "a sum over positions", std::move(parts));
  target.function = [whole = std::make_shared<Matrix<double>>(copy_of(w))](Tokens x) {
    double sum = 0;
    for (std::size_t b = 0; b < x.size(); ++b) sum += (*whole)(b, x[b]);
    return sum;
  };
  target.weights = std::move(centred);
  return target;
}

Target parse_target(const std::string& text, std::uint32_t vocabulary, std::uint32_t length,
                    const TokenLaw& law) {
  check_sequences(vocabulary, length);
  check_law(law);
  if (vocabulary < 2)
    throw Error(ErrorKind::kUsage, "vocabulary", "is 1, expected at least 2 letters for a target");
  const std::size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon),
                    list = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (kind == "copy")
    return copy_target(text, arguments(text, list, 1, length)[0], length, law.correlation(vocabulary),
                       vocabulary);
  if (kind == "count") {
    const std::uint32_t letter = arguments(text, list, 1, vocabulary)[0];
    return count_target(text, letter, length, law.correlation(vocabulary), vocabulary);
  }
  if (text == "majority") {
    if (vocabulary != 2)
      throw Error(ErrorKind::kUsage, "target",
                  fmt::format("majority: expected 2 letters, found {}", vocabulary));
    return majority_target(text, length, law);
  }
  if (text == "bigram") {
    require_pairs(text, vocabulary, length, law);
    Matrix<double> w(length, length);
    for (std::size_t b = 0; b + 1 < length; ++b) w(b, b + 1) = 1;
    return pair_target(text, "one letter followed by another", w, vocabulary);
  }
  if (kind == "pair") {
    require_pairs(text, vocabulary, length, law);
    const std::vector<std::uint32_t> at = arguments(text, list, 2, length);
    if (at[0] == at[1])
      throw Error(ErrorKind::kUsage, "target", fmt::format("{}: expected two different positions", text));
    Matrix<double> w(length, length);
    w(at[0], at[1]) = 1;
    return pair_target(text, fmt::format("letters at positions {} and {}", at[0], at[1]), w, vocabulary);
  }
  throw Error(
      ErrorKind::kUsage, "target", fmt::format("\"{}\" is not known", printable(text, 40)),
      "copy:POSITION, count:LETTER, majority, bigram, pair:POSITION,POSITION, or a .npy file of positions × "
      "letters");
}

}  // namespace telos::symmetry
