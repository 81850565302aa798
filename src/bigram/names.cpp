#include <array>
#include <string>
#include <string_view>

#include "telos/base/error.h"
#include "telos/bigram/train.h"

namespace telos::bigram {
namespace {

constexpr std::array<std::string_view, 7> kAlgorithms = {"scb",    "paper",   "psgd",   "sgd",
                                                         "nonneg", "softmax", "moments"};

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  return kAlgorithms[static_cast<std::size_t>(algorithm)];
}

Algorithm algorithm_from(std::string_view name) {
  for (std::size_t i = 0; i < kAlgorithms.size(); ++i)
    if (kAlgorithms[i] == name) return static_cast<Algorithm>(i);
  std::string names;
  for (const std::string_view known : kAlgorithms) names += (names.empty() ? "" : ", ") + std::string(known);
  throw Error(ErrorKind::kUsage, "algorithm", "'" + std::string(name) + "' is none of " + names);
}

}  // namespace telos::bigram
