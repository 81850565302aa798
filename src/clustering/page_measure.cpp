#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "clustering/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kFollowedBars = 15;
/// Above this share of leaders the hardmax system leaves next to nothing to cluster.
constexpr double kMostLead = 0.5;

std::string plus_minus(const Estimate& e) {
  return telos::plus_minus(e.value, e.error);
}

bool has_attention(const ClusterMeasures& m) {
  return std::isfinite(m.largest.value);
}

/// The threshold of the sweep nearest to that of the agreement, where the last layer has about √n clusters.
std::size_t shown_threshold(const ClusterMeasures& m) {
  const std::vector<double>& t = m.options.thresholds;
  if (std::isnan(m.agreement_threshold)) return t.size() / 2;
  const auto distance = [&](double threshold) { return std::abs(threshold - m.agreement_threshold); };
  return static_cast<std::size_t>(std::ranges::min_element(t, {}, distance) - t.begin());
}

/// "118 → 23" clusters a window, before layer 0 and after the last.
std::string clusters_path(const ClusterMeasures& m) {
  const std::size_t t = shown_threshold(m);
  return fmt::format("{} → {}", format_number(m.stream.front().count[t].value, 3),
                     format_number(m.stream.back().count[t].value, 3));
}

// ---- Tables

double mean_of_heads(std::span<const HeadHardness> heads, Estimate HeadHardness::*number) {
  double sum = 0, n = 0;
  for (const HeadHardness& h : heads)
    if (h.valid) sum += (h.*number).value, ++n;
  return sum / n;
}

/// "5.7 (0.93)": the head of largest mean weight.
std::string hardest(std::span<const HeadHardness> heads) {
  const HeadHardness* best = nullptr;
  for (const HeadHardness& h : heads)
    if (h.valid && (best == nullptr || h.largest.value > best->largest.value)) best = &h;
  return best == nullptr ? "–" : fmt::format("{} ({})", best->name, format_number(best->largest.value, 2));
}

Table layers_table(const ClusterMeasures& m, const std::string& prefix) {
  const double threshold = m.options.thresholds[shown_threshold(m)];
  Table t{
      .id = prefix + "layers",
      .title = "Attention and clusters, layer by layer",
      .caption = "Attention: means over a layer's heads.",
      .columns = {{"layer", "", "from 0"},
                  {"largest", "", "mean of the largest weight of a row", 3},
                  {"targets", "", "effective number of targets, 1/Σa²", 3},
                  {"hardest head", "", "that of the largest mean weight"},
                  {"self", "", "rows that follow themselves", 2},
                  {"first", "", "rows that follow the window's first token", 2},
                  {"left out", "", "rows that follow tokens left out, such as [CLS]", 2},
                  {"clusters", "",
                   fmt::format("a window has after the layer, at cosine ≥ {}", format_number(threshold)), 3},
                  {"largest cluster", "", "its share of a window's tokens", 2}},
      .rows = {},
      .in_terminal = true};
  const std::size_t shown = shown_threshold(m);
  for (std::size_t l = 0; l < m.layers; ++l) {
    const std::span<const HeadHardness> heads =
        m.all.empty() ? std::span<const HeadHardness>{} : std::span(m.all).subspan(l * m.heads, m.heads);
    const auto mean = [&](Estimate HeadHardness::*number) {
      return number_cell(mean_of_heads(heads, number));
    };
    const LayerClusters& after = m.stream[l + 1];
    t.rows.push_back({whole_cell(l), mean(&HeadHardness::largest), mean(&HeadHardness::targets),
                      hardest(heads), mean(&HeadHardness::self_share), mean(&HeadHardness::first_share),
                      mean(&HeadHardness::left_out_share), number_cell(after.count[shown].value),
                      number_cell(after.largest[shown].value)});
  }
  return t;
}

