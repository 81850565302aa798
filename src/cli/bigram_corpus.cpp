#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/bigram.h"
#include "cli/lists.h"
#include "cli/option_names.h"
#include "cli/targets.h"
#include "cli/units.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/bigram/page.h"

namespace telos::cli {
namespace {

using namespace bigram;

void add_offsets(CLI::App& command, std::size_t& offsets) {
  command.add_option("--offsets", offsets, "How far back to look")->type_name("T")->capture_default_str();
}

void add_min_count(CLI::App& command, std::uint64_t& count) {
  command.add_option("--min-count", count, "Last tokens of fewer windows are not looked at by themselves")
      ->type_name("M")
      ->capture_default_str();
}

/// Leaves instance.json, or says why what was fitted is no task: P ≈ μ1ᵀ, a chain that falls apart.
template <class Make>
void write_task(const Make& make, const std::string& folder) {
  std::vector<std::string> notes;
  try {
    write_instance(make(&notes), folder + "/instance.json");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    notes.push_back(fmt::format("no instance.json: {}", error.message()));
  }
  for (const std::string& note : notes) log(LogLevel::kInfo, note);
}

void add_bigram_estimate(CLI::App& group, Context& context) {
  struct Arguments {
    TextArguments text;
    EstimateOptions options;
  };
  CLI::App* const command = group.add_subcommand(
      "estimate", "What a sparse contextual bigram explains of a text, and where each last token looks");
  auto a = std::make_shared<Arguments>();
  add_text_options(*command, a->text,
                   "Tokens to keep, the most frequent ones; all others become one, (other)");
  EstimateOptions& o = a->options;
  add_offsets(*command, o.max_offset);
  command->add_option("--q", o.sparsity, "Offsets that a last token may look at")
      ->type_name("Q")
      ->capture_default_str();
  add_min_count(*command, o.min_count);
  command
      ->add_option("--smooth", o.smooth,
                   "Pseudo-counts α in each column of P (default: what serves the bigram best)")
      ->type_name("ALPHA");
  command->add_option("--level", o.level, "Level of all tests together")
      ->type_name("P")
      ->capture_default_str();
  command->add_option("--seed", o.seed, "Seed of the chance level")->type_name("S")->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram estimate notes.txt --out estimate\n"
      "  telos bigram estimate notes.txt --unit word --vocab 256 --offsets 8\n"
      "  telos bigram estimate notes.txt --unit ./my-model -o csv --table tests");
  command->callback([&context, a] {
    context.action = [&context, a] {
      const Corpus corpus = load_units(a->text, a->text.vocabulary);
      const CorpusEstimate result = estimate(corpus, a->options, context.arena());
      const FolderWriter task = [&](const std::string& folder) {
        write_task([&](auto* notes) { return instance_of(result.contextual, corpus.names, notes); }, folder);
      };
      return deliver(
          estimate_report(corpus, result, page_context("bigram estimate", a->text.subject(), context)),
          context, {}, {task});
    };
  });
}

void add_bigram_fit(CLI::App& group, Context& context) {
  struct Arguments {
    TextArguments text;
    ProbeOptions options;
  };
  CLI::App* const command =
      group.add_subcommand("fit", "Fit the linear transformer to the windows of a text, as a probe");
  auto a = std::make_shared<Arguments>();
  add_text_options(*command, a->text,
                   "Tokens to keep, the most frequent ones; all others become one, (other)");
  ProbeOptions& o = a->options;
  add_offsets(*command, o.max_offset);
  add_off_flag(*command, "--without-last", o.with_last,
               "No weight on the last token itself, as in the paper");
  add_min_count(*command, o.min_count);
  command->add_option("--rounds", o.rounds, "Rounds of alternating least squares")
      ->type_name("N")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram fit notes.txt --out probe\n"
      "  telos bigram fit notes.txt --unit word --vocab 256 --offsets 8 --without-last");
  command->callback([&context, a] {
    context.action = [&context, a] {
      const Corpus corpus = load_units(a->text, a->text.vocabulary);
      require_own_results(context.out_directory, {"bigram", "fit"}, {"model.safetensors", "instance.json"});
      const Probe probe = fit_probe(corpus, a->options, context.arena());
      const FolderWriter model = [&](const std::string& folder) {
        write_model(probe.model, probe.mu, folder + "/model.safetensors");
        write_task([&](auto* notes) { return instance_of(probe, corpus.names, notes); }, folder);
      };
      return deliver(probe_report(corpus, probe, page_context("bigram fit", a->text.subject(), context)),
                     context, {}, {model});
    };
  });
}

}  // namespace

void add_bigram_corpus(CLI::App& group, Context& context) {
  add_bigram_estimate(group, context);
  add_bigram_fit(group, context);
}

}  // namespace telos::cli
