#include <algorithm>
#include <array>

#include "positional/studies/parts.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::positional {
namespace {

struct Study {
  const char *name, *title, *paper, *claim;
  void (*run)(StudyResult&, std::uint64_t, const Arena&);
};

constexpr std::array<Study, 9> kStudies{{
    {"counting", "Contextual counting", "Golkar et al. 2024, arXiv 2406.02585",
     "two causal layers without positions count the 1s of each region exactly, for any length and number of "
     "regions",
     studies::run_counting},
    {"graphs", "Graph algorithms in rounds", "Sanford et al. 2024, arXiv 2405.18512",
     "min label over edges and pointer jumping find the components, a path of N vertices whose labels rise "
     "in ⌈log2(N + 1)⌉ rounds",
     studies::run_graphs},
    {"hops", "k-hop induction heads", "Sanford, Hsu, Telgarsky 2024, arXiv 2402.09268",
     "k hops take ⌈log2 k⌉ rounds of look-ups after the first hop", studies::run_hops},
    {"performer", "Performer, FAVOR+", "Choromanski et al. 2020, arXiv 2009.14794",
     "positive random features estimate e^(xᵀy) without bias, with variance e^(2xᵀy)(e^(‖x+y‖²) − 1)/m",
     studies::run_performer},
    {"rpe-fft", "Kernelised attention with relative positions", "Luo et al. 2021, arXiv 2106.12566",
     "relative positions in kernelised attention are Toeplitz products, which the FFT computes in O(n log n)",
     studies::run_relative_kernel},
    {"nystrom", "Continual Nyström attention", "Carreto Picón et al. 2024, arXiv 2412.03214",
     "with landmarks that stay, running sums give the window's attention at O(m(d + d_v)) a token",
     studies::run_nystrom},
    {"dape", "DAPE V2", "Zheng et al. 2024, arXiv 2410.04798",
     "convolved scores stay causal if they are cut to the lower triangle first", studies::run_dape},
    {"hard", "Hard retrieval", "Xu et al. 2020, arXiv 2009.14658",
     "attention of one key a query is the limit of softmax attention, by a look-up instead of a product",
     studies::run_hard_retrieval},
    {"momentum", "Momentum transformer", "Nguyen et al. 2022, arXiv 2208.00579",
     "the momentum recurrence has a closed form; the published training path agrees with it at the last "
     "token only",
     studies::run_momentum},
}};

StudyInfo info_of(const Study& study) {
  return {study.name, study.title, study.paper, study.claim};
}

}  // namespace

std::vector<StudyInfo> study_list() {
  std::vector<StudyInfo> list;
  for (const Study& study : kStudies) list.push_back(info_of(study));
  return list;
}

StudyResult run_study(std::string_view name, std::uint64_t seed, const Arena& arena) {
  const auto study = std::ranges::find(kStudies, name, &Study::name);
  if (study == kStudies.end()) {
    std::vector<std::string> names;
    for (const Study& known : kStudies) names.emplace_back(known.name);
    throw Error(ErrorKind::kUsage, "studies", "there is no study " + printable(name),
                nearest_hint(name, names));
  }
  StudyResult result;
  result.info = info_of(*study);
  study->run(result, seed, arena);
  return result;
}

}  // namespace telos::positional
