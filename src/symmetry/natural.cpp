#include "telos/symmetry/natural.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>

#include "telos/base/quantity.h"

namespace telos::symmetry {

Natural::Natural(std::uint64_t value) {
  for (; value != 0; value >>= 32) limbs_.push_back(static_cast<std::uint32_t>(value));
}

Natural& Natural::operator*=(std::uint32_t factor) {
  if (factor == 0) limbs_.clear();
  std::uint64_t carry = 0;
  for (std::uint32_t& limb : limbs_) {
    carry += std::uint64_t{limb} * factor;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry != 0) limbs_.push_back(static_cast<std::uint32_t>(carry));
  return *this;
}

Natural& Natural::operator+=(const Natural& other) {
  const std::size_t added = other.limbs_.size();  // other may be this number
  limbs_.resize(std::max(limbs_.size(), added));
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    carry += limbs_[i];
    if (i < added) carry += other.limbs_[i];
    limbs_[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry != 0) limbs_.push_back(static_cast<std::uint32_t>(carry));
  return *this;
}

std::optional<std::int64_t> Natural::to_int64() const {
  std::uint64_t value = 0;
  if (limbs_.size() > 2) return std::nullopt;
  for (std::size_t i = limbs_.size(); i-- > 0;) value = value << 32 | limbs_[i];
  if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::string Natural::digits() const {
  constexpr std::uint64_t kGroup = 1'000'000'000;
  std::vector<std::uint32_t> rest = limbs_;
  std::vector<std::uint32_t> groups;  // of nine digits, from the lowest
  while (!rest.empty()) {
    std::uint64_t remainder = 0;
    for (std::size_t i = rest.size(); i-- > 0;) {
      remainder = remainder << 32 | rest[i];
      rest[i] = static_cast<std::uint32_t>(remainder / kGroup);
      remainder %= kGroup;
    }
    if (rest.back() == 0) rest.pop_back();
    groups.push_back(static_cast<std::uint32_t>(remainder));
  }
  if (groups.empty()) return "0";
  std::string text = std::to_string(groups.back());
  for (std::size_t i = groups.size() - 1; i-- > 0;) text += fmt::format("{:09}", groups[i]);
  return text;
}

double Natural::log() const {
  double head = 0;  // the highest three limbs: more bits than a double holds
  const std::size_t used = std::min<std::size_t>(limbs_.size(), 3);
  for (std::size_t i = 0; i < used; ++i) head = head * 0x1p32 + limbs_[limbs_.size() - 1 - i];
  return std::log(head) + static_cast<double>(32 * (limbs_.size() - used)) * std::numbers::ln2;
}

std::string short_text(const Natural& n) {
  constexpr std::int64_t kLargestWritten = 1'000'000'000'000;
  if (const auto value = n.to_int64(); value && *value <= kLargestWritten)
    return format_count(static_cast<std::uint64_t>(*value));
  return exponential_text(n.log());
}

std::string exponential_text(double log) {
  const double tens = log / std::numbers::ln10;
  double exponent = std::floor(tens);
  double mantissa = std::round(std::pow(10, tens - exponent) * 1000) / 1000;
  if (mantissa >= 10) mantissa /= 10, ++exponent;
  return fmt::format("{:.3f} · 10^{}{:.0f}", mantissa, exponent < 0 ? "−" : "", std::abs(exponent));
}

}  // namespace telos::symmetry
