#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "clustering/page_parts.h"
#include "clustering/page_view.h"
#include "telos/base/quantity.h"
#include "telos/clustering/theory.h"
#include "telos/report/charts.h"

// The page of one hardmax system: who leads, who follows whom, layer by layer.

namespace telos::clustering {
namespace {

/// More rows than this are no table for a page; the files that a run leaves hold all tokens.
constexpr std::size_t kMostRows = 100'000;
constexpr std::size_t kMostPoints = 10'000;

using Labels = std::vector<std::string>;

std::string name_of(const Labels& labels, std::size_t token) {
  return token < labels.size() ? labels[token] : std::to_string(token);
}

/// Leaders by followers, most first.
std::vector<std::size_t> by_followers(const HardmaxRun& run) {
  std::vector<std::size_t> order(run.leaders.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&run](std::size_t a, std::size_t b) {
    return run.leaders[a].followers > run.leaders[b].followers;
  });
  return order;
}

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::size_t changed_tokens(const HardmaxRun& run) {
  return static_cast<std::size_t>(
      std::count_if(run.fates.begin(), run.fates.end(), [](const Fate& f) { return f.changed; }));
}

Table leaders_table(const HardmaxRun& run, const Labels& labels) {
  Table t{.id = "leaders",
          .title = "Leaders",
          .caption = "By the number of tokens that end at them.",
          .columns = {{"token", "", "index, from 0"},
                      {"name", "", ""},
                      {"tokens", "", "whose limit it is, itself and its copies among them"},
                      {"share", "", "of all tokens", 3},
                      {"norm", "", "√⟨Az, z⟩"},
                      {"emergence", "", "first layer at which it attends to itself alone"},
                      {"copies", "", "equal tokens"}},
          .rows = {},
          .in_terminal = true};
  for (const std::size_t l : by_followers(run)) {
    if (t.rows.size() == kMostRows) break;
    const Leader& leader = run.leaders[l];
    t.rows.push_back({whole_cell(leader.token), name_of(labels, leader.token), whole_cell(leader.followers),
                      share(leader.followers, run.tokens), leader.norm, whole_cell(leader.emergence),
                      whole_cell(leader.copies)});
  }
  return t;
}

Table layers_table(const HardmaxRun& run) {
  Table t{.id = "layers",
          .title = "Layer by layer",
          .caption = "Counts of tokens that differ. Decided: the rest of the way is a formula.",
          .columns = {{"layer", "", "from 0"},
                      {"active", "", "asked for their argmax set at this layer"},
                      {"leaders", "", "after it"},
                      {"decided", "", "after it"},
                      {"changed", "", "whose argmax set is another than a layer before"},
                      {"ties", "", "with more than one token of largest score"},
                      {"scores", "", "inner products evaluated"}},
          .rows = {}};
  for (std::size_t k = 0; k < run.per_layer.size(); ++k) {
    const LayerCounts& c = run.per_layer[k];
    t.rows.push_back({whole_cell(k), whole_cell(c.active), whole_cell(c.leaders), whole_cell(c.decided),
                      whole_cell(c.changed), whole_cell(c.ties), static_cast<std::int64_t>(c.scores)});
  }
  return t;
}

Table tokens_table(const HardmaxRun& run, const Labels& labels) {
  Table t{
      .id = "tokens",
      .title = "Tokens",
      .caption = "What becomes of each.",
      .columns = {{"token", "", "index, from 0"},
                  {"name", "", ""},
                  {"end", "", "leader, follows, static, face, asymptotic, undecided"},
                  {"leader", "", "token that its limit is"},
                  {"leader name", "", ""},
                  {"decided", "", "layer from which on its way is a formula"},
                  {"first target", "", "lowest token of its argmax set at layer 0"},
                  {"changed", "", "its argmax set changed at some layer"},
                  {"travelled", "",
                   run.depth == kAllLayers ? "‖limit − start‖" : "‖position after the last layer − start‖"}},
      .rows = {}};
  for (std::size_t i = 0; i < run.fates.size(); ++i) {
    const Fate& f = run.fates[i];
    const bool follows = f.leader != kNone;
    std::vector<Cell> row = {whole_cell(i), name_of(labels, i), std::string(to_string(f.end))};
    row.emplace_back();
    row.emplace_back();
    row.emplace_back();
    if (follows) {
      row[3] = whole_cell(run.leaders[f.leader].token);
      row[4] = name_of(labels, run.leaders[f.leader].token);
    }
    if (f.decided != kNone) row[5] = whole_cell(f.decided);
    row.emplace_back(whole_cell(f.first_target));
    row.emplace_back(std::string(f.changed ? "yes" : ""));
    row.emplace_back(f.travelled);
    t.rows.push_back(std::move(row));
  }
  return t;
}

Figure sizes_figure(const HardmaxRun& run, const Labels& labels) {
  constexpr std::size_t kShownSizes = 20;
  std::vector<Bar> bars;
  for (const std::size_t l : by_followers(run)) {
    if (bars.size() == kShownSizes) break;
    const Leader& leader = run.leaders[l];
    bars.push_back({name_of(labels, leader.token),
                    leader.emergence == 0 ? "leads from layer 0" : "emerged later",
                    std::to_string(leader.token), static_cast<double>(leader.followers), 0});
  }
  return bar_chart({.id = "cluster-sizes",
                    .title = run.leaders.size() > kShownSizes ? fmt::format("The {} largest of {} clusters",
                                                                            kShownSizes, run.leaders.size())
                                                              : "Clusters by size",
                    .caption = "Tokens whose limit the leader is.",
                    .alt = "Bars of tokens by leader",
                    .x_label = "tokens",
                    .y_label = "leader"},
                   bars);
}

Figure layers_figure(const HardmaxRun& run) {
  Series active{.name = "active", .x = {}, .y = {}, .low = {}, .high = {}};
  Series leaders{.name = "leaders", .x = {}, .y = {}, .low = {}, .high = {}};
  for (std::size_t k = 0; k < run.per_layer.size(); ++k) {
    active.x.push_back(static_cast<double>(k));
    active.y.push_back(static_cast<double>(run.per_layer[k].active));
    leaders.x.push_back(static_cast<double>(k));
    leaders.y.push_back(static_cast<double>(run.per_layer[k].leaders));
  }
  return line_chart(
      {.id = "active-and-leaders",
       .title = run.complete ? "Fewer tokens are undecided at each layer"
                             : fmt::format("{} layers leave tokens undecided", run.per_layer.size()),
       .caption = "Active tokens are asked for their argmax set; leaders stand still and stay leaders.",
       .alt = "Active tokens and leaders by layer",
       .x_label = "layer",
       .y_label = "tokens",
       .log_y = true},
      {active, leaders});
}

// ---- The animated figure

/// The leaders with most followers have a colour each.
FollowColours colours_of(const HardmaxRun& run, const Labels& labels) {
  constexpr std::size_t kNamed = 100;
  FollowColours colours("a smaller leader, or none yet", "several tokens");
  const std::vector<std::size_t> order = by_followers(run);
  for (std::size_t l = 0; l < std::min(kNamed, order.size()); ++l) {
    const Leader& leader = run.leaders[order[l]];
    colours.add(run.group[leader.token], name_of(labels, leader.token));
  }
  return colours;
}

/// Unique tokens that the player shows: all leaders that fit, then every so-manyth of the others.
std::vector<std::size_t> shown_tokens(const HardmaxRun& run) {
  std::vector<char> leads(run.unique, 0);
  std::vector<std::size_t> shown;
  for (const Leader& leader : run.leaders) {
    if (shown.size() == kMostPoints / 2) break;
    leads[run.group[leader.token]] = 1;
    shown.push_back(run.group[leader.token]);
  }
  const std::size_t others = run.unique - shown.size(), room = kMostPoints - shown.size();
  const std::size_t every = std::max<std::size_t>(1, (others + room - 1) / room);
  std::size_t seen = 0;
  for (std::size_t u = 0; u < run.unique; ++u)
    if (!leads[u] && seen++ % every == 0) shown.push_back(u);
  std::sort(shown.begin(), shown.end());
  return shown;
}

/// Frames until what is left of the distance to the limits is less than a pixel.
std::size_t frames_shown(const HardmaxRun& run) {
  constexpr std::size_t kMostStates = 100;
  std::size_t frames = run.layers + 1;
  if (run.complete) {
    // Not from the rate, which rounds to 1 for a small step.
    frames = run.layers + 2 + static_cast<std::size_t>(std::min(1e6, layers_to_approach(run.alpha, 300)));
  }
  return std::clamp<std::size_t>(frames, 2, kMostStates + 1);
}

View run_view(const HardmaxRun& run) {
  if (run.dimension <= 3 || run.leaders.size() < 3) return view_of(run.limits.view());
  Matrix<double> rows(run.leaders.size(), run.dimension);
  for (std::size_t l = 0; l < run.leaders.size(); ++l)
    std::copy_n(run.limits.row(run.leaders[l].token), run.dimension, rows.row(l));
  return view_of(rows.view());
}

Player::Point point_of(const HardmaxRun& run, std::size_t unique, const Labels& labels, const View& view,
                       const FollowColours& colours, std::size_t frames) {
  Player::Point point = point_on_its_way(run, unique, view, colours, frames);
  point.label = name_of(labels, run.first[unique]);
  const Fate& fate = run.fates[run.first[unique]];
  if (fate.end == TokenEnd::kLeader) point.star_from = run.leaders[fate.leader].emergence;
  return point;
}

Player run_player(const HardmaxRun& run, const Labels& labels) {
  Player player;
  player.id = "tokens-on-their-way";
  player.title = "Tokens move to their leaders";
  player.alt = "Positions of the tokens, layer by layer";
  const View view = run_view(run);
  set_axes(player, view);
  const std::size_t frames = frames_shown(run);
  for (std::size_t k = 0; k < frames; ++k) player.frames.push_back(static_cast<double>(k));
  player.ratio = run.rate;
  player.hull = player.dimension == 2 && !view.components;
  const FollowColours colours = colours_of(run, labels);
  player.groups = colours.names();
  const std::vector<std::size_t> shown = shown_tokens(run);
  for (const std::size_t u : shown) player.points.push_back(point_of(run, u, labels, view, colours, frames));
  for (const std::size_t k : std::initializer_list<std::size_t>{0, 1, 2, 5, 30})
    if (k < frames) player.panels.push_back(k);
  if (frames <= 30) player.panels.push_back(frames - 1);
  player.caption =
      "Each layer moves a token by α/(1 + α) of the way to the mean of the tokens of largest score ⟨Az_i, "
      "z_j⟩; colour: the leader among them. Stars lead: they attend to themselves alone and stand still. "
      "arXiv 2407.01602." +
      view_remark(view, run.leaders.size() < 3 ? "the limits" : "the leaders");
  if (shown.size() < run.unique)
    player.caption +=
        fmt::format(" {} of {} tokens are shown.", format_count(shown.size()), format_count(run.unique));
  return player;
}

// ---- Words

/// Whether a token goes anywhere, beyond rounding.
bool moves(const HardmaxRun& run, std::size_t token) {
  double square = 0;
  for (std::size_t j = 0; j < run.limits.cols(); ++j) square += run.limits(token, j) * run.limits(token, j);
  return run.fates[token].travelled > 1e-9 * std::sqrt(square);
}

/// Leaders that stand for tokens which A, where it is not definite, cannot tell apart: these do move.
std::size_t moving_leaders(const HardmaxRun& run) {
  return static_cast<std::size_t>(std::count_if(run.leaders.begin(), run.leaders.end(),
                                                [&](const Leader& l) { return moves(run, l.token); }));
}

std::string verdict_sentence(const HardmaxRun& run) {
  if (!run.theorem)
    return run.complete ? "The tokens come to rest; this matrix is outside the theorem, so that none is "
                          "called a leader."
                        : "The matrix is outside the theorem; the tokens still move.";
  if (run.equal_norms) return "All tokens have the same norm: every one leads, and nothing ever moves.";
  if (run.unique == 1)
    return run.tokens == 1           ? "One token leads itself."
           : moving_leaders(run) > 0 ? "A cannot tell the tokens apart: all move to their mean."
                                     : "All tokens are equal, and stand still.";
  const std::string lead =
      fmt::format("{} of {} tokens {}", format_count(run.leaders.size()),
                  format_count(run.unique) + (run.unique < run.tokens ? " different" : ""),
                  run.leaders.size() == 1 ? "leads" : "lead");
  if (2 * run.leaders.size() > run.unique && run.unique >= 20)
    return lead + ": they hardly cluster in this dimension.";
  if (!run.complete) return lead + "; not all others are decided at the last layer.";
  const auto elsewhere = std::count_if(run.fates.begin(), run.fates.end(), [](const Fate& f) {
    return f.end != TokenEnd::kLeader && f.end != TokenEnd::kFollows;
  });
  if (elsewhere == 0) return lead + "; each other token converges to one of them.";
  return fmt::format("{}; {} of the other tokens {} elsewhere, by exact ties.", lead, elsewhere,
                     elsewhere == 1 ? "ends" : "end");
}

std::string layers_text(std::size_t layers) {
  return format_count(layers) + (layers == 1 ? " layer" : " layers");
}

std::string basis(const HardmaxRun& run) {
  if (run.complete)
    return run.depth == kAllLayers ? "exact, for infinitely many layers"
                                   : fmt::format("exact, after {}", layers_text(run.depth));
  return fmt::format("{}, after {}", run.theorem ? "exact" : "iterated", layers_text(run.layers));
}

std::string reason(const HardmaxRun& run) {
  switch (run.stop) {
    case HardmaxStop::kDecided:
      return "(nothing moves any more)";
    case HardmaxStop::kLayers:
      return "(as many as were asked for)";
    case HardmaxStop::kStill:
      return "(no token moves more than rounding, beside the largest norm at first)";
    case HardmaxStop::kMaxLayers:
      return fmt::format("(the most that infinitely many are run to{})",
                         run.theorem ? "" : " outside the theorem");
  }
  return {};
}

/// When the run ended, and how near its positions are to the limits where the theorem says that.
KeyNumber end_of_run(const HardmaxRun& run) {
  if (!run.theorem)
    return {"ended", fmt::format("after {}", layers_text(run.layers)), reason(run),
            "outside the theorem no token's future is known"};
  if (!run.complete)
    return {"decided", fmt::format("not all after {}", layers_text(run.layers)), reason(run),
            "every token's argmax set is final"};
  return {"decided", fmt::format("after {}", count_of(run.per_layer.size(), "layer", "layers")),
          fmt::format("({} left of the distance to the limit by each further layer)", percent(run.rate)),
          "every token's argmax set is final"};
}

std::vector<KeyNumber> key_numbers(const HardmaxRun& run, const Labels& labels) {
  std::vector<KeyNumber> keys;
  const double expected = run.theorem ? expected_leaders(run.unique, run.dimension) : 0;
  if (run.theorem)
    keys.push_back({"leaders", format_count(run.leaders.size()),
                    fmt::format("({} from layer 0; {} would be expected of {} standard normal tokens in {})",
                                format_count(run.initial_leaders), format_number(expected, 3),
                                format_count(run.unique), count_of(run.dimension, "dimension", "dimensions")),
                    "tokens that attend to themselves alone at some layer"});
  keys.push_back(end_of_run(run));
  if (!run.leaders.empty()) {
    const Leader& largest = run.leaders[by_followers(run)[0]];
    keys.push_back({"largest cluster", format_count(largest.followers),
                    fmt::format("tokens ({}) around {}", percent(share(largest.followers, run.tokens)),
                                name_of(labels, largest.token)),
                    ""});
  }
  keys.push_back({"changed", percent(share(changed_tokens(run), run.tokens)),
                  "(of the tokens: the first layer's argmax does not tell where they end)", ""});
  return keys;
}

std::string way_title(const HardmaxRun& run) {
  const std::string after = count_of(run.per_layer.size(), "layer", "layers");
  return run.complete ? fmt::format("After {} every token's future is a formula", after)
                      : fmt::format("The tokens through {}", after);
}

Section clusters_of(const HardmaxRun& run, const Labels& labels) {
  Section section{.id = "clusters", .title = "Who leads, and who follows"};
  if (!run.leaders.empty() && !run.equal_norms) section.figures.push_back(sizes_figure(run, labels));
  if (run.per_layer.size() > 1) section.figures.push_back(layers_figure(run));
  if (!run.leaders.empty()) section.tables.push_back(leaders_table(run, labels));
  section.tables.push_back(layers_table(run));
  section.tables.back().in_terminal = run.leaders.empty();
  if (run.fates.size() <= kMostRows)
    section.tables.push_back(tokens_table(run, labels));
  else
    section.paragraphs.push_back(
        fmt::format("The table of all {} tokens is left out of the page; --positions leaves them as files.",
                    format_count(run.fates.size())));
  section.paragraphs.insert(section.paragraphs.end(), run.notes.begin(), run.notes.end());
  return section;
}

}  // namespace

