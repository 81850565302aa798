// What the pages of spectra and of predictions share.
#include "symmetry/page_learning.h"

#include <fmt/format.h>

#include "telos/base/quantity.h"
#include "telos/symmetry/learning_page.h"

namespace telos::symmetry {

std::string symbol_of(const Partition& irrep) {
  const std::uint32_t degree = degree_of(irrep);
  if (degree == 0) return "(L)";
  return fmt::format("(L−{},{})", degree, fmt::join(irrep.begin() + 1, irrep.end(), ","));
}

std::string power_text(double slope) {
  return "L^" + fixed(slope, 2);
}

std::string known_text(Known known) {
  return known == Known::kExact ? "exact" : "estimate";
}

Report::Fact sequences_fact(std::uint32_t vocabulary, const std::vector<double>& lengths) {
  std::vector<std::string> texts;
  for (const double length : lengths) texts.push_back(format_number(length));
  return {"sequences", fmt::format("V {} · L {}", format_count(vocabulary), fmt::join(texts, ", ")),
          "letters · positions"};
}

Report report_frame(const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.provenance = context.provenance;
  report.definitions = learning_definitions();
  return report;
}

std::vector<Definition> learning_definitions() {
  return {
      {"eigenvalue",
       "λ with E_Y k(X,Y) φ(Y) = λ φ(X), Y by the law of the tokens. In an irrep of dimension f each comes f "
       "times, and again for each copy that the letters make. Exact: a closed form (one block of linear "
       "attention "
       "and linear activations), all sequences written down, or two letters in blocks of the Hamming cube. "
       "Estimate: a Rayleigh quotient of random pairs, ± standard error; at most the largest eigenvalue of "
       "its "
       "sector. Of a part of a target that lies on several levels: λ of one level that would take as many "
       "samples, Σ w_i λ_i/(λ_i + cλ) = θ Σ w_i."},
      {"sector", "All eigenfunctions in one irrep; its trace is Σ multiplicity · λ."},
      {"tail", "E k(X,X) less the trace of all levels. It acts like more ridge."},
      {"share of a target",
       "Energy of the target's part in an irrep over that of the whole target, exact for the law of the "
       "tokens. A "
       "part is a sum of terms that each look at so many positions; where all sequences are written down, "
       "all "
       "that the target has in an irrep, projected on each of the kernel's levels."},
      {"learnability", "ℓ = Pλ/(Pλ + κ): the share of a mode that P samples teach on average."},
      {"κ",
       "Noise as the kernel sees it: κ = ridge + κ Σ dλ/(κ + Pλ) over all modes. The ridge, and what is not "
       "learned yet (Canatar, Bordelon and Pehlevan 2021)."},
      {"samples",
       "P* = ridge/(cλ) + Σ_j d_j λ_j/(λ_j + cλ), c = (1 − θ)/θ: the least P with learnability θ. Mean over "
       "data "
       "sets, in the limit of infinite width and lazy training; training that learns features can do with "
       "fewer."},
      {"learnable",
       "Share of a part that lies on eigenvalues above 0: what samples without end would teach of it."},
      {"equivalent kernel",
       "The same with κ = ridge: ridge/(cλ). Too hopeful while P is below the number of modes."},
      {"bound",
       "ridge f/(cτ) + θf, at most P* for any eigenvalue that comes f times in a sector of trace τ: here "
       "what the "
       "other irreps leave of the trace, and f = f^λ, times V − 1 for functions of one letter, where letters "
       "can be "
       "renamed."},
      {"any kernel",
       "The same bound with the whole trace: for any kernel with these symmetries and this trace."},
      {"error",
       "E_g = [Σ w(1 − ℓ)² + noise γ]/(1 − γ) against the target without noise, γ = Σ dPλ²/(κ + Pλ)²; on the "
       "samples (ridge/κ)²(E_g + noise)."},
      {"test error",
       "Under the law of the test: Σ_v Σ_bc r_bv R_bc r_cv/V of the mean prediction, r what is not learned "
       "of the "
       "target's weights, R the correlation of positions; and (E_g + noise) Σ dℓ²M/P of the spread between "
       "data sets, "
       "M the mean square of the mode's functions."},
  };
}

}  // namespace telos::symmetry
