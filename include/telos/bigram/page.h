#pragma once

#include <cstddef>
#include <vector>

#include "telos/bigram/corpus.h"
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

/// A text: what the sparse contextual bigram predicts of it, and where each last token looks.
Report estimate_report(const Corpus& corpus, const CorpusEstimate& estimate, const PageContext& context);

}  // namespace telos::bigram
