#include "bigram/page_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>

#include "base/limits.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::bigram {
namespace {

std::vector<std::string> token_names(const Instance& instance) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < instance.tokens(); ++i) names.push_back(instance.name(i));
  return names;
}

}  // namespace

std::vector<Definition> bigram_definitions() {
  return {
      {"sparse contextual bigram",
       "Tokens x_1 … x_T and a last token k are independent draws from μ; k picks a position t with "
       "probability "
       "q^(k)_t, at most Q of them are not 0, and the output o is drawn from P(·|x_t) (arXiv 2410.23438)."},
      {"linear transformer",
       "f = V X a_k with X the one-hot tokens and a_k the k-th column of A: attention by position, chosen by "
       "the last "
       "token, without a softmax. Loss ½‖e_o − f‖². It starts at V = μ1ᵀ, A = 11ᵀ/T; V = P, A = Q is best."},
      {"K_P", "‖P − μ1ᵀ‖²_μ with ‖A‖²_μ = Σ_k μ_k ‖a_k‖²: how much the attended token says of the next one."},
      {"K_Q", "‖Q − 11ᵀ/T‖²_μ: how far attention is from looking everywhere."},
      {"γ", "√(K_P K_Q): rate at which the two signals grow together at first."},
      {"least loss",
       "L* = ½(1 − ‖μ‖² − ‖Q‖²_μ K_P), the loss of V = P, A = Q: no linear transformer has less."},
      {"α_V, α_A",
       "Signals: V = μ1ᵀ + α_V (P − μ1ᵀ) + Δ_V and A = 11ᵀ/T + α_A (Q − 11ᵀ/T) + Δ_A, Δ orthogonal in "
       "⟨·,·⟩_μ. Both are "
       "0 at the start and 1 at the truth."},
      {"‖V − P‖, ‖A − Q‖", "Distances to the truth in ‖·‖_μ."},
      {"excess loss",
       "L − L* = ½K_P K_Q (1 − α_V α_A)² [product] + ½(K_P/T)(1 − α_V)² [scale] + ½α_V² K_P ‖Δ_A‖²_μ "
       "[attention] + "
       "½‖A‖²_μ ‖Δ_V‖²_μ [transitions], exact while 1ᵀa_k = 1 and Vμ = μ."},
      {"first stage",
       "While the signals are small: α_V = sinh(γτ)/(γT), α_A = (cosh(γτ) − 1)/(K_Q T) at τ = η·step: power "
       "iteration "
       "from a start of size 1/T."},
      {"mirror solution",
       "(2μ1ᵀ − P, 2·11ᵀ/T − Q) is almost as good (loss 2K_P/T above the least). Which of the two a run "
       "grows towards is "
       "decided by the noise of its first samples: Pr ≈ Φ(−SNR), SNR = K_P √(2B/(γηT J_P)), a planning "
       "rule."},
      {"J_P", "Σ_l μ_l P̃_lᵀ(diag μ − μμᵀ)P̃_l with P̃ = P − μ1ᵀ: variance of the first gradients of V."},
      {"bound of plain descent",
       "2/(T max_k μ_k ‖Vμ‖²): gradient descent on A without projection blows up above."},
      {"exact", "The positions found for a last token are those of q, no more and no fewer."},
      {"stable",
       "The positions above a quarter of their column's largest did not change for 200 steps, and the "
       "smallest "
       "of them is three times the largest other."},
      {"samples to all positions",
       "Samples of a descent after which the true positions of every last token deviated most from 1/T, and "
       "did so for "
       "200 steps (looked at every 10)."},
      {"samples to a tenth of the loss",
       "Samples after which L − L* ≤ (L₀ − L*)/10, L₀ = ½(1 − ‖μ‖²), for V and A refitted on these same "
       "samples at the "
       "positions above a quarter of their column's largest."},
      {"exponent of T",
       "Slope of log median samples against log T by least squares; its interval: the 2.5 % and 97.5 % "
       "quantiles over "
       "2,000 resamplings of the seeds."},
      {"learned K_P",
       "‖V − μ1ᵀ‖²_μ: how much the model believes that the attended token says of the next one."},
      {"held-out gain",
       "Held-out loss of predicting the frequencies μ less that of the model, on the same samples, ± its "
       "standard "
       "error."},
      {"held-out loss", "Mean over samples that no step has seen, ± its standard error."},
      {"offset",
       "Counted back from the last token of a window: offset 0 is the last token itself, offset d the "
       "d-th token before it. The paper's model has no offset 0; with it, the bigram is a member of "
       "the family."},
      {"linear probe",
       "The linear transformer fitted to the windows of a text by alternating least squares, 1ᵀa_k = "
       "1, beside what frequencies predict (f = μ) and the last token alone (f = V e_k, the best V). "
       "Its loss is ½‖e_o − f‖²."},
      {"most likely mixture",
       "Pr(o | text) = Σ_d q^(k)_d P(o | x_{−d}), k the last token, x_{−d} the token at offset d: P "
       "and q of the largest likelihood, by expectation and maximisation, with αμ pseudo-counts in "
       "each column of P. An offset stays where leaving it out costs more than ½ ln n of the "
       "log-likelihood (Schwarz 1978), n the windows of that last token."},
      {"models of a text",
       "Unigram: frequencies. Bigram: P(o | last token), with αμ pseudo-counts. One q: the mixture "
       "with the same weights for all last tokens. Q by last token: the sparse contextual bigram with "
       "offset 0. Without the last token: as in the paper, the last token chooses where to look, and "
       "is not looked at."},
      {"cross-entropy",
       "Mean of −ln Pr(next token) over the last tenth of the text, ± the standard error from the "
       "means of up to 32 blocks of it; differences of models are paired by blocks. 80 % of the "
       "windows fit, 10 % choose α."},
      {"χ²",
       "Σ (n_ab − e_ab)²/e_ab of a table of n counts with margins r and c, e_ab = r_a c_b/n; tokens of "
       "fewer than √n are put together to classes of √n or more. p: the chance of as large a value when "
       "the second tokens are dealt to the first at random, from the exact mean and variance of χ² then "
       "(Haldane 1940); corrected for all tests by Holm's method. In a running text pairs are not "
       "independent of each other, which makes p too small."},
      {"information",
       "Σ n_ab/n ln(n n_ab/(r_a c_b)), less its chance level: the same after the second tokens were "
       "dealt at random, which is what finite counts show without any dependence."},
      {"offset of attention",
       "i − j for attention a_ij of token i to token j: 0 the token itself, 1 the one before it. Means "
       "are over rows that have all offsets shown."},
      {"induction-like",
       "A head that gives at least 40 % of its attention, where its token came before, to the tokens "
       "right after these earlier ones, and at least twice what its mean attention by distance alone "
       "would put there."},
      {"agreement with the text",
       "Σ_d min(attention at offset d from token k, q^(k)_d), mean over tokens weighted by their rows; "
       "q^(k) of the most likely sparse contextual bigram of the text. 1: it looks exactly where the "
       "next token is informed."},
      {"claim", "What a study's paper says, tested on everything that was run."},
      {"check",
       "A number that was computed or measured beside what theory says in closed form: it holds within "
       "its tolerance."},
  };
}

