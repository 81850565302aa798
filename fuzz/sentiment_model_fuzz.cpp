// Model files of sentiment; the first byte chooses. Even: a model file, its JSON header up to a NUL byte and
// then its data, so that mutations of the header need not keep its length right. Odd: a vocabulary up to a
// NUL byte, then a torch zip file. What is accepted fits together.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "support.h"
#include "telos/clustering/sentiment.h"

namespace {

using namespace telos;
using namespace telos::clustering;
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

std::string_view next_part(std::string_view& input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

void check(const SentimentModel& model) {
  model.check("model");
  require(model.embedding.rows() == model.vocabulary.size() && model.embedding.cols() == model.config.dim,
          "the embedding has another shape");
  require(model.v.size() == model.config.dim && model.alpha > 0, "weights that cannot be");
  for (std::size_t i = 0; i < model.embedding.size(); ++i)
    require(std::isfinite(model.embedding.data()[i]), "a weight that is not finite");
}

std::string with_length(std::string_view input) {
  const std::string_view header = next_part(input);
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length).append(header).append(input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static MemoryFile weights, words;
  std::string_view input = fuzz::as_text(data + 1, size - 1);
  fuzz::accepts([&] {
    if (data[0] % 2 == 0) return check(load_sentiment(weights.write(with_length(input))));
    const std::string vocabulary = words.write(next_part(input));
    check(import_published(weights.write(input), vocabulary));
  });
  return 0;
}
