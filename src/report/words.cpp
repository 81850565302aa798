#include "telos/report/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace telos {
namespace {

std::string true_minus(std::string text) {
  if (!text.empty() && text.front() == '-') text.replace(0, 1, "−");
  return text;
}

bool only_zeros(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c >= '1' && c <= '9'; });
}

}  // namespace

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value)) return format_number(value);
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (only_zeros(text) && text.front() == '-') text.erase(0, 1);  // no negative zero
  return true_minus(text);
}

std::string plus_minus(double value, double error, bool sign) {
  if (!std::isfinite(value)) return format_number(value);
  const std::string plus = sign && value > 0 ? "+" : "";
  if (!std::isfinite(error)) return plus + format_number(value, 3);
  if (error == 0) return plus + format_number(value, 3) + " ± 0";
  // Rounding can lift the error to the next power of ten: 0.0096 is 0.01.
  int decimals = -static_cast<int>(std::floor(std::log10(error)));
  const double scale = std::pow(10.0, decimals);
  if (std::round(error * scale) >= 10) --decimals;
  if (decimals < 0 && decimals > -6) {  // both to the error's power of ten
    const double unit = std::pow(10.0, -decimals);
    return plus + fixed(std::round(value / unit) * unit, 0) + " ± " +
           fixed(std::round(error / unit) * unit, 0);
  }
  if (decimals > 6 || decimals < 0) return plus + format_number(value, 3) + " ± " + format_number(error, 1);
  return plus + fixed(value, decimals) + " ± " + fixed(error, decimals);
}

std::string percent(double share) {
  return std::isfinite(share) ? fixed(100 * share, 0) + " %" : format_number(share);
}

std::string count_of(std::size_t n, const std::string& singular, const std::string& plural) {
  return std::to_string(n) + " " + (n == 1 ? singular : plural);
}

std::string sentence(std::string text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (text.size() > 1 && lower(text[0]) && lower(text[1])) text[0] = static_cast<char>(text[0] - 'a' + 'A');
  if (!text.empty() && text.back() != '.') text += '.';
  return text;
}

Cell number_cell(double value) {
  Cell cell;
  if (!std::isnan(value)) cell = value;
  return cell;
}

}  // namespace telos
