#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

// The page of a soft or continuous system: clusters, energy and smallest cosine against time.

namespace telos::clustering {
namespace {

using Labels = std::vector<std::string>;

std::string lab_name(const Labels& labels, std::size_t token) {
  return token < labels.size() ? labels[token] : std::to_string(token);
}

const char* clock_word(const SoftOptions& options) {
  return is_continuous(options.kind) ? "time" : "layer";
}

std::string time_text(double time) {
  return format_number(time, 3);
}

/// First state from which on the number of clusters is that of the end.
std::size_t settled_from(const SoftRun& run) {
  std::size_t state = run.clusters.size() - 1;
  while (state > 0 && run.clusters[state - 1] == run.clusters.back()) --state;
  return state;
}

bool is_final(const Plateau& plateau, const SoftRun& run) {
  return plateau.clusters > 0 && plateau.last + 1 == run.clusters.size();
}

std::string verdict_sentence(const SoftRun& run, const SoftOptions& options) {
  const std::size_t tokens = run.component.size(), first = run.clusters.front(), last = run.clusters.back();
  const std::string clock = clock_word(options);
  if (tokens == 1) return "One token has nothing to gather with.";
  if (const auto [least, most] = std::ranges::minmax(run.clusters); first == last && least == most)
    return last == tokens ? fmt::format("The {} tokens keep apart.", format_count(tokens))
                          : fmt::format("{} throughout: nothing gathers, nothing parts.",
                                        count_of(last, "cluster", "clusters"));
  else if (first == last)
    return fmt::format("{} at first and at the end, {} between.", count_of(last, "cluster", "clusters"),
                       least == last  ? fmt::format("up to {}", most)
                       : most == last ? fmt::format("down to {}", least)
                                      : fmt::format("{} to {}", least, most));
  if (last > first) return fmt::format("Clusters part: {} become {}.", first, last);
  const Plateau plateau = longest_plateau(run);
  const std::string settled = time_text(run.times[settled_from(run)]);
  std::string sentence =
      last == 1 ? fmt::format("All {} tokens have met by {} {}", format_count(tokens), clock, settled)
                : fmt::format("{} tokens gather in {}, reached at {} {}", format_count(tokens),
                              count_of(last, "cluster", "clusters"), clock, settled);
  if (plateau.clusters > 0 && !is_final(plateau, run) && plateau.last > plateau.first)
    sentence += fmt::format("; {} stood from {} {} to {} before", plateau.clusters, clock,
                            time_text(run.times[plateau.first]), time_text(run.times[plateau.last]));
  return sentence + ".";
}

Verdict verdict_of(const SoftRun& run, const SoftOptions& options) {
  Verdict verdict{verdict_sentence(run, options),
                  is_continuous(options.kind)
                      ? fmt::format("simulated, Runge–Kutta steps of {}", format_number(run.step, 3))
                      : fmt::format("simulated, {}", count_of(run.times.size() - 1, "layer", "layers")),
                  {}};
  const bool plain = options.q.empty() && options.k.empty() && options.v.empty();
  if (is_spherical(options.kind) && plain && run.clusters.back() > 1 && !run.states.empty() &&
      run.states[0].cols() >= 3)
    verdict.evidence.push_back(
        "theory: for d ≥ 3 and Q = K = V = I almost all starts end in one cluster; what stands here is "
        "metastable");
  if (options.kind == SoftKind::kSoftmax && run.clusters.back() > 1)
    verdict.evidence.push_back(
        "theory: at any T > 0 and for small steps the tokens meet in the end, after times that may grow "
        "exponentially in 1/T (arXiv 2508.09628)");
  verdict.evidence.insert(verdict.evidence.end(), run.notes.begin(), run.notes.end());
  return verdict;
}

std::string system_line(const SoftRun& run, const SoftOptions& options) {
  std::string line(to_string(options.kind));
  if (options.kind == SoftKind::kSoftmax)
    line += fmt::format(" · α {} · T {}", format_number(options.alpha), format_number(options.temperature));
  if (options.kind == SoftKind::kLocalmax)
    line += fmt::format(" · α {} · relaxation {}", format_number(options.alpha),
                        format_number(options.relaxation));
  if (is_spherical(options.kind)) line += fmt::format(" · β {}", format_number(options.beta));
  line += fmt::format(" · {} tokens", format_count(run.component.size()));
  if (!run.states.empty()) line += fmt::format(" · d {}", run.states[0].cols());
  for (const auto& [name, matrix] :
       {std::pair{"A", options.a}, {"Q", options.q}, {"K", options.k}, {"V", options.v}})
    if (!matrix.empty()) line += fmt::format(" · {} given", name);
  return line;
}

std::vector<KeyNumber> key_numbers(const SoftRun& run, const SoftOptions& options) {
  const std::string clock = clock_word(options);
  const std::string span =
      fmt::format("({} {} → {})", clock, time_text(run.times.front()), time_text(run.times.back()));
  std::vector<KeyNumber> keys;
  keys.push_back({"clusters", format_count(run.clusters.front()) + " → " + format_count(run.clusters.back()),
                  span, "see definitions"});
  const Plateau plateau = longest_plateau(run);
  if (plateau.clusters > 0 && plateau.last > plateau.first)
    keys.push_back(
        {"longest plateau", fmt::format("{} clusters", plateau.clusters),
         fmt::format("({} {} → {}{})", clock, time_text(run.times[plateau.first]),
                     time_text(run.times[plateau.last]), is_final(plateau, run) ? ", the end" : ""),
         "see definitions"});
  if (!run.smallest_cosine.empty())
    keys.push_back(
        {"smallest cosine",
         format_number(run.smallest_cosine.front()) + " → " + format_number(run.smallest_cosine.back()), span,
         "least of ⟨x_i, x_j⟩ over all pairs"});
  if (!run.energy.empty())
    keys.push_back({"energy", format_number(run.energy.front()) + " → " + format_number(run.energy.back()),
                    span, "E_β = (1/(2βn²)) Σ_ij e^{β⟨x_i, x_j⟩}"});
  if (run.saturated_at != kNone)
    keys.push_back({"hardmax from", fmt::format("{} {}", clock, time_text(run.times[run.saturated_at])),
                    "(from here on the softmax is a hardmax to rounding)", "see definitions"});
  return keys;
}

/// Times and smallest cosines that theory gives, where it applies: SA and USA with Q = K = V = I from
/// orthonormal tokens.
std::vector<double> equiangular_cosines(const SoftRun& run, const SoftOptions& options) {
  if (!is_spherical(options.kind) || run.states.empty()) return {};
  if (!options.q.empty() || !options.k.empty() || !options.v.empty()) return {};
  const Matrix<double>& x = run.states[0];
  if (x.rows() < 2 || x.rows() > x.cols()) return {};
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (std::abs(std::inner_product(x.row(i), x.row(i) + x.cols(), x.row(j), 0.0)) > 1e-9) return {};
  return equiangular(x.rows(), options.beta, options.kind == SoftKind::kUSA, run.times);
}

Figure clusters_figure(const SoftRun& run, const SoftOptions& options) {
  std::vector<double> counts(run.clusters.begin(), run.clusters.end());
  const std::string clock = clock_word(options);
  const std::string sentence = verdict_sentence(run, options);
  return line_chart(
      {.id = "clusters",
       .title = sentence.substr(0, sentence.size() - 1),
       .caption = fmt::format("Connected components of tokens closer than ε = {}{}; flat stretches above one "
                              "cluster are metastable.",
                              format_number(options.distance),
                              is_spherical(options.kind) ? " (chord)" : " of the largest norm"),
       .alt = "Number of clusters against " + clock,
       .x_label = clock,
       .y_label = "clusters",
       .log_y = run.clusters.front() > 20},
      {{.name = "clusters", .x = run.times, .y = std::move(counts), .low = {}, .high = {}}});
}

Figure cosine_figure(const SoftRun& run, const SoftOptions& options) {
  const std::vector<double> theory = equiangular_cosines(run, options);
  std::vector<Series> series = {
      {.name = "simulated", .x = run.times, .y = run.smallest_cosine, .low = {}, .high = {}}};
  double gap = 0;
  for (std::size_t f = 0; f < theory.size(); ++f)
    gap = std::max(gap, std::abs(theory[f] - run.smallest_cosine[f]));
  if (!theory.empty())
    series.push_back(
        {.name = "γ(t) of the theory", .x = run.times, .y = theory, .low = {}, .high = {}, .dashed = true});
  return line_chart(
      {.id = "cosine",
       .title = theory.empty() ? fmt::format("The smallest cosine goes from {} to {}",
                                             format_number(run.smallest_cosine.front(), 3),
                                             format_number(run.smallest_cosine.back(), 3))
                               : fmt::format("Orthonormal tokens stay equiangular, as the theory says to {}",
                                             format_number(gap, 2)),
       .caption =
           "Least ⟨x_i, x_j⟩ over all pairs; dashed, where tokens start orthonormal: the scalar equation "
           "of arXiv 2312.10794.",
       .alt = "Smallest cosine against time",
       .x_label = "time",
       .y_label = "smallest cosine"},
      series);
}

Figure energy_figure(const SoftRun& run) {
  constexpr double kRoundOff = 1e-12;
  const bool grows =
      std::adjacent_find(run.energy.begin(), run.energy.end(), [](double before, double after) {
        return after < before - kRoundOff * std::abs(before);
      }) == run.energy.end();
  return line_chart(
      {.id = "energy",
       .title = grows ? "The energy never falls" : "The energy falls somewhere: the step is too long",
       .caption = "E_β = (1/(2βn²)) Σ_ij e^{β⟨x_i, x_j⟩} (β = 0: ½‖mean‖²); the system is its "
                  "gradient ascent on the sphere.",
       .alt = "Energy against time",
       .x_label = "time",
       .y_label = "E_β"},
      {{.name = "energy", .x = run.times, .y = run.energy, .low = {}, .high = {}}});
}

Table states_table(const SoftRun& run, const SoftOptions& options, bool in_terminal) {
  Table t{.id = in_terminal ? "course" : "states",
          .title = in_terminal ? "Course" : "All states",
          .caption = in_terminal ? "At most eleven states; all of them in the table of states." : "",
          .columns = {{clock_word(options), "", ""}, {"clusters", "", "see definitions"}},
          .rows = {},
          .in_terminal = in_terminal};
  if (!run.smallest_cosine.empty()) t.columns.push_back({"smallest cosine", "", "over all pairs"});
  if (!run.energy.empty()) t.columns.push_back({"energy", "", "E_β"});
  const std::vector<double> theory = equiangular_cosines(run, options);
  if (!theory.empty()) t.columns.push_back({"γ", "", "smallest cosine by theory"});
  const std::size_t last = run.times.size() - 1, shown = in_terminal ? std::min<std::size_t>(last, 10) : last;
  for (std::size_t i = 0; i <= shown; ++i) {
    const std::size_t f = shown == 0 ? 0 : i * last / shown;
    std::vector<Cell> row = {run.times[f], whole_cell(run.clusters[f])};
    for (const std::vector<double>* numbers : {&run.smallest_cosine, &run.energy, &theory})
      if (!numbers->empty()) row.push_back(number_cell((*numbers)[f]));
    t.rows.push_back(std::move(row));
  }
  return t;
}

std::vector<std::vector<std::size_t>> members_by_size(const SoftRun& run) {
  std::vector<std::vector<std::size_t>> members(run.clusters.back());
  for (std::size_t i = 0; i < run.component.size(); ++i) members[run.component[i]].push_back(i);
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return members;
}

Table end_table(const SoftRun& run, const Labels& labels) {
  constexpr std::size_t kNamed = 8, kMostLabRows = 10'000;
  Table t{
      .id = "end",
      .title = "Clusters at the end",
      .caption = "Largest first.",
      .columns = {{"cluster", "", "from 0, by size"}, {"tokens", "", ""}, {"members", "", "the first eight"}},
      .rows = {}};
  for (const std::vector<std::size_t>& cluster : members_by_size(run)) {
    if (t.rows.size() == kMostLabRows) break;
    std::string names;
    for (std::size_t i = 0; i < std::min(kNamed, cluster.size()); ++i)
      names += (i == 0 ? "" : ", ") + lab_name(labels, cluster[i]);
    if (cluster.size() > kNamed) names += ", …";
    t.rows.push_back({whole_cell(t.rows.size()), whole_cell(cluster.size()), names});
  }
  return t;
}

/// The states as an animated figure: every token in the colour of the cluster that it ends in.
Player states_player(const SoftRun& run, const SoftOptions& options, const Labels& labels) {
  constexpr std::size_t kMostLabPoints = 10'000, kMostLabFrames = 100, kNamed = 12;
  Player player;
  player.id = "tokens";
  player.title = "Tokens on their way";
  player.alt = "Positions of the tokens over time";
  player.frame_label = clock_word(options);
  const Matrix<double>& shown_state = run.clusters.back() > 2 ? run.states.back() : run.states.front();
  const View view = view_of(shown_state);
  set_axes(player, view);
  player.hull = player.dimension == 2 && !view.components && !is_spherical(options.kind);

  const std::vector<std::vector<std::size_t>> members = members_by_size(run);
  std::vector<std::uint32_t> group(run.component.size());
  for (std::size_t m = 0; m < members.size(); ++m)
    for (const std::size_t token : members[m]) group[token] = static_cast<std::uint32_t>(std::min(m, kNamed));
  for (std::size_t m = 0; m < std::min(kNamed, members.size()); ++m)
    player.groups.push_back(
        fmt::format("cluster {} ({})", m, count_of(members[m].size(), "token", "tokens")));
  if (members.size() > kNamed) player.groups.emplace_back("smaller clusters");

  const std::size_t last = run.states.size() - 1, frames = std::min(last, kMostLabFrames);
  std::vector<std::size_t> states;
  for (std::size_t f = 0; f <= frames; ++f) states.push_back(frames == 0 ? 0 : f * last / frames);
  for (const std::size_t f : states) player.frames.push_back(run.times[f]);
  const std::size_t n = run.component.size(), every = (n + kMostLabPoints - 1) / kMostLabPoints;
  for (std::size_t i = 0; i < n; i += every) {
    Player::Point point;
    point.label = lab_name(labels, i);
    point.groups = {group[i]};
    point.steps.resize(states.size() * view.dimension());
    for (std::size_t f = 0; f < states.size(); ++f)
      view.show(run.states[states[f]].row(i), &point.steps[f * view.dimension()]);
    player.points.push_back(std::move(point));
  }
  for (const std::size_t part : std::initializer_list<std::size_t>{0, 1, 2, 4})
    player.panels.push_back(part * frames / 4);
  player.panels.erase(std::unique(player.panels.begin(), player.panels.end()), player.panels.end());
  player.caption = "Colour: the cluster that a token belongs to at the end." +
                   view_remark(view, run.clusters.back() > 2 ? "the last state" : "the first state");
  if (every > 1)
    player.caption +=
        fmt::format(" {} of {} tokens are shown.", format_count(player.points.size()), format_count(n));
  return player;
}

std::vector<Definition> definitions_of(SoftKind kind) {
  switch (kind) {
    case SoftKind::kSoftmax:
      return lab_definitions({"softmax system", "cluster", "plateau"});
    case SoftKind::kLocalmax:
      return lab_definitions({"localmax system", "cluster", "plateau"});
    case SoftKind::kEmergence:
      return lab_definitions({"rescaled attention flow", "hardmax from", "cluster", "plateau"});
    case SoftKind::kSA:
      return lab_definitions({"SA", "cluster", "plateau", "γ(t)"});
    case SoftKind::kUSA:
      return lab_definitions({"USA", "cluster", "plateau", "γ(t)"});
  }
  return lab_definitions();
}

}  // namespace

Report soft_report(const SoftRun& run, const SoftOptions& options, const std::vector<std::string>& labels,
                   const PageContext& context) {
  Report report = begin_report(context, definitions_of(options.kind));
  report.facts.push_back({"system", system_line(run, options), ""});
  report.verdict = verdict_of(run, options);
  report.keys = key_numbers(run, options);
  if (run.times.size() > 1) report.lead.push_back(clusters_figure(run, options));
  Section section{.id = "course",
                  .title = fmt::format("{}, then {}", count_of(run.clusters.front(), "cluster", "clusters"),
                                       format_count(run.clusters.back()))};
  if (!run.states.empty() && run.component.size() > 1)
    section.players.push_back(states_player(run, options, labels));
  if (!run.smallest_cosine.empty()) section.figures.push_back(cosine_figure(run, options));
  if (!run.energy.empty()) section.figures.push_back(energy_figure(run));
  section.tables = {states_table(run, options, true), end_table(run, labels),
                    states_table(run, options, false)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::clustering