Table heads_table(const ClusterMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "heads",
          .title = "Heads",
          .caption = "Means over the rows of a window, then over windows, ± one standard error.",
          .columns = {{"head", "", "layer.head, from 0"},
                      {"largest", "", "largest weight of a row", 3},
                      {"largest ±", "", "standard error", 2},
                      {"entropy", "nats", "−Σ a ln a", 3},
                      {"relative entropy", "", "entropy over ln(keys seen): 1 uniform, 0 hard", 3},
                      {"targets", "", "effective number of targets, 1/Σa²", 3},
                      {"targets ±", "", "standard error", 2},
                      {"self", "", "rows that follow themselves", 3},
                      {"first", "", "rows that follow the window's first token", 3},
                      {"left out", "", "rows that follow tokens left out, such as [CLS]", 3},
                      {"gini", "", "of in-degrees against those of uniform attention", 3},
                      {"top share", "", "rows that follow the most followed token of their window", 3},
                      {"most followed", "", "token that most rows of all windows follow"}},
          .rows = {}};
  for (const HeadHardness& h : m.all)
    t.rows.push_back({h.name, number_cell(h.largest.value), number_cell(h.largest.error),
                      number_cell(h.entropy.value), number_cell(h.relative_entropy.value),
                      number_cell(h.targets.value), number_cell(h.targets.error),
                      number_cell(h.self_share.value), number_cell(h.first_share.value),
                      number_cell(h.left_out_share.value), number_cell(h.gini.value),
                      number_cell(h.top_share.value), h.top_token});
  return t;
}

Table followed_table(const ClusterMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "followed",
          .title = "Tokens that are followed",
          .caption = fmt::format("Over all heads; at most {} tokens.", m.followed.size()),
          .columns = {{"token", "", ""},
                      {"windows", "", "in which it is followed"},
                      {"share", "", "of all (row, head) pairs that follow it", 3},
                      {"uniform", "", "share that uniform attention would give it", 3},
                      {"ratio", "", "share over uniform", 3}},
          .rows = {}};
  for (const FollowedToken& f : m.followed)
    t.rows.push_back({f.label, whole_cell(f.windows), f.share, f.uniform, number_cell(f.share / f.uniform)});
  return t;
}

Table stream_table(const ClusterMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "stream",
          .title = "Clusters of the residual stream",
          .caption =
              "Means over windows; layer 0 is the stream before the first layer, layer l that after l "
              "layers.",
          .columns = {{"layer", "", "number of layers passed"},
                      {"mean cosine", "", "of pairs of different tokens", 3}},
          .rows = {}};
  for (const double threshold : m.options.thresholds) {
    const std::string at = format_number(threshold);
    t.columns.push_back({"clusters ≥ " + at, "", "components of the graph cosine ≥ " + at, 4});
    t.columns.push_back({"± ≥ " + at, "", "standard error", 2});
    t.columns.push_back({"largest ≥ " + at, "", "share of tokens in the largest one", 3});
  }
  for (const LayerClusters& layer : m.stream) {
    t.rows.push_back({whole_cell(layer.layer), number_cell(layer.mean_cosine.value)});
    for (std::size_t k = 0; k < m.options.thresholds.size(); ++k) {
      t.rows.back().push_back(number_cell(layer.count[k].value));
      t.rows.back().push_back(number_cell(layer.count[k].error));
      t.rows.back().push_back(number_cell(layer.largest[k].value));
    }
  }
  return t;
}

Table agreement_table(const ClusterMeasures& m, const std::string& prefix) {
  Table t{.id = prefix + "agreement",
          .title = "What tells the clusters at the last layer",
          .caption =
              fmt::format("Adjusted Rand index with the {} clusters a window at cosine ≥ {} after the last "
                          "layer, of which the largest holds {} of the tokens; chance: {} random orders.",
                          format_number(m.agreement_clusters, 3), format_number(m.agreement_threshold, 3),
                          percent(m.agreement_largest), m.options.permutations),
          .columns = {{"rule", "", ""},
                      {"kind", "", "the hardmax system, or a simpler rule"},
                      {"index", "", "adjusted Rand index, mean over windows: 1 the same, 0 chance", 3},
                      {"±", "", "standard error", 2},
                      {"chance", "", "mean of the index over random orders of each window's tokens", 2},
                      {"97.5 %", "", "of random orders lie below", 2},
                      {"p", "", "share of random orders that reach the index", 2},
                      {"classes", "", "a window, that the rule makes", 3},
                      {"behind", "", "index of the first rule less this one's, mean over windows", 2},
                      {"behind ±", "", "standard error, of the differences window by window", 2}},
          .rows = {},
          .in_terminal = true};
  for (const Agreement& a : m.agreement)
    t.rows.push_back({a.name, a.baseline ? "baseline" : "prediction", number_cell(a.index.value),
                      number_cell(a.index.error), number_cell(a.null_mean), number_cell(a.null_high), a.p,
                      a.classes, number_cell(a.behind.value), number_cell(a.behind.error)});
  return t;
}

