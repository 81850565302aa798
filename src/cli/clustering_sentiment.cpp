#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/clustering.h"
#include "cli/idle_options.h"
#include "cli/targets.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/clustering/page.h"
#include "telos/io/files.h"
#include "telos/io/labelled_text.h"

namespace telos::cli {
namespace {

using namespace clustering;

const std::map<std::string, LayerMode> kModes = {
    {"soft", LayerMode::kSoft}, {"hard", LayerMode::kHard}, {"ste", LayerMode::kSte}};

/// Columns and labels; with `lines` (a text a line, without either) they are refused.
std::vector<CLI::Option*> add_data_options(CLI::App& command, LabelledTextOptions& o,
                                           CLI::Option* lines = nullptr) {
  const std::vector<CLI::Option*> options = {
      command.add_option("--text-column", o.text_column, "Column of the texts (default: by its name)")
          ->type_name("NAME"),
      command.add_option("--label-column", o.label_column, "Column of the labels (default: by its name)")
          ->type_name("NAME"),
      command
          .add_option("--positive", o.positive, "Label of the positive class (default: 1, pos, positive, …)")
          ->type_name("LABEL")};
  if (lines != nullptr)
    for (CLI::Option* const option : options) option->excludes(lines);
  return options;
}

// ---- train

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
    RunFolder::require_usable(context.out_directory);
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

void add_train(CLI::App& group, Context& context) {
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

// ---- predict, explain, leaders, import

/// The texts of a command: its argument, a file, or stdin.
struct TextArguments {
  std::string model, text, file;
};
void add_text_arguments(CLI::App& command, TextArguments& a) {
  command.add_option("MODEL", a.model, "A model that train or import wrote (.safetensors)")->required();
  CLI::Option* const text = command.add_option("TEXT", a.text, "The text itself; - reads stdin");
  command.add_option("--file", a.file, "A text file instead")->excludes(text)->type_name("FILE");
}
std::string one_text(const TextArguments& a) {
  if (!a.file.empty()) return read_text(a.file);
  if (a.text == "-") return read_stdin();
  if (a.text.empty())
    throw Error(ErrorKind::kUsage, "TEXT", "there is no text",
                "give it in quotes, as --file FILE, or - for stdin");
  return a.text;
}

std::string subject_of(const std::string& model) {
  return std::filesystem::path(model).filename().string();
}

void add_explain(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("explain", "Why the model says so: which words lead, which follow, and the sum");
  auto a = std::make_shared<TextArguments>();
  add_text_arguments(*command, *a);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering sentiment explain model.safetensors \"a great film, not boring at all\"\n"
      "  telos clustering sentiment explain model.safetensors --file review.txt --out why");
  command->callback([&context, a] {
    context.action = [&context, a] {
      const SentimentModel model = load_sentiment(a->model);
      const Explanation explanation = explain(model, one_text(*a), context.arena());
      return deliver(
          explanation_report(explanation, model,
                             page_context("clustering sentiment explain", subject_of(a->model), context)),
          context);
    };
  });
}

struct CorpusArguments {
  std::string model, data;
  LabelledTextOptions columns;
  CensusOptions census;
  bool published = false, unlabelled = false;
};

/// Texts without labels: a line each.
LabelledText plain_lines(const std::string& path) {
  LabelledText out;
  const std::string content = read_text(path);
  std::size_t number = 0, first_empty = 0;
  for (std::size_t begin = 0; begin < content.size(); ++number) {
    const std::size_t end = std::min(content.find('\n', begin), content.size());
    std::string line = content.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) {
      out.texts.push_back(std::move(line));
      out.rows.push_back(number);
    } else if (number == out.rows.size()) {
      first_empty = number;
    }
    begin = end + 1;
  }
  if (out.texts.empty()) throw Error(ErrorKind::kBadFormat, path, "there is no text in it");
  if (const std::size_t empty = number - out.rows.size(); empty > 0)
    out.notes.push_back(fmt::format("{} left out, the first at {}, line {}",
                                    count_of(empty, "empty line was", "empty lines were"), printable(path),
                                    first_empty + 1));
  return out;
}

/// A file whose labels are the model's two classes means what the model means by them, whichever of them
/// reading alone would call positive.
void take_classes(LabelledText& texts, const SentimentModel& model, const LabelledTextOptions& options) {
  if (texts.positive != model.negative || texts.negative != model.positive) return;
  if (!options.positive.empty())
    throw Error(ErrorKind::kUsage, "--positive",
                fmt::format("\"{}\" is the model's negative class, \"{}\" its positive one",
                            printable(model.negative, 40), printable(model.positive, 40)),
                "leave --positive out");
  std::swap(texts.positive, texts.negative);
  for (std::uint8_t& label : texts.labels) label = label == 0 ? 1 : 0;
}

LabelledText corpus_of(const CorpusArguments& a, const SentimentModel& model) {
  if (a.unlabelled) return plain_lines(a.data);
  LabelledText texts = read_labelled_text(a.data, a.columns);
  take_classes(texts, model, a.columns);
  return texts;
}

void add_predict(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "predict", "Classify a text, or a file of texts (with labels: how many are right)");
  auto text = std::make_shared<TextArguments>();
  auto a = std::make_shared<CorpusArguments>();
  add_text_arguments(*command, *text);
  CLI::Option* const data = command->add_option("--data", a->data, "Labelled texts instead of one text")
                                ->excludes("TEXT", "--file")
                                ->type_name("DATA");
  CLI::Option* const lines =
      command->add_flag("--lines", a->unlabelled, "--data holds a text a line, without labels")->needs(data);
  for (CLI::Option* const option : add_data_options(*command, a->columns, lines)) option->needs(data);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering sentiment predict model.safetensors \"a great film\"\n"
      "  telos clustering sentiment predict model.safetensors --data reviews.tsv -o csv --table texts");
  command->callback([&context, text, a] {
    context.action = [&context, text, a] {
      const SentimentModel model = load_sentiment(text->model);
      LabelledText texts;
      if (a->data.empty())
        texts.texts.push_back(one_text(*text));
      else
        texts = corpus_of(*a, model);
      const std::vector<Prediction> hard = predict(model, texts.texts, LayerMode::kHard, context.arena());
      const std::vector<Prediction> soft = predict(model, texts.texts, LayerMode::kSoft, context.arena());
      return deliver(
          prediction_report(hard, soft, texts, model,
                            page_context("clustering sentiment predict", subject_of(text->model), context)),
          context);
    };
  });
}

