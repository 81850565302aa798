#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cli/lists.h"
#include "cli/option_names.h"
#include "cli/symmetry.h"
#include "telos/base/error.h"
#include "telos/symmetry/kernel_learning.h"
#include "telos/symmetry/learn_page.h"
#include "telos/symmetry/sequences.h"

namespace telos::cli {
using namespace symmetry;

namespace {

struct LearnArguments {
  std::string law = "polya:1", target = "copy:0", test_law, data, labels, samples = "8,32,128,512",
              architecture;
  bool ntk = false;
  std::uint32_t letters = 4;
  SimulationOptions options;
  LangevinOptions langevin;
  bool network = false;
  std::size_t network_samples = 32, network_tests = 200;
};

std::vector<std::size_t> parse_samples(const std::string& text) {
  std::vector<std::size_t> samples;
  for (const double p : parse_numbers(text, "--samples")) {
    if (!(p >= 1 && p <= static_cast<double>(kMostSamples)) || p != std::floor(p))
      throw Error(ErrorKind::kUsage, "--samples",
                  fmt::format("expected whole numbers from 1 to {}, found {}", kMostSamples, p));
    samples.push_back(static_cast<std::size_t>(p));
  }
  std::sort(samples.begin(), samples.end());
  samples.erase(std::unique(samples.begin(), samples.end()), samples.end());
  return samples;
}

LangevinOptions langevin_options(const LearnArguments& a) {
  LangevinOptions o = a.langevin;
  o.block = a.options.block;
  o.noise = a.options.ridge;
  o.seed = a.options.seed;
  o.shape = shape_of_width(o.shape.width);
  return o;
}

/// The kernel of --arch; nothing of the simplified block.
std::optional<Kernel> kernel_of(const LearnArguments& a, LearnRun& run) {
  if (a.architecture.empty()) return std::nullopt;
  const symmetry::Architecture architecture = load_architecture(a.architecture);
  run.architecture = describe(architecture);
  run.ntk = a.ntk;
  return Kernel(architecture, a.letters, {.ntk = a.ntk, .seed = a.options.seed});
}

void simulate_law(const std::optional<Kernel>& kernel, const Law& law, const SequenceTarget& target,
                  const Law* test, LearnRun& run, const Arena& arena) {
  const SimulationOptions& o = run.options;
  const std::vector<double> samples = theory_samples(o);
  if (!kernel) {
    run.curve = simulate_learning(law, target, test, o, arena);
    run.theory = learning_theory(law, target, o, samples);
    return;
  }
  const LearningGround ground = learning_ground(*kernel, law, o.length, arena);
  run.curve = simulate_learning(*kernel, law, target, test, o, ground, arena);
  run.theory = learning_theory(ground, target, o, samples);
  run.no_theory = ground.no_theory;
}

void learn_law(const LearnArguments& a, LearnRun& run, const Arena& arena) {
  const SimulationOptions& o = run.options;
  const Law law = Law::parse(a.law, a.letters, o.seed, "--law");
  const SequenceTarget target = SequenceTarget::parse(a.target, law, o.length, "--target");
  std::optional<Law> test;
  if (!a.test_law.empty()) test = Law::parse(a.test_law, a.letters, o.seed + 1, "--test-law");
  run.law = law.name();
  run.target = target.name();
  run.test_law = test ? test->name() : "";
  run.exchangeable = law.exchangeable();
  // What cannot be trained is refused before the curves take their time.
  std::optional<NetworkData> network;
  if (a.network) {
    require_langevin(langevin_options(a), o.length, a.letters);
    network = draw_network_data(law, target, a.network_samples, a.network_tests, o.noise, o.seed, arena);
    plan_langevin(network->sequences, network->labels, a.letters, langevin_options(a));
  }
  simulate_law(kernel_of(a, run), law, target, test ? &*test : nullptr, run, arena);
  if (network) run.network = study_network(*network, a.letters, langevin_options(a), arena);
}

void learn_files(const LearnArguments& a, LearnRun& run, const Arena& arena) {
  if (a.labels.empty())
    throw Error(ErrorKind::kUsage, "--data", "sequences without labels", "give their file with --labels");
  const std::optional<Kernel> kernel = kernel_of(a, run);
  const Matrix<Token> sequences = equal_lengths(
      read_sequences(a.data, a.letters, kernel ? kernel->architecture().padding : std::nullopt), a.data);
  const Matrix<double> labels = read_labels(a.labels, sequences.rows());
  run.options.length = sequences.cols();
  run.law = a.data;
  run.target = a.labels;
  run.data = true;
  std::optional<NetworkData> network;
  if (a.network) {
    require_langevin(langevin_options(a), sequences.cols(), a.letters);
    network = choose_network_data(sequences, labels, a.network_samples, a.network_tests, run.options.seed);
    plan_langevin(network->sequences, network->labels, a.letters, langevin_options(a));
  }
  run.curve = kernel ? learn_from_data(*kernel, sequences, labels, run.options, arena)
                     : learn_from_data(sequences, labels, a.letters, run.options, arena);
  if (network) run.network = study_network(*network, a.letters, langevin_options(a), arena);
}

void add_data_options(CLI::App& command, LearnArguments& a) {
  CLI::Option* const law = command.add_option(
      "--law", a.law,
      "Law of sequences: iid, polya:ALPHA, hmm:STATES, hmm:FILE, mixture:COMPONENTS,STATES, "
      "hmm-sticky:STAY[,STATES]");
  law->type_name("LAW")->capture_default_str();
  CLI::Option* const target =
      command.add_option("--target", a.target,
                         "What is learned: copy:POSITION[,LETTER], count:LETTER, bigram:LETTER,LETTER, next");
  target->type_name("TARGET")->capture_default_str();
  CLI::Option* const test = command.add_option("--test-law", a.test_law, "Errors also under this law");
  test->type_name("LAW");
  CLI::Option* const data = command.add_option(
      "--data", a.data, "Sequences of a file instead of a law: one a line, letters as numbers; or .npy");
  data->type_name("FILE")->excludes(law)->excludes(target)->excludes(test);
  command.add_option("--labels", a.labels, "Labels of the sequences: CSV, one row each")
      ->type_name("FILE")
      ->needs(data);
  command.add_option("--vocab", a.letters, "Letters V")->type_name("V")->capture_default_str();
  command.add_option("--length", a.options.length, "Positions L")
      ->type_name("L")
      ->capture_default_str()
      ->excludes(data);
}

void add_regression_options(CLI::App& command, LearnArguments& a) {
  SimulationOptions& o = a.options;
  command.add_option("--samples", a.samples, "Numbers of samples P")
      ->type_name("P,P,…")
      ->capture_default_str();
  command.add_option("--ridge", o.ridge, "Variance of the noise that the network assumes; 0: none")
      ->type_name("R")
      ->capture_default_str();
  CLI::Option* const data = command.get_option("--data");
  command.add_option("--noise", o.noise, "Variance of the noise on labels")
      ->type_name("VARIANCE")
      ->capture_default_str()
      ->excludes(data);
  command.add_option("--draws", o.draws, "Data sets for each P")->type_name("N")->capture_default_str();
  command
      .add_option("--test-points", o.test_points, "Fresh sequences a data set, where errors are not exact")
      ->type_name("N")
      ->capture_default_str()
      ->excludes(data);
  CLI::Option* const letters =
      command.add_option("--letter-variance", o.block.token, "Variance e of letter vectors");
  letters->type_name("E")->capture_default_str();
  CLI::Option* const positions =
      command.add_option("--position-variance", o.block.position, "Variance s of position vectors");
  positions->type_name("S")->capture_default_str();
  CLI::Option* const architecture = command.add_option(
      "--arch", a.architecture,
      "Instead of the simplified block: an architecture, a name (telos symmetry kernel --list) or a JSON "
      "file. "
      "One that reads one token (last, cls, a query) reads one more than the L of the law");
  architecture->type_name("NAME|FILE")->excludes(letters)->excludes(positions);
  command.add_flag("--ntk", a.ntk, "The neural tangent kernel of --arch instead of its NNGP kernel")
      ->needs(architecture);
  command.add_option("--seed", o.seed, "Seed of all draws")->type_name("S")->capture_default_str();
}

void add_network_options(CLI::App& command, LearnArguments& a) {
  CLI::Option* const network = command.add_flag(
      "--langevin", a.network, "Also a network of finite width, its posterior sampled by Langevin dynamics");
  network->excludes(command.get_option("--arch"));
  command
      .add_option("--width", a.langevin.shape.width, "Width of the network; it has a quarter as many heads")
      ->type_name("D")
      ->capture_default_str()
      ->needs(network);
  command.add_option("--network-samples", a.network_samples, "Samples that the network is trained on")
      ->check(CLI::Range(std::size_t{1}, kMostSamples))
      ->type_name("P")
      ->capture_default_str()
      ->needs(network);
  command.add_option("--chains", a.langevin.chains, "Independent chains")
      ->type_name("N")
      ->capture_default_str()
      ->needs(network);
  command.add_option("--duration", a.langevin.duration, "Relaxation times that a chain is averaged over")
      ->type_name("T")
      ->capture_default_str()
      ->needs(network);
}

/// What the library calls the options.
std::vector<OptionName> learn_options() {
  return {
      {"law", "--law", "iid, polya:ALPHA, hmm:STATES, mixture:COMPONENTS,STATES, hmm-sticky:STAY[,STATES]"},
      {"target", "--target", "copy:POSITION[,LETTER], count:LETTER, bigram:LETTER,LETTER or next"},
      {"length", "--length", "positions L: --length 8"},
      {"vocabulary", "--vocab", "letters V: --vocab 4"},
      {"token variance", "--letter-variance", "a number of at least 0"},
      {"position variance", "--position-variance", "a number of at least 0"},
      {"samples", "--samples", "numbers of samples, --samples 8,32,128"},
      {"draws", "--draws", "data sets for each number of samples: --draws 50"},
      {"test points", "--test-points", "fresh sequences a data set: --test-points 1000"},
      {"noise", "--noise", "a variance: --noise 0.01"},
      {"ridge", "--ridge", "a variance, 0 for none: --ridge 0.01"},
      {"chains", "--chains", "at least 2: --chains 4"},
      {"network", "--width", "take a smaller --width"},
      {"Langevin dynamics", "--langevin", "take a larger --ridge, a smaller --width or --network-samples"},
      {"Gram matrix", "--ridge", "take a larger --ridge"},
      {"architecture", "--arch", "telos symmetry kernel --list"},
      {"gram", "--data", "take fewer sequences"},
      {"labels", "--labels", "one row a sequence"},
      {"sequences", "--length", "take fewer or shorter sequences"}};
}

}  // namespace

void add_symmetry_learn(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "learn",
      "Learning curves by exact regression with the kernel of any architecture: which irreps of a target are "
      "learned with how many samples");
  auto a = std::make_shared<LearnArguments>();
  add_data_options(*command, *a);
  add_regression_options(*command, *a);
  add_network_options(*command, *a);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry learn --law polya:1 --vocab 4 --length 8 --target copy:3 --out learn\n"
      "  telos symmetry learn --law iid --target copy:3,0 --langevin --width 64\n"
      "  telos symmetry learn --law polya:1 --test-law hmm-sticky:0.9 --target next\n"
      "  telos symmetry learn --arch relu-attention --ntk --law iid --vocab 3 --length 4 --target "
      "bigram:0,1\n"
      "  telos symmetry learn --data sequences.txt --labels y.csv --vocab 4 --samples 8,32");
  command->callback([&context, a] {
    context.action = [&context, a] {
      return with_option_names(learn_options(), [&] {
        if (a->letters < 2)
          throw Error(ErrorKind::kUsage, "vocabulary",
                      fmt::format("expected at least 2 letters, found {}", a->letters),
                      "sequences of one letter are all alike");
        a->options.samples = parse_samples(a->samples);
        LearnRun run;
        run.options = a->options;
        run.letters = a->letters;
        if (a->data.empty())
          learn_law(*a, run, context.arena());
        else
          learn_files(*a, run, context.arena());
        const std::string subject = fmt::format("{} of {}", run.target, run.law);
        return deliver(learn_report(run, page_context("symmetry learn", subject, context)), context);
      });
    };
  });
}

}  // namespace telos::cli
