#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "positional/page_parts.h"
#include "telos/base/quantity.h"

namespace telos::positional {

namespace {

/// The terms that a page of a command uses; a page of another command gets all.
std::vector<Definition> definitions_of(std::string_view command) {
  struct Page {
    std::string_view command;
    std::vector<std::string_view> terms;
  };
  static const std::vector<Page> kPages = {
      {"positional train",
       {"positional attention", "scale c", "MSE", "E_c/c²", "MAPE", "within", "median, band"}},
      {"positional eval", {"positional attention", "scale c", "MSE", "E_c/c²", "MAPE", "within", "Λ_l", "K"}},
      {"positional compile", {"positional attention", "growth"}},
      {"positional execute", {}},
      {"positional convert", {"positional attention", "Λ_l", "K"}},
      {"positional capacity", {"positional attention", "Λ_l", "K"}},
      {"positional heads", {"share of the pair", "static head"}},
      {"positional whatif", {"share of the pair", "static head"}},
      {"positional studies", {}},
      {"positional bench", {"positional attention"}}};
  std::vector<Definition> all = positional_definitions();
  const auto page =
      std::find_if(kPages.begin(), kPages.end(), [command](const Page& p) { return p.command == command; });
  if (page == kPages.end()) return all;
  std::erase_if(all, [&page](const Definition& d) {
    return std::find(page->terms.begin(), page->terms.end(), d.term) == page->terms.end();
  });
  return all;
}

}  // namespace

std::string exact_solution(const std::string& program, std::size_t nodes) {
  return fmt::format("an exact solution exists: `telos positional compile {} --n {}`", program, nodes);
}

std::string unseen_things(const std::string& task) {
  if (task == "khop") return "letters";
  return task.starts_with("mixed-") ? "categories" : "";
}

Report begin_report(const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.provenance = context.provenance;
  report.definitions = definitions_of(context.command);
  return report;
}

std::string plus_minus(const Estimate& estimate) {
  return telos::plus_minus(estimate.value, estimate.error);
}

std::string kind_words(const ModelConfig& config) {
  std::string words = kind_of(config);
  if (config.mixer == ModelConfig::Mixer::kAttention) {
    if (config.encoding == Encoding::kBinary) words += " · binary positions";
    if (config.encoding == Encoding::kSinusoidal) words += " · sinusoidal positions";
  }
  if (!config.bias) words += " · bias-free";
  return words;
}

std::string model_line(const ModelConfig& c, std::size_t parameters) {
  return fmt::format("{} · n {} + {} · d {} · {} · hidden {}{} · {} · {} parameters", kind_words(c), c.nodes,
                     c.scratch, c.width, count_of(c.heads, "head", "heads"), c.hidden,
                     c.mlp_layers == 2 ? "" : fmt::format(" × {}", c.mlp_layers - 1),
                     count_of(c.depth(), "layer", "layers"), format_count(parameters));
}

std::vector<Definition> positional_definitions() {
  return {
      {"positional attention",
       "A_h = softmax_rows(Q_h K_hᵀ/√d_k) with Q, K linear in fixed positional encodings P, values from the "
       "features: a function of the weights alone. arXiv 2410.01686."},
      {"models",
       "positional: queries and keys from P, input x. standard: input x ‖ P, queries and keys from the "
       "layer's state X. The others differ in these too; `telos positional tasks` says how."},
      {"scale c",
       "Test lists are drawn as training lists are, from an interval c times as wide; for c > 1, "
       "intervals that lie inside the training one are drawn again."},
      {"MSE",
       "Mean over samples and positions of (output − target)²; the scratch position does not count, and of a "
       "mixed text only the first position does."},
      {"E_c/c²",
       "MSE at scale c over c². Constant for a model with f(cX) = c·f(X) on a task that scales itself."},
      {"MAPE", "Mean of |error|/|target| over targets other than 0."},
      {"within", "Share of entries with |error| ≤ tolerance·max(1, |target|); classes: accuracy."},
      {"median, band", "Over runs that did not diverge; the band is from the smallest to the largest."},
      {"Λ_l",
       "Bound of layer l's Lipschitz constant: √(1 + a_l²) times the spectral norms of its MLP, a_l that "
       "of its attention. Norms of rows: ‖X‖_{2,∞} = largest 2-norm of a row."},
      {"K",
       "log N_∞(F, ε) ≤ K/ε²: size of the cover of the model class, an explicit form of the paper's "
       "bound that is this program's own; it compares models, its absolute value is vacuous."},
      {"growth",
       "Every sum inside the compiled network is at most growth·max|x| + offset: whole numbers below "
       "2^24 (float32) or 2^53 (float64) over it come out exactly."},
      {"share of the pair",
       "Part of Σ(a_ij − uniform)² that is the same function of (query position, key "
       "position) in all windows; of the offset: of (j − i) alone; content: the rest. "
       "Unbiased, from products of different windows; errors by the jackknife."},
      {"static head",
       "A head whose share of the pair, less one standard error, reaches the threshold (0.9 unless set)."},
  };
}

}  // namespace telos::positional
