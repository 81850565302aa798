#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "clustering/page_parts.h"
#include "telos/report/charts.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kShownLeaders = 12;  ///< in the terminal and the figure; the rest is one line
constexpr std::size_t kShownWords = 8;     ///< of a leader's followers
constexpr std::size_t kShownText = 4000;   ///< bytes

std::string name_of(const ExplainedLeader& leader) {
  return word_name(leader.word, leader.id);
}

std::string signed_number(double value) {
  return (value > 0 ? "+" : "") + format_number(value, 3);
}

bool has_padding(const Explanation& e) {
  return !e.words.empty() && e.words.back().id == Vocabulary::kPadding;
}

std::size_t padding_of(const Explanation& e) {
  return has_padding(e) ? e.words.back().copies : 0;
}

/// "31 of 58 words"; positions, where padding is among them.
std::string mass_words(const Explanation& e, std::size_t mass) {
  return fmt::format("{} of {} {}", mass, e.length, has_padding(e) ? "positions" : "words");
}

std::size_t mass_of_undecided(const Explanation& e) {
  std::size_t mass = 0;
  for (const ExplainedWord& word : e.words) mass += word.leader == kNone ? word.copies : 0;
  return mass;
}

/// The leaders that make the most of what speaks for the verdict (`for_it`) or against it: at most three.
std::vector<const ExplainedLeader*> reasons(const Explanation& e, bool for_it) {
  constexpr double kMost = 0.8;
  constexpr std::size_t kNamed = 3;
  const double sign = (e.logit >= 0) == for_it ? 1 : -1;
  double total = 0, taken = 0;
  for (const ExplainedLeader& leader : e.leaders) total += std::max(0.0, sign * leader.contribution);
  std::vector<const ExplainedLeader*> out;
  for (const ExplainedLeader& leader : e.leaders) {
    if (out.size() == kNamed || taken >= kMost * total) break;
    if (sign * leader.contribution <= 0) continue;
    taken += sign * leader.contribution;
    out.push_back(&leader);
  }
  return out;
}

std::string names(const std::vector<const ExplainedLeader*>& leaders) {
  std::vector<std::string> words;
  for (const ExplainedLeader* leader : leaders) words.push_back(name_of(*leader));
  return quoted_list(words);
}

std::size_t mass_of(const std::vector<const ExplainedLeader*>& leaders) {
  std::size_t mass = 0;
  for (const ExplainedLeader* leader : leaders) mass += leader->mass;
  return mass;
}

double total_of(const std::vector<const ExplainedLeader*>& leaders) {
  double total = 0;
  for (const ExplainedLeader* leader : leaders) total += leader->contribution;
  return total;
}

std::string sentence_of(const Explanation& e, const SentimentModel& model) {
  const std::string verdict = class_sentence(model, e.probability);
  const std::vector<const ExplainedLeader*> reason = reasons(e, true);
  const double sign = e.logit >= 0 ? 1 : -1;
  if (reason.empty() || sign * e.undecided > sign * reason[0]->contribution) {
    if (sign * e.undecided > std::max(0.0, sign * e.bias))
      return fmt::format("{}: {} that follow no single leader decide.", verdict,
                         mass_words(e, mass_of_undecided(e)));
    if (reason.empty())
      return fmt::format("{}: no leader speaks for it, b = {} does.", verdict, format_number(e.bias, 3));
  }
  if (model.config.layers == 0)
    return fmt::format("{}: without layers each word speaks for itself, most of all {}.", verdict,
                       names(reason));
  const std::vector<const ExplainedLeader*> against = reasons(e, false);
  // What is outweighed, but not by much, is named as well.
  constexpr double kNearly = 0.5;
  const bool contested = std::fabs(total_of(against)) > kNearly * std::fabs(total_of(reason));
  const bool pads =
      has_padding(e) && e.words.back().leader != kNone &&
      std::find(reason.begin(), reason.end(), &e.leaders[e.words.back().leader]) != reason.end();
  const std::string padding = pads ? fmt::format(", {} of them padding,", padding_of(e)) : "";
  return fmt::format(
      "{}: {}{} follow {}{}.", verdict, mass_words(e, mass_of(reason)), padding, names(reason),
      contested ? fmt::format(", against {} that follow {}", mass_of(against), names(against)) : "");
}

