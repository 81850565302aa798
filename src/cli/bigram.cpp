#include "cli/bigram.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/lists.h"
#include "cli/targets.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/bigram/page.h"

namespace telos::cli {
namespace {

using namespace bigram;

/// "dirichlet:0.5" as a word and a number; the number only where the word takes one.
std::pair<std::string, std::optional<double>> word_and_number(const std::string& text,
                                                              const std::string& option) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, std::nullopt};
  const std::vector<double> numbers = parse_numbers(text.substr(colon + 1), option);
  if (numbers.size() != 1)
    throw Error(ErrorKind::kUsage, option,
                fmt::format("expected one number after the colon, found \"{}\"", printable(text, 40)));
  return {text.substr(0, colon), numbers[0]};
}

[[noreturn]] void unknown_word(const std::string& option, const std::string& found,
                               const std::string& expected) {
  throw Error(ErrorKind::kUsage, option,
              fmt::format("expected {}, found \"{}\"", expected, printable(found, 40)));
}

void read_laws(InstanceOptions& o) {
  const auto [law, concentration] = word_and_number(o.transitions, "--p");
  if (law == "dirichlet") {
    o.random.transitions = TransitionKind::kDirichlet;
    o.random.concentration = concentration.value_or(1);
  } else if (law == "reversible" && !concentration) {
    o.random.transitions = TransitionKind::kReversible;
  } else {
    unknown_word("--p", o.transitions, "dirichlet, dirichlet:A or reversible");
  }
  const auto [weights, weight_concentration] = word_and_number(o.weights, "--q-weights");
  if (weights == "dirichlet") {
    o.random.weights = WeightKind::kDirichlet;
    o.random.weight_concentration = weight_concentration.value_or(1);
  } else if (weights == "jittered" && !weight_concentration) {
    o.random.weights = WeightKind::kJittered;
  } else if (weights == "uniform" && !weight_concentration) {
    o.random.weights = WeightKind::kUniform;
  } else {
    unknown_word("--q-weights", o.weights, "jittered, uniform, dirichlet or dirichlet:A");
  }
}

void add_random_options(CLI::App& command, InstanceOptions& o, CLI::Option* path) {
  const std::vector<CLI::Option*> options = {
      command.add_option("--n", o.random.tokens, "Tokens N")->type_name("N")->capture_default_str(),
      command.add_option("--t", o.random.length, "Positions T")->type_name("T")->capture_default_str(),
      command.add_option("--q", o.random.sparsity, "Positions Q that a last token looks at")
          ->type_name("Q")
          ->capture_default_str(),
      command.add_option("--p", o.transitions, "Law of the transitions: dirichlet:A or reversible")
          ->type_name("LAW")
          ->capture_default_str(),
      command.add_option("--q-weights", o.weights, "Law of the weights: jittered, uniform or dirichlet:A")
          ->type_name("LAW")
          ->capture_default_str()};
  if (path != nullptr)
    for (CLI::Option* option : options) option->excludes(path);
}

}  // namespace

void add_instance_options(CLI::App& command, InstanceOptions& o) {
  CLI::Option* const path = command.add_option(
      "INSTANCE", o.path, "Task written by `telos bigram generate --out` (default: a random one)");
  add_random_options(command, o, path);
}

void add_task_seed(CLI::App& command, InstanceOptions& o, const char* name) {
  command.add_option(name, o.random.seed, "Seed of a random task")
      ->excludes(command.get_option("INSTANCE"))
      ->type_name("S")
      ->capture_default_str();
}

void add_eta(CLI::App& command, double& eta) {
  command.add_option("--eta", eta, "Step size η")->type_name("ETA")->capture_default_str();
}

void add_batch(CLI::App& command, std::size_t& batch) {
  command.add_option("--batch", batch, "Samples a step")->type_name("B")->capture_default_str();
}

namespace {

/// An instance that `read` makes; its notes go to the log.
template <class Read>
Instance with_notes(const std::string& path, const Read& read) {
  std::vector<std::string> notes;
  Instance instance = read(&notes);
  for (const std::string& note : notes) log(LogLevel::kInfo, path + ": " + note);
  return instance;
}

}  // namespace

Instance load_instance(InstanceOptions& o) {
  if (!o.path.empty())
    return with_notes(o.path, [&](std::vector<std::string>* notes) { return read_instance(o.path, notes); });
  read_laws(o);
  return generate(o.random);
}