// ---- Figures

Figure hardness_map(const ClusterMeasures& m, const std::string& prefix) {
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values(m.layers, std::vector<double>(m.heads));
  for (std::size_t l = 0; l < m.layers; ++l) {
    rows.push_back(std::to_string(l));
    for (std::size_t h = 0; h < m.heads; ++h) values[l][h] = m.all[l * m.heads + h].largest.value;
  }
  for (std::size_t h = 0; h < m.heads; ++h) columns.push_back(std::to_string(h));
  return heat_map({.id = prefix + "hardness",
                   .title = fmt::format("The largest weight of a row is {} on average, {} targets",
                                        format_number(m.largest.value, 2), format_number(m.targets.value, 2)),
                   .caption = "Mean over rows of max_j a_ij: 1 is hardmax, 1 over the keys seen is uniform.",
                   .alt = "Largest attention weight by layer and head",
                   .x_label = "head",
                   .y_label = "layer"},
                  rows, columns, values, "largest weight", false);
}

Figure clusters_figure(const ClusterMeasures& m, const std::string& prefix) {
  std::vector<Series> series;
  for (std::size_t t = 0; t < m.options.thresholds.size(); ++t) {
    Series s;
    s.name = "cosine ≥ " + format_number(m.options.thresholds[t]);
    for (const LayerClusters& layer : m.stream) {
      const Estimate& count = layer.count[t];
      if (!layer.valid) continue;
      s.x.push_back(static_cast<double>(layer.layer));
      s.y.push_back(count.value);
      if (std::isnan(count.error)) continue;
      s.low.push_back(count.value - count.error);
      s.high.push_back(count.value + count.error);
    }
    series.push_back(std::move(s));
  }
  return line_chart(
      {.id = prefix + "count",
       .title = fmt::format("Clusters a window at cosine ≥ {}: {}",
                            format_number(m.options.thresholds[shown_threshold(m)]), clusters_path(m)),
       .caption = "Connected components of the graph that joins tokens of a window with cosine ≥ threshold; "
                  "band: ± one standard error over windows.",
       .alt = "Number of clusters over layers, one line a threshold",
       .x_label = "layers passed",
       .y_label = "clusters a window"},
      series);
}

Figure agreement_figure(const ClusterMeasures& m, const std::string& prefix) {
  std::vector<Bar> bars;
  for (const Agreement& a : m.agreement)
    bars.push_back({a.name, a.baseline ? "baseline" : "prediction", "", a.index.value,
                    std::isnan(a.index.error) ? 0 : a.index.error});
  if (const double high = m.agreement.front().null_high; !std::isnan(high))
    bars.push_back({"chance (97.5 %)", "chance", "", high, 0});
  return bar_chart(
      {.id = prefix + "rand-index",
       .title = "What tells the clusters at the last layer",
       .caption = "Adjusted Rand index, mean over windows ± one standard error: 1 the same clusters, 0 as "
                  "expected by chance. Chance: 97.5 % of random orders against the first rule lie below.",
       .alt = "Agreement of predictions and baselines with the clusters at the last layer",
       .x_label = "adjusted Rand index",
       .y_label = "rule"},
      bars);
}

