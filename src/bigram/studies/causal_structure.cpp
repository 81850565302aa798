#include "bigram/studies/causal_structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "bigram/studies/frame.h"
#include "bigram/studies/numbers.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace causal {
namespace {

constexpr std::uint32_t kGraph = 31, kHeldOut = 32, kGradient = 33;  // streams
constexpr std::size_t kHeldOutSequences = 4000, kGradientSequences = 20000;
constexpr double kErrors = 5;  ///< standard errors that a measured mean may be off

/// A chain of three symbols whose χ² informations are known to twelve digits.
struct SmallChain {
  Matrix<double> pi{3, 3};
  std::array<double, 3> mu{16 / 41.0, 14 / 41.0, 11 / 41.0};
  std::array<double, 3> information{0.275990259740, 0.051635227273, 0.010746993506};
  SmallChain() { std::ranges::copy(std::array{.6, .3, .1, .3, .5, .2, .2, .2, .6}, pi.data()); }
};

/// S·E[(π(x_i|s)/μ(x_i) − 1)·1{x_j = s}], j = i − lag, from sequences of the small chain.
Mean measured_gradient(const SmallChain& chain, std::size_t lag, const StudySetting& setting) {
  const Graph graph = make_graph(GraphKind::kChain, lag + 5, Random(0));
  std::vector<double> values(kGradientSequences);
  setting.arena.parallel_for(values.size(), [&](std::size_t s) {
    Random random(setting.seed, kGradient, s);
    const Sequence sequence = draw_tokens(graph, chain.pi, chain.mu, random);
    for (std::size_t i = lag; i < graph.size(); ++i) {
      const std::uint32_t token = sequence.tokens[i];
      if (sequence.tokens[i - lag] == sequence.tokens.back())
        values[s] +=
            3 * (sequence.target[token] / chain.mu[token] - 1) / static_cast<double>(graph.size() - lag);
    }
  });
  return mean_of(values);
}

/// Counts of all tokens but the last, plus α: it knows no structure.
std::vector<double> unigram_answer(const Sequence& sequence, double alpha) {
  std::vector<double> counts(sequence.target.size(), alpha);
  for (std::size_t i = 0; i + 1 < sequence.tokens.size(); ++i) counts[sequence.tokens[i]] += 1;
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  for (double& count : counts) count /= total;
  return counts;
}

/// Cross-entropies on fresh sequences.
struct HeldOut {
  Mean network, bayes, unigram;
  Mean gap;  ///< network less Bayes
  /// Share of what lies between log S and Bayes that the network has learned.
  double learned(std::size_t symbols) const {
    const double start = std::log(static_cast<double>(symbols));
    return (start - network.value) / (start - bayes.value);
  }
};

HeldOut measure(const Network& network, const Graph& graph, const TrainingOptions& o,
                const StudySetting& setting) {
  std::vector<double> of_network(kHeldOutSequences), of_bayes(kHeldOutSequences),
      of_unigram(kHeldOutSequences), gap(kHeldOutSequences);
  setting.arena.parallel_for(kHeldOutSequences, [&](std::size_t s) {
    const Sequence sequence = draw_sequence(graph, o.symbols, o.alpha, Random(setting.seed, kHeldOut, s));
    of_network[s] = cross_entropy(sequence.target, answer(network, sequence));
    of_bayes[s] = cross_entropy(sequence.target, bayes_answer(graph, sequence, o.alpha));
    of_unigram[s] = cross_entropy(sequence.target, unigram_answer(sequence, o.alpha));
    gap[s] = of_network[s] - of_bayes[s];
  });
  return {mean_of(of_network), mean_of(of_bayes), mean_of(of_unigram), mean_of(gap)};
}

/// Of each symbol, whether the second attention prefers positions that attended to that symbol to all others.
std::size_t induction_rows(const Network& network) {
  const std::size_t symbols = network.w.cols(), width = network.a1.rows();
  std::size_t found = 0;
  for (std::size_t s = 0; s < symbols; ++s) {
    const double* row = network.a2.row(s) + width;  // from the last token to what each position attends to
    found += static_cast<std::size_t>(std::max_element(row, row + symbols) - row) == s;
  }
  return found;
}

Figure attention_figure(const Matrix<double>& attention, const Graph& graph) {
  std::vector<std::string> names, parents;
  std::vector<std::vector<double>> values;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    names.push_back(graph[i] < 0 ? fmt::format("{} (root)", i) : fmt::format("{} ← {}", i, graph[i]));
    parents.push_back(std::to_string(i));
    values.emplace_back(attention.row(i), attention.row(i) + graph.size());
  }
  return heat_map(
      {.id = "causal-structure",
       .title = "The first layer attends from each position to its parent in the graph",
       .caption = "Softmax of the block of A¹ from position to position, over positions up to its own; "
                  "rows are named position ← parent.",
       .alt = "First attention by position and position attended to",
       .x_label = "position attended to",
       .y_label = "position ← parent"},
      names, parents, values, "weight", false);
}

Table course_table(const Training& training, const HeldOut& held_out) {
  Table table{
      .id = "causal-structure-course",
      .title = "Training",
      .caption = fmt::format("Bayes: {} ± {} on {} fresh sequences; tokens counted without the graph: {}.",
                             fixed(held_out.bayes.value, 4), fixed(held_out.bayes.error, 4),
                             format_count(kHeldOutSequences), fixed(held_out.unigram.value, 4)),
      .columns = {{"step", "", ""},
                  {"loss", "nat", "cross-entropy of the batches since the row before"},
                  {"parents found", "", "positions whose first attention is largest at the parent"}},
      .rows = {}};
  for (const Milestone& m : training.course)
    table.rows.push_back({static_cast<std::int64_t>(m.step), m.loss, static_cast<std::int64_t>(m.rows)});
  return table;
}

