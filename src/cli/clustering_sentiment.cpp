#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/clustering.h"
#include "cli/clustering_sentiment.h"
#include "cli/targets.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/clustering/page.h"
#include "telos/io/files.h"
#include "telos/io/labelled_text.h"

namespace telos::cli {

std::vector<CLI::Option*> add_data_options(CLI::App& command, LabelledTextOptions& o, CLI::Option* lines) {
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

namespace {

using namespace clustering;

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
      if (!a->wordnet.empty()) {
        model.preprocess.wordnet = a->wordnet;
        const Preprocessor readable(model.preprocess);  // rather refused now than by every use of the model
      }
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
  add_sentiment_train(*sentiment, context);
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
