#pragma once

#include <cstddef>
#include <vector>

#include "telos/bigram/corpus.h"
#include "telos/bigram/data.h"
#include "telos/bigram/heads.h"
#include "telos/bigram/sweep.h"
#include "telos/bigram/train.h"
#include "telos/report/report.h"
#include "telos/report/words.h"

// What the bigram lens says, as a report for terminal, page, JSON and CSV.

namespace telos::bigram {

/// Definitions of every number that the lens prints.
std::vector<Definition> bigram_definitions();

/// An instance: its constants, its transitions, where each last token looks.
Report instance_report(const Instance& instance, const PageContext& context);

/// What a run will take, before it is made.
Report plan_report(const Instance& instance, const Plan& plan, double eta, std::size_t batch,
                   const PageContext& context);

/// The exact dynamics of `steps` steps from the initial model, and the closed form of the first stage beside
/// it.
Report population_report(const Instance& instance, double eta, const std::vector<Signals>& path,
                         const PageContext& context);

/// A training run; `scratch`: the same task from the initial model, beside it; null: none.
Report train_report(const Instance& instance, const TrainOptions& options, const TrainResult& result,
                    const TrainResult* scratch, const PageContext& context);

/// Samples of a file: how often each last token and each output comes.
Report samples_report(const Samples& samples, const PageContext& context);

/// A run on samples of a file, of which no truth is known.
Report data_report(const Samples& samples, const TrainOptions& options, const TrainResult& result,
                   const PageContext& context);

/// Medians of a sweep against T, and how they grow.
Report sweep_report(const SweepOptions& options, std::span<const SweepRun> runs, const PageContext& context);

/// A model on a task, or, without one (null), on samples. `names` of the tokens, or empty.
Report evaluation_report(const Instance* instance, const Evaluation& evaluation,
                         const std::vector<std::string>& names, const PageContext& context);

/// A text: what the sparse contextual bigram predicts of it, and where each last token looks.
Report estimate_report(const Corpus& corpus, const CorpusEstimate& estimate, const PageContext& context);

/// The linear transformer fitted to a text.
Report probe_report(const Corpus& corpus, const Probe& probe, const PageContext& context);

/// The text that heads are compared with: names of its tokens, and where its next token is informed.
struct HeadCorpus {
  std::vector<std::string> names;
  Matrix<double> q;  ///< as HeadText::q
};
/// Attention heads of a model; `corpus` null where the tokens are not known. `prefix` keeps the ids of
/// figures and tables apart from those of other lenses.
Report heads_report(const HeadMeasures& measures, const HeadCorpus* corpus, const PageContext& context);
Section heads_section(const HeadMeasures& measures, const HeadCorpus* corpus, const std::string& prefix);

}  // namespace telos::bigram
