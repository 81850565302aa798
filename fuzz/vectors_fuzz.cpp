// Vectors in text: the first byte chooses the name of the file and how many rows are read. What is accepted
// is a rectangle of finite numbers no larger than the text, with a name a row or none. Gzip files are
// expanded.
#include <cmath>
#include <string>

#include "io/gzip.h"
#include "io/vectors.h"
#include "support.h"

namespace {

using namespace telos;

void check(std::string_view text, unsigned choice) {
  const std::size_t max_rows = choice >> 1 & 3;
  const Vectors vectors = parse_vector_text(text, (choice & 1) != 0 ? "a.csv" : "a.txt", max_rows);
  const Matrix<double>& values = vectors.values;
  fuzz::require(values.size() <= text.size(), "more numbers than bytes");
  fuzz::require(max_rows == 0 || values.rows() <= max_rows, "more rows than were asked for");
  fuzz::require(vectors.labels.empty() || vectors.labels.size() == values.rows(), "names do not fit");
  for (std::size_t i = 0; i < values.size(); ++i)
    fuzz::require(std::isfinite(values.data()[i]), "a number that is not finite");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::as_text(data + 1, size - 1);
  fuzz::accepts([&] {
    if (is_gzip(text))
      check(gunzip(text, "a.gz", 1 << 20), data[0]);
    else
      check(text, data[0]);
  });
  return 0;
}
