// What pages say of a model itself: its attention maps and its capacity.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "positional/model_parts.h"
#include "positional/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::positional {
namespace {

constexpr std::size_t kMostMaps = 16;   ///< heat maps on a page
constexpr std::size_t kMostNodes = 40;  ///< of a heat map
constexpr std::size_t kMostEntries = 200000;

std::vector<std::string> node_names(const ModelConfig& config, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i)
    names.push_back(i < config.nodes
                        ? std::to_string(i)
                        : "scratch" + (config.scratch > 1 ? std::to_string(i - config.nodes) : ""));
  return names;
}

Figure map_of(const Matrix<double>& a, std::size_t layer, std::size_t head,
              const std::vector<std::string>& names) {
  std::vector<std::vector<double>> values(a.rows());
  for (std::size_t i = 0; i < a.rows(); ++i) values[i].assign(a.row(i), a.row(i) + a.cols());
  return heat_map({.id = fmt::format("attention-{}-{}", layer, head),
                   .title = fmt::format("Head {}.{} reads, from column to row", layer, head),
                   .caption = "A = softmax(QKᵀ/√d_k), from the weights alone: the same for every input.",
                   .alt = fmt::format("Attention matrix of head {}.{}", layer, head),
                   .x_label = "from node",
                   .y_label = "to node"},
                  names, names, values, "weight", false);
}

/// Mean over rows of exp(entropy): how many nodes a row reads from.
double reads_from(const Matrix<double>& a) {
  double sum = 0;
  for (std::size_t i = 0; i < a.rows(); ++i) {
    double entropy = 0;
    for (std::size_t j = 0; j < a.cols(); ++j)
      if (a(i, j) > 0) entropy -= a(i, j) * std::log(a(i, j));
    sum += std::exp(entropy);
  }
  return sum / static_cast<double>(a.rows());
}

/// All rows read the first scratch position, a compiled program's sink: a head that the layer does not use.
bool is_idle(const ModelConfig& config, const Matrix<double>& a) {
  if (config.scratch == 0) return false;
  for (std::size_t i = 0; i < a.rows(); ++i)
    if (a(i, config.nodes) < 1) return false;
  return true;
}

Table entries_table(const std::vector<std::vector<Matrix<double>>>& all) {
  Table t{.id = "attention",
          .title = "Attention matrices",
          .caption = "Entries of at least 10⁻⁶.",
          .columns = {{"layer", "", "from 0"},
                      {"head", "", "from 0"},
                      {"to", "", "row: the reading node"},
                      {"from", "", "column"},
                      {"weight", "", "A[to, from]"}},
          .rows = {}};
  for (std::size_t l = 0; l < all.size(); ++l)
    for (std::size_t h = 0; h < all[l].size(); ++h)
      for (std::size_t i = 0; i < all[l][h].rows(); ++i)
        for (std::size_t j = 0; j < all[l][h].cols(); ++j)
          if (all[l][h](i, j) >= 1e-6 && t.rows.size() < kMostEntries)
            t.rows.push_back({whole_cell(l), whole_cell(h), whole_cell(i), whole_cell(j), all[l][h](i, j)});
  return t;
}

}  // namespace

