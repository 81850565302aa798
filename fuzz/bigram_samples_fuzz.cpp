// Samples of contextual bigrams: a JSON header up to a NUL byte and then its data, so that mutations of the
// header need not keep its length right. What is accepted fits together, is written and read again the same,
// and can be divided and counted.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "support.h"
#include "telos/bigram/data.h"

namespace {

using namespace telos;
using namespace telos::bigram;
using fuzz::require;

/// A file in memory, made once and written anew each time; its path.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("telos", MFD_CLOEXEC)) {
    require(descriptor_ >= 0, "no memory file");
  }
  std::string write(std::string_view bytes) {
    require(::ftruncate(descriptor_, 0) == 0 &&
                ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
            "no memory file");
    return "/proc/self/fd/" + std::to_string(descriptor_);
  }

 private:
  int descriptor_;
};

std::string with_length(std::string_view input) {
  const std::string_view header = input.substr(0, std::min(input.find('\0'), input.size()));
  input.remove_prefix(std::min(header.size() + 1, input.size()));
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length).append(header).append(input);
}

void check(const Samples& samples) {
  require(samples.tokens > 0 && samples.length > 0 && samples.size() > 0, "sizes that cannot be");
  require(samples.output.size() == samples.size() &&
              samples.contexts.size() == samples.size() * samples.length * samples.width(),
          "tensors of other sizes");
  require(samples.names.empty() || samples.names.size() == samples.tokens, "too few names");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    require(samples.last[i] < samples.tokens && samples.output[i] < samples.tokens, "a token too large");
    for (std::size_t t = 0; t < samples.length; ++t)
      require(samples.token(i, t) < samples.tokens, "a token too large");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static MemoryFile file;
  static const Arena arena(1);
  fuzz::accepts([&] {
    const Samples samples = read_samples(file.write(with_length(fuzz::as_text(data, size))));
    check(samples);
    const SampleSplit split = split_samples(samples, 10, 1);
    const Instance task = unknown_task(samples, split.train, arena);
    double sum = 0;
    for (const double x : task.mu) sum += x;
    require(sum > 0.999 && sum < 1.001, "frequencies do not sum to 1");
  });
  return 0;
}
