#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/lists.h"
#include "cli/symmetry.h"
#include "telos/symmetry/page.h"

namespace telos::cli {
void add_symmetry_irreps(CLI::App& group, Context& context) {
  struct Arguments {
    symmetry::IrrepQuery query;
    std::string partition;
  };
  CLI::App* const command = group.add_subcommand(
      "irreps", "Irreps of the permutations of a sequence: dimensions, copies, characters");
  auto a = std::make_shared<Arguments>();
  command->add_option("--length", a->query.length, "Positions L")->type_name("L")->capture_default_str();
  command->add_option("--vocab", a->query.vocabulary, "Letters V")->type_name("V")->capture_default_str();
  CLI::Option* const degree = command->add_option("--degree", a->query.degree, "Highest degree to list");
  degree->type_name("M")->capture_default_str();
  command->add_option("--partition", a->partition, "Only this irrep, e.g. 6,2")
      ->type_name("PARTS")
      ->excludes(degree);
  command->add_flag("--characters", a->query.characters, "Also their characters on all classes");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry irreps --length 64 --vocab 8\n"
      "  telos symmetry irreps --length 8 --partition 6,2 --characters");
  command->callback([&context, a] {
    context.action = [&context, a] {
      if (!a->partition.empty()) a->query.partition = symmetry::parse_partition(a->partition, "--partition");
      const std::string subject = fmt::format("S_{}", a->query.length);
      return with_options(
          {{"length", "--length"}, {"vocabulary", "--vocab"}, {"partition", "--partition"}}, [&] {
            return deliver(
                symmetry::irreps_report(a->query, page_context("symmetry irreps", subject, context)),
                context);
          });
    };
  });
}

}  // namespace telos::cli
