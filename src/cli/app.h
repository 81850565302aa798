#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/report/report.h"

namespace CLI {
class App;
}

namespace telos::cli {

/// What every command shares: how to talk, where results go, how many threads.
struct Context {
  std::string command_line;  ///< as typed, for provenance
  std::time_t start = std::time(nullptr);
  OutputFormat format = OutputFormat::kTable;
  std::string out_directory;  ///< --out, or empty
  std::string table;          ///< --table: what -o csv prints; empty: the main table of the command
  int threads = 0;            ///< 0: all cores
  bool quiet = false;
  std::function<int()> action;  ///< what the chosen command does; returns the exit code

  /// The arena of this run, made on first use.
  const Arena& arena();

 private:
  std::unique_ptr<Arena> arena_;
};

/// Each command group adds its commands; a command's callback only sets `context.action`.
void add_diagnose(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_smoothing(CLI::App& app, Context& context);
void add_bigram(CLI::App& app, Context& context);
void add_symmetry(CLI::App& app, Context& context);
void add_positional(CLI::App& app, Context& context);
void add_clustering(CLI::App& app, Context& context);
void add_simulate(CLI::App& smoothing, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

/// Adds --output, --out, --threads and --quiet.
void add_common_options(CLI::App& command, Context& context);

/// Prints the report to stdout in the chosen format and, with --out, leaves the run folder. `fields` goes
/// into run.json (a JSON object as text, or empty). Returns 1 if the report names something that could not be
/// used, else 0.
/// `files` write what else the run leaves in the folder whose path they get.
using FolderWriter = std::function<void(const std::string& folder)>;
int deliver(const Report& report, Context& context, const std::string& fields = {},
            const std::vector<FolderWriter>& files = {});

/// Text from outside as a terminal may show it: control characters as escapes, quotes as they are.
std::string harmless(std::string_view text);
/// Prints text to stdout. Throws kIo where it does not arrive: a full disk, a closed pipe.
void print_out(std::string_view text);
/// Gives a lens its --definitions, and its help where no command of it is named. `with_command` runs where
/// one is.
void add_definitions(CLI::App& group, Context& context, std::function<std::vector<Definition>()> definitions,
                     std::function<void()> with_command = {});
/// What --list prints, in the format chosen: the names of `things`, e.g. "presets", and what they are.
int deliver_list(const std::string& command, const std::string& things,
                 const std::vector<std::pair<std::string, std::string>>& names, Context& context);
/// All of stdin as UTF-8 text; may be interrupted. Throws kBadFormat, kLimit.
std::string read_stdin();

/// Opens /dev/null in place of standard streams that are closed: a file of ours must not get their number.
void open_closed_streams();
/// Sends the library's notes and progress to stderr (progress only on a terminal), and lets SIGINT and
/// SIGTERM stop a run at its next safe point.
void set_up_terminal(const Context& context);
bool stdout_is_terminal();
bool colors_wanted(bool terminal);

}  // namespace telos::cli
