#include <fmt/format.h>

#include <string>
#include <utility>

#include "positional/page_parts.h"
#include "telos/base/quantity.h"

namespace telos::positional {
namespace {

const char* plan_word(LayerPlan plan) {
  return plan == LayerPlan::kPlain ? "plain" : plan == LayerPlan::kF1 ? "F1" : "F2";
}

std::string chosen_plans(const StepTiming& t) {
  std::string out;
  for (const PlanCost& cost : t.plans)
    if (cost.chosen) out += (out.empty() ? "" : " ") + std::string(plan_word(cost.plan));
  return out;
}

Table plans_table(std::span<const StepTiming> timings) {
  Table t{
      .id = "plans",
      .title = "What each plan would take",
      .caption = "Multiplications and additions of a training step, 10⁹: the batch's and those once a step.",
      .columns = {{"model", "", ""},
                  {"layer", "", "from 0"},
                  {"plan", "", "plain; F1: W_o folded into the MLP; F2: all between two ReLUs"},
                  {"batch", "GFLOP", "for all samples"},
                  {"folding", "GFLOP", "once a step"},
                  {"chosen", "", ""}},
      .rows = {}};
  for (const StepTiming& timing : timings)
    for (const PlanCost& cost : timing.plans)
      t.rows.push_back({kind_words(timing.config), whole_cell(cost.layer), plan_word(cost.plan),
                        1e-9 * cost.per_sample * static_cast<double>(timing.batch), 1e-9 * cost.per_step,
                        cost.chosen ? "yes" : ""});
  return t;
}

/// "A positional step takes 15 ms here, a standard step 60 ms."
std::string sentence_of(std::span<const StepTiming> timings) {
  std::string sentence = fmt::format("A {} step takes {} here", kind_words(timings[0].config),
                                     format_seconds(timings[0].median_seconds));
  if (timings.size() == 1)
    return sentence + fmt::format(": {} steps a second.", format_number(1 / timings[0].median_seconds, 3));
  for (const StepTiming& t : timings.subspan(1))
    sentence += fmt::format(", a {} step {}", kind_words(t.config), format_seconds(t.median_seconds));
  return sentence + ".";
}

}  // namespace

Report timing_report(std::span<const StepTiming> timings, const PageContext& context) {
  Report report = begin_report(context);
  Table t{.id = "steps",
          .title = "Training steps",
          .caption = "Forward, loss, backward and Adam.",
          .columns = {{"model", "", ""},
                      {"parameters", "", ""},
                      {"step", "ms", "median", 4},
                      {"least", "ms", "shortest", 4},
                      {"steps/s", "", "1/median", 4},
                      {"GFLOP", "", "of a step as it is computed", 4},
                      {"unfolded", "GFLOP", "of a step with plain plans", 4},
                      {"GFLOP/s", "", "as computed, over the median", 4},
                      {"plans", "", "layer by layer"}},
          .rows = {},
          .in_terminal = true};
  for (const StepTiming& s : timings) {
    report.facts.push_back({"model", model_line(s.config, s.parameters),
                            fmt::format("batch {} · {}", format_count(s.batch),
                                        count_of(static_cast<std::size_t>(s.threads), "thread", "threads"))});
    t.rows.push_back({kind_words(s.config), whole_cell(s.parameters), 1e3 * s.median_seconds,
                      1e3 * s.least_seconds, 1 / s.median_seconds, 1e-9 * s.flops, 1e-9 * s.plain_flops,
                      1e-9 * s.flops / s.median_seconds, chosen_plans(s)});
  }
  if (!timings.empty())
    report.verdict = {
        sentence_of(timings), fmt::format("median of {}", count_of(timings[0].steps, "step", "steps")), {}};
  Section section{.id = "steps", .title = "Training steps"};
  section.tables = {std::move(t), plans_table(timings)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::positional
