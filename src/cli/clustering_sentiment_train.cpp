#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cli/clustering.h"
#include "cli/clustering_sentiment.h"
#include "cli/idle_options.h"
#include "telos/base/error.h"
#include "telos/clustering/page.h"
#include "telos/io/files.h"
#include "telos/io/labelled_text.h"

namespace telos::cli {
namespace {

using namespace clustering;

const std::map<std::string, LayerMode> kModes = {
    {"soft", LayerMode::kSoft}, {"hard", LayerMode::kHard}, {"ste", LayerMode::kSte}};

struct TrainArguments {
  std::string data, test, spec, seeds, wordnet, dims, mode = "soft";
  LabelledTextOptions columns;
  TrainingSpec training;
  bool keep_case = false, keep_stop_words = false, no_baselines = false, resume = false, restart = false,
       show = false, train_vocabulary = false, published = false, fill = false;
};

std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (const double value : parse_numbers(text, "--seeds")) {
    if (value < 0 || value > 1e15 || value != static_cast<double>(static_cast<std::uint64_t>(value)))
      throw Error(ErrorKind::kUsage, "--seeds", "a seed must be a whole number from 0");
    seeds.push_back(static_cast<std::uint64_t>(value));
  }
  return seeds;
}

PreprocessOptions preprocess_of(const TrainArguments& a) {
  if (a.published) return published_preprocessing(a.wordnet);
  PreprocessOptions options;
  options.lower_case = !a.keep_case;
  options.stop_words = !a.keep_stop_words;
  options.wordnet = a.wordnet;
  return options;
}

/// One spec, or one for each dimension of --dim 2,4,8.
std::vector<TrainingSpec> specs_of(const TrainArguments& a) {
  if (!a.spec.empty()) return {training_spec_from_json(read_text(a.spec), a.spec)};
  TrainingSpec spec = a.training;
  spec.preprocess = preprocess_of(a);
  spec.model.mask_padding = !(a.fill || a.published);
  spec.mode = kModes.at(a.mode);
  if (!a.seeds.empty()) spec.seeds = parse_seeds(a.seeds);
  spec.baselines = !a.no_baselines;
  spec.vocabulary_of_all = !a.train_vocabulary;
  if (a.dims.empty()) return {spec};
  std::vector<TrainingSpec> specs;
  for (const double d : parse_numbers(a.dims, "--dim")) {
    if (!(d >= 1) || d > 4096 || d != static_cast<double>(static_cast<std::size_t>(d)))
      throw Error(ErrorKind::kUsage, "--dim", "a dimension must be a whole number from 1 to 4096");
    spec.model.dim = static_cast<std::size_t>(d);
    if (std::find(specs.begin(), specs.end(), spec) != specs.end())
      throw Error(ErrorKind::kUsage, "--dim", fmt::format("{} is given twice", spec.model.dim),
                  "name different dimensions");
    specs.push_back(spec);
  }
  return specs;
}

/// Where runs of one of several specs lie: the folder itself for one.
std::string run_folder(const std::string& out, std::size_t specs, const TrainingSpec& spec) {
  if (out.empty()) return {};
  return specs == 1 ? out + "/runs" : fmt::format("{}/runs/d{}", out, spec.model.dim);
}

/// Runs of one dimension lie in runs, of several in folders of it: where one goes on with the other, it would
/// begin anew.
void require_layout(const std::string& out, std::size_t specs) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(out + "/runs", ignored)) {
    const std::string name = entry.path().filename().string();
    const bool one = name.starts_with("seed-") || name.starts_with("no-layers-");
    const bool several = name.size() > 1 && name[0] == 'd' && name[1] >= '0' && name[1] <= '9';
    if (specs > 1 ? one : several)
      throw Error(ErrorKind::kUsage, "--resume",
                  fmt::format("{}/runs is of a training with {}", printable(out, 4096),
                              several ? "several dimensions" : "one dimension"),
                  "give the --dim that it was started with, or another --out");
  }
}

/// A name that model_name() gives.
bool is_model_name(std::string_view name) {
  constexpr std::string_view kBegin = "model", kEnd = ".safetensors";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return false;
  name.remove_prefix(kBegin.size());
  name.remove_suffix(kEnd.size());
  const auto number = [&name](std::string_view prefix) {
    if (!name.starts_with(prefix)) return;
    const std::size_t end = std::min(name.find_first_not_of("0123456789", prefix.size()), name.size());
    if (end > prefix.size()) name.remove_prefix(end);
  };
  number("-d");
  number("-");
  return name.empty();
}