void add_leaders(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "leaders", "Which words lead over a corpus, how many a text, on which side they stand");
  auto a = std::make_shared<CorpusArguments>();
  command->add_option("MODEL", a->model, "A model that train or import wrote (.safetensors)")->required();
  command->add_option("DATA", a->data, "Labelled texts: csv, tsv, jsonl, or a folder with pos and neg")
      ->required();
  CLI::Option* const lines =
      command->add_flag("--lines", a->unlabelled, "DATA holds a text a line, without labels");
  add_data_options(*command, a->columns, lines);
  CLI::Option* const confidence =
      command
          ->add_option("--confidence", a->census.confidence,
                       "Count texts classified right with more probability than this only")
          ->type_name("P");
  CLI::Option* const far =
      command->add_option("--far", a->census.far, "Count leaders with |v·x + b| above this only")
          ->type_name("F");
  command
      ->add_flag("--published", a->published, "The published histogram's filter: --confidence 0.95 --far 2")
      ->excludes(confidence, far);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering sentiment leaders model.safetensors reviews.tsv --published --out leaders\n"
      "  telos clustering sentiment leaders model.safetensors notes.txt --lines -o csv");
  command->callback([&context, a] {
    context.action = [&context, a] {
      if (a->published) a->census.confidence = 0.95, a->census.far = 2;
      const SentimentModel model = load_sentiment(a->model);
      const LabelledText texts = corpus_of(*a, model);
      Report report =
          census_report(leader_census(model, texts.texts, texts.labels, a->census, context.arena()), model,
                        page_context("clustering sentiment leaders", subject_of(a->model), context));
      report.not_measured.insert(report.not_measured.end(), texts.notes.begin(), texts.notes.end());
      return deliver(report, context);
    };
  });
}

void add_import(CLI::App& group, Context& context) {
  struct Arguments {
    std::string weights, vocabulary, save, wordnet;
  };
  CLI::App* const command = group.add_subcommand(
      "import", "Read the published weights (a .pth file, without running pickle) into a model file");
  auto a = std::make_shared<Arguments>();
  command
      ->add_option("WEIGHTS", a->weights, "model_d=2_epoch=100.pth, or the same four tensors as safetensors")
      ->required();
  command->add_option("VOCABULARY", a->vocabulary, "Words in the order of their ids, one a line, or a tsv")
      ->required();
  command->add_option("--save", a->save, "Where the model goes (.safetensors)")
      ->required()
      ->type_name("FILE");
  command->add_option("--wordnet", a->wordnet, "Folder of index.noun and noun.exc, for its texts")
      ->type_name("DIR");
  command->add_flag("-q,--quiet", context.quiet, "No notes on stderr");
  command->footer(
      "Examples:\n"
      "  telos clustering sentiment import \"model_d=2_epoch=100.pth\" vocabulary.txt --save "
      "published.safetensors");
  command->callback([&context, a] {
    context.action = [a] {
      require_model_target("--save", a->save, {a->weights, a->vocabulary});
      SentimentModel model = import_published(a->weights, a->vocabulary);
      if (!a->wordnet.empty()) model.preprocess.wordnet = a->wordnet;
      save_sentiment(model, a->save);
      // Id 0 is padding, which is no word.
      print_out(fmt::format("{}: d {}, {} words, α {}\n", printable(a->save, 4096), model.config.dim,
                            format_count(model.vocabulary.size() - 1), format_number(model.alpha)));
      return 0;
    };
  });
}

}  // namespace

void add_sentiment(CLI::App& group, Context& context) {
  CLI::App* const sentiment = group.add_subcommand(
      "sentiment", "A small classifier of texts whose reasons can be read: train, predict, explain, leaders");
  sentiment->require_subcommand(1);
  add_train(*sentiment, context);
  add_predict(*sentiment, context);
  add_explain(*sentiment, context);
  add_leaders(*sentiment, context);
  add_import(*sentiment, context);
  sentiment->footer(
      "Examples:\n"
      "  telos clustering sentiment train reviews.tsv --out model\n"
      "  telos clustering sentiment explain model/model.safetensors \"a great film\" --out why");
}

}  // namespace telos::cli
