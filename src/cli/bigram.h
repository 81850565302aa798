#pragma once

#include <string>
#include <vector>

#include "cli/app.h"
#include "telos/bigram/train.h"
#include "telos/report/words.h"

namespace CLI {
class App;
}

namespace telos::cli {

// The commands of `telos bigram`, each of which only sets context.action.
void add_bigram_studies(CLI::App& group, Context& context);   ///< study
void add_bigram_corpus(CLI::App& group, Context& context);    ///< estimate, fit
void add_bigram_heads(CLI::App& group, Context& context);     ///< heads
void add_bigram_training(CLI::App& group, Context& context);  ///< train, transfer
void add_bigram_data(CLI::App& group, Context& context);      ///< sample, eval
void add_bigram_sweep(CLI::App& group, Context& context);     ///< sweep

/// `train --data`: what the run says and leaves. `checkpoint` as train() takes it.
int train_on_data(const std::string& path, const bigram::TrainOptions& options, const std::string& checkpoint,
                  Context& context);

/// A task: from a file, or random.
struct InstanceOptions {
  std::string path, transitions = "dirichlet:1", weights = "jittered";
  bigram::GenerateOptions random;
};
void add_instance_options(CLI::App& command, InstanceOptions& o);
/// Of a random task.
void add_task_seed(CLI::App& command, InstanceOptions& o, const char* name = "--seed");
void add_eta(CLI::App& command, double& eta);
void add_batch(CLI::App& command, std::size_t& batch);
/// What the options describe; notes on a file go to the log.
bigram::Instance load_instance(InstanceOptions& o);
/// The file's name, or "random task, seed 1".
std::string subject_of(const InstanceOptions& o);

}  // namespace telos::cli
