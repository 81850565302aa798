#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "positional/studies/parts.h"
#include "telos/base/error.h"
#include "telos/report/words.h"

namespace telos::positional {
namespace {

using studies::View;
constexpr const char* kRetrievalWhere = "hard retrieval";

Matrix<double> gather(View v, std::span<const std::size_t> index) {
  Matrix<double> out(index.size(), v.cols());
  for (std::size_t i = 0; i < index.size(); ++i) std::copy_n(v.row(index[i]), v.cols(), out.row(i));
  return out;
}

Matrix<double> probabilities(View q, View k) {
  Matrix<double> p =
      studies::scaled(studies::times_transposed(q, k), 1 / std::sqrt(static_cast<double>(q.cols())));
  studies::softmax_rows(p);
  return p;
}

}  // namespace

HardRetrieval hard_retrieval(ConstMatrixView<double> q, ConstMatrixView<double> k,
                             ConstMatrixView<double> v) {
  studies::check_attention(kRetrievalWhere, q, k, v);
  const Matrix<double> scores = studies::times_transposed(q, k);
  if (!std::all_of(scores.data(), scores.data() + scores.size(), [](double s) { return std::isfinite(s); }))
    throw Error(ErrorKind::kNotFinite, kRetrievalWhere, "a score is not finite");
  HardRetrieval result;
  for (std::size_t i = 0; i < scores.rows(); ++i)
    result.index.push_back(static_cast<std::size_t>(
        std::max_element(scores.row(i), scores.row(i) + scores.cols()) - scores.row(i)));
  result.output = gather(v, result.index);
  return result;
}

std::vector<std::size_t> sample_indices(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                        Random& random) {
  studies::check_attention(kRetrievalWhere, q, k, k);
  const Matrix<double> p = probabilities(q, k);
  std::vector<std::size_t> index;
  for (std::size_t i = 0; i < p.rows(); ++i) {
    double left = random.uniform();
    std::size_t j = 0;
    while (j + 1 < p.cols() && left >= p(i, j)) left -= p(i, j++);
    index.push_back(j);
  }
  return index;
}

HardGradient hard_retrieval_gradient(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                     ConstMatrixView<double> v, std::span<const std::size_t> index,
                                     ConstMatrixView<double> d_output) {
  studies::check_attention(kRetrievalWhere, q, k, v);
  if (index.size() != q.rows() || d_output.rows() != q.rows() || d_output.cols() != v.cols())
    studies::shape_error(kRetrievalWhere, std::to_string(index.size()) + " indices and a gradient of " +
                                              std::to_string(d_output.rows()) + " × " +
                                              std::to_string(d_output.cols()) + ", expected " +
                                              std::to_string(q.rows()) + " × " + std::to_string(v.cols()));
  if (std::ranges::any_of(index, [&](std::size_t j) { return j >= v.rows(); }))
    throw Error(ErrorKind::kUsage, kRetrievalWhere,
                "an index beyond the " + std::to_string(v.rows()) + " keys");
  HardGradient gradient{Matrix<double>(v.rows(), v.cols()), studies::times_transposed(d_output, v),
                        probabilities(q, k)};
  for (std::size_t i = 0; i < index.size(); ++i)
    for (std::size_t c = 0; c < v.cols(); ++c) gradient.dv(index[i], c) += d_output(i, c);
  const double scale = 1 / std::sqrt(static_cast<double>(q.cols()));
  for (std::size_t i = 0; i < q.rows(); ++i) {
    double mean = 0;
    for (std::size_t j = 0; j < k.rows(); ++j) mean += gradient.dqk(i, j) * gradient.dp(i, j);
    for (std::size_t j = 0; j < k.rows(); ++j) gradient.dqk(i, j) *= scale * (gradient.dp(i, j) - mean);
  }
  return gradient;
}

namespace studies {

void run_hard_retrieval(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kTokens = 32, kWidth = 8, kTrials = 20;
  const std::vector<double> sharpness{1, 10, 100, 1000, 10000};
  Matrix<double> differences(kTrials, sharpness.size());
  std::vector<double> gradient(kTrials);
  arena.parallel_for(kTrials, [&](std::size_t trial) {
    Random random(seed, 0, trial);
    const Matrix<double> q = normals(kTokens, kWidth, random), k = normals(kTokens, kWidth, random),
                         v = normals(kTokens, kWidth, random);
    const HardRetrieval hard = hard_retrieval(q, k, v);
    for (std::size_t s = 0; s < sharpness.size(); ++s)
      differences(trial, s) =
          largest_difference(softmax_attention(scaled(q, sharpness[s]), k, v), hard.output);
    // Straight through is the gradient of softmax attention in all that is not V.
    const Matrix<double> d_output = normals(kTokens, kWidth, random);
    const HardGradient g = hard_retrieval_gradient(q, k, v, hard.index, d_output);
    double sum_rows = 0;  // a constant added to a row of scores changes nothing
    for (std::size_t i = 0; i < kTokens; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < kTokens; ++j) sum += g.dqk(i, j);
      sum_rows = std::max(sum_rows, std::abs(sum));
    }
    gradient[trial] = sum_rows;
  });
  result.table = {
      "Softmax attention of sharpened scores against the look-up, median over 20 draws of the largest "
      "difference",
      {"scores times", "difference"},
      {}};
  for (std::size_t s = 0; s < sharpness.size(); ++s) {
    std::vector<double> column;
    for (std::size_t trial = 0; trial < kTrials; ++trial) column.push_back(differences(trial, s));
    std::ranges::nth_element(column, column.begin() + kTrials / 2);
    result.table.rows.push_back({sharpness[s], column[kTrials / 2]});
  }
  bool falls = true;
  for (std::size_t s = 1; s < sharpness.size(); ++s)
    falls = falls && result.table.rows[s][1] <= result.table.rows[s - 1][1];
  const double last = result.table.rows.back()[1];
  result.holds = falls && last < 1e-6 && std::ranges::max(gradient) < 1e-13;
  result.measured = fmt::format("median difference {:.2f} at the plain scores, {} at {:.0f} times them",
                                result.table.rows.front()[1], format_number(last, 1), sharpness.back());
}

}  // namespace studies
}  // namespace telos::positional
