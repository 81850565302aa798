#include "telos/symmetry/token_kernel.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

constexpr double kMostPreparedBytes = 1e9;

/// Prepared sequences by their tokens.
class PreparedSequences {
 public:
  explicit PreparedSequences(const Kernel& kernel) : kernel_(kernel) {}

  PreparedSequence operator()(TokenSpan tokens) {
    std::vector<Token> key = reading_order(kernel_.architecture(), tokens);
    const auto found = prepared_.find(key);
    if (found != prepared_.end()) return found->second;
    PreparedSequence sequence = kernel_.prepare(key);
    if (bytes_ > kMostPreparedBytes) {
      prepared_.clear();
      bytes_ = 0;
    }
    bytes_ += sequence.bytes() + 4.0 * static_cast<double>(key.size());
    prepared_.emplace(std::move(key), sequence);
    return sequence;
  }

 private:
  Kernel kernel_;
  std::map<std::vector<Token>, PreparedSequence> prepared_;
  double bytes_ = 0;
};

}  // namespace

bool has_query(const Architecture& a) {
  return fixed_position(a, 2).has_value();
}

std::vector<Token> reading_order(const Architecture& a, TokenSpan tokens) {
  std::vector<Token> order(tokens.begin(), tokens.end());
  if (fixed_position(a, order.size()) == 0u && order.size() > 1)
    std::rotate(order.begin(), order.end() - 1, order.end());
  return order;
}

void require_symmetric(const Kernel& kernel) {
  const std::vector<std::string> breaks = symmetry_breaks(kernel.architecture());
  if (!breaks.empty()) {
    std::string reasons;
    for (const std::string& reason : breaks) reasons += (reasons.empty() ? "" : "; ") + reason;
    throw Error(ErrorKind::kUsage, "architecture",
                "its kernel changes under permutation, so that its eigenvalues lie in no irrep: " + reasons,
                "measure how far it changes with telos symmetry kernel");
  }
  if (kernel.architecture().padding && *kernel.architecture().padding < kernel.vocabulary())
    throw Error(ErrorKind::kUsage, "architecture",
                "it takes a token of the vocabulary for padding, so that sequences have different lengths",
                "leave \"pad_token_id\" away");
}

TokenKernel token_kernel(const Kernel& kernel) {
  require_symmetric(kernel);
  const auto prepared = std::make_shared<PreparedSequences>(kernel);
  return [kernel, prepared](std::span<const std::uint32_t> x, std::span<const std::uint32_t> y) {
    const KernelValue value = kernel((*prepared)(x), (*prepared)(y));
    return kernel.options().ntk ? value.ntk : value.nngp;
  };
}

}  // namespace telos::symmetry
