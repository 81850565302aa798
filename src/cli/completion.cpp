#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/app.h"

namespace telos::cli {
namespace {

struct Entry {
  std::string path;                ///< "smoothing spectrum"; empty for telos itself
  std::vector<std::string> words;  ///< subcommands and options
};

void collect(const CLI::App& app, const std::string& path, std::vector<Entry>& entries) {
  Entry entry{path, {}};
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    entry.words.push_back(sub->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_snames()) entry.words.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) entry.words.push_back("--" + name);
  }
  entries.push_back(std::move(entry));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), entries);
}

// The scripts are made from the parser itself, so they cannot go stale.
std::string bash_script(const CLI::App& app) {
  std::vector<Entry> entries;
  collect(app, "", entries);
  std::string cases;
  for (const Entry& e : entries)
    cases += fmt::format("    '{}') words='{}' ;;\n", e.path, fmt::join(e.words, " "));
  return fmt::format(R"(# bash completion for telos; load with: source <(telos completion bash)
_telos() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path='' words='' i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${{COMP_WORDS[i]}} in
      -*) ;;
      *) if _telos_words "${{path:+$path }}${{COMP_WORDS[i]}}"; then path=${{path:+$path }}${{COMP_WORDS[i]}}; fi ;;
    esac
  done
  _telos_words "$path"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ $current == -* || -z $path ]] || COMPREPLY+=($(compgen -f -- "$current"))
}}
_telos_words() {{
  case $1 in
{}    *) return 1 ;;
  esac
}}
complete -o filenames -F _telos telos
)",
                     cases);
}

std::string zsh_script(const CLI::App& app) {
  return "#compdef telos\n# zsh completion for telos; load with: source <(telos completion zsh)\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         bash_script(app);
}

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  CLI::App* const command = app.add_subcommand("completion", "Print a completion script for bash or zsh");
  static std::string shell;
  command->add_option("SHELL", shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  command->footer("Examples:\n  source <(telos completion bash)\n  telos completion zsh > ~/.zfunc/_telos");
  command->callback([&app, &context] {
    context.action = [&app] {
      print_out(shell == "bash" ? bash_script(app) : zsh_script(app));
      return 0;
    };
  });
}

}  // namespace telos::cli