/// "−0.284 + 3.2 = 2.916".
std::string sum_words(const Explanation& e) {
  double sum = e.undecided;
  for (const ExplainedLeader& leader : e.leaders) sum += leader.contribution;
  return fmt::format("{} {} {} = {}", fixed(e.bias, 4), sum < 0 ? "−" : "+", fixed(std::fabs(sum), 4),
                     fixed(e.logit, 4));
}

/// The leader whose absence changes the logit most, or nullptr.
const ExplainedLeader* pivot_of(const Explanation& e) {
  const ExplainedLeader* pivot = nullptr;
  for (const ExplainedLeader& leader : e.leaders)
    if (std::isfinite(leader.logit_without) &&
        (pivot == nullptr ||
         std::fabs(leader.logit_without - e.logit) > std::fabs(pivot->logit_without - e.logit)))
      pivot = &leader;
  return pivot;
}

std::string pivot_words(const Explanation& e, const SentimentModel& model) {
  const ExplainedLeader* pivot = pivot_of(e);
  if (pivot == nullptr) return "Every leader alone";
  const bool turns = (pivot->logit_without >= 0) != (e.logit >= 0);
  return fmt::format("Without “{}” the logit goes from {} to {}{}", name_of(*pivot),
                     format_number(e.logit, 3), format_number(pivot->logit_without, 3),
                     !turns                      ? ""
                     : pivot->logit_without >= 0 ? ": the text turns " + model.positive
                                                 : ": the text turns " + model.negative);
}

std::string terms_of(const std::vector<const ExplainedLeader*>& leaders) {
  std::string out;
  for (const ExplainedLeader* leader : leaders)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name_of(*leader),
                       signed_number(leader->contribution));
  return out;
}

Verdict verdict_of(const Explanation& e, const SentimentModel& model) {
  Verdict out{sentence_of(e, model),
              fmt::format("exact, hard attention, {}", count_of(model.config.layers, "layer", "layers")),
              {}};
  out.evidence.push_back(fmt::format("b + Σ contributions = {}; what rounding leaves: {}", sum_words(e),
                                     format_number(std::fabs(e.residual), 2)));
  if (const auto reason = reasons(e, true); !reason.empty())
    out.evidence.push_back("most of what speaks for it: " + terms_of(reason));
  if (const auto reason = reasons(e, false); !reason.empty())
    out.evidence.push_back("most of what speaks against it: " + terms_of(reason));
  if (pivot_of(e) != nullptr) out.evidence.push_back(pivot_words(e, model));
  return out;
}

void add_keys(Report& report, const Explanation& e, const SentimentModel& model) {
  report.keys.push_back({"logit", sum_words(e),
                         fmt::format("(b + Σ contributions; p {})", format_number(e.probability, 4)), ""});
  const auto initial = static_cast<std::size_t>(std::count_if(
      e.leaders.begin(), e.leaders.end(), [](const ExplainedLeader& l) { return l.emergence == 0; }));
  if (model.config.layers != 0)
    report.keys.push_back({"leaders", std::to_string(e.leaders.size()),
                           fmt::format("(of {} unique words; {} from layer 0 on)",
                                       e.words.size() - (has_padding(e) ? 1 : 0), initial),
                           ""});
  report.keys.push_back({"soft attention", format_number(e.soft_logit),
                         fmt::format("(logit at T = {}; p {})", format_number(model.config.temperature),
                                     format_number(e.soft_probability, 4)),
                         ""});
  if (model.config.layers == 0) return;
  report.keys.push_back(
      {"without layers", format_number(e.direct_logit), "(logit, each word for itself)", ""});
  report.keys.push_back({"infinitely many layers", format_number(e.limit_logit), "(logit)", ""});
}

std::string note_of(const ExplainedLeader& leader) {
  if (leader.padding) return "padding";
  return leader.stop_word ? "stop word" : "";
}

std::string with_copies(const ExplainedWord& word) {
  const std::string name = word_name(word.word, word.id);
  return word.copies > 1 ? fmt::format("{} ×{}", name, word.copies) : name;
}

