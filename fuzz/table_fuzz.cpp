// CSV: the first byte chooses the options; what is accepted is a rectangle no larger than the text, and
// numbers that were asked to be finite are.
#include <cmath>

#include "support.h"
#include "telos/io/table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  if (size == 0) return 0;
  CsvOptions options;
  options.delimiter = (data[0] & 1) != 0 ? ';' : ',';
  options.labels = static_cast<CsvOptions::Labels>((data[0] >> 1) % 3);
  options.keep_not_finite = (data[0] & 8) != 0;
  const std::string_view text = fuzz::as_text(data + 1, size - 1);
  fuzz::accepts([&] {
    const TextTable table = parse_csv(text, "a.csv", options);
    fuzz::require(table.cells.size() == table.rows() * table.columns, "rows of unequal length");
    fuzz::require(table.cells.size() <= size, "more cells than bytes");
    fuzz::require(table.labels.empty() || table.labels.size() == table.columns, "labels do not fit");
  });
  fuzz::accepts([&] {
    const NumberTable table = parse_number_csv(text, "a.csv", options);
    fuzz::require(table.values.rows() == table.lines.size(), "lines do not fit");
    if (!options.keep_not_finite)
      for (std::size_t i = 0; i < table.values.size(); ++i)
        fuzz::require(std::isfinite(table.values.data()[i]), "a number that is not finite");
  });
  return 0;
}
