// Instances of sparse contextual bigrams: what is accepted has a stationary law and finite constants, and is
// written and read again to the same bits.
#include <cmath>

#include "support.h"
#include "telos/bigram/population.h"

namespace {

using namespace telos;
using namespace telos::bigram;

void check_sound(const Instance& instance) {
  double sum = 0;
  for (std::size_t i = 0; i < instance.tokens(); ++i) {
    double next = 0;
    for (std::size_t j = 0; j < instance.tokens(); ++j) next += instance.p(i, j) * instance.mu[j];
    fuzz::require(std::abs(next - instance.mu[i]) < 1e-12, "the stationary law moves");
    fuzz::require(instance.mu[i] > 0, "a token never comes");
    sum += instance.mu[i];
  }
  fuzz::require(std::abs(sum - 1) < 1e-12, "the stationary law does not sum to 1");
  const Constants c = constants(instance);
  fuzz::require(c.k_p > 0 && c.k_q >= 0 && c.loss_least < c.loss_start && std::isfinite(c.j_p + c.mu_ratio),
                "constants out of range");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::as_text(data, size);
  fuzz::accepts([&] {
    const Instance instance = parse_instance(text, "a.json");
    check_sound(instance);
    const std::string written = instance_json(instance);
    std::vector<std::string> notes;
    fuzz::require(instance_json(parse_instance(written, "again", &notes)) == written,
                  "written and read again, the instance differs");
    fuzz::require(notes.empty(), "what was normalised is normalised again");
  });
  return 0;
}