/// Throws away what an earlier training left: its runs, and its models, which other commands would take for
/// those of the new one.
void remove_training(const std::string& out) {
  remove_path(out + "/runs");
  std::vector<std::filesystem::path> models;
  for (const auto& entry : std::filesystem::directory_iterator(out))
    if (is_model_name(entry.path().filename().string())) models.push_back(entry.path());
  for (const std::filesystem::path& model : models) remove_path(model.string());
}

std::string model_name(const TrainingResult& result, const TrainingRun& run, std::size_t results) {
  std::string name = "model";
  if (results > 1) name += fmt::format("-d{}", result.spec.model.dim);
  if (result.runs.size() > 1) name += fmt::format("-{}", run.seed);
  return name + ".safetensors";
}

/// What the library calls the options; a file of settings has its names.
OptionNames option_names(const TrainArguments& a) {
  if (!a.spec.empty()) return {};
  return {{"training, dim", "--dim"},
          {"training, layers", "--layers"},
          {"training, max_length", "--max-length"},
          {"training, temperature", "--temperature"},
          {"training, ste_temperature", "--ste-temperature"},
          {"training, epochs", "--epochs"},
          {"training, batch", "--batch"},
          {"training, learning_rate", "--rate"},
          {"training, clip_norm", "--clip"},
          {"training, alpha_init", "--alpha-init"},
          {"training, test_share", "--test-share"},
          {"training, validation_share", "--validation"},
          {"training, patience", "--patience"},
          {"training, seeds", "--seeds"}};
}

int train_command(const TrainArguments& a, Context& context) {
  const std::vector<TrainingSpec> specs = specs_of(a);
  for (const TrainingSpec& spec : specs) check_spec(spec);  // before anything is thrown away
  if (a.show) {
    if (specs.size() > 1)
      throw Error(ErrorKind::kUsage, "--show", fmt::format("prints one spec, --dim makes {}", specs.size()),
                  "name one dimension");
    print_out(to_json(specs[0]) + "\n");
    return 0;
  }
  if ((a.resume || a.restart) && context.out_directory.empty())
    throw Error(ErrorKind::kUsage, a.resume ? "--resume" : "--restart", "there is no folder of a training",
                "name it with --out");
  if (!context.out_directory.empty()) {
    if (std::filesystem::exists(context.out_directory + "/runs") && !a.resume && !a.restart)
      throw Error(ErrorKind::kUsage, context.out_directory, "there is a training in it already",
                  "--resume goes on with it, --restart throws it away");
    if (a.resume) require_layout(context.out_directory, specs.size());
    const RunFolder run(context.out_directory);  // refuses what cannot be written before hours are spent
  }
  const LabelledText train = read_labelled_text(a.data, a.columns);
  const LabelledText test = a.test.empty() ? LabelledText{} : read_labelled_text(a.test, a.columns);
  if (a.restart) remove_training(context.out_directory);
  std::vector<TrainingResult> results;
  try {
    for (const TrainingSpec& spec : specs) {
      const std::string folder = run_folder(context.out_directory, specs.size(), spec);
      if (!folder.empty()) std::filesystem::create_directories(folder);
      results.push_back(train_sentiment(spec, train, test, folder, a.resume, context.arena()));
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    throw Error(error.kind(), error.where(), error.message(),
                context.out_directory.empty()
                    ? "nothing is left of it; with --out DIR a training can be resumed"
                    : "the same command with --resume goes on from the last checkpoint");
  }
  const std::string subject = std::filesystem::path(a.data).filename().string();
  std::vector<FolderWriter> files;
  for (const TrainingResult& result : results)
    for (const TrainingRun& run : result.runs)
      if (run.failed.empty())
        files.push_back([&result, &run, &results](const std::string& folder) {
          save_sentiment(run.model, folder + "/" + model_name(result, run, results.size()));
        });
  return deliver(training_report(std::span<const TrainingResult>(results),
                                 page_context("clustering sentiment train", subject, context)),
                 context, {}, files);
}

void add_model_shape(CLI::App& command, TrainArguments& a) {
  command.add_option("--dim", a.dims, "Dimension d of the word vectors; several are compared (default: 2)")
      ->type_name("LIST");
  command.add_option("--layers", a.training.model.layers, "Layers K; 0: a bag of word vectors")
      ->type_name("K")
      ->capture_default_str();
  command.add_option("--max-length", a.training.model.max_length, "Words of a text that are read")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--temperature", a.training.model.temperature, "T of the softmax")
      ->type_name("T")
      ->capture_default_str();
  CLI::Option* const published = command.add_flag(
      "--published", a.published, "As the published code: its preprocessing (case kept), and --fill-padding");
  command.add_flag("--fill-padding", a.fill,
                   "Fill short texts with a padding word that attends and counts in the mean");
  command.add_option("--wordnet", a.wordnet, "Folder of index.noun and noun.exc: nouns to their lemmas")
      ->type_name("DIR");
  command.add_flag("--keep-case", a.keep_case, "Do not lower case");
  command.add_flag("--keep-stop-words", a.keep_stop_words, "Do not drop stop words")->excludes(published);
  command.add_option("--min-count", a.training.min_count, "Rarer words are unknown")
      ->type_name("N")
      ->capture_default_str();
  command.add_flag("--train-vocabulary", a.train_vocabulary, "Words of the training texts only");
}

void add_optimisation(CLI::App& command, TrainArguments& a) {
  TrainingSpec& t = a.training;
  command.add_option("--mode", a.mode, "Forward and gradient: soft, hard or ste")
      ->check(CLI::IsMember(kModes))
      ->type_name("MODE")
      ->capture_default_str();
  command.add_option("--ste-temperature", t.ste_temperature, "Temperature of ste's gradient")
      ->type_name("T")
      ->capture_default_str();
  command.add_option("--epochs", t.epochs, "Epochs")->type_name("E")->capture_default_str();
  command.add_option("--batch", t.batch, "Texts a step")->type_name("B")->capture_default_str();
  command.add_option("--rate", t.learning_rate, "Learning rate of Adam")
      ->type_name("R")
      ->capture_default_str();
  command.add_option("--clip", t.clip_norm, "Largest norm of the gradient")
      ->type_name("C")
      ->capture_default_str();
  command.add_option("--alpha-init", t.alpha_init, "Initial step α (default: uniform in (0, 1))")
      ->type_name("ALPHA");
  command.add_flag("--alpha-fixed", t.alpha_fixed, "Do not train α");
  command.add_option("--patience", t.patience, "Stop after so many epochs without a better validation")
      ->type_name("E");
  command.add_option("--validation", t.validation_share, "Share of the training texts held out for it")
      ->type_name("S");
  command.add_option("--test-share", t.test_share, "Share of the texts to test on, without --test")
      ->excludes("--test")
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--seeds", a.seeds, "Seeds, e.g. 0:4 (default: 0)")->type_name("LIST");
  command.add_flag("--no-baselines", a.no_baselines, "Neither K = 0 nor logistic regression");
}

}  // namespace