Figure followed_figure(const ClusterMeasures& m, const std::string& prefix) {
  std::vector<Bar> bars;
  for (const FollowedToken& f : m.followed) {
    if (bars.size() == kFollowedBars) break;
    bars.push_back({f.label, f.share > f.uniform ? "more than uniform attention" : "less", "", f.share, 0});
  }
  return bar_chart({.id = prefix + "most-followed",
                    .title = fmt::format("“{}” is followed most: by {} of all rows and heads",
                                         m.followed.front().label, percent(m.followed.front().share)),
                    .caption = "Share of all (row, head) pairs whose largest weight lies on the token.",
                    .alt = "Bars of the most followed tokens",
                    .x_label = "share of rows and heads",
                    .y_label = "token"},
                   bars);
}

// ---- Words

const Agreement* best_baseline(const ClusterMeasures& m) {
  const Agreement* best = nullptr;
  for (const Agreement& a : m.agreement)
    if (a.baseline && (best == nullptr || a.index.value > best->index.value)) best = &a;
  return best;
}

/// The best of the simpler rules that the hardmax system is not known to beat: by two standard errors of the
/// difference over windows.
const Agreement* best_unbeaten(const ClusterMeasures& m) {
  const Agreement* best = nullptr;
  for (const Agreement& a : m.agreement)
    if (a.baseline && !(a.behind.value > 2 * a.behind.error) &&
        (best == nullptr || a.index.value > best->index.value))
      best = &a;
  return best;
}

/// How the hardmax system fares against chance and against the simpler rules.
std::string prediction_words(const ClusterMeasures& m) {
  if (m.agreement.empty()) return {};
  const Agreement& hardmax = m.agreement.front();
  if (std::isnan(hardmax.null_high))
    return "the hardmax system on the first states was not compared with chance";
  if (!(hardmax.p <= kChance) || !(hardmax.index.value > 0)) {
    if (m.leaders <= kMostLead * m.counted)
      return "the hardmax system on the first states tells the last layer's clusters no better than chance";
    return fmt::format(
        "the hardmax system on the first states tells nothing of the last layer's clusters: {} "
        "of {} tokens lead",
        format_number(m.leaders, 3), format_number(m.counted, 3));
  }
  const Agreement* rival = best_unbeaten(m);
  if (rival == nullptr)
    return "the hardmax system on the first states tells the last layer's clusters better than simpler rules";
  const bool unknown = rival->behind.value > 0 && std::isnan(rival->behind.error);
  return fmt::format(
      "the hardmax system on the first states tells the last layer's clusters better than chance, but {} "
      "“{}”",
      unknown ? "one window does not show that it is better than" : "no better than", rival->name);
}

std::string capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string hardness_words(const ClusterMeasures& m) {
  return fmt::format("attention's largest weight is {}, {} effective targets", plus_minus(m.largest),
                     plus_minus(m.targets));
}

std::string clusters_words(const ClusterMeasures& m) {
  return fmt::format("clusters a window of {} tokens at cosine ≥ {}: {} over {}", format_number(m.counted, 3),
                     format_number(m.options.thresholds[shown_threshold(m)]), clusters_path(m),
                     count_of(m.layers, "layer", "layers"));
}

std::string agreement_words(const ClusterMeasures& m) {
  const Agreement &hardmax = m.agreement[0], &baseline = *best_baseline(m);
  const std::string chance =
      std::isnan(hardmax.null_high)
          ? ""
          : fmt::format(" (97.5 % of random orders below {})", format_number(hardmax.null_high, 2));
  return fmt::format(
      "adjusted Rand index {}{}; best baseline, “{}”: {}; the clusters: {} a window, the largest holds {} of "
      "the tokens",
      plus_minus(hardmax.index), chance, baseline.name, plus_minus(baseline.index),
      format_number(m.agreement_clusters, 3), percent(m.agreement_largest));
}

}  // namespace

