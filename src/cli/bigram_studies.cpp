#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/bigram.h"
#include "cli/lists.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/bigram/studies.h"
#include "telos/io/table.h"

namespace telos::cli {
namespace {

using namespace bigram;

struct StudyArguments {
  std::vector<std::string> names;
  std::vector<std::string> set;
  std::uint64_t seed = 1;
  bool list = false;
};

/// "d=20,n=10".
std::map<std::string, double> study_parameters(const std::vector<std::string>& texts) {
  std::map<std::string, double> values;
  for (const std::string& text : texts)
    for (const std::string& pair : split_list(text)) {
      const std::size_t equals = pair.find('=');
      double value = 0;
      if (equals == std::string::npos || !parse_number(pair.substr(equals + 1), value))
        throw Error(ErrorKind::kUsage, "--set",
                    fmt::format("expected NAME=NUMBER, found \"{}\"", printable(pair, 40)),
                    "`telos bigram study --list` shows what can be set");
      values[pair.substr(0, equals)] = value;
    }
  return values;
}

int run_studies(const StudyArguments& a, Context& context) {
  const std::map<std::string, double> parameters = study_parameters(a.set);
  std::vector<std::string> names = a.names;
  if (!parameters.empty() && names.size() != 1)
    throw Error(ErrorKind::kUsage, "--set", fmt::format("sets one study, {} are named", names.size()),
                "name the study: `telos bigram study NAME --set …`");
  if (names.empty())
    for (const StudyInfo& info : study_list()) names.push_back(info.name);
  std::vector<StudyResult> results;
  Progress progress("studies", "study", static_cast<double>(names.size()));
  for (const std::string& name : names) {
    const auto known = [&](const StudyResult& r) { return r.info.name == name; };
    if (std::ranges::any_of(results, known)) continue;
    results.push_back(run_study(name, parameters, a.seed, context.arena()));
    progress.advance();
  }
  const std::string subject = names.size() == 1 ? names[0] : "";
  return deliver(studies_report(results, page_context("bigram study", subject, context)), context);
}

}  // namespace

void add_bigram_studies(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "study", "Related systems, each with theory in closed form and the check that decides");
  auto a = std::make_shared<StudyArguments>();
  CLI::Option* const names = command->add_option("NAME", a->names, "svm, mesa, … (default: all)");
  CLI::Option* const set = command->add_option("--set", a->set, "Parameters of the study that is named")
                               ->type_name("NAME=NUMBER,…");
  CLI::Option* const seed = command->add_option("--seed", a->seed, "Seed of what is drawn");
  seed->type_name("S")->capture_default_str();
  command->add_flag("--list", a->list, "Print the studies and their parameters")
      ->excludes(names)
      ->excludes(set)
      ->excludes(seed);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram study --out studies\n"
      "  telos bigram study svm --set n=10,d=20\n"
      "  telos bigram study --list");
  command->callback([&context, a] {
    context.action = [&context, a] {
      return a->list ? deliver(study_list_report(page_context("bigram study", "", context)), context)
                     : run_studies(*a, context);
    };
  });
}

}  // namespace telos::cli