void add_sentiment_train(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("train", "Train the sentiment model on labelled texts, beside a bag of words");
  auto a = std::make_shared<TrainArguments>();
  command->add_option("DATA", a->data, "Labelled texts: csv, tsv, jsonl, or a folder with pos and neg")
      ->required();
  command->add_option("--test", a->test, "Labelled texts to test on (default: a share of DATA)")
      ->type_name("DATA");
  add_data_options(*command, a->columns);
  CLI::Option* const spec =
      command->add_option("--spec", a->spec, "What --show printed, instead of the settings below")
          ->type_name("FILE");
  const std::size_t before = command->get_options().size();
  add_model_shape(*command, *a);
  add_optimisation(*command, *a);
  const std::vector<CLI::Option*> options = command->get_options();
  for (std::size_t i = before; i < options.size(); ++i) spec->excludes(options[i]);
  command->add_flag("--show", a->show, "Print the settings as JSON instead of training");
  CLI::Option* const resume = command->add_flag("--resume", a->resume, "Go on with what is in --out");
  command->add_flag("--restart", a->restart, "Start anew over what is in --out")->excludes(resume);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering sentiment train reviews.tsv --epochs 10 --out model\n"
      "  telos clustering sentiment train imdb.csv --published --dim 2,4,8,16 --seeds 0:4 "
      "--out imdb\n"
      "  telos clustering sentiment train aclImdb/train --test aclImdb/test");
  command->callback([&context, a, command] {
    static const KindOption<LayerMode> kOptions[] = {{"--ste-temperature", {LayerMode::kSte}}};
    refuse_idle_options(*command, kModes.at(a->mode), kOptions);
    context.action = [&context, a] {
      return with_options(option_names(*a), [&] { return train_command(*a, context); });
    };
  });
}

}  // namespace telos::cli
