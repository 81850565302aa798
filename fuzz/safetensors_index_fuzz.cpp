// The index of a sharded checkpoint: no shard may lie outside its directory.
#include "io/shards.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace telos;
  fuzz::accepts([&] {
    const WeightFiles found = parse_index(fuzz::as_text(data, size), "i.json", "dir");
    fuzz::require(!found.files.empty() && !found.placed.empty(), "an index without tensors");
    for (std::size_t i = 0; i < found.files.size(); ++i) {
      const std::string& file = found.files[i];
      fuzz::require(i == 0 || found.files[i - 1] < file, "files are not sorted");
      fuzz::require(file.starts_with("dir/") && file.ends_with(".safetensors"), "a file elsewhere");
      fuzz::require(file.find('/', 4) == std::string::npos && file.find('\0') == std::string::npos,
                    "not a plain name");
    }
    for (std::size_t i = 0; i < found.placed.size(); ++i) {
      fuzz::require(found.placed[i].second < found.files.size(), "a shard that is not there");
      fuzz::require(i == 0 || found.placed[i - 1].first < found.placed[i].first, "tensors are not sorted");
    }
  });
  return 0;
}
