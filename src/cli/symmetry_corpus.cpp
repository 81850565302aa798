#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "cli/lists.h"
#include "cli/symmetry.h"
#include "cli/units.h"
#include "telos/base/error.h"
#include "telos/symmetry/corpus_page.h"

namespace telos::cli {
using namespace symmetry;

void add_symmetry_corpus(CLI::App& group, Context& context) {
  struct Arguments {
    TextArguments text{.paths = {}, .unit = "word", .vocabulary = 64};
    CorpusOptions options;
    std::size_t longest = 128;
  };
  CLI::App* const command = group.add_subcommand(
      "corpus", "How far the windows of a text are exchangeable, and what of their dependence is word order");
  auto a = std::make_shared<Arguments>();
  add_text_options(*command, a->text, "Letters: the most frequent tokens; all others count as nothing");
  CorpusOptions& o = a->options;
  command->add_option("--length", o.length, "Tokens of a window")->type_name("L")->capture_default_str();
  command
      ->add_option("--longest", a->longest,
                   "Fractions also for windows of 4, 8, 16 … up to this length, as far as the text allows")
      ->check(CLI::Range(std::size_t{0}, kMostLength))
      ->type_name("L")
      ->capture_default_str();
  command->add_option("--blocks", o.blocks, "Blocks of the jackknife")->type_name("G")->capture_default_str();
  command->add_option("--shuffles", o.shuffles, "Shuffles within windows for the p-value; 0: none")
      ->type_name("B")
      ->capture_default_str();
  command->add_option("--seed", o.seed, "Seed of the shuffles")->type_name("S")->capture_default_str();
  command->add_flag("!--no-components", o.components, "No principal components");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry corpus notes.txt --out symmetry\n"
      "  telos symmetry corpus wiki.valid.tokens wiki.test.tokens --unit piece --vocab 16 --length 8\n"
      "  telos symmetry corpus notes.txt --unit ./my-model -o csv --table lags");
  command->callback([&context, a] {
    context.action = [&context, a] {
      a->options.letters = a->text.vocabulary;
      if (a->text.vocabulary < 1 || a->text.vocabulary >= kMostVocabulary)
        throw Error(
            ErrorKind::kUsage, "--vocab",
            fmt::format("expected 1 to {} letters, found {}", kMostVocabulary - 1, a->text.vocabulary));
      const Corpus corpus = load_units(a->text, a->text.vocabulary + 1);
      const CorpusSymmetry result = measure_corpus(corpus.tokens, a->options, context.arena());
      const std::vector<std::size_t> lengths =
          doubling_lengths(corpus.tokens.size(), a->options.blocks, a->longest);
      std::vector<LengthEstimate> by_length;
      if (!lengths.empty())
        by_length =
            measure_lengths(corpus.tokens, a->options.letters, lengths, a->options.blocks, context.arena());
      return deliver(corpus_report(corpus, result, by_length,
                                   page_context("symmetry corpus", a->text.subject(), context)),
                     context);
    };
  });
}

}  // namespace telos::cli
