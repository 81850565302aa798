// The command line: parses, calls the library, reports. One file a command group; this one holds what they
// share.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/app.h"
#include "cli/lists.h"
#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/nearest.h"
#include "telos/base/version.h"
#include "telos/io/files.h"
#include "telos/report/words.h"

namespace telos::cli {

const Arena& Context::arena() {
  if (!arena_) arena_ = std::make_unique<Arena>(threads);
  return *arena_;
}

void add_common_options(CLI::App& command, Context& context) {
  static const std::map<std::string, OutputFormat> kFormats = {{"table", OutputFormat::kTable},
                                                               {"json", OutputFormat::kJson},
                                                               {"csv", OutputFormat::kCsv},
                                                               {"md", OutputFormat::kMarkdown}};
  command.add_option("-o,--output", context.format, "Format of the result on stdout: table, json, csv or md")
      ->transform(CLI::Transformer(kFormats).description(""))
      ->type_name("FORMAT")
      ->default_str("table");
  command.add_option("--table", context.table, "Which table -o csv prints, e.g. heads or layers")
      ->type_name("ID");
  command
      .add_option("--out", context.out_directory, "Leave report.html, tables and figures in this directory")
      ->type_name("DIR");
  command
      .add_option("--threads", context.threads, "Threads; results do not depend on it (default: all cores)")
      ->check(CLI::Range(1, Arena::kMostThreads))
      ->type_name("N");
  command.add_flag("-q,--quiet", context.quiet, "No notes and no progress on stderr");
  refuse_empty_values(command);
}

namespace {

std::string rendered(const Report& report, const Context& context) {
  switch (context.format) {
    case OutputFormat::kTable: {
      std::string text = render_terminal(report, {.color = colors_wanted(stdout_is_terminal())});
      if (!context.out_directory.empty())
        text += fmt::format("\n figures, tables, data: {}/report.html\n", harmless(context.out_directory));
      return text;
    }
    case OutputFormat::kJson:
      return render_json(report);
    case OutputFormat::kCsv:
      return render_csv(report, context.table);
    case OutputFormat::kMarkdown:
      return render_markdown(report);
  }
  return {};
}

}  // namespace

int deliver(const Report& report, Context& context, const std::string& fields,
            const std::vector<FolderWriter>& files) {
  std::string text = rendered(report, context);  // refuses an unknown --table before anything is written
  if (!context.out_directory.empty()) {
    RunFolder folder(context.out_directory, context.start);
    for (const auto& [path, content] : report_files(report)) {
      check_interrupt();
      folder.write(path, content);
    }
    for (const FolderWriter& write : files) write(context.out_directory);
    folder.finish(fields);
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  print_out(text);
  return report.complete ? 0 : 1;
}

void add_definitions(CLI::App& group, Context& context, std::function<std::vector<Definition>()> definitions,
                     std::function<void()> with_command) {
  CLI::Option* const flag = group.add_flag("--definitions")
                                ->description("Print the definition of every number that the lens prints");
  group.require_subcommand(0, 1);
  group.callback(
      [&group, &context, flag, definitions = std::move(definitions), with_command = std::move(with_command)] {
        const std::vector<CLI::App*> commands = group.get_subcommands();
        if (!*flag && commands.empty()) throw CLI::CallForHelp();
        if (!*flag) {
          if (with_command) with_command();
          return;
        }
        if (!commands.empty())
          throw Error(ErrorKind::kUsage, "--definitions",
                      fmt::format("it stands alone, found the command {}", commands.front()->get_name()),
                      "leave one of the two out");
        context.action = [definitions] {
          std::string text;
          for (const Definition& d : definitions()) text += fmt::format("{}\n    {}\n", d.term, d.text);
          print_out(text);
          return 0;
        };
      });
}

int deliver_list(const std::string& command, const std::string& things,
                 const std::vector<std::pair<std::string, std::string>>& names, Context& context) {
  if (context.format == OutputFormat::kTable && context.out_directory.empty()) {
    std::string text;  // all of them: a table on the terminal leaves out its middle
    for (const auto& [name, what] : names) text += fmt::format("{:<20} {}\n", name, what);
    print_out(text);
    return 0;
  }
  Table table{.id = "names",
              .title = sentence(things),
              .caption = {},
              .columns = {{.name = "name"}, {.name = "what"}},
              .rows = {},
              .in_terminal = true};
  table.title.pop_back();  // a title has no full stop
  for (const auto& [name, what] : names) table.rows.push_back({name, what});
  Report report;
  report.command = command;
  report.verdict = {fmt::format("{} {} have a name.", names.size(), things), {}, {}};
  report.sections = {
      {.id = "names", .title = table.title, .paragraphs = {}, .figures = {}, .tables = {table}}};
  return deliver(report, context);
}

namespace {

/// What to do, where the error does not say. `help` is the command that explains the command.
std::string fallback_hint(ErrorKind kind, const std::string& help) {
  switch (kind) {
    case ErrorKind::kUsage:
      return help.empty() ? "" : fmt::format("`{}` says what it takes", help);
    case ErrorKind::kMissingFile:
      return "check the path";
    case ErrorKind::kIo:
      return "check the path, its permissions and the space on its disk";
    case ErrorKind::kBadFormat:
    case ErrorKind::kTruncated:
      return "check that it is the file that was meant, and whole" +
             (help.empty() ? "" : fmt::format("; `{}` says what is expected", help));
    case ErrorKind::kUnsupported:
    case ErrorKind::kShape:
    case ErrorKind::kLimit:
      return help.empty() ? "" : fmt::format("`{}` says what is expected", help);
    default:
      return {};
  }
}

/// Never throws on account of stderr: there is nowhere left to say so.
void print(const Error& error, const std::string& help = {}) {
  const std::string place = error.where().empty() ? "" : harmless(error.where()) + ": ";
  const std::string hint = error.hint().empty() ? fallback_hint(error.kind(), help) : error.hint();
  std::string text = fmt::format("telos: {}{}\n", place, harmless(error.message()));
  if (!hint.empty()) text += fmt::format("  → {}\n", harmless(hint));
  std::fputs(text.c_str(), stderr);
}

/// "telos symmetry kernel": as far as commands were recognised.
std::string command_path(const CLI::App& app) {
  std::string path = app.get_name();
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    path += " " + command->get_name();
  }
  return path;
}

/// Names of a command's own commands, or of its options.
std::vector<std::string> names_of(const CLI::App& command, bool options) {
  std::vector<std::string> names;
  if (options)
    for (const CLI::Option* option : command.get_options()) names.push_back(option->get_name());
  else
    for (const CLI::App* one : command.get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(one->get_name());
  return names;
}

/// What is wrong with the command line, and what to do. `first` is the first argument, or null.
void print_misuse(const CLI::App& app, const CLI::ParseError& error, const char* first) {
  const std::string path = command_path(app);
  std::string message = error.what(), unknown;
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  if (command == &app && first) unknown = first;
  if (dynamic_cast<const CLI::ExtrasError*>(&error) && !app.remaining(true).empty())
    unknown = app.remaining(true).front();
  const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (message.size() > 1 && capital(message[0]) && !capital(message[1]))
    message[0] = static_cast<char>(message[0] - 'A' + 'a');
  std::string hint = fmt::format("`{} --help` says what it takes", path);
  if (unknown.empty()) {
    print(Error(ErrorKind::kUsage, "", std::move(message), std::move(hint)));
    return;
  }
  const bool option = unknown[0] == '-';
  const std::vector<std::string> names = names_of(*command, option);
  const std::string shown = printable(unknown, 80), nearest = nearest_name(unknown, names);
  const auto initial = [](std::string_view name) { return name.substr(0, name.find_first_not_of('-') + 1); };
  if (!nearest.empty() && initial(nearest) == initial(unknown))
    hint = fmt::format("did you mean {}? {}", nearest, hint);
  message = names.empty() ? fmt::format("expected nothing more, found {}", shown)
                          : fmt::format("there is no {} {}", option ? "option" : "command", shown);
  print(Error(ErrorKind::kUsage, path.substr(std::min(path.size(), app.get_name().size() + 1)),
              std::move(message), std::move(hint)));
}

/// What is wrong with a count, a size or a seed as typed; its leading zeros go. CLI11 reads "-3" as 2^64 − 3,
/// "0100" as 64, "0x10" as 16, and what is above 2^64 as 2^64 − 1.
std::string check_count(std::string& value) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string shown = printable(value, 40);
  if (value.size() > 1 && value[0] == '-' && digit(value[1]))
    return fmt::format("expected a number of at least 0, found {}", shown);
  if (value.starts_with("0x") || value.starts_with("0X") || value.find_first_of(" \t\n\v\f\r+") == 0)
    return fmt::format("expected a decimal number, found \"{}\"", shown);
  if (value.empty() || !std::all_of(value.begin(), value.end(), digit)) return {};  // 0.5, inf: the option's
  value.erase(0, std::min(value.find_first_not_of('0'), value.size() - 1));
  std::uint64_t number = 0;
  if (std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc()) return {};
  return fmt::format("expected a number of at most {}, found {}", ~std::uint64_t{0}, shown);
}

/// Counts are known by the letter that stands for them in the help.
void check_counts(CLI::App& app) {
  static constexpr std::string_view kCounts = "BDEGHKLMNPQRSTV";
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_type_name().substr(0, option->get_type_name().find(':'));
    const bool letter = name.size() == 1 && kCounts.find(name) != std::string_view::npos;
    if (letter || name == "ID" || name == "UINT") option->transform(CLI::Validator(check_count, ""));
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) check_counts(*command);
}

int failed(const Error& error, const CLI::App& app) {
  print(error, command_path(app) + " --help");
  return exit_code(error.kind());
}

int run(int argc, char** argv) {
  Context context;
  for (int i = 0; i < argc; ++i)
    context.command_line += (i == 0 ? std::string() : " ") + (i == 0 ? "telos" : argv[i]);

  CLI::App app{
      "telos says what a transformer tends to: what theory predicts of a checkpoint and a text, what is "
      "measured, and where the two part.",
      "telos"};
  app.set_version_flag("--version", fmt::format("telos {} ({})", version(), build_info()));
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  add_diagnose(app, context);
  add_inspect(app, context);
  add_smoothing(app, context);
  add_positional(app, context);
  add_clustering(app, context);
  add_bigram(app, context);
  add_symmetry(app, context);
  add_doctor(app, context);
  add_completion(app, context);
  check_counts(app);
  app.footer(
      "Examples:\n"
      "  telos diagnose ./my-model --text notes.txt --out report\n"
      "  telos inspect ./my-model\n"
      "  telos smoothing spectrum ./my-model -o csv > heads.csv\n"
      "  telos positional compile cummin --n 8\n"
      "  telos clustering run --demo emerging-leader\n\n"
      "Results go to stdout, talk to stderr, files to --out. Exit codes: 0 done; 1 done, but part of the "
      "input could not\n"
      "be used; 2 usage; 3 bad input file; 4 numerical failure; 5 a bug; 130 interrupted.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    // CLI11 has exit codes of its own; ours are 0 for help and version, 2 for everything else.
    if (e.get_exit_code() != 0) {
      print_misuse(app, e, argc > 1 ? argv[1] : nullptr);
      return 2;
    }
    std::ostringstream text;
    app.exit(e, text, text);
    print_out(text.str());
    return 0;
  } catch (const Error& error) {
    return failed(error, app);
  }
  set_up_terminal(context);
  try {
    if (!context.table.empty() && context.format != OutputFormat::kCsv)
      throw Error(ErrorKind::kUsage, "--table", "it names what -o csv prints, and there is no -o csv",
                  "add -o csv, or leave it out");
    // Before anything is computed: a result that has no place would be lost.
    if (!context.out_directory.empty()) RunFolder::require_usable(context.out_directory);
    return context.action();
  } catch (const Error& error) {
    return failed(error, app);
  }
}

}  // namespace
}  // namespace telos::cli

int main(int argc, char** argv) {
  telos::cli::open_closed_streams();
  try {
    return telos::cli::run(argc, argv);
  } catch (const telos::Error& error) {
    telos::cli::print(error);
    return telos::exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    std::fputs(
        "telos: not enough memory\n  → take fewer or smaller samples, or a smaller model; `telos inspect "
        "MODEL` says how much a diagnosis needs\n",
        stderr);
    return 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "telos: unexpected: %s\n  → this is a bug; please report it with the command line\n",
                 error.what());
    return 5;
  }
}
