#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/base/philox.h"
#include "telos/symmetry/laws.h"
#include "telos/symmetry/linear_function.h"

namespace telos::symmetry {

/// What is to be learned: g of a sequence, one value or several (their errors add up).
class SequenceTarget {
 public:
  /// Functions of one length and as many letters. Throws kUsage (none), kShape.
  static SequenceTarget linear(std::string name, std::vector<LinearFunction> functions);
  /// [x_b = v] − 1/V for every letter v: which letter stands at position b, from 0.
  static SequenceTarget copy(std::size_t position, std::size_t length, std::uint32_t letters);
  /// c(v) − L/V.
  static SequenceTarget count(std::uint32_t letter, std::size_t length, std::uint32_t letters);
  /// Σ_b [x_b = u][x_{b+1} = v] − (L − 1)/V².
  static SequenceTarget bigram(std::uint32_t first, std::uint32_t second, std::size_t length,
                               std::uint32_t letters);
  /// P(x_{L+1} = v | x) − 1/V under `law`; labels are the letter that followed, [x_{L+1} = v] − 1/V.
  static SequenceTarget next(const Law& law, std::size_t length);

  /// "copy:B", "copy:B,V" (that letter alone), "count:V", "bigram:U,V" or "next" under `law`. Throws kUsage
  /// at `where`.
  static SequenceTarget parse(std::string_view text, const Law& law, std::size_t length,
                              const std::string& where);

  const std::string& name() const { return name_; }
  std::size_t outputs() const { return outputs_; }
  std::size_t length() const { return length_; }
  std::uint32_t letters() const { return letters_; }
  /// Variance that labels have beside g, added up over outputs: 0 but of next(), where E |label|² is 1 − 1/V
  /// and `energy`, that of g, a part of it.
  double label_variance(double energy) const;
  /// g as functions that are sums over positions; empty where it is none.
  const std::vector<LinearFunction>& functions() const { return functions_; }

  /// g(x), `outputs` values.
  void evaluate(std::span<const std::uint32_t> sequence, std::span<double> values) const;
  /// g(x) and its own randomness (only of next()).
  void draw_labels(std::span<const std::uint32_t> sequence, Random& random, std::span<double> labels) const;

 private:
  SequenceTarget(std::string name, std::size_t outputs, std::size_t length, std::uint32_t letters)
      : name_(std::move(name)), outputs_(outputs), length_(length), letters_(letters) {}

  std::string name_;
  std::size_t outputs_, length_;
  std::uint32_t letters_;
  std::vector<LinearFunction> functions_;
  std::vector<Law> following_;  ///< of next(): the law; else empty
  std::uint32_t first_ = 0, second_ = 0;
};

/// Labels of a CSV file, one row a sequence, one column an output. Throws as read_number_csv (NaN: kNotFinite
/// with the line), kShape unless there are as many as `sequences`.
Matrix<double> read_labels(const std::string& path, std::size_t sequences);

}  // namespace telos::symmetry
