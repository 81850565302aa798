#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "telos/clustering/explain.h"
#include "telos/clustering/hardmax.h"
#include "telos/clustering/lab.h"
#include "telos/clustering/measure.h"
#include "telos/clustering/sentiment_lab.h"
#include "telos/io/labelled_text.h"
#include "telos/report/report.h"
#include "telos/report/words.h"

// From the results of the clustering lens to verdicts, tables, figures and players.

namespace telos::clustering {

/// Terms that the lens's pages use, each defined once.
std::vector<Definition> clustering_definitions();

/// `telos clustering run`: leaders, fates, layers, and the player. `labels`: one a token, or empty.
Report run_report(const HardmaxRun& run, const std::vector<std::string>& labels, const PageContext& context);
/// `telos clustering simulate`.
Report soft_report(const SoftRun& run, const SoftOptions& options, const std::vector<std::string>& labels,
                   const PageContext& context);
Report phase_report(const PhaseDiagram& diagram, const PageContext& context);

/// `telos clustering sentiment train`: curves over seeds, soft against hard, baselines.
Report training_report(const TrainingResult& result, const PageContext& context);
/// Several results beside each other (by dimension, mode, depth, …). Throws kUsage for none.
Report training_report(std::span<const TrainingResult> results, const PageContext& context);
/// `telos clustering sentiment explain`: which words decided, the sum, and the words on their way.
Report explanation_report(const Explanation& explanation, const SentimentModel& model,
                          const PageContext& context);
/// `telos clustering sentiment leaders`: histogram and counts.
Report census_report(const LeaderCensus& census, const SentimentModel& model, const PageContext& context);
/// `telos clustering sentiment predict`; labels are 1 where the model should say positive, and shown by the
/// names that the texts have for them; none: not known.
Report prediction_report(const std::vector<Prediction>& hard, const std::vector<Prediction>& soft,
                         const LabelledText& texts, const SentimentModel& model, const PageContext& context);

/// `telos clustering heads`, and the lens's part of `diagnose` (ids begin with `prefix`).
Report clusters_report(const ClusterMeasures& measures, const PageContext& context);
Section clusters_section(const ClusterMeasures& measures, const std::string& prefix = {});
/// Clusters a window, before the first and after the last layer.
KeyNumber clusters_key(const ClusterMeasures& measures);
/// The terms of these two.
std::vector<Definition> measure_definitions();

}  // namespace telos::clustering