Table lags_table(const SmallChain& chain, const std::array<Mean, 3>& gradient) {
  Table table{.id = "causal-structure-lags",
              .title = "Small chain: what the first gradient sees at each lag",
              .caption = "",
              .columns = {{"lag", "", ""},
                          {"I", "", "χ² mutual information of tokens so many steps apart"},
                          {"bound", "", "√(I(1)I(lag)): no first gradient is above"},
                          {"first gradient", "", "of A¹ at that lag, in closed form"},
                          {"measured", "", fmt::format("on {} sequences", format_count(kGradientSequences))},
                          {"error", "", "standard error", 2}},
              .rows = {}};
  const double parent = chi_square_information(chain.pi, 1);
  for (std::size_t lag = 1; lag <= gradient.size(); ++lag) {
    const double information = chi_square_information(chain.pi, lag);
    table.rows.push_back({static_cast<std::int64_t>(lag), information, std::sqrt(parent * information),
                          first_gradient(chain.pi, lag), gradient[lag - 1].value, gradient[lag - 1].error});
  }
  return table;
}

void add_small_checks(const SmallChain& chain, const std::array<Mean, 3>& gradient,
                      std::vector<StudyCheck>& checks) {
  for (std::size_t lag = 1; lag <= chain.information.size(); ++lag)
    checks.push_back({fmt::format("small chain: χ² information at lag {}", lag), chain.information[lag - 1],
                      chi_square_information(chain.pi, lag), 1e-12});
  // After 2, 0, 1, 1, 0 and a last 0: one transition from 0, to 1.
  const Sequence sequence{{2, 0, 1, 1, 0, 0}, std::vector<double>(3)};
  checks.push_back({"small sequence: Bayes answer", 1.1 / 1.3,
                    bayes_answer(make_graph(GraphKind::kChain, 6, Random(0)), sequence, 0.1)[1], 1e-12});
  for (std::size_t lag = 1; lag <= gradient.size(); ++lag)
    checks.push_back({fmt::format("small chain: first gradient at lag {}, sampled", lag),
                      first_gradient(chain.pi, lag), gradient[lag - 1].value,
                      kErrors * gradient[lag - 1].error});
}

void run(const StudySetting& setting, StudyResult& result) {
  const TrainingOptions options{setting.whole("symbols"), setting.whole("length"), setting.whole("steps"),
                                setting.whole("batch"),   setting.real("alpha"),   setting.real("rate")};
  const Graph graph = make_graph(static_cast<GraphKind>(setting.whole("graph")), options.length,
                                 Random(setting.seed, kGraph));
  const SmallChain chain;
  std::array<Mean, 3> gradient;
  for (std::size_t lag = 1; lag <= gradient.size(); ++lag)
    gradient[lag - 1] = measured_gradient(chain, lag, setting);
  add_small_checks(chain, gradient, result.checks);

  const Training training = train(graph, options, setting.seed, setting.arena);
  const HeldOut held_out = measure(training.network, graph, options, setting);
  const Matrix<double> attention = position_attention(training.network);
  const std::size_t parents = rows_with_parent(graph), found = rows_found(graph, attention),
                    induction = induction_rows(training.network);
  const double learned = held_out.learned(options.symbols);
  result.checks.push_back({"positions whose first attention is largest at the parent",
                           static_cast<double>(parents), static_cast<double>(found), 0});
  result.checks.push_back({"symbols that the second attention looks up", static_cast<double>(options.symbols),
                           static_cast<double>(induction), 0});
  result.checks.push_back(
      {"share learned of what Bayes knows: (log S − loss)/(log S − Bayes)", 1, learned, 0.15});
  result.holds = held_out.network.value + kErrors * held_out.network.error < held_out.unigram.value;
  result.measured = fmt::format(
      "{} of {} positions attend most to their parent; the loss is {} ± {} above Bayes, {} of what can be "
      "learned",
      found, parents, fixed(held_out.gap.value, 4), fixed(held_out.gap.error, 4), percent(learned));
  result.figure = attention_figure(attention, graph);
  result.tables = {course_table(training, held_out), lags_table(chain, gradient)};
  result.notes = {
      fmt::format("Fresh sequences: {} nat, Bayes {}, tokens counted without the graph {}, log S {}",
                  fixed(held_out.network.value, 4), fixed(held_out.bayes.value, 4),
                  fixed(held_out.unigram.value, 4), fixed(std::log(static_cast<double>(options.symbols)), 4)),
      "Bayes here counts what followed the last token along the graph, plus α for each symbol. A softmax of "
      "averages cannot count, and stays a little above; what roots tell of π by being drawn from its "
      "stationary "
      "law is not counted, and with many roots the network can come out below",
      "The first gradient of A¹ is largest at the parent because information is lost with every further step "
      "(data processing inequality)"};
}

}  // namespace
}  // namespace causal

Study causal_structure_study() {
  return {{"causal-structure",
           "How attention learns causal structure",
           "Nichani, Damian and Lee 2024, arXiv 2402.14735",
           "Trained on Markov chains along a hidden graph, the first layer becomes the graph's adjacency and "
           "the second "
           "an induction head that counts along it",
           {{"symbols", "S, states of the chain", 5, 2, 32},
            {"length", "T, tokens of a sequence", 10, 3, 64},
            {"graph", "0 chain, 1 pairs, 2 random parents", 0, 0, 2},
            {"alpha", "of the Dirichlet law of transitions", 0.1, 0.05, 10, false},
            {"steps", "steps of gradient descent", 6000, 1, 1000000},
            {"batch", "sequences a step", 64, 1, 65536},
            {"rate", "first step size", 5, 1e-4, 100, false}}},
          causal::run};
}

}  // namespace telos::bigram::studies
