#include "reference/bigram_sample.h"

#include <cmath>

namespace telos::reference::bigram {
namespace {

std::size_t draw_from(const std::vector<double>& law, std::uint32_t u) {
  double sum = 0;
  std::size_t result = 0;
  for (std::size_t i = 0; i + 1 < law.size(); ++i) {
    sum += law[i];
    if (static_cast<double>(u) >= std::fmin(std::floor(4294967296.0 * sum), 4294967295.0)) ++result;
  }
  return result;
}

std::vector<double> times(const Rows& m, const std::vector<double>& x) {
  std::vector<double> y(m.size(), 0.0);
  for (std::size_t i = 0; i < m.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) y[i] += m[i][j] * x[j];
  return y;
}

Rows transpose(const Rows& m) {
  Rows result(m[0].size(), std::vector<double>(m.size()));
  for (std::size_t i = 0; i < m.size(); ++i)
    for (std::size_t j = 0; j < m[0].size(); ++j) result[j][i] = m[i][j];
  return result;
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = 0xD2511F53ull * counter[0], p1 = 0xCD9E8D57ull * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

DrawnSample draw(const SampledTask& task, std::uint64_t seed, std::uint32_t stream, std::uint64_t sample) {
  const auto words = [&](std::uint32_t call) {
    return philox(
        {call, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32), stream},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  };
  DrawnSample result;
  for (std::size_t t = 0; t < task.length; ++t) {
    const auto call = static_cast<std::uint32_t>(8 * (t / 32) + t % 8);
    result.tokens.push_back(draw_from(task.mu, words(call)[t % 32 / 8]));
  }
  const std::array<std::uint32_t, 4> header = words(0xFFFFFFFFu);
  result.last = draw_from(task.mu, header[0]);
  std::vector<double> weights;
  for (const auto& [position, weight] : task.q[result.last]) weights.push_back(weight);
  result.attended = task.q[result.last][draw_from(weights, header[1])].first;
  std::vector<double> column;
  for (const std::vector<double>& row : task.p) column.push_back(row[result.tokens[result.attended]]);
  result.output = draw_from(column, header[2]);
  return result;
}

SampleGradient gradient(const std::vector<DrawnSample>& samples, const Rows& v, const Rows& a) {
  const std::size_t n = v.size(), length = a[0].size();
  SampleGradient sums{0, Rows(n, std::vector<double>(n)), Rows(n, std::vector<double>(length))};
  for (const DrawnSample& s : samples) {
    Rows x(n, std::vector<double>(length));
    for (std::size_t t = 0; t < length; ++t) x[s.tokens[t]][t] = 1;
    const std::vector<double> h = times(x, a[s.last]);
    std::vector<double> r = times(v, h);
    r[s.output] -= 1;
    for (std::size_t i = 0; i < n; ++i) {
      sums.loss += r[i] * r[i] / 2;
      for (std::size_t j = 0; j < n; ++j) sums.v[i][j] += r[i] * h[j];
    }
    const std::vector<double> da = times(transpose(x), times(transpose(v), r));
    for (std::size_t t = 0; t < length; ++t) sums.a[s.last][t] += da[t];
  }
  return sums;
}

}  // namespace telos::reference::bigram
