// Files of token sequences, and partitions: what is accepted is in range.
#include "support.h"
#include "telos/symmetry/irreps.h"
#include "telos/symmetry/sequences.h"

using namespace telos;
using namespace telos::symmetry;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::as_text(data, size);
  fuzz::accepts([&] {
    const Sequences s = parse_sequences(text, "sequences.txt");
    for (const auto& tokens : s.items) {
      fuzz::require(!tokens.empty(), "an empty sequence");
      for (const Token token : tokens) fuzz::require(token < s.vocabulary, "a token out of the vocabulary");
    }
  });
  fuzz::accepts([&] {
    const Partition p = parse_partition(text, "--partition");
    fuzz::require(parse_partition(to_text(p), "again") == p, "written and read again, it differs");
  });
  return 0;
}