/// The words that follow a leader, besides itself.
std::string followers_of(const Explanation& e, const ExplainedLeader& leader, std::size_t most) {
  std::string out;
  std::size_t named = 0;
  for (const std::size_t w : leader.words) {
    if (w == leader.index) continue;
    if (named++ == most) break;
    out += (out.empty() ? "" : ", ") + with_copies(e.words[w]);
  }
  if (leader.words.size() > most + 1) out += fmt::format(" … {} more", leader.words.size() - most - 1);
  return out;
}

std::string joined(const std::vector<std::string>& words, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, words.size()); ++i) out += (i == 0 ? "" : ", ") + words[i];
  if (words.size() > most) out += fmt::format(" … {} more", words.size() - most);
  return out;
}

/// The sum as a column of numbers, which the terminal shows.
Table sum_table(const Explanation& e) {
  constexpr int kDigits = 5;
  Table t{.id = "sum",
          .title = "The sum",
          .caption = "Contributions, b, and the logit they add up to.",
          .columns = {{"leader", "", ""},
                      {"positions", "", "that follow it, itself among them"},
                      {"side", "", "", 3},
                      {"contribution", "", "", kDigits},
                      {"logit without", "", ""},
                      {"note", "", ""},
                      {"followers", "", "other words that follow it, those of largest contribution first"}},
          .rows = {},
          .in_terminal = true};
  const Cell none;
  const std::size_t shown = std::min(kShownLeaders, e.leaders.size());
  std::size_t rest_mass = 0;
  double rest = 0;
  for (std::size_t i = 0; i < e.leaders.size(); ++i) {
    const ExplainedLeader& l = e.leaders[i];
    if (i < shown) {
      t.rows.push_back({with_copies(e.words[l.index]), whole_cell(l.mass), l.side, l.contribution,
                        number_cell(l.logit_without), note_of(l), followers_of(e, l, kShownWords)});
      continue;
    }
    rest_mass += l.mass;
    rest += l.contribution;
  }
  if (shown < e.leaders.size())
    t.rows.push_back({count_of(e.leaders.size() - shown, "leader more", "leaders more"),
                      whole_cell(rest_mass), none, rest, none, "", ""});
  if (const std::size_t mass = mass_of_undecided(e); mass != 0)
    t.rows.push_back({"no single leader", whole_cell(mass), none, e.undecided, none, "", ""});
  t.rows.push_back({"b", none, none, e.bias, none, "", ""});
  t.rows.push_back({"= logit", whole_cell(e.length), none, e.logit, none, "", ""});
  return t;
}

Table leaders_table(const Explanation& e) {
  Table t{.id = "leaders",
          .title = "Leaders",
          .caption = "By size of contribution.",
          .columns = {{"leader", "", ""},
                      {"leads from", "layer", "first layer at which it attends to itself alone"},
                      {"side", "", ""},
                      {"positions", "", ""},
                      {"contribution", "", ""},
                      {"in the limit", "", "(positions/n) v·x: with infinitely many layers"},
                      {"logit without", "", ""},
                      {"then followed", "", "whom its followers follow in the text without it"},
                      {"note", "", ""},
                      {"followers", "", ""}},
          .rows = {}};
  for (const ExplainedLeader& l : e.leaders)
    t.rows.push_back({name_of(l), whole_cell(l.emergence), l.side, whole_cell(l.mass), l.contribution,
                      l.limit_contribution, number_cell(l.logit_without),
                      joined(l.taken_over_by, kShownWords), note_of(l), followers_of(e, l, l.words.size())});
  return t;
}

Table words_table(const Explanation& e) {
  Table t{.id = "words",
          .title = "Words",
          .caption = "In the order of the text.",
          .columns = {{"word", "", ""},
                      {"copies", "", ""},
                      {"follows", "", "the leader it follows by the last layer"},
                      {"contribution", "", ""},
                      {"without layers", "", "copies·(v·z^0)/n"},
                      {"decided", "layer", "from which on its future is a formula"}},
          .rows = {}};
  for (std::size_t i = 0; i < e.words.size(); ++i) {
    const ExplainedWord& w = e.words[i];
    const std::size_t decided = i < e.run.fates.size() ? e.run.fates[i].decided : kNone;
    t.rows.push_back({word_name(w.word, w.id), whole_cell(w.copies),
                      w.leader == kNone ? "no single leader" : name_of(e.leaders[w.leader]), w.contribution,
                      w.direct, decided == kNone ? Cell{} : whole_cell(decided)});
  }
  return t;
}