Section attention_section(const Model& model) {
  Section section{.id = "attention", .title = "Attention does not depend on the input"};
  if (!has_fixed_attention(model.config) || model.config.vocabulary > 0) return {};
  const auto all = attention_matrices(model);
  const std::size_t heads = all.empty() ? 0 : all[0].size(), maps = all.size() * heads;
  double least = 1e300, most = 0;
  for (const auto& layer : all)
    for (const auto& a : layer) {
      const double r = reads_from(a);
      least = std::min(least, r), most = std::max(most, r);
    }
  if (most < 1.005)
    section.title = "Each node reads from one node at a time";
  else if (maps > 0) {
    const std::string low = format_number(least, 2), high = format_number(most, 2);
    section.title = low == high ? fmt::format("A node reads from {} nodes at a time", low)
                                : fmt::format("A node reads from {} to {} nodes at a time", low, high);
  }
  section.paragraphs.push_back(
      "exp(entropy) of a row of A, averaged over the rows of a head, says how many nodes it reads from: 1 is "
      "a wire, S is the mean of all nodes.");
  if (model.config.positions() <= kMostNodes) {
    const auto names = node_names(model.config, model.config.positions());
    for (std::size_t l = 0; l < all.size(); ++l)
      for (std::size_t h = 0; h < heads && section.figures.size() < kMostMaps; ++h)
        if (!is_idle(model.config, all[l][h])) section.figures.push_back(map_of(all[l][h], l, h, names));
  }
  Table entries = entries_table(all);
  const std::string held =
      entries.rows.size() < kMostEntries
          ? "the table holds the entries of all."
          : fmt::format("the table holds the first {} entries.", format_count(kMostEntries));
  if (model.config.positions() > kMostNodes)
    section.paragraphs.push_back(fmt::format("Matrices of more than {} nodes are not drawn; ", kMostNodes) +
                                 held);
  else if (section.figures.size() < maps)
    section.paragraphs.push_back(
        fmt::format("{} of {} matrices are drawn (those with every row on the last node never are); ",
                    section.figures.size(), maps) +
        held);
  section.tables.push_back(std::move(entries));
  return section;
}

std::vector<Table> capacity_tables(const CapacityReport& r, const std::string& id, const std::string& name) {
  const std::string suffix = id.empty() ? "" : "-" + id, of = name.empty() ? "" : " of " + name;
  Table layers{
      .id = "capacity-layers" + suffix,
      .title = "Norms, layer by layer" + of,
      .caption = "Bounds for inputs whose rows have 2-norm ≤ " + format_number(r.options.input_norm) + ".",
      .columns = {{"layer", "", "from 0"},
                  {"R", "", "bound of the largest 2-norm of a row that enters"},
                  {"Σ vo", "", "Σ_h s(W_o,h W_v,h)"},
                  {"max qk", "", "max_h s(W_Qᵀ W_K)/√d_k"},
                  {"Π s(W)", "", "product of the spectral norms of the MLP's maps"},
                  {"a", "", "Lipschitz constant of attention"},
                  {"Λ", "", "√(1 + a²)·Π s(W)"},
                  {"log10 ΠΛ", "", "of the layers up to here"}},
      .rows = {}};
  for (std::size_t l = 0; l < r.layers.size(); ++l) {
    const CapacityLayer& layer = r.layers[l];
    double vo = 0, qk = 0, mlp = 1;
    for (const double v : layer.vo) vo += v;
    for (const double v : layer.qk) qk = std::max(qk, v);
    for (const double v : layer.mlp) mlp *= v;
    layers.rows.push_back({whole_cell(l), number_cell(layer.input_norm), number_cell(vo), number_cell(qk),
                           number_cell(mlp), number_cell(layer.attention), number_cell(layer.lambda),
                           number_cell(layer.log10_product)});
  }
  Table terms{.id = "capacity-terms" + suffix,
              .title = "Terms of the cover bound" + of,
              .caption = "K = (Σ (s·r·b)^(2/3))³·ln(2Dnm).",
              .columns = {{"map", "", "linear class"},
                          {"log10 s", "", "what an error at its output can become at the model's output"},
                          {"r", "", "norm of its input, with the constant that carries the bias"},
                          {"b", "", "‖[W | b]‖_{2,1}"},
                          {"share", "", "of the sum"}},
              .rows = {}};
  for (const CoverTerm& term : r.terms)
    terms.rows.push_back({term.name, number_cell(term.log10_slope), number_cell(term.input_norm),
                          number_cell(term.norm_21), number_cell(term.share)});
  return {std::move(layers), std::move(terms)};
}

}  // namespace telos::positional
