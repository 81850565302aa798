// The page of a text.
#include "telos/symmetry/corpus_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/page_corpus.h"
#include "telos/base/quantity.h"

namespace telos::symmetry {
namespace {

constexpr double kOrdered = 0.05;  ///< p of windows that are not exchangeable
constexpr double kDecided = 0.05;  ///< error of the trivial fraction with which 1 is a finding

Verdict verdict_of(const CorpusSymmetry& s) {
  const Estimate& trivial = trivial_of(s.text);
  const Estimate& order = s.text.fractions[static_cast<std::size_t>(Part::kOrderedPair)];
  Verdict v;
  v.basis = fmt::format("measured on {} windows", format_count(s.windows));
  const bool ordered = s.p_value <= kOrdered;  // false where it was not measured
  if (!s.text.dependent && ordered)
    v.sentence = fmt::format(
        "The windows are not exchangeable (p {}), but too few or too uneven for shares of what they tell.",
        format_number(s.p_value, 2));
  else if (!s.text.dependent)
    v.sentence =
        "The tokens of a window tell nothing of each other that could be measured: nothing to be symmetric.";
  else if (std::abs(trivial.value - 1) <= 2 * trivial.error && ordered)
    v.sentence = fmt::format(
        "The windows are not exchangeable (p {}); how far they are from it is too uncertain to say.",
        format_number(s.p_value, 2));
  else if (std::abs(trivial.value - 1) <= 2 * trivial.error && !(trivial.error <= kDecided))
    v.sentence = "Whether the windows are exchangeable is not decided by so little text.";
  else if (std::abs(trivial.value - 1) <= 2 * trivial.error)
    v.sentence = "The windows are exchangeable, as far as pairs of letters show it.";
  else
    v.sentence = fmt::format(
        "Of what the positions of a window tell of each other, {} is the same for all of them, and {} is "
        "word order.",
        percent(trivial.value), percent(order.value));
  if (s.text.dependent)
    v.evidence.push_back(fmt::format("trivial fraction {}; 1 under exchangeability", estimate_text(trivial)));
  if (s.shuffled.dependent)
    v.evidence.push_back(
        fmt::format("the same windows, each in random order: {}", estimate_text(trivial_of(s.shuffled))));
  v.evidence.push_back(
      s.mixed.dependent
          ? std::string("the whole text in random order still shows dependence: take more windows")
          : std::string("the whole text in random order shows no dependence, as it must"));
  v.evidence.insert(v.evidence.end(), s.notes.begin(), s.notes.end());
  return v;
}

std::vector<KeyNumber> keys_of(const CorpusSymmetry& s) {
  std::vector<KeyNumber> keys;
  if (s.text.dependent)
    keys.push_back({"trivial fraction", estimate_text(trivial_of(s.text)),
                    s.shuffled.dependent
                        ? fmt::format("(windows shuffled {}; first-order chain {})",
                                      estimate_text(trivial_of(s.shuffled)), fixed(s.markov[0], 3))
                        : std::string()});
  keys.push_back({"share of O", estimate_text(s.text.other_share),
                  fmt::format("(windows shuffled {}{})", estimate_text(s.shuffled.other_share),
                              std::isnan(s.p_value) ? std::string()
                                                    : fmt::format("; p {}", format_number(s.p_value, 2)))});
  keys.push_back({"share of D and O", estimate_text(s.text.total_share),
                  fmt::format("(windows shuffled {}; near 1 for any text of weak dependence)",
                              estimate_text(s.shuffled.total_share))});
  if (const std::size_t shown = shown_components(s); shown > 0)
    keys.push_back({"components", fmt::format("{} of {}", near_irreps(s.principal, shown), shown),
                    "(the leading ones whose trivial share is below 0.1 or above 0.9)"});
  return keys;
}

std::string resamples_text(const ErrorOptions& errors) {
  if (errors.kind == Errors::kJackknife) return {};
  return fmt::format(" · {} resamples", format_count(errors.resamples));
}

}  // namespace

std::string error_words(const ErrorOptions& errors) {
  return errors.kind == Errors::kJackknife ? "jackknife over blocks" : "bootstrap over blocks";
}

void append(std::vector<Cell>& row, const Estimate& e) {
  row.push_back(number_cell(e.value));
  row.push_back(number_cell(e.error));
}

std::vector<Definition> corpus_definitions() {
  return {
      {"window",
       "L consecutive tokens; windows follow each other without overlap. Tokens that are none of the K "
       "letters "
       "have the feature 0."},
      {"C, D, O",
       "C_bc(v, w) = Cov([x_b = v], [x_c = w]) over the windows; D the mean of C_bb, O that of C_bc over b ≠ "
       "c. "
       "Exchangeable windows have C_bb = D and C_bc = O."},
      {"parts",
       "C_bc, b ≠ c, for each pair of letters a function on ordered pairs of positions, taken apart by the "
       "irreducible representations of S_L: of its symmetric half (L), (L−1,1), (L−2,2); of the half that "
       "changes "
       "sign when b and c change places (L−1,1) and (L−2,1,1)."},
      {"fraction",
       "e_R/Σ e with e_R the inner product of part R of the even-numbered blocks with that of the "
       "odd-numbered "
       "ones: the noise of counting is independent in the two and drops out. Below Σ e = 3 standard errors "
       "there are no fractions."},
      {"±",
       "Standard error from G contiguous blocks: by leaving out each in turn (jackknife), √((G − 1)/G Σ_g "
       "(x_g − x̄)²); or the standard deviation over resamples (bootstrap), each of n − 1 blocks drawn with "
       "replacement from the n of either half."},
      {"share of D and O",
       "(L|D|² + L(L−1)|O|²)/|C|²; mostly the diagonal, near 1 for any text of weak dependence."},
      {"share of O", "L(L−1)|O|²/Σ_{b≠c} |C_bc|²; the noise of counting makes it smaller."},
      {"p",
       "(1 + number of shuffles within windows whose share of O is no larger than that of the "
       "text)/(shuffles + 1): "
       "small where the windows are not exchangeable."},
      {"first-order chain",
       "The stationary chain that passes from each token to the next as the text does; its C is "
       "diag(π)(P^|b−c| − 1πᵀ), without noise."},
      {"trivial share",
       "|Σ_b u_b|²/L of a principal component u: 0 or 1 if C commutes with permutations of the positions."},
  };
}

Report corpus_report(const Corpus& corpus, const CorpusSymmetry& s, std::span<const LengthEstimate> lengths,
                     const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  const std::uint64_t tokens = s.windows * s.options.length + s.left_out;
  const double kept = static_cast<double>(s.kept) / static_cast<double>(tokens);
  report.facts.push_back({"text",
                          fmt::format("{} {}s · {} different · the {} most frequent are letters",
                                      format_count(tokens), corpus.unit, format_count(corpus.distinct),
                                      std::min(s.options.letters, corpus.vocabulary())),
                          fmt::format("letters are {} of the text", percent(kept))});
  report.facts.push_back({"windows",
                          fmt::format("{} of {} tokens · {} blocks{}", format_count(s.windows),
                                      s.options.length, s.options.blocks, resamples_text(s.options.errors)),
                          fmt::format("{} left out at the end", count_of(s.left_out, "token", "tokens"))});
  report.verdict = verdict_of(s);
  report.keys = keys_of(s);
  if (s.text.dependent) report.lead = {parts_figure(s)};
  report.sections = {parts_section(s), distance_section(s)};
  if (!lengths.empty()) report.sections.push_back(lengths_section(lengths, s.options.errors));
  if (!s.principal.variances.empty()) report.sections.push_back(components_section(s));
  report.definitions = corpus_definitions();
  report.provenance = context.provenance;
  return report;
}

}  // namespace telos::symmetry