Section clusters_section(const ClusterMeasures& m, const std::string& prefix) {
  Section section{.id = prefix + "clusters",
                  .title = capitalized(has_attention(m) ? hardness_words(m) : clusters_words(m))};
  if (!m.agreement.empty())
    section.paragraphs.push_back(
        fmt::format("{}. {}.", capitalized(prediction_words(m)), capitalized(agreement_words(m))));
  if (has_attention(m)) section.figures.push_back(hardness_map(m, prefix));
  section.figures.push_back(clusters_figure(m, prefix));
  if (!m.followed.empty()) section.figures.push_back(followed_figure(m, prefix));
  if (!m.agreement.empty()) section.figures.push_back(agreement_figure(m, prefix));
  section.tables.push_back(layers_table(m, prefix));
  if (!m.agreement.empty()) section.tables.push_back(agreement_table(m, prefix));
  section.tables.push_back(stream_table(m, prefix));
  if (!m.followed.empty()) section.tables.push_back(followed_table(m, prefix));
  if (!m.all.empty()) section.tables.push_back(heads_table(m, prefix));
  return section;
}

KeyNumber clusters_key(const ClusterMeasures& m) {
  return {"clusters", clusters_path(m),
          fmt::format("(a window of {} tokens, cosine ≥ {})", format_number(m.counted, 3),
                      format_number(m.options.thresholds[shown_threshold(m)])),
          "Connected components of the graph that joins tokens by cosine, first and last states"};
}

Report clusters_report(const ClusterMeasures& m, const PageContext& context) {
  Report report = begin_report(context, measure_definitions());
  const std::string prediction = prediction_words(m);
  report.verdict = {
      capitalized(!prediction.empty() ? prediction
                  : has_attention(m)  ? hardness_words(m)
                                      : clusters_words(m)) +
          ".",
      fmt::format("measured on {} of {} tokens", count_of(m.windows, "window", "windows"), m.tokens),
      {}};
  if (!m.agreement.empty()) report.verdict.evidence.push_back(agreement_words(m));
  if (has_attention(m)) {
    report.keys.push_back({"largest weight", plus_minus(m.largest), "(of a row of attention)", ""});
    report.keys.push_back({"targets", plus_minus(m.targets), "(effective number, 1/Σa²)", ""});
  }
  report.keys.push_back(clusters_key(m));
  if (!m.agreement.empty()) {
    report.keys.push_back({"agreement", plus_minus(m.agreement[0].index),
                           "(hardmax prediction with the last layer's clusters, adjusted Rand index)", ""});
    report.keys.push_back({"leaders", format_number(m.leaders, 3),
                           fmt::format("(of the hardmax system on {} tokens)", format_number(m.counted, 3)),
                           ""});
  }
  report.sections.push_back(clusters_section(m));
  std::vector<Figure>& figures = report.sections[0].figures;
  report.lead.push_back(std::move(figures.front()));
  figures.erase(figures.begin());
  report.not_measured = m.notes;
  return report;
}

std::vector<Definition> measure_definitions() {
  return {
      {"attention hardness",
       "Of a row a of attention: its largest weight, its entropy −Σ a ln a, and its effective number of "
       "targets 1/Σa², which is 1 for hardmax and the number of keys for uniform attention."},
      {"followed",
       "A row follows the token of its largest weight (equal ones in parts). Tokens left out are no rows but "
       "can be followed. Gini: of in-degrees against those of uniform attention, 0 as uniform, → 1 one token "
       "takes all."},
      {"cosine clusters",
       "Connected components of the graph that joins two tokens of a window whose states have a cosine of at "
       "least the threshold: a chain of near tokens is one cluster."},
      {"hardmax prediction",
       "Tokens with the same limit in the hardmax system z' = z + α/(1 + α)·(mean of the tokens of largest "
       "⟨z, z_j⟩ − z) after infinitely many layers, run on the states before layer 0, as they are or with "
       "their mean as origin (arXiv 2407.01602). It knows no weights: A = I, no causal mask. With equal "
       "norms "
       "every token leads and nothing moves. A head's own form W_Qᵀ W_K is not symmetric, so outside the "
       "theorem, and is not used."},
      {"adjusted Rand index",
       "Agreement of two partitions: pairs of tokens together in both, less what chance gives, over the most "
       "that is possible (Hubert and Arabie 1985). Chance band: the clusters' tokens in random order. A "
       "prediction is better than chance where p ≤ 0.025, better than a rule where it is ahead of it by more "
       "than two standard errors of the difference over the same windows."}};
}

}  // namespace telos::clustering
