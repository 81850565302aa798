#include "telos/symmetry/network_study.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "telos/base/error.h"
#include "telos/symmetry/gpr.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kStudySamples = 0x53794E00, kStudyTests = 0x53794E01, kStudyLabels = 0x53794E02,
                        kStudyChoice = 0x53794E03;  // streams
constexpr std::size_t kWidthSequences = 8, kLeastWidth = 32;

using Word = std::vector<std::uint32_t>;

Word letters_at(ConstMatrixView<std::uint32_t> x, std::size_t i) {
  return {x.row(i), x.row(i) + x.cols()};
}

Matrix<std::uint32_t> matrix_of(const std::vector<Word>& rows, std::size_t cols) {
  Matrix<std::uint32_t> m(rows.size(), cols);
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), m.row(i));
  return m;
}

std::vector<std::size_t> widths_up_to(std::size_t width) {
  std::vector<std::size_t> widths;
  for (std::size_t w = kLeastWidth; w <= std::max(width, 4 * kLeastWidth); w *= 2) widths.push_back(w);
  return widths;
}

}  // namespace

NetworkData draw_network_data(const Law& law, const SequenceTarget& target, std::size_t samples,
                              std::size_t tests, double noise, std::uint64_t seed, const Arena& arena) {
  const std::size_t length = target.length();
  NetworkData data;
  data.sequences = law.draw(samples, length, seed, kStudySamples, 0, arena);
  Random random(seed, kStudyLabels);
  std::vector<double> label(target.outputs());
  std::set<Word> seen;
  for (std::size_t i = 0; i < samples; ++i) {
    target.draw_labels({data.sequences.row(i), length}, random, label);
    data.labels.push_back(label[0] + std::sqrt(noise) * random.normal());
    seen.insert(letters_at(data.sequences, i));
  }
  std::vector<Word> unseen;
  constexpr std::size_t kTries = 20;
  Random fresh(seed, kStudyTests);
  for (std::size_t i = 0; i < kTries * tests && unseen.size() < tests; ++i) {
    Word x(length);
    law.draw(x, fresh);
    if (seen.insert(x).second) unseen.push_back(std::move(x));
  }
  if (unseen.empty())
    throw Error(ErrorKind::kUsage, "network", "the samples hold every sequence that the law was seen to give",
                "train the network on fewer samples, or on longer sequences");
  data.tests = matrix_of(unseen, length);
  return data;
}

NetworkData choose_network_data(ConstMatrixView<std::uint32_t> sequences, ConstMatrixView<double> labels,
                                std::size_t samples, std::size_t tests, std::uint64_t seed) {
  const std::size_t n = sequences.rows();
  if (samples >= n)
    throw Error(ErrorKind::kUsage, "network",
                fmt::format("{} of {} sequences leave none to test on", samples, n),
                "train the network on fewer samples");
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(seed, kStudyChoice);
  for (std::size_t i = 0; i < n; ++i)
    std::swap(order[i], order[i + random.below(static_cast<std::uint32_t>(n - i))]);
  NetworkData data;
  std::vector<Word> train, unseen;
  for (std::size_t i = 0; i < std::min(n, samples + tests); ++i)
    (i < samples ? train : unseen).push_back(letters_at(sequences, order[i]));
  for (std::size_t i = 0; i < samples; ++i) data.labels.push_back(labels(order[i], 0));
  data.sequences = matrix_of(train, sequences.cols());
  data.tests = matrix_of(unseen, sequences.cols());
  return data;
}

NetworkStudy study_network(const NetworkData& data, std::uint32_t letters, const LangevinOptions& o,
                           const Arena& arena) {
  NetworkStudy s;
  s.samples = data.sequences.rows();
  s.options = o;
  s.network = train_langevin(data.sequences, data.labels, data.tests, letters, o, arena);
  const GaussianProcess process(simplified_gram(o.block, data.sequences, letters, arena), o.noise, arena);
  const Matrix<double> cross = simplified_gram(o.block, data.tests, data.sequences, letters, arena);
  const Matrix<double> means =
      predict(cross, process.weights({data.labels.data(), data.labels.size(), 1}, arena), arena);
  s.mean.assign(means.data(), means.data() + means.size());
  s.variance = process.variances(cross, simplified_diagonal(o.block, data.tests, letters), arena);
  double both = 0, own = 0, limit = 0, off = 0;
  for (std::size_t i = 0; i < s.mean.size(); ++i) {
    both += s.network.mean[i] * s.mean[i];
    own += s.network.mean[i] * s.network.mean[i];
    limit += s.mean[i] * s.mean[i];
    off += (s.network.mean[i] - s.mean[i]) * (s.network.mean[i] - s.mean[i]);
  }
  const double n = static_cast<double>(s.mean.size());
  s.correlation = both / std::sqrt(own * limit);
  s.difference = std::sqrt(off / n);
  s.size = std::sqrt(limit / n);
  const std::size_t few = std::min(kWidthSequences, data.tests.rows());
  s.widths = measure_widths(o.block, data.tests.view().block(0, 0, few, data.tests.cols()), letters,
                            widths_up_to(o.shape.width), kWidthNetworks, o.seed, arena);
  return s;
}

}  // namespace telos::symmetry
