// The command line: parses, calls the library, reports. One file a command group; this one holds what they
// share.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/app.h"
#include "cli/lists.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/nearest.h"
#include "telos/base/version.h"
#include "telos/io/files.h"

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
      ->transform(CLI::Transformer(kFormats))
      ->type_name("FORMAT");
  command.add_option("--table", context.table, "Which table -o csv prints, e.g. heads or layers")
      ->type_name("ID");
  command
      .add_option("--out", context.out_directory, "Leave report.html, tables and figures in this directory")
      ->type_name("DIR");
  command
      .add_option("--threads", context.threads, "Threads; results do not depend on it (default: all cores)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  command.add_flag("-q,--quiet", context.quiet, "No notes and no progress on stderr");
  refuse_empty_values(command);
}

int deliver(const Report& report, Context& context, const std::string& fields,
            const std::vector<FolderWriter>& files) {
  if (!context.out_directory.empty()) {
    RunFolder folder(context.out_directory, context.start);
    for (const auto& [path, content] : report_files(report)) {
      check_interrupt();
      folder.write(path, content);
    }
    for (const FolderWriter& write : files) write(context.out_directory);
    folder.finish(fields);
  }
  std::string text;
  switch (context.format) {
    case OutputFormat::kTable:
      text = render_terminal(report, {.color = colors_wanted(stdout_is_terminal())});
      if (!context.out_directory.empty())
        text += fmt::format("\n figures, tables, data: {}/report.html\n", context.out_directory);
      break;
    case OutputFormat::kJson:
      text = render_json(report);
      break;
    case OutputFormat::kCsv:
      text = render_csv(report, context.table);
      break;
    case OutputFormat::kMarkdown:
      text = render_markdown(report);
      break;
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error(ErrorKind::kIo, "stdout", "the result could not be written");
  return report.complete ? 0 : 1;
}

namespace {

void print(const Error& error) {
  const std::string place = error.where().empty() ? "" : error.where() + ": ";
  fmt::print(stderr, "telos: {}{}\n", place, error.message());
  if (!error.hint().empty()) fmt::print(stderr, "  → {}\n", error.hint());
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
  std::string path = app.get_name(), message = error.what(), unknown;
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    path += " " + command->get_name();
  }
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

/// CLI11 reads "-3" into an unsigned number as 2^64 − 3. Options whose value is a count, a size or a seed (by
/// the letter that stands for it in the help) take no negative number.
void refuse_negative_counts(CLI::App& app) {
  static constexpr std::string_view kCounts = "BDEHKLMNPQRSTV";
  for (CLI::Option* option : app.get_options()) {
    const std::string letter = option->get_type_name().substr(0, option->get_type_name().find(':'));
    if (letter.size() != 1 || kCounts.find(letter) == std::string_view::npos) continue;
    option->check(CLI::Validator(
        [](std::string& value) {
          const bool negative = value.size() > 1 && value[0] == '-' && value[1] >= '0' && value[1] <= '9';
          return negative ? fmt::format("expected a number of at least 0, found {}", value) : std::string();
        },
        ""));
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    refuse_negative_counts(*command);
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
  refuse_negative_counts(app);
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
    if (e.get_exit_code() == 0) return app.exit(e);
    print_misuse(app, e, argc > 1 ? argv[1] : nullptr);
    return 2;
  }
  set_up_terminal(context);
  return context.action();
}

}  // namespace
}  // namespace telos::cli

int main(int argc, char** argv) {
  try {
    return telos::cli::run(argc, argv);
  } catch (const telos::Error& error) {
    telos::cli::print(error);
    return telos::exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    fmt::print(
        stderr,
        "telos: not enough memory\n  → take fewer or smaller samples, or a smaller model; `telos inspect "
        "MODEL` says how much a diagnosis needs\n");
    return 3;
  } catch (const std::exception& error) {
    fmt::print(stderr, "telos: unexpected: {}\n  → this is a bug; please report it with the command line\n",
               error.what());
    return 5;
  }
}
