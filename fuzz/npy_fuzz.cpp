// npy: what is accepted has as many elements as the file has room for.
#include "io/npy.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  fuzz::accepts([&] {
    const Matrix<double> matrix = parse_npy(fuzz::as_text(data, size), "a.npy");
    fuzz::require(matrix.size() <= size / 2, "more elements than bytes allow");
  });
  return 0;
}
