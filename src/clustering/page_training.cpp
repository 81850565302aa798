#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "clustering/page_training_parts.h"
#include "telos/base/confidence.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"

namespace telos::clustering {
namespace {

/// What sets each result apart from the others: "d 16", "d 16, hard", …
std::vector<std::string> names_of(Results results) {
  const TrainingSpec& first = results[0].spec;
  const auto differ = [&](const auto& field) {
    return std::any_of(results.begin(), results.end(),
                       [&](const TrainingResult& r) { return field(r.spec) != field(first); });
  };
  const bool modes = differ([](const TrainingSpec& s) { return s.mode; });
  const bool depths = differ([](const TrainingSpec& s) { return s.model.layers; });
  const bool steps = differ([](const TrainingSpec& s) { return s.alpha_init; });
  const bool masks = differ([](const TrainingSpec& s) { return s.model.mask_padding; });
  std::vector<std::string> names;
  for (const TrainingResult& r : results) {
    std::string name = fmt::format("d {}", r.spec.model.dim);
    if (depths) name += fmt::format(", K {}", r.spec.model.layers);
    if (modes) name += fmt::format(", {}", to_string(r.spec.mode));
    if (steps)
      name +=
          r.spec.alpha_init == 0 ? ", α drawn" : fmt::format(", α from {}", format_number(r.spec.alpha_init));
    if (masks) name += r.spec.model.mask_padding ? ", padding masked" : ", padding read";
    const auto same = std::count(names.begin(), names.end(), name);
    names.push_back(same == 0 ? name : fmt::format("{} ({})", name, names.size() + 1));
  }
  return names;
}

std::string accuracy_words(const Band& band, std::size_t runs) {
  if (!std::isfinite(band.median)) return "–";
  if (runs < 2) return fmt::format("{:.1f} %", 100 * band.median);
  return fmt::format("{:.1f} % ({:.1f} to {:.1f} over {} seeds)", 100 * band.median, 100 * band.least,
                     100 * band.most, runs);
}

/// The best baseline of a result; nullptr if it has none.
const Baseline* best_baseline(const TrainingResult& result) {
  const Baseline* best = nullptr;
  for (const Baseline& b : result.baselines)
    if (const double accuracy = Band(b.accuracy).median;
        std::isfinite(accuracy) && (best == nullptr || accuracy > Band(best->accuracy).median))
      best = &b;
  return best;
}

/// "K = 0 reaches 84.1 %, logistic regression reaches 88.0 %".
std::string baseline_words(const TrainingResult& result) {
  std::string text;
  for (const Baseline& b : result.baselines)
    text +=
        fmt::format("{}{} reaches {:.1f} %", text.empty() ? "" : ", ", b.name, 100 * Band(b.accuracy).median);
  return text;
}

/// How much more a model without layers gets right; NaN if none was trained.
double cost_of_layers(const TrainingResult& result) {
  for (const Baseline& b : result.baselines)
    if (b.name.find("K = 0") != std::string::npos)
      return Band(b.accuracy).median - accuracy_over_runs(result).median;
  return std::nan("");
}

/// Difference of two accuracies that so many test texts can tell from none, as if the models erred
/// independently; half a point at least, which is within what a seed changes.
double telling_difference(const TrainingResult& r) {
  constexpr double kSame = 0.005;
  const double p = accuracy_over_runs(r).median,
               n = static_cast<double>(std::max<std::size_t>(1, r.test_texts));
  return std::max(kSame, kSigmas * std::sqrt(2 * p * (1 - p) / n));
}

std::string sentence_of(Results results, const std::vector<std::string>& names) {
  constexpr double kTooMuch = 0.05;  // no claim where less than this could not be told
  std::string text;
  std::size_t compared = 0, behind = 0;
  bool tellable = true;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const TrainingResult& r = results[i];
    const Band accuracy = accuracy_over_runs(r);
    if (i != 0) text += "; ";
    if (results.size() > 1) text += names[i] + ": ";
    text += accuracy_words(accuracy, usable_runs(r)) + (i == 0 ? " of the test texts right" : "");
    const Baseline* best = best_baseline(r);
    if (best == nullptr || r.spec.model.layers == 0) continue;
    ++compared;
    // Of the layers only the same model without them tells.
    const double telling = telling_difference(r);
    tellable = tellable && telling <= kTooMuch;
    behind += cost_of_layers(r) > -telling ? 1 : 0;
    if (results.size() > 1)
      text += fmt::format(", {} {:.1f} %", best->name, 100 * Band(best->accuracy).median);
  }
  if (compared == 0) return text + ".";
  if (results.size() == 1) {
    text += "; " + baseline_words(results[0]);
    if (const double cost = cost_of_layers(results[0]); cost > telling_difference(results[0]))
      return text + fmt::format(": the layers buy reasons, and cost {:.1f} points of accuracy.", 100 * cost);
  }
  if (!tellable)
    return text + fmt::format("; {} are too few to compare accuracies.",
                              count_of(results[0].test_texts, "test text", "test texts"));
  return text + (behind == compared ? ": the layers buy reasons, not accuracy." : ".");
}

std::string state_of(const TrainingRun& run) {
  if (!run.failed.empty()) return run.failed;
  return run.finished ? "" : "interrupted";
}

Table runs_table(Results results, const std::vector<std::string>& names) {
  Table t{.id = "runs",
          .title = "Runs",
          .caption = "Accuracy and loss on the test texts, of the weights that are kept.",
          .columns = {{"model", "", ""},
                      {"seed", "", ""},
                      {"epochs", "", ""},
                      {"kept", "epoch", "the best on the validation texts, or the last"},
                      {"α", "", ""},
                      {"train", "", "accuracy of that epoch"},
                      {"soft", "", "accuracy, softmax attention"},
                      {"hard", "", "accuracy, hard attention"},
                      {"agreement", "", "", 6},
                      {"loss", "", "soft"},
                      {"hard loss", "", ""},
                      {"pos right", "", "share of the positive texts, soft"},
                      {"neg right", "", "share of the negative texts, soft"},
                      {"time", "s/epoch", "of training, mean", 3},
                      {"note", "", ""}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t i = 0; i < results.size(); ++i)
    for (const TrainingRun& run : results[i].runs) {
      if (!usable(run)) {
        t.rows.push_back({names[i], whole_cell(run.seed), whole_cell(run.epochs.size())});
        t.rows.back().resize(t.columns.size() - 1);
        t.rows.back().emplace_back(state_of(run));
        continue;
      }
      double seconds = 0;
      for (const Epoch& e : run.epochs) seconds += e.seconds / static_cast<double>(run.epochs.size());
      const Epoch& kept = run.epochs[std::min(run.best_epoch, run.epochs.size() - 1)];
      t.rows.push_back(
          {names[i], whole_cell(run.seed), whole_cell(run.epochs.size()), whole_cell(run.best_epoch),
           kept.alpha, kept.train_accuracy, number_cell(run.soft.accuracy), number_cell(run.hard.accuracy),
           number_cell(run.agreement), number_cell(run.soft.loss), number_cell(run.hard.loss),
           number_cell(run.soft.true_positive), number_cell(run.soft.true_negative), seconds, state_of(run)});
    }
  return t;
}

Table baselines_table(Results results, const std::vector<std::string>& names) {
  Table t{.id = "baselines",
          .title = "What the layers are measured against",
          .caption = "Accuracy on the same test texts.",
          .columns = {{"baseline", "", ""},
                      {"beside", "", "the model with the same settings"},
                      {"seeds", "", ""},
                      {"accuracy", "", "median over seeds"},
                      {"least", "", ""},
                      {"most", "", ""}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t i = 0; i < results.size(); ++i)
    for (const Baseline& b : results[i].baselines) {
      const Band band(b.accuracy);
      t.rows.push_back({b.name, names[i], whole_cell(b.accuracy.size()), number_cell(band.median),
                        number_cell(band.least), number_cell(band.most)});
    }
  return t;
}

Table epochs_table(Results results, const std::vector<std::string>& names) {
  Table t{.id = "epochs",
          .title = "Epochs",
          .caption = "",
          .columns = {{"model", "", ""},
                      {"seed", "", ""},
                      {"epoch", "", ""},
                      {"train loss", "", ""},
                      {"train accuracy", "", ""},
                      {"test loss", "", ""},
                      {"test accuracy", "", ""},
                      {"validation accuracy", "", ""},
                      {"α", "", ""},
                      {"time", "s", ""}},
          .rows = {}};
  const auto add = [&t](const std::string& name, Cell seed, const std::vector<Epoch>& epochs,
                        bool validated) {
    for (const Epoch& e : epochs)
      t.rows.push_back({name, seed, whole_cell(e.epoch), e.train_loss, e.train_accuracy,
                        number_cell(e.test_loss), number_cell(e.test_accuracy),
                        validated ? number_cell(e.validation_accuracy) : Cell{}, e.alpha, e.seconds});
  };
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool validated = results[i].validation_texts != 0;
    for (const TrainingRun& run : results[i].runs) add(names[i], whole_cell(run.seed), run.epochs, validated);
    for (const Baseline& b : results[i].baselines) add(b.name, {}, b.epochs, validated);
  }
  return t;
}

void add_facts(Report& report, Results results, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const TrainingSpec& s = results[i].spec;
    report.facts.push_back({"model",
                            fmt::format("{} · {} · {} · T {} · reads {} words{}", names[i],
                                        count_of(s.model.layers, "layer", "layers"), to_string(s.mode),
                                        format_number(s.model.temperature), s.model.max_length,
                                        s.model.mask_padding ? " · padding masked" : ""),
                            ""});
  }
  const TrainingResult& r = results[0];
  report.facts.push_back(
      {"texts",
       fmt::format(
           "{} to train{} · {} to test · {} words · {} unique a text", format_count(r.train_texts),
           r.validation_texts == 0 ? "" : fmt::format(" · {} to validate", format_count(r.validation_texts)),
           format_count(r.test_texts), format_count(r.vocabulary - 1), format_number(r.mean_unique, 3)),
       ""});
}

void add_keys(Report& report, const TrainingResult& r) {
  const std::size_t runs = usable_runs(r);
  if (runs == 0) return;
  report.keys.push_back({"test accuracy", accuracy_words(accuracy_over_runs(r), runs),
                         fmt::format("({})", to_string(r.spec.mode)), ""});
  const Band agreement = over_runs(r, [](const TrainingRun& run) { return run.agreement; });
  report.keys.push_back({"agreement", fmt::format("{:.2f} %", 100 * agreement.median),
                         "(test texts that soft and hard attention classify alike)", ""});
  const Band alpha = over_runs(r, [](const TrainingRun& run) { return run.model.alpha; });
  report.keys.push_back({"α", format_number(alpha.median, 3),
                         runs > 1 ? fmt::format("({} to {} over seeds)", format_number(alpha.least, 3),
                                                format_number(alpha.most, 3))
                                  : "",
                         ""});
  for (const Baseline& b : r.baselines)
    report.keys.push_back(
        {b.name, accuracy_words(Band(b.accuracy), b.accuracy.size()), "(test accuracy)", ""});
}

void add_limits(Report& report, Results results, const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (const TrainingRun& run : results[i].runs) {
      if (run.failed.empty() && run.finished) continue;
      report.complete = false;
      report.not_measured.push_back(fmt::format(
          "{}, seed {}: {}", names[i], run.seed,
          run.failed.empty()
              ? fmt::format("interrupted after {}", count_of(run.epochs.size(), "epoch", "epochs"))
              : run.failed));
    }
    for (const std::string& note : results[i].notes)
      if (std::find(report.not_measured.begin(), report.not_measured.end(), note) ==
          report.not_measured.end())
        report.not_measured.push_back(note);
  }
}

}  // namespace

