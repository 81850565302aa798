#include "telos/symmetry/sequence_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/io/table.h"

namespace telos::symmetry {
namespace {

void require_below(std::size_t value, std::size_t bound, const char* what) {
  if (value >= bound)
    throw Error(ErrorKind::kUsage, "target", fmt::format("{} {}, expected one below {}", what, value, bound));
}

void require_size(std::size_t length, std::uint32_t letters) {
  if (length < 1) throw Error(ErrorKind::kUsage, "target", "expected 1 position or more, found 0");
  if (letters < 1) throw Error(ErrorKind::kUsage, "target", "expected 1 letter or more, found 0");
}

/// Functions of all zeros with this constant.
std::vector<LinearFunction> zero_functions(std::size_t outputs, std::size_t length, std::uint32_t letters,
                                           double constant) {
  require_memory(8.0 * static_cast<double>(outputs) * static_cast<double>(length) * letters, "target",
                 "take fewer letters or positions, or one output");
  std::vector<LinearFunction> functions;
  for (std::size_t o = 0; o < outputs; ++o) functions.push_back({constant, Matrix<double>(length, letters)});
  return functions;
}

/// "0,1" as whole numbers.
std::vector<std::uint32_t> whole_numbers(std::string_view text, const std::string& where) {
  std::vector<std::uint32_t> numbers;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string_view word = text.substr(at, end - at);
    double value = 0;
    if (!parse_number(word, value) || !(value >= 0 && value < Law::kMostLetters) ||
        value != std::floor(value))
      throw Error(ErrorKind::kUsage, where,
                  fmt::format("expected whole numbers from 0 to {}, found {}", Law::kMostLetters - 1,
                              printable(word)));
    numbers.push_back(static_cast<std::uint32_t>(value));
    at = end + 1;
  }
  return numbers;
}

}  // namespace

SequenceTarget SequenceTarget::linear(std::string name, std::vector<LinearFunction> functions) {
  if (functions.empty()) throw Error(ErrorKind::kUsage, "target", "there is no function");
  const std::size_t length = functions.front().table.rows(), letters = functions.front().table.cols();
  for (const LinearFunction& f : functions)
    if (f.table.rows() != length || f.table.cols() != letters || f.table.empty())
      throw Error(ErrorKind::kShape, "target",
                  fmt::format("function of {} × {}, expected {} × {}", f.table.rows(), f.table.cols(), length,
                              letters));
  SequenceTarget t(std::move(name), functions.size(), length, static_cast<std::uint32_t>(letters));
  t.functions_ = std::move(functions);
  return t;
}

SequenceTarget SequenceTarget::copy(std::size_t position, std::size_t length, std::uint32_t letters) {
  require_size(length, letters);
  require_below(position, length, "position");
  std::vector<LinearFunction> functions = zero_functions(letters, length, letters, -1.0 / letters);
  for (std::uint32_t v = 0; v < letters; ++v) functions[v].table(position, v) = 1;
  return linear(fmt::format("copy:{}", position), std::move(functions));
}

SequenceTarget SequenceTarget::count(std::uint32_t letter, std::size_t length, std::uint32_t letters) {
  require_size(length, letters);
  require_below(letter, letters, "letter");
  std::vector<LinearFunction> functions =
      zero_functions(1, length, letters, -static_cast<double>(length) / letters);
  for (std::size_t b = 0; b < length; ++b) functions.back().table(b, letter) = 1;
  return linear(fmt::format("count:{}", letter), std::move(functions));
}

SequenceTarget SequenceTarget::bigram(std::uint32_t first, std::uint32_t second, std::size_t length,
                                      std::uint32_t letters) {
  require_size(length, letters);
  require_below(first, letters, "letter");
  require_below(second, letters, "letter");
  if (length < 2) throw Error(ErrorKind::kUsage, "target", "a bigram takes 2 positions or more");
  SequenceTarget t(fmt::format("bigram:{},{}", first, second), 1, length, letters);
  t.first_ = first;
  t.second_ = second;
  return t;
}

