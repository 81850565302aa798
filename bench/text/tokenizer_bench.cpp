// bench_tokenizer TOKENIZER TEXT [REPEATS]: encodes the whole file and prints "tokens seconds", one line a
// repeat. The ratio to the reference library is made by bench/peers/tokenizers_peer.py, which runs both in
// turn.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/text/tokenizer.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_tokenizer TOKENIZER TEXT [REPEATS]\n");
    return 2;
  }
  try {
    const telos::Tokenizer tokenizer = telos::Tokenizer::load(argv[1]);
    const std::string text = telos::read_text(argv[2]);
    for (int i = argc > 3 ? std::atoi(argv[3]) : 5; i > 0; --i) {
      const auto start = std::chrono::steady_clock::now();
      const std::size_t tokens = tokenizer.encode(text).ids.size();
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      std::printf("%zu %.6f\n", tokens, seconds.count());
    }
  } catch (const telos::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return telos::exit_code(e.kind());
  }
  return 0;
}
