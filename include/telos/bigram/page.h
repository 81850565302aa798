#pragma once

#include "telos/bigram/train.h"
#include "telos/report/report.h"

// What the bigram lens says, as a report for terminal, page, JSON and CSV.

namespace telos::bigram {

Report instance_report(const Instance& instance);
Report plan_report(const Instance& instance, const Plan& plan, double eta, std::size_t batch);
Report population_report(const Instance& instance, double eta, std::size_t steps);
/// `scratch`: the same task without transfer, beside it; null: none.
Report train_report(const Instance& instance, const TrainOptions& options, const TrainResult& result,
                    const TrainResult* scratch = nullptr);

}  // namespace telos::bigram
