// Architectures of wide transformers: what is accepted is written and read again as the same, and has a
// finite, symmetric kernel or is refused.
#include <algorithm>
#include <cmath>

#include "support.h"
#include "telos/symmetry/kernel.h"

namespace {

using namespace telos;
using namespace telos::symmetry;

constexpr std::size_t kVocabulary = 3;

bool is_small(const Architecture& a) {
  return a.blocks.size() <= 3 && a.embedding.dimension <= 256 &&
         std::all_of(a.blocks.begin(), a.blocks.end(), [](const TransformerBlock& b) {
           return !b.attention || !b.attention->rope || b.attention->rope->dimension <= 256;
         });
}

void check_kernel(const Architecture& a) {
  const Kernel kernel(a, kVocabulary, {.ntk = false, .samples = 40});
  const std::vector<Token> x{0, 1, 2}, y{2, 1, 1};
  const KernelValue xy = kernel(x, y), yx = kernel(y, x), xx = kernel(x, x);
  fuzz::require(std::isfinite(xy.nngp) && xx.nngp >= 0, "a kernel out of range");
  fuzz::require(std::abs(xy.nngp - yx.nngp) <= 1e-9 * (std::abs(xy.nngp) + std::abs(xx.nngp)),
                "not symmetric");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::as_text(data, size);
  fuzz::accepts([&] {
    const Architecture a = parse_architecture(text, "a.json");
    const std::string written = to_json(a);
    fuzz::require(to_json(parse_architecture(written, "again")) == written,
                  "written and read again, it differs");
    if (is_small(a)) check_kernel(a);
  });
  return 0;
}
