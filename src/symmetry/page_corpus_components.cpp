// Principal components of a text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/page_corpus.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::symmetry {
namespace {

constexpr std::size_t kShownComponents = 48;
constexpr double kNearIrrep = 0.1;  // so close to 0 or 1 a trivial share counts as that of an irrep

Table components_table(const Components& c) {
  Table t{.id = "components",
          .title = "Principal components",
          .columns = {{"component", "", ""},
                      {"variance", "", "eigenvalue of C"},
                      {"predicted", "", "under exchangeability: of D + (L−1)O and D − O"},
                      {"trivial share", "", "see definitions", 3}}};
  for (std::size_t i = 0; i < c.variances.size(); ++i)
    t.rows.push_back({static_cast<std::int64_t>(i + 1), c.variances[i], c.predicted[i], c.trivial[i]});
  return t;
}

Figure spectrum_figure(const CorpusSymmetry& s) {
  Series measured{.name = "measured", .x = {}, .y = {}, .low = {}, .high = {}};
  Series predicted{.name = "predicted", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (std::size_t i = 0; i < shown_components(s); ++i) {
    for (Series* series : {&measured, &predicted}) series->x.push_back(static_cast<double>(i + 1));
    measured.y.push_back(s.principal.variances[i]);
    predicted.y.push_back(s.principal.predicted[i]);
  }
  return line_chart(
      {.id = "spectrum",
       .title = "Spectrum of the windows beside that of an exchangeable text",
       .caption = "Eigenvalues of C; predicted: of D + (L−1)O, once each, and of D − O, L − 1 times each.",
       .alt = "Variance by component",
       .x_label = "component",
       .y_label = "variance"},
      {measured, predicted});
}

std::string components_title(const CorpusSymmetry& s) {
  const std::size_t shown = shown_components(s);
  return fmt::format("{} of {} leading components are nearly of one irrep", near_irreps(s.principal, shown),
                     shown);
}

Figure shares_figure(const CorpusSymmetry& s) {
  Series shares{.name = "trivial share", .x = {}, .y = {}, .low = {}, .high = {}};
  const std::size_t shown = shown_components(s);
  for (std::size_t i = 0; i < shown; ++i) {
    shares.x.push_back(static_cast<double>(i + 1));
    shares.y.push_back(s.principal.trivial[i]);
  }
  return line_chart(
      {.id = "trivial-shares",
       .title = "How far each component is the same at all positions",
       .caption =
           "|Σ_b u_b|²/L of each: 1 where a component is the same at all positions, 0 where its sum over "
           "positions vanishes.",
       .alt = "Trivial share by component",
       .x_label = "component",
       .y_label = "trivial share"},
      {shares});
}

}  // namespace

std::size_t near_irreps(const Components& c, std::size_t shown) {
  return static_cast<std::size_t>(
      std::count_if(c.trivial.begin(), c.trivial.begin() + static_cast<std::ptrdiff_t>(shown),
                    [](double share) { return share < kNearIrrep || share > 1 - kNearIrrep; }));
}

std::size_t shown_components(const CorpusSymmetry& s) {
  // Of a component without variance the vector is arbitrary.
  const std::vector<double>& all = s.principal.variances;
  const auto real =
      std::find_if(all.begin(), all.end(), [&](double v) { return !(v > 1e-12 * all.front()); });
  return std::min(kShownComponents, static_cast<std::size_t>(real - all.begin()));
}

Section components_section(const CorpusSymmetry& s) {
  return {.id = "components",
          .title = components_title(s),
          .figures = {spectrum_figure(s), shares_figure(s)},
          .tables = {components_table(s.principal)}};
}

}  // namespace telos::symmetry
