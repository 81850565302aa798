#include <CLI/CLI.hpp>
#include <memory>

#include "cli/bigram.h"
#include "cli/model_options.h"
#include "telos/diagnosis/diagnose.h"

namespace telos::cli {

void add_bigram_heads(CLI::App& group, Context& context) {
  struct Arguments {
    ModelOptions model;
    bigram::HeadOptions heads;
    std::size_t vocabulary = 64;
  };
  CLI::App* const command = group.add_subcommand(
      "heads", "How far back attention heads look, and whether the text's next token is informed there");
  auto a = std::make_shared<Arguments>();
  add_model_options(*command, a->model, true);
  add_text_options(*command, a->model);
  command->add_option("--offsets", a->heads.max_offset, "Offsets told apart")
      ->check(CLI::Range(1, 1024))
      ->type_name("D")
      ->capture_default_str();
  command->add_option("--vocab", a->vocabulary, "Most frequent tokens told apart")
      ->type_name("V")
      ->capture_default_str();
  command->add_option("--min-count", a->heads.min_count, "Rows of a token to be looked at by itself")
      ->type_name("N")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram heads ./my-model --text notes.txt --out heads\n"
      "  telos bigram heads activations.safetensors -o csv --table heads");
  command->callback([&context, a] {
    context.action = [&context, a] {
      return deliver(bigram_heads(a->model.model, diagnose_options(a->model, context), a->heads,
                                  a->vocabulary, context.arena()),
                     context);
    };
  });
}

}  // namespace telos::cli
