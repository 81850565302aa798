#include <algorithm>
#include <bit>
#include <string>

#include "telos/base/error.h"
#include "telos/positional/compiler.h"

namespace telos::positional {
namespace {

void check_destination(std::span<const std::size_t> destination) {
  const std::size_t n = destination.size();
  if (n < 2 || !std::has_single_bit(n))
    throw Error(ErrorKind::kUsage, "permutation",
                std::to_string(n) + " places, expected a power of two from 2 on",
                "append places that stay where they are, up to " +
                    std::to_string(std::bit_ceil(std::max<std::size_t>(n, 2))) +
                    "; prefix scans (cummin, cumsum) take any n");
  std::vector<bool> taken(n, false);
  for (std::size_t i = 0; i < n; ++i) {
    if (destination[i] >= n)
      throw Error(ErrorKind::kUsage, "permutation",
                  "packet " + std::to_string(i) + " goes to " + std::to_string(destination[i]) +
                      ", expected 0 to " + std::to_string(n - 1));
    if (taken[destination[i]])
      throw Error(ErrorKind::kUsage, "permutation",
                  "two packets go to place " + std::to_string(destination[i]));
    taken[destination[i]] = true;
  }
}

/// The looping algorithm (Opferman and Tsao-Wu, 1971) on the packets of one subnet. Packets that enter a
/// switch of bit b together leave for different halves (bit b of their place is 0 or 1), and so do packets
/// that the last switch of bit b joins. Following these pairs in turn closes loops, which alternate between
/// the halves.
class Router {
 public:
  explicit Router(std::span<const std::size_t> destination)
      : n_(destination.size()),
        bits_(static_cast<std::size_t>(std::countr_zero(n_))),
        controls_(2 * bits_ - 1, n_),
        place_(n_),
        target_(destination.begin(), destination.end()),
        at_place_(n_),
        at_target_(n_),
        side_(n_) {
    for (std::size_t packet = 0; packet < n_; ++packet) place_[packet] = packet;
  }

  Matrix<double> run() {
    for (std::size_t b = 0; b + 1 < bits_; ++b) outer_switches(b);
    // What is left are single switches between places that differ in the last bit alone.
    for (std::size_t packet = 0; packet < n_; ++packet)
      controls_(bits_ - 1, place_[packet]) = place_[packet] == target_[packet] ? 0 : 1;
    return std::move(controls_);
  }

 private:
  /// First and last stage of bit b in all subnets at once: subnets are the places that agree in bits below b,
  /// and no pair leaves its subnet.
  void outer_switches(std::size_t b) {
    const std::size_t mask = std::size_t{1} << b;
    for (std::size_t packet = 0; packet < n_; ++packet) {
      at_place_[place_[packet]] = packet;
      at_target_[target_[packet]] = packet;
    }
    std::vector<bool> done(n_, false);
    for (std::size_t start = 0; start < n_; ++start)
      for (std::size_t packet = start; !done[packet];) {
        // `packet` takes half 0, who shares its last switch half 1, and that one's input partner half 0
        // again.
        const std::size_t sibling = at_target_[target_[packet] ^ mask];
        side_[packet] = 0;
        side_[sibling] = mask;
        done[packet] = done[sibling] = true;
        packet = at_place_[place_[sibling] ^ mask];
      }
    const std::size_t last = controls_.rows() - 1 - b;
    for (std::size_t packet = 0; packet < n_; ++packet) {
      const std::size_t inside = (place_[packet] & ~mask) | side_[packet];
      const std::size_t leaving = (target_[packet] & ~mask) | side_[packet];
      controls_(b, place_[packet]) = inside == place_[packet] ? 0 : 1;
      controls_(last, target_[packet]) = leaving == target_[packet] ? 0 : 1;
      place_[packet] = inside;
      target_[packet] = leaving;
    }
  }

  std::size_t n_, bits_;
  Matrix<double> controls_;
  std::vector<std::size_t> place_, target_;  ///< of each packet, before and after the stages that are left
  std::vector<std::size_t> at_place_, at_target_, side_;
};

}  // namespace

std::vector<std::size_t> benes_stages(std::size_t n) {
  const auto bits = static_cast<std::size_t>(std::countr_zero(std::bit_ceil(n)));
  std::vector<std::size_t> out;
  for (std::size_t b = 0; b < bits; ++b) out.push_back(b);
  for (std::size_t b = bits; b-- > 1;) out.push_back(b - 1);
  return out;
}

Matrix<double> benes_controls(std::span<const std::size_t> destination) {
  check_destination(destination);
  return Router(destination).run();
}

}  // namespace telos::positional