std::vector<Definition> definitions_named(std::initializer_list<std::string_view> terms) {
  std::vector<Definition> all = bigram_definitions();
  std::erase_if(
      all, [&](const Definition& d) { return std::find(terms.begin(), terms.end(), d.term) == terms.end(); });
  return all;
}

std::string instance_line(const Instance& instance) {
  return fmt::format("N {} · T {} · Q {}", format_count(instance.tokens()), format_count(instance.length),
                     instance.sparsity());
}

Report begin_report(const Instance& instance, const PageContext& context,
                    std::initializer_list<std::string_view> terms) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.facts.push_back(
      {"task", instance_line(instance), "tokens · positions · of which a last token uses"});
  report.definitions = definitions_named(terms);
  report.provenance = context.provenance;
  return report;
}

Figure transitions_figure(const Instance& instance, ConstMatrixView<double> v, const std::string& id,
                          const std::string& title, const std::string& caption) {
  std::vector<std::vector<double>> values(v.rows(), std::vector<double>(v.cols()));
  for (std::size_t i = 0; i < v.rows(); ++i)
    for (std::size_t j = 0; j < v.cols(); ++j) values[i][j] = v(i, j);
  const std::vector<std::string> names = token_names(instance);
  return heat_map({.id = id,
                   .title = title,
                   .caption = caption,
                   .alt = "Matrix of output token by attended token",
                   .x_label = "attended token",
                   .y_label = "output token"},
                  names, names, values, "weight", false);
}

std::string positions_text(std::span<const std::uint32_t> positions, std::span<const double> weights) {
  constexpr std::size_t kMostListed = 6, kLargest = 3;
  constexpr double kLeastFixed = 0.001;
  if (positions.empty()) return "none";
  std::vector<std::size_t> order(positions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const bool all = positions.size() <= kMostListed;
  if (!all)
    std::ranges::partial_sort(order, order.begin() + kLargest, std::greater{},
                              [&](std::size_t i) { return std::abs(weights[i]); });
  std::string text;
  for (std::size_t i = 0; i < (all ? positions.size() : kLargest); ++i) {
    const double weight = weights[order[i]];
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", positions[order[i]],
                        std::abs(weight) < kLeastFixed ? format_number(weight, 2) : fixed(weight, 3));
  }
  if (!all) text += fmt::format(" and {} more", format_count(positions.size() - kLargest));
  return text;
}

Figure attention_figure(const Instance& instance, const NamedColumns& shown, const std::string& id,
                        const std::string& title, const std::string& caption) {
  constexpr std::size_t kMostPositions = 60;
  std::set<std::uint32_t> positions;
  for (const SparseColumn& column : shown.columns)
    for (const std::uint32_t t : column.positions)
      if (positions.size() < kMostPositions) positions.insert(t);
  std::vector<std::string> headings;
  for (const std::uint32_t t : positions) headings.push_back(std::to_string(t));
  std::vector<std::vector<double>> values(shown.columns.size(), std::vector<double>(positions.size(), 0));
  for (std::size_t k = 0; k < shown.columns.size(); ++k) {
    const SparseColumn& column = shown.columns[k];
    for (std::size_t i = 0; i < column.positions.size(); ++i) {
      const auto at = positions.find(column.positions[i]);
      if (at != positions.end())
        values[k][static_cast<std::size_t>(std::distance(positions.begin(), at))] = column.weights[i];
    }
  }
  return heat_map({.id = id,
                   .title = title,
                   .caption = caption,
                   .alt = "Attention weight of each last token at the positions that are used",
                   .x_label = "position",
                   .y_label = "last token"},
                  token_names(instance), headings, values, shown.name, false);
}

}  // namespace telos::bigram
