#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/lists.h"
#include "cli/model_options.h"
#include "cli/symmetry.h"
#include "telos/diagnosis/diagnose.h"

namespace telos::cli {

void add_symmetry_measure(CLI::App& group, Context& context) {
  struct Arguments {
    ModelOptions model;
    symmetry::OrderOptions order;
    std::string read = "auto";
  };
  CLI::App* const command = group.add_subcommand(
      "measure", "How much of what a context adds to a model's output ignores the order of its tokens");
  auto a = std::make_shared<Arguments>();
  a->model.max_windows = 32;
  add_model_options(*command, a->model);
  add_text_options(*command, a->model);
  command->add_option("--read", a->read, "Token whose state is read: auto, last, first, or mean over all")
      ->type_name("WHERE")
      ->capture_default_str();
  command->add_option("--shuffles", a->order.shuffles, "Random orders of each window")
      ->check(CLI::Range(2, 10'000))
      ->type_name("M")
      ->capture_default_str();
  command->add_option("--seed", a->order.seed, "Seed of the orders")->type_name("S")->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry measure ./my-model --text notes.txt --out order\n"
      "  telos symmetry measure ./my-model --ids ids.txt --read mean --window 64");
  command->callback([&context, a] {
    context.action = [&context, a] {
      // Fewer windows than are needed: because so few were asked for, or because the text has no more.
      const char* const windows =
          a->model.max_windows < symmetry::kFewestWindows ? "--max-windows" : "--window";
      return with_options({{"windows", windows}, {"shuffles", "--shuffles"}}, [&] {
        return deliver(symmetry_measure(a->model.model, diagnose_options(a->model, context),
                                        parse_order_reading(a->read, "--read"), a->order, context.arena()),
                       context);
      });
    };
  });
}

}  // namespace telos::cli