Report training_report(Results results, const PageContext& context) {
  if (results.empty()) throw Error(ErrorKind::kUsage, "training", "there are no results to report");
  const std::vector<std::string> names = names_of(results);
  Report report =
      begin_report(context, sentiment_definitions({"soft, hard", "padding", "K = 0", "logistic regression",
                                                   "agreement", "accuracy", "α"}));
  add_facts(report, results, names);
  const std::size_t runs = usable_runs(results[0]);
  report.verdict = {
      sentence_of(results, names), fmt::format("measured, {}", count_of(runs, "seed", "seeds")), {}};
  add_keys(report, results[0]);
  std::string title = report.verdict.sentence;
  title = title.substr(0, title.find(". "));
  if (!title.empty() && title.back() == '.') title.pop_back();
  report.lead.push_back(test_accuracy_figure(results, names, title));

  Section curve{.id = "curves", .title = "Learning, epoch by epoch"};
  curve.figures = {training_loss_figure(results, names), accuracy_figure(results, names),
                   alpha_figure(results, names)};
  std::erase_if(curve.figures, [](const Figure& figure) { return figure.marks == 0; });
  curve.tables.push_back(epochs_table(results, names));
  Section run_section{.id = "runs", .title = "The runs, and what they are measured against"};
  run_section.tables.push_back(runs_table(results, names));
  if (Table t = baselines_table(results, names); !t.rows.empty()) run_section.tables.push_back(std::move(t));
  report.sections = {std::move(run_section), std::move(curve)};
  add_limits(report, results, names);
  return report;
}

Report training_report(const TrainingResult& result, const PageContext& context) {
  return training_report(std::span(&result, 1), context);
}

}  // namespace telos::clustering
