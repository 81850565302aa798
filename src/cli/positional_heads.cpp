#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/model_options.h"
#include "cli/positional.h"
#include "telos/base/error.h"
#include "telos/diagnosis/diagnose.h"

namespace telos::cli {
namespace {

using namespace positional;

struct HeadArguments {
  ModelOptions model;
  StaticHeadOptions options;
  std::string heads;
  bool above_threshold = true;  ///< what an empty `heads` means; the flag says it aloud
};

void add_position_options(CLI::App& command, HeadArguments& a) {
  command
      .add_option("--threshold", a.options.positions.threshold,
                  "Share of the pair from which a head counts as static")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("T")
      ->capture_default_str();
}

void add_heads(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "heads", "How much of each head's attention positions explain, on a text or in a trace");
  auto a = std::make_shared<HeadArguments>();
  add_model_options(*command, a->model, true);
  add_text_options(*command, a->model);
  add_position_options(*command, *a);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos positional heads ./my-model --text notes.txt --out heads\n"
      "  telos positional heads activations.safetensors -o csv --table heads");
  command->callback([&context, a] {
    context.action = [&context, a] {
      return deliver(positional_heads(a->model.model, diagnose_options(a->model, context),
                                      a->options.positions, context.arena()),
                     context);
    };
  });
}

/// "5.7,5.9" as {layer, head}.
std::vector<std::pair<std::size_t, std::size_t>> named_heads(const std::string& text) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (const std::string& name : split_list(text)) {
    const std::size_t dot = name.find('.');
    const bool digits = dot != std::string::npos && dot > 0 && dot + 1 < name.size() && name.size() < 12 &&
                        name.find_first_not_of("0123456789.") == std::string::npos &&
                        name.find('.', dot + 1) == std::string::npos;
    if (!digits)
      throw Error(ErrorKind::kUsage, "--static",
                  "expected heads as layer.head, e.g. 5.7,5.9, found \"" + printable(name, 40) + "\"");
    out.emplace_back(std::stoul(name.substr(0, dot)), std::stoul(name.substr(dot + 1)));
  }
  return out;
}

void add_whatif(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("whatif", "Replace heads by their mean attention; what becomes of the output?");
  auto a = std::make_shared<HeadArguments>();
  static const std::map<std::string, StaticForm> kForms = {{"pair", StaticForm::kPair},
                                                           {"offset", StaticForm::kOffset}};
  add_model_options(*command, a->model);
  add_text_options(*command, a->model);
  CLI::Option* const above =
      command->add_flag("--static-heads", a->above_threshold,
                        "Replace the heads above --threshold (the default without --static)");
  add_position_options(*command, *a);
  command->add_option("--static", a->heads, "These heads instead, e.g. 5.7,5.9")
      ->excludes(above)
      ->type_name("LIST");
  command->add_option("--form", a->options.form, "pair: one matrix; offset: a function of j − i")
      ->transform(CLI::Transformer(kForms).description(""))
      ->type_name("FORM")
      ->default_str("pair");
  add_common_options(*command, context);
  command->footer(
      "Half of the windows fit the mean attention, the other half is compared.\n\n"
      "Examples:\n"
      "  telos positional whatif ./my-model --text notes.txt --static-heads --threshold 0.8\n"
      "  telos positional whatif ./my-model --text notes.txt --static 0.3,1.5 --form offset");
  command->callback([&context, a] {
    context.action = [&context, a] {
      a->options.heads = named_heads(a->heads);
      return deliver(
          positional_whatif(a->model.model, diagnose_options(a->model, context), a->options, context.arena()),
          context);
    };
  });
}

}  // namespace

void add_head_measures(CLI::App& group, Context& context) {
  add_heads(group, context);
  add_whatif(group, context);
}

}  // namespace telos::cli