Report run_report(const HardmaxRun& run, const std::vector<std::string>& labels, const PageContext& context) {
  Report report = begin_report(context, hardmax_definitions());
  report.verdict = {verdict_sentence(run), basis(run), {}};
  report.keys = key_numbers(run, labels);
  if (!run.history.layers.empty() && run.unique > 1 && !run.equal_norms) {
    Section way{.id = "way", .title = way_title(run)};
    way.players.push_back(run_player(run, labels));
    report.sections.push_back(std::move(way));
  }
  report.sections.push_back(clusters_of(run, labels));
  report.verdict.evidence = run.notes;
  return report;
}

std::vector<Definition> hardmax_definitions() {
  return {
      {"hardmax system",
       "z_i ← z_i + s·((mean_{j ∈ C_i} z_j) − z_i), s = α/(1 + α), C_i = {j: ⟨Az_i, z_j⟩ largest}: pure "
       "attention with V = αI in the limit of temperature 0, after division by (1 + α) a layer (Alcalde, "
       "Fantuzzi, Zuazua, arXiv 2407.01602)."},
      {"leader",
       "A token with C_i = {i} at some layer. It never moves again and stays a leader. A token of largest "
       "norm "
       "leads from layer 0."},
      {"decided",
       "A token whose argmax set stands still for ever (a leader; a token that follows standing ones): its "
       "distance to its limit is multiplied by 1/(1 + α) in each further layer, so that its limit is exact."},
      {"end of a token",
       "leader; follows (its limit is a leader); static (at the mean of its own argmax set); face (its limit "
       "is "
       "the projection of the origin onto a face: needs exact ties); asymptotic or undecided (the run ended "
       "first)."},
      {"emergence", "The first layer at which a leader attends to itself alone."},
      {"tokens and share of a leader",
       "Tokens whose limit it is, itself and its copies among them, and their share of all tokens."},
      {"norm", "√⟨Az, z⟩ of a leader: tokens follow tokens of larger norm only."},
      {"copies",
       "Tokens equal to a leader, itself among them: equal tokens move as one, with the weight of all. Where "
       "A "
       "is not definite, those that it cannot tell apart count as equal: they move to their mean, and the "
       "leader with them."},
      {"changed", "Share of the tokens whose argmax set differs from the one before at some layer."}};
}

}  // namespace telos::clustering
