// SYSTEM.json: whatever is accepted is written and read again as the same spec.
#include "support.h"
#include "telos/smoothing/lab.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  const std::string_view text = fuzz::as_text(data, size);
  fuzz::accepts([&] {
    const std::string written = smoothing::system_json(smoothing::parse_system(text, "a.json"));
    fuzz::require(smoothing::system_json(smoothing::parse_system(written, "again")) == written,
                  "written and read again, the spec differs");
  });
  return 0;
}
