#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/lists.h"
#include "cli/option_names.h"
#include "cli/symmetry.h"
#include "cli/units.h"
#include "telos/base/error.h"
#include "telos/symmetry/corpus_page.h"

namespace telos::cli {
using namespace symmetry;

namespace {

struct CorpusArguments {
  TextArguments text{.paths = {}, .unit = "word", .vocabulary = 64};
  CorpusOptions options;
  std::size_t longest = 128;
  std::string errors = "jackknife";
};

Errors parse_errors(const std::string& name) {
  if (name == "jackknife") return Errors::kJackknife;
  if (name == "bootstrap") return Errors::kBootstrap;
  throw Error(ErrorKind::kUsage, "--errors",
              fmt::format("expected jackknife or bootstrap, found \"{}\"", printable(name, 40)));
}

Report measured(const CorpusArguments& a, Context& context) {
  CorpusOptions o = a.options;
  o.letters = a.text.vocabulary;
  o.errors.kind = parse_errors(a.errors);
  o.errors.seed = o.seed;
  if (o.letters < 1 || o.letters >= kMostVocabulary)
    throw Error(ErrorKind::kUsage, "--vocab",
                fmt::format("expected 1 to {} letters, found {}", kMostVocabulary - 1, o.letters));
  require_corpus_options(o);
  const std::unique_ptr<UnitStream> text = open_units(a.text, o.letters + 1);
  const CorpusSymmetry result = measure_corpus(*text, o, context.arena());
  const std::vector<std::size_t> lengths = doubling_lengths(text->size(), o.blocks, a.longest);
  std::vector<LengthEstimate> by_length;
  if (!lengths.empty())
    by_length = measure_lengths(*text, o.letters, lengths, o.blocks, context.arena(), o.errors);
  return corpus_report(text->corpus(), result, by_length,
                       page_context("symmetry corpus", a.text.subject(), context));
}

}  // namespace

void add_symmetry_corpus(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "corpus", "How far the windows of a text are exchangeable, and what of their dependence is word order");
  auto a = std::make_shared<CorpusArguments>();
  add_text_options(*command, a->text, "Letters: the most frequent tokens; all others count as nothing");
  CorpusOptions& o = a->options;
  command->add_option("--length", o.length, "Tokens of a window")->type_name("L")->capture_default_str();
  command
      ->add_option("--longest", a->longest,
                   "Fractions also for windows of 4, 8, 16 … up to this length, as far as the text allows")
      ->check(CLI::Range(std::size_t{0}, kMostLength))
      ->type_name("L")
      ->capture_default_str();
  command->add_option("--blocks", o.blocks, "Contiguous blocks of the text, for the errors")
      ->type_name("G")
      ->capture_default_str();
  command
      ->add_option(
          "--errors", a->errors,
          "Standard errors: jackknife (without each block in turn) or bootstrap (of resampled blocks)")
      ->type_name("HOW")
      ->capture_default_str();
  command->add_option("--resamples", o.errors.resamples, "Resamples of the bootstrap")
      ->type_name("R")
      ->capture_default_str();
  command->add_option("--shuffles", o.shuffles, "Shuffles within windows for the p-value; 0: none")
      ->type_name("B")
      ->capture_default_str();
  command->add_option("--seed", o.seed, "Seed of the shuffles and resamples")
      ->type_name("S")
      ->capture_default_str();
  add_off_flag(*command, "--no-components", o.components, "No principal components");
  add_common_options(*command, context);
  command->footer(
      "Texts may be of any size: they are read a part at a time, once to count their units and then again\n"
      "for the measures, in bounded memory (about 300 MB as it stands; more for more letters, longer "
      "windows\n"
      "or more blocks). At most 4,294,967,295 tokens.\n"
      "\n"
      "Examples:\n"
      "  telos symmetry corpus notes.txt --out symmetry\n"
      "  telos symmetry corpus wiki.valid.tokens wiki.test.tokens --unit piece --vocab 16 --length 8\n"
      "  telos symmetry corpus dump.txt.gz --errors bootstrap --resamples 500 --shuffles 0\n"
      "  telos symmetry corpus notes.txt --unit ./my-model -o csv --table lags");
  command->callback([&context, a, command] {
    if (command->count("--resamples") > 0 && parse_errors(a->errors) != Errors::kBootstrap)
      throw Error(ErrorKind::kUsage, "--resamples", "the jackknife has no use for it",
                  "it belongs to --errors bootstrap");
    context.action = [&context, a] {
      const OptionNames names = {{"length", "--length"},
                                 {"blocks", "--blocks"},
                                 {"shuffles", "--shuffles"},
                                 {"resamples", "--resamples"},
                                 {"text", a->text.paths.front()}};
      return deliver(with_options(names, [&] { return measured(*a, context); }), context);
    };
  });
}

}  // namespace telos::cli