SequenceTarget SequenceTarget::next(const Law& law, std::size_t length) {
  require_size(length, law.letters());
  SequenceTarget t("next", law.letters(), length, law.letters());
  t.following_ = {law};
  const double rho = law.exchange_correlation();
  if (!(rho >= 0)) return t;
  // (c_v + α)/(L + Vα) with 1/(Vα) = ρ/(1 − ρ): a sum over positions.
  const double slope = rho / (1 - rho + rho * static_cast<double>(length)), letters = law.letters();
  t.functions_ =
      zero_functions(law.letters(), length, law.letters(), -slope * static_cast<double>(length) / letters);
  for (std::uint32_t v = 0; v < law.letters(); ++v)
    for (std::size_t b = 0; b < length; ++b) t.functions_[v].table(b, v) = slope;
  return t;
}

SequenceTarget SequenceTarget::parse(std::string_view text, const Law& law, std::size_t length,
                                     const std::string& where) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  std::vector<std::uint32_t> numbers;
  if (colon != std::string_view::npos) numbers = whole_numbers(text.substr(colon + 1), where);
  if (kind == "copy" && numbers.size() == 1) return copy(numbers[0], length, law.letters());
  if (kind == "copy" && numbers.size() == 2) {
    require_size(length, law.letters());
    require_below(numbers[0], length, "position");
    require_below(numbers[1], law.letters(), "letter");
    std::vector<LinearFunction> one = zero_functions(1, length, law.letters(), -1.0 / law.letters());
    one[0].table(numbers[0], numbers[1]) = 1;
    return linear(std::string(text), std::move(one));
  }
  if (kind == "count" && numbers.size() == 1) return count(numbers[0], length, law.letters());
  if (kind == "bigram" && numbers.size() == 2) return bigram(numbers[0], numbers[1], length, law.letters());
  if (text == "next") return next(law, length);
  throw Error(ErrorKind::kUsage, where, fmt::format("unknown target {}", printable(text)),
              "one of copy:POSITION[,LETTER], count:LETTER, bigram:LETTER,LETTER, next");
}

double SequenceTarget::label_variance(double energy) const {
  return following_.empty() ? 0 : 1 - 1.0 / letters_ - energy;
}

void SequenceTarget::evaluate(std::span<const std::uint32_t> sequence, std::span<double> values) const {
  if (!functions_.empty()) {
    for (std::size_t o = 0; o < outputs_; ++o) values[o] = functions_[o](sequence);
    return;
  }
  if (!following_.empty()) {
    const std::vector<double> law = following_.front().next(sequence);
    for (std::size_t v = 0; v < outputs_; ++v) values[v] = law[v] - 1.0 / letters_;
    return;
  }
  values[0] = -(static_cast<double>(length_) - 1) / (static_cast<double>(letters_) * letters_);
  for (std::size_t b = 0; b + 1 < sequence.size(); ++b)
    values[0] += sequence[b] == first_ && sequence[b + 1] == second_;
}

void SequenceTarget::draw_labels(std::span<const std::uint32_t> sequence, Random& random,
                                 std::span<double> labels) const {
  if (following_.empty()) return evaluate(sequence, labels);
  const std::vector<double> law = following_.front().next(sequence);
  std::fill(labels.begin(), labels.end(), -1.0 / letters_);
  double left = random.uniform();
  std::size_t letter = 0;
  while (letter + 1 < law.size() && (left -= law[letter]) >= 0) ++letter;
  labels[letter] += 1;
}

Matrix<double> read_labels(const std::string& path, std::size_t sequences) {
  NumberTable table = read_number_csv(path);
  if (table.values.rows() != sequences)
    throw Error(
        ErrorKind::kShape, path,
        fmt::format("{} rows of labels, expected {}, one a sequence", table.values.rows(), sequences));
  return std::move(table.values);
}

}  // namespace telos::symmetry
