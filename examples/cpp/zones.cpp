// Which way does each layer of a model lean? Weights only: a tendency.  zones MODEL
#include <telos/base/error.h>
#include <telos/smoothing/spectra.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::printf("zone of -0.3 + 0.4i: %s\n",
                telos::smoothing::to_string(telos::smoothing::zone({-0.3, 0.4})).data());
    return 0;
  }
  const telos::Checkpoint checkpoint = telos::Checkpoint::open(argv[1]);
  const telos::Architecture architecture = telos::identify(checkpoint);
  const auto spectra = telos::smoothing::weight_spectra(checkpoint, architecture, {}, telos::Arena());
  for (const auto& site : spectra.sites)
    for (const auto& head : site.heads)
      std::printf("%s %s %.4f\n", head.name.c_str(), to_string(head.tendency).data(), head.copy_score);
} catch (const telos::Error& error) {
  std::fprintf(stderr, "zones: %s\n", error.what());
  return telos::exit_code(error.kind());
}
