#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bigram/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

// Pages of what is known before any training: the instance, the plan, the exact dynamics.

namespace telos::bigram {
namespace {

/// What attention can win, below which a task is hardly a task.
constexpr double kHardlyLearnable = 1e-4;

double reachable(const Constants& c) {
  return c.loss_start - c.loss_least;
}

/// A number of steps or samples; a task without signal takes no finite number.
std::string estimate_text(double count) {
  return count < 1e15 ? format_count(static_cast<std::uint64_t>(count)) : "endless";
}

Table constants_table(const Constants& c, bool in_terminal) {
  return {.id = "constants",
          .title = "Constants of the task",
          .columns = {{"constant", "", ""}, {"value", "", "", 7}},
          .rows = {{std::string("K_P"), c.k_p},
                   {std::string("K_Q"), c.k_q},
                   {std::string("γ"), c.gamma},
                   {std::string("‖P‖²_μ"), c.p_squared},
                   {std::string("‖Q‖²_μ"), c.q_squared},
                   {std::string("‖μ‖²"), c.mu_squared},
                   {std::string("J_P"), c.j_p},
                   {std::string("loss at the start"), c.loss_start},
                   {std::string("least loss"), c.loss_least},
                   {std::string("max μ / min μ"), c.mu_ratio}},
          .in_terminal = in_terminal};
}

Table tokens_table(const Instance& instance) {
  constexpr std::size_t kMostPositions = 8;
  Table t{.id = "tokens",
          .title = "Where each last token looks",
          .caption = "",
          .columns = {{"token", "", ""},
                      {"μ", "", "stationary probability"},
                      {"positions", "", "from 0, the oldest"},
                      {"weights", "", "q^(k)"},
                      {"next", "", "most probable output if attended"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t k = 0; k < instance.tokens(); ++k) {
    std::string positions, weights;
    const SparseColumn& q = instance.q[k];
    for (std::size_t i = 0; i < std::min(kMostPositions, q.positions.size()); ++i) {
      positions += (i == 0 ? "" : ", ") + format_count(q.positions[i]);
      weights += (i == 0 ? "" : ", ") + format_number(q.weights[i], 3);
    }
    if (q.positions.size() > kMostPositions) positions += ", …";
    std::size_t best = 0;
    for (std::size_t i = 1; i < instance.tokens(); ++i)
      if (instance.p(i, k) > instance.p(best, k)) best = i;
    t.rows.push_back({instance.name(k), instance.mu[k], positions, weights,
                      fmt::format("{} ({})", instance.name(best), percent(instance.p(best, k)))});
  }
  return t;
}

/// Every so many entries of a path, at most some 400 of them, the last always.
std::vector<std::size_t> thinned(std::size_t entries) {
  std::vector<std::size_t> out;
  const std::size_t every = std::max<std::size_t>(1, entries / 400);
  for (std::size_t i = 0; i < entries; i += every) out.push_back(i);
  if (out.back() + 1 != entries) out.push_back(entries - 1);
  return out;
}

}  // namespace

Report instance_report(const Instance& instance, const PageContext& context) {
  const Constants c = constants(instance);
  Report report =
      begin_report(instance, context, {"sparse contextual bigram", "K_P", "K_Q", "γ", "least loss", "J_P"});
  const double share = reachable(c) / c.loss_start;
  report.verdict = {
      reachable(c) < kHardlyLearnable
          ? fmt::format("Hardly anything can be learned here: the best model wins {} of the loss.",
                        percent(share))
          : fmt::format("Attention and transitions together can win {} of the loss.", percent(share)),
      "exact",
      {fmt::format("loss {} knowing nothing, {} at best", format_number(c.loss_start, 6),
                   format_number(c.loss_least, 6))}};
  report.keys = {
      {"K_P", format_number(c.k_p), "(what the attended token says of the next)", "see definitions"},
      {"K_Q", format_number(c.k_q), "(how concentrated attention is)", "see definitions"},
      {"growth rate γ", format_number(c.gamma), "", "see definitions"},
      {"least loss", format_number(c.loss_least, 6),
       fmt::format("(start {})", format_number(c.loss_start, 6)), "see definitions"}};
  Section section{.id = "task", .title = "The task"};
  if (instance.tokens() <= kMostShown) {
    section.figures.push_back(
        transitions_figure(instance, instance.p, "transitions", "Who follows whom",
                           "P(i|j): probability of output i (row) when j (column) is attended."));
    section.figures.push_back(attention_figure(instance, {"q", instance.q}, "attention",
                                               "Where each last token looks",
                                               "q^(k) at the positions that have weight."));
  }
  section.tables = {tokens_table(instance), constants_table(c, false)};
  report.sections.push_back(std::move(section));
  return report;
}

Report plan_report(const Instance& instance, const Plan& plan, double eta, std::size_t batch,
                   const PageContext& context) {
  Report report =
      begin_report(instance, context,
                   {"K_P", "K_Q", "γ", "J_P", "mirror solution", "first stage", "bound of plain descent"});
  const double samples = plan.steps * static_cast<double>(batch);
  report.verdict = {
      fmt::format("About {} steps of {} samples; {} of such runs grow towards the mirror solution.",
                  estimate_text(plan.steps), format_count(batch),
                  plan.mirror_probability < 0.001 ? "less than 0.1 %" : percent(plan.mirror_probability)),
      "a planning rule, right within a factor of about 2",
      {plan.batch > batch ? fmt::format("batches of {} make the mirror solution rarer than one in a "
                                        "thousand; it is detected and turned "
                                        "anyway",
                                        format_count(plan.batch))
                          : "the batch is large enough for the sign"}};
  report.keys = {{"steps", estimate_text(plan.steps),
                  fmt::format("(at η {}, {} samples)", format_number(eta), estimate_text(samples)),
                  "asinh(γT)/(γη) + 8/(γη)"},
                 {"SNR of the sign", format_number(plan.sign_snr, 3), "", "see definitions: mirror solution"},
                 {"bound of plain descent", format_number(plan.sgd_bound, 3), "(η of A without projection)",
                  "see definitions"},
                 {"memory", format_bytes(plan.bytes), "", "at most at once, in the screening at the end"}};
  Section section{.id = "plan", .title = "What the plan rests on"};
  section.tables = {constants_table(plan.constants, true)};
  report.sections.push_back(std::move(section));
  return report;
}

Report population_report(const Instance& instance, double eta, const std::vector<Signals>& path,
                         const PageContext& context) {
  const Constants c = constants(instance);
  Report report = begin_report(
      instance, context,
      {"linear transformer", "α_V, α_A", "excess loss", "first stage", "K_P", "K_Q", "γ", "least loss"});
  const double start = excess(c, instance.length, path.front()).total();
  std::size_t half = 0;
  while (half + 1 < path.size() && excess(c, instance.length, path[half]).total() > 0.5 * start) ++half;
  const bool halved = excess(c, instance.length, path[half]).total() <= 0.5 * start;
  const Excess end = excess(c, instance.length, path.back());
  report.facts.push_back({"descent",
                          fmt::format("η {} · {} steps", format_number(eta), format_count(path.size() - 1)),
                          "preconditioned, projected, infinite batch"});
  report.verdict = {
      halved ? fmt::format("Half of the excess loss is gone after {} steps; {} of it is left at the end.",
                           format_count(half), share_text(end.total() / start))
             : fmt::format("{} steps are too few: {} of the excess loss is left.",
                           format_count(path.size() - 1), share_text(end.total() / start)),
      "exact dynamics, no sampling",
      {fmt::format(
          "the first stage alone takes {} steps to α_V = ½",
          estimate_text(std::asinh(c.gamma * static_cast<double>(instance.length) / 2) / (c.gamma * eta)))}};
  report.keys = {
      {"α_V", format_number(path.front().v) + " → " + format_number(path.back().v), "", "see definitions"},
      {"α_A", format_number(path.front().a) + " → " + format_number(path.back().a), "", "see definitions"},
      {"excess loss", format_number(start, 3) + " → " + format_number(end.total(), 3), "",
       "see definitions"}};
  std::vector<double> step, v, a, v_theory, a_theory;
  std::vector<double> terms[4];
  Table t{.id = "path",
          .title = "Path",
          .caption = "",
          .columns = {{"step", "", ""},
                      {"α_V", "", "see definitions", 7},
                      {"α_A", "", "see definitions", 7},
                      {"loss", "", "L", 9},
                      {"product", "", "excess loss, first term"},
                      {"scale", "", "second"},
                      {"attention", "", "third"},
                      {"transitions", "", "fourth"}},
          .rows = {},
          .in_terminal = false};
  for (const std::size_t i : thinned(path.size())) {
    const Excess e = excess(c, instance.length, path[i]);
    const double time = eta * static_cast<double>(i);
    const Signals early = first_stage(c, instance.length, time);
    step.push_back(static_cast<double>(i));
    v.push_back(path[i].v);
    a.push_back(path[i].a);
    if (early.v < 1.2 && early.a < 1.2) {
      v_theory.push_back(early.v);
      a_theory.push_back(early.a);
    }
    const double parts[] = {e.product, e.values, e.attention, e.transitions};
    for (std::size_t k = 0; k < 4; ++k) terms[k].push_back(parts[k]);
    t.rows.push_back({whole_cell(i), path[i].v, path[i].a, c.loss_least + e.total(), e.product, e.values,
                      e.attention, e.transitions});
  }
  const std::vector<double> early_steps(step.begin(),
                                        step.begin() + static_cast<std::ptrdiff_t>(v_theory.size()));
  report.lead.push_back(line_chart(
      {.id = "signals",
       .title = fmt::format("α_V α_A goes from 0 to {}: first to the hyperbola α_V α_A = 1, then along it",
                            format_number(path.back().v * path.back().a, 3)),
       .caption = "α_V and α_A of the exact dynamics; dashed, the closed form of the first stage.",
       .alt = "Signals against steps",
       .x_label = "step",
       .y_label = "signal"},
      {{.name = "α_V", .x = step, .y = v, .low = {}, .high = {}},
       {.name = "α_A", .x = step, .y = a, .low = {}, .high = {}},
       {.name = "α_V, first stage", .x = early_steps, .y = v_theory, .low = {}, .high = {}, .dashed = true},
       {.name = "α_A, first stage",
        .x = early_steps,
        .y = a_theory,
        .low = {},
        .high = {},
        .dashed = true}}));
  Section section{.id = "excess", .title = "What the loss above the least consists of"};
  const char* const names[] = {"product", "scale", "attention", "transitions"};
  std::vector<Series> series;
  for (std::size_t k = 0; k < 4; ++k)
    if (*std::max_element(terms[k].begin(), terms[k].end()) > 0)
      series.push_back({.name = names[k], .x = step, .y = terms[k], .low = {}, .high = {}});
  section.figures.push_back(line_chart({.id = "terms",
                                        .title = "Terms of the loss above the least",
                                        .caption = "The named terms of L − L*; see definitions.",
                                        .alt = "Terms of the excess loss against steps",
                                        .x_label = "step",
                                        .y_label = "loss",
                                        .log_y = true},
                                       series));
  section.tables = {t, constants_table(c, true)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::bigram
