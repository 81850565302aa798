#include "cli/symmetry.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "telos/symmetry/corpus_page.h"
#include "telos/symmetry/kernel_page.h"
#include "telos/symmetry/learn_page.h"
#include "telos/symmetry/learning_page.h"
#include "telos/symmetry/order_page.h"
#include "telos/symmetry/page.h"

namespace telos::cli {

void add_symmetry(CLI::App& app, Context& context) {
  CLI::App* const group = app.add_subcommand(
      "symmetry", "What does an infinitely wide transformer learn first, and how symmetric is the data?");
  add_symmetry_measure(*group, context);
  add_symmetry_corpus(*group, context);
  add_symmetry_irreps(*group, context);
  add_symmetry_kernel(*group, context);
  add_symmetry_spectrum(*group, context);
  add_symmetry_predict(*group, context);
  add_symmetry_learn(*group, context);
  group->footer(
      "Examples:\n"
      "  telos symmetry measure ./my-model --text notes.txt --out order\n"
      "  telos symmetry corpus notes.txt --length 8 --out symmetry\n"
      "  telos symmetry irreps --length 64 --vocab 8\n"
      "  telos symmetry kernel --arch pre-ln-relu --random 200 --length 16 --vocab 8\n"
      "  telos symmetry predict --vocab 64 --length 8..512 --target copy:3");
  add_definitions(*group, context, [] {
    std::vector<Definition> all;
    for (const auto& list :
         {symmetry::symmetry_definitions(), symmetry::corpus_definitions(), symmetry::order_definitions(),
          symmetry::kernel_definitions(), symmetry::learning_definitions(), symmetry::learn_definitions()})
      all.insert(all.end(), list.begin(), list.end());
    return all;
  });
}

}  // namespace telos::cli
