// Reads a trace file. The input is its JSON header up to a NUL byte and then its data, so that mutations of
// the header need not keep its length right.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "support.h"
#include "telos/model/trace.h"

namespace {

using namespace telos;
using fuzz::require;

std::string file_of(std::string_view input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::uint64_t length = end;
  std::string out(reinterpret_cast<const char*>(&length), sizeof length);
  out += input.substr(0, end);
  out += input.substr(std::min(end + 1, input.size()));
  return out;
}

void check_matrix(const Matrix<float>& matrix, std::size_t rows, std::size_t cols) {
  require(matrix.rows() == rows && matrix.cols() == cols, "a matrix has another shape than the trace says");
  require(std::all_of(matrix.data(), matrix.data() + matrix.size(), [](float x) { return std::isfinite(x); }),
          "a value is not finite");
}

/// What a softmax leaves, up to the reader's tolerance of 0.01.
void check_attention(const Trace& trace, const Matrix<float>& attention) {
  check_matrix(attention, trace.sequences * trace.tokens * trace.heads, trace.tokens);
  for (std::size_t r = 0; r < attention.rows(); ++r) {
    const std::size_t sequence = r / trace.tokens / trace.heads;
    if (!trace.mask.empty() && trace.mask[sequence * trace.tokens + r % trace.tokens] == 0) continue;
    double sum = 0;
    for (std::size_t j = 0; j < trace.tokens; ++j) {
      require(attention(r, j) >= -0.0101f, "attention is negative");
      sum += static_cast<double>(attention(r, j));
    }
    require(std::abs(sum - 1) <= 0.0101, "a row of attention does not sum to 1");
  }
}

void check_trace(const Trace& trace) {
  const std::size_t rows = trace.sequences * trace.tokens;
  require(trace.layers >= 1 && trace.hidden.size() == trace.layers + 1,
          "the number of hidden states is wrong");
  for (const Matrix<float>& hidden : trace.hidden) check_matrix(hidden, rows, trace.width);
  require(trace.attention.empty() || trace.attention.size() == trace.layers,
          "the number of attentions is wrong");
  for (const auto* list : {&trace.attention_input, &trace.attention_residual}) {
    require(list->empty() || list->size() == trace.layers, "the number of recorded sublayers is wrong");
    for (const Matrix<float>& matrix : *list) check_matrix(matrix, rows, trace.width);
  }
  require(trace.mask.empty() || trace.mask.size() == rows, "the mask has another length");
  require(std::all_of(trace.mask.begin(), trace.mask.end(), [](std::uint8_t m) { return m <= 1; }),
          "a mask of neither 0 nor 1");
  for (const Matrix<float>& attention : trace.attention) check_attention(trace, attention);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = file_of(telos::fuzz::as_text(data, size));
  static const int descriptor = ::memfd_create("telos", MFD_CLOEXEC);
  require(descriptor >= 0 && ::ftruncate(descriptor, 0) == 0, "no memory file");
  require(::pwrite(descriptor, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()),
          "no memory file");
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  bool trace_there = false;
  const bool opened = telos::fuzz::accepts([&] { trace_there = telos::is_trace(path); });
  const bool read = telos::fuzz::accepts([&] { check_trace(telos::read_trace(path)); });
  require(!read || (opened && trace_there), "is_trace() denies a trace that was read");
  return 0;
}