Figure bars_figure(const Explanation& e, const SentimentModel& model) {
  std::vector<Bar> bars;
  double rest = 0;
  for (std::size_t i = 0; i < e.leaders.size(); ++i) {
    const ExplainedLeader& l = e.leaders[i];
    if (i >= kShownLeaders) {
      rest += l.contribution;
      continue;
    }
    bars.push_back({.label = fmt::format("{} ({})", name_of(l), l.mass),
                    .group = l.side >= 0 ? model.positive + " side" : model.negative + " side",
                    .key = {},
                    .value = l.contribution});
  }
  if (e.leaders.size() > kShownLeaders)
    bars.push_back({.label = count_of(e.leaders.size() - kShownLeaders, "leader more", "leaders more"),
                    .group = "several",
                    .key = {},
                    .value = rest});
  if (const std::size_t mass = mass_of_undecided(e); mass != 0)
    bars.push_back({.label = fmt::format("no single leader ({})", mass),
                    .group = "several",
                    .key = {},
                    .value = e.undecided});
  bars.push_back({.label = "b", .group = "bias", .key = {}, .value = e.bias});
  return bar_chart({.id = "contributions",
                    .title = fmt::format("The bars add up to the logit, {}", format_number(e.logit)),
                    .caption = "Contribution of each leader, in brackets the positions that follow it, and "
                               "b. logit = b + Σ_i (v·z_i)/n, summed leader by leader.",
                    .alt = "Contributions of the leaders and b",
                    .x_label = "contribution to the logit",
                    .y_label = "leader"},
                   bars);
}

Section path_section(const Explanation& e, const SentimentModel& model) {
  const std::size_t led = e.length - mass_of_undecided(e);
  Section section{.id = "path",
                  .title = fmt::format("By layer {}, {} follow one of {}", model.config.layers,
                                       mass_words(e, led), count_of(e.leaders.size(), "leader", "leaders"))};
  section.players.push_back(path_player(e, model));
  return section;
}

/// "58 words · 44 unique · 70 of padding", with what was not read.
void add_facts(Report& report, const Explanation& e, const SentimentModel& model) {
  report.facts.push_back({"model", model_line(model), model.origin});
  const std::size_t padding = padding_of(e);
  std::string read = fmt::format("{} · {} unique", count_of(e.length - padding, "word read", "words read"),
                                 e.words.size() - (padding != 0 ? 1 : 0));
  if (padding != 0) read += fmt::format(" · filled with {} of padding", padding);
  constexpr std::size_t kExcerpt = 90;
  report.facts.push_back({"text", std::move(read), "“" + excerpt(e.text, kExcerpt) + "”"});
  if (e.unknown != 0)
    report.not_measured.push_back(count_of(e.unknown, "word is", "words are") +
                                  " not in the vocabulary and left out");
  if (e.cut != 0)
    report.not_measured.push_back(fmt::format("{} beyond the first {} that the model reads",
                                              count_of(e.cut, "word stands", "words stand"),
                                              model.config.max_length));
}

}  // namespace

Report explanation_report(const Explanation& explanation, const SentimentModel& model,
                          const PageContext& context) {
  const Explanation& e = explanation;
  Report report =
      begin_report(context, sentiment_definitions({"leader", "logit", "contribution", "side", "logit without",
                                                   "soft, hard", "without layers", "padding"}));
  add_facts(report, e, model);
  report.verdict = verdict_of(e, model);
  add_keys(report, e, model);
  report.lead.push_back(bars_figure(e, model));

  Section sum{.id = "sum", .title = fmt::format("The sum: {}", sum_words(e))};
  sum.tables.push_back(sum_table(e));
  report.sections.push_back(std::move(sum));
  if (model.config.layers != 0) report.sections.push_back(path_section(e, model));
  Section leaders{.id = "leaders", .title = pivot_words(e, model)};
  leaders.tables.push_back(leaders_table(e));
  report.sections.push_back(std::move(leaders));
  Section words{.id = "words", .title = "What each word adds, and whom it follows"};
  words.paragraphs.push_back("The text: " + excerpt(e.text, kShownText));
  words.tables.push_back(words_table(e));
  report.sections.push_back(std::move(words));
  return report;
}

}  // namespace telos::clustering
