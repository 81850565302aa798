#include <cmath>

#include "bigram/studies/numbers.h"
#include "bigram/studies/regression_mixture.h"

namespace telos::bigram::studies::mixture {
Prompt draw_prompt(const Mixture& mixture, std::size_t pairs, Random random) {
  const std::size_t d = mixture.width();
  Prompt prompt{Matrix<double>(pairs, d), std::vector<double>(pairs)};
  double left = random.uniform();
  while (prompt.component + 1 < mixture.components() && left >= mixture.prior[prompt.component])
    left -= mixture.prior[prompt.component++];
  for (std::size_t t = 0; t < pairs; ++t) {
    for (std::size_t c = 0; c < d; ++c) prompt.x(t, c) = random.normal();
    prompt.y[t] = dot(mixture.w.row(prompt.component), prompt.x.row(t), d) + mixture.sigma * random.normal();
  }
  return prompt;
}

std::vector<double> posterior_logits(const Mixture& mixture, ConstMatrixView<double> x,
                                     std::span<const double> y) {
  std::vector<double> logits;
  for (std::size_t j = 0; j < mixture.components(); ++j) {
    double squares = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      squares += std::pow(y[i] - dot(mixture.w.row(j), x.row(i), mixture.width()), 2);
    logits.push_back(std::log(mixture.prior[j]) - squares / (2 * mixture.sigma * mixture.sigma));
  }
  return logits;
}

double posterior_mean(const Mixture& mixture, ConstMatrixView<double> x, std::span<const double> y,
                      std::span<const double> query) {
  std::vector<double> p = posterior_logits(mixture, x, y);
  softmax_in_place(p);
  double answer = 0;
  for (std::size_t j = 0; j < p.size(); ++j)
    answer += p[j] * dot(mixture.w.row(j), query.data(), query.size());
  return answer;
}

double least_squares(ConstMatrixView<double> x, std::span<const double> y, std::span<const double> query,
                     double penalty) {
  const std::size_t n = y.size(), d = query.size();
  if (n == 0) return 0;
  // (XᵀX + λI)⁻¹Xᵀ = Xᵀ(XXᵀ + λI)⁻¹: the smaller of the two systems.
  const bool wide = n < d;
  const std::size_t size = wide ? n : d;
  Matrix<double> system(size, size);
  std::vector<double> solution(size);
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = 0; b < size; ++b)
      if (wide) {
        system(a, b) = dot(x.row(a), x.row(b), d);
      } else {
        for (std::size_t i = 0; i < n; ++i) system(a, b) += x(i, a) * x(i, b);
      }
    system(a, a) += penalty;
    if (wide) {
      solution[a] = y[a];
    } else {
      for (std::size_t i = 0; i < n; ++i) solution[a] += x(i, a) * y[i];
    }
  }
  solve_positive(system, solution);
  double answer = 0;
  for (std::size_t a = 0; a < size; ++a)
    answer += solution[a] * (wide ? dot(x.row(a), query.data(), d) : query[a]);
  return answer;
}

ReadOut optimal_read_out(const Mixture& mixture) {
  ReadOut model{mixture.w.copy(), {}, 1 / (2 * mixture.sigma * mixture.sigma)};
  for (const double p : mixture.prior) model.bias.push_back(std::log(p));
  return model;
}

std::vector<double> answers(const ReadOut& model, const Prompt& prompt) {
  const std::size_t m = model.keys.rows(), d = model.keys.cols();
  std::vector<double> squares(m), values(m), p(m), result;
  for (std::size_t t = 0; t < prompt.y.size(); ++t) {
    for (std::size_t j = 0; j < m; ++j) {
      p[j] = model.bias[j] - model.beta * squares[j];
      values[j] = dot(model.keys.row(j), prompt.x.row(t), d);
      squares[j] += std::pow(prompt.y[t] - values[j], 2);
    }
    softmax_in_place(p);
    result.push_back(dot(p.data(), values.data(), m));
  }
  return result;
}

double read_out_loss(const ReadOut& model, const Prompt& prompt, ReadOut& gradient) {
  const std::size_t n = prompt.y.size(), m = model.keys.rows(), d = model.keys.cols();
  Matrix<double> residual(n, m), by_value(n, m), by_logit(n, m);
  std::vector<double> squares(m), p(m);
  double loss = 0;
  for (std::size_t t = 0; t < n; ++t) {
    for (std::size_t j = 0; j < m; ++j) {
      p[j] = model.bias[j] - model.beta * squares[j];
      residual(t, j) = prompt.y[t] - dot(model.keys.row(j), prompt.x.row(t), d);
    }
    softmax_in_place(p);
    const double error = -dot(p.data(), residual.row(t), m);  // ŷ − y, as the weights sum to 1
    loss += error * error / 2;
    for (std::size_t j = 0; j < m; ++j) {
      by_value(t, j) = error * p[j];
      by_logit(t, j) = error * p[j] * (-residual(t, j) - error);
      gradient.bias[j] += by_logit(t, j) / static_cast<double>(n);
      gradient.beta -= by_logit(t, j) * squares[j] / static_cast<double>(n);
      squares[j] += residual(t, j) * residual(t, j);
    }
  }
  // A residual stands in the logits of all later pairs.
  std::vector<double> later(m);
  for (std::size_t t = n; t-- > 0;)
    for (std::size_t j = 0; j < m; ++j) {
      const double by_key = by_value(t, j) + 2 * model.beta * later[j] * residual(t, j);
      later[j] += by_logit(t, j);
      for (std::size_t c = 0; c < d; ++c)
        gradient.keys(j, c) += by_key * prompt.x(t, c) / static_cast<double>(n);
    }
  return loss / static_cast<double>(n);
}

}  // namespace telos::bigram::studies::mixture