std::string subject_of(const InstanceOptions& o) {
  return o.path.empty() ? fmt::format("random task, seed {}", o.random.seed)
                        : std::filesystem::path(o.path).filename().string();
}

namespace {

/// A task related to another one: some of its transitions, or also its positions, from a random task.
struct RelatedOptions {
  std::string task;
  double share = 0.5;
  bool new_positions = false;
};

Instance related_instance(const RelatedOptions& related, InstanceOptions& o) {
  read_laws(o);
  InstanceOptions known;
  known.path = related.task;
  const Instance task = load_instance(known);
  GenerateOptions random = o.random;
  random.tokens = task.tokens();
  random.length = task.length;
  random.sparsity = task.sparsity();
  const Instance other = generate(random);
  if (std::equal(other.p.data(), other.p.data() + other.p.size(), task.p.data()))
    throw Error(ErrorKind::kUsage, "--seed",
                fmt::format("the random task of seed {} is TASK itself", random.seed), "take another seed");
  return blend(task, other, related.share, related.new_positions);
}

void add_related_options(CLI::App& command, RelatedOptions& related) {
  CLI::Option* const task =
      command
          .add_option("--related", related.task, "A task for transfer: P = (1 − S)·that of TASK + S·random")
          ->type_name("TASK");
  for (const char* fixed : {"INSTANCE", "--n", "--t", "--q"}) task->excludes(command.get_option(fixed));
  command.add_option("--share", related.share, "S of --related")
      ->check(CLI::Range(0.0, 1.0))
      ->needs(task)
      ->type_name("S")
      ->capture_default_str();
  command.add_flag("--new-positions", related.new_positions, "--related: other positions too")->needs(task);
}

/// Matrices as text files; --t and --q then say what they hold.
void add_table_options(CLI::App& command, InstanceTables& tables) {
  CLI::Option* const p =
      command.add_option("--p-file", tables.p_path, "Your own P: N × N numbers, with or without names")
          ->type_name("FILE");
  CLI::Option* const q =
      command
          .add_option("--q-file", tables.q_path,
                      "Your own q: T × N numbers, or a list that begins with \"token position weight\"")
          ->needs(p)
          ->type_name("FILE");
  p->needs(q);
  for (const char* random : {"INSTANCE", "--related", "--n", "--p", "--q-weights", "--seed"})
    p->excludes(command.get_option(random));
  command
      .add_option_function<std::string>(
          "--orientation", [&tables](const std::string& word) { tables.p_by_rows = word == "row"; },
          "Whether each column (col, the default) or each row (row) of P is the law of what follows a token")
      ->check(CLI::IsMember({"col", "row"}))
      ->needs(p)
      ->type_name("WORD");
}

Instance tables_instance(InstanceTables tables, const InstanceOptions& o, const CLI::App& command) {
  if (command.count("--t") > 0) tables.length = o.random.length;
  if (command.count("--q") > 0) tables.sparsity = o.random.sparsity;
  return with_notes(tables.p_path,
                    [&](std::vector<std::string>* notes) { return read_instance_tables(tables, notes); });
}

void add_bigram_generate(CLI::App& group, Context& context) {
  struct Arguments {
    InstanceOptions instance;
    RelatedOptions related;
    InstanceTables tables;
  };
  CLI::App* const command = group.add_subcommand(
      "generate",
      "A task and its constants: random, related to another, or yours; --out leaves instance.json");
  auto a = std::make_shared<Arguments>();
  add_instance_options(*command, a->instance);
  add_task_seed(*command, a->instance);
  add_related_options(*command, a->related);
  add_table_options(*command, a->tables);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram generate --n 5 --t 1000 --q 3 --seed 2 --out task\n"
      "  telos bigram generate --related task/instance.json --share 0.5 --seed 3 --out related\n"
      "  telos bigram generate --p-file P.tsv --orientation row --q-file q.tsv --t 100 --out mine\n"
      "  telos bigram generate task/instance.json -o json");
  command->callback([&context, a, command] {
    context.action = [&context, a, command] {
      const auto name = [](const std::string& path) {
        return std::filesystem::path(path).filename().string();
      };
      require_inputs_stay(context.out_directory, {"instance.json"}, {a->related.task});
      const bool is_related = !a->related.task.empty(), own = !a->tables.p_path.empty();
      const Instance instance = is_related ? related_instance(a->related, a->instance)
                                : own      ? tables_instance(a->tables, a->instance, *command)
                                           : load_instance(a->instance);
      const std::string subject = is_related ? "related to " + name(a->related.task)
                                  : own      ? name(a->tables.p_path)
                                             : subject_of(a->instance);
      const FolderWriter file = [&](const std::string& folder) {
        write_instance(instance, folder + "/instance.json");
      };
      return deliver(instance_report(instance, page_context("bigram generate", subject, context)), context,
                     {}, {file});
    };
  });
}

/// What the library calls the options of tasks and descents.
const OptionNames& option_names() {
  static const OptionNames names = {{"tokens", "--n"},
                                    {"length", "--t"},
                                    {"sparsity", "--q"},
                                    {"concentration", "--p"},
                                    {"weight_concentration", "--q-weights"},
                                    {"share", "--share"},
                                    {"batch", "--batch"},
                                    {"eta", "--eta"},
                                    {"eta_v", "--eta-v"},
                                    {"eta_a", "--eta-a"},
                                    {"threshold", "--l1"},
                                    {"refit_samples", "--refit-samples"}};
  return names;
}

void add_bigram_plan(CLI::App& group, Context& context) {
  struct Arguments {
    InstanceOptions instance;
    double eta = 0.02;
    std::size_t batch = 64;
  };
  CLI::App* const command =
      group.add_subcommand("plan", "Steps, samples and pitfalls of a run, before it is made");
  auto a = std::make_shared<Arguments>();
  add_instance_options(*command, a->instance);
  add_task_seed(*command, a->instance);
  add_eta(*command, a->eta);
  add_batch(*command, a->batch);
  add_common_options(*command, context);
  command->footer("Example:\n  telos bigram plan --n 3 --t 50000 --q 2 --batch 16");
  command->callback([&context, a] {
    context.action = [&context, a] {
      const Instance instance = load_instance(a->instance);
      return deliver(plan_report(instance, plan(instance, a->eta, a->batch), a->eta, a->batch,
                                 page_context("bigram plan", subject_of(a->instance), context)),
                     context);
    };
  });
}

void add_bigram_population(CLI::App& group, Context& context) {
  struct Arguments {
    InstanceOptions instance;
    double eta = 0.1;
    std::size_t steps = 2000;
  };
  CLI::App* const command =
      group.add_subcommand("population", "The exact dynamics of training on infinitely many samples");
  auto a = std::make_shared<Arguments>();
  add_instance_options(*command, a->instance);
  add_task_seed(*command, a->instance);
  add_eta(*command, a->eta);
  command->add_option("--steps", a->steps, "Steps")
      ->check(CLI::Range(1, 10'000'000))
      ->type_name("N")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer("Example:\n  telos bigram population --n 3 --t 5000 --q 2 --steps 3000 --out dynamics");
  command->callback([&context, a] {
    context.action = [&context, a] {
      const Instance instance = load_instance(a->instance);
      const std::vector<Signals> path =
          scalar_dynamics(constants(instance), instance.length, {}, a->eta, a->steps);
      return deliver(population_report(instance, a->eta, path,
                                       page_context("bigram population", subject_of(a->instance), context)),
                     context);
    };
  });
}

}  // namespace

void add_bigram(CLI::App& app, Context& context) {
  CLI::App* const group = app.add_subcommand(
      "bigram", "What sparse contextual bigram structure is there, and how many samples does it take?");
  add_bigram_generate(*group, context);
  add_bigram_plan(*group, context);
  add_bigram_population(*group, context);
  add_bigram_corpus(*group, context);
  add_bigram_training(*group, context);
  add_bigram_heads(*group, context);
  add_bigram_data(*group, context);
  add_bigram_sweep(*group, context);
  add_bigram_studies(*group, context);
  group->footer(
      "Examples:\n"
      "  telos bigram train --n 3 --t 5000 --q 2 --out run\n"
      "  telos bigram population --steps 3000 --out dynamics\n"
      "  telos bigram plan --t 50000");
  add_definitions(*group, context, bigram_definitions, [&context] {
    context.action = [action = std::move(context.action)] { return with_options(option_names(), action); };
  });
}

}  // namespace telos::cli
