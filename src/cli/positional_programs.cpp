#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/positional.h"
#include "cli/targets.h"
#include "telos/base/error.h"
#include "telos/io/table.h"
#include "telos/positional/page.h"

namespace telos::cli {
namespace {

using namespace positional;

struct ProgramArguments {
  std::string program, network, save, data;
  std::size_t nodes = 0, proof_vectors = 1000;
  std::uint64_t seed = 1;
  bool as_double = false, print = false;
  Execution execution = Execution::kDouble;
};

/// A program that is wrong in several places is listed in full, each place with its advice; an error holds
/// the first advice alone.
bool list_problems(const ProgramArguments& a) {
  if (!a.program.ends_with(".pco") || !a.network.empty()) return false;
  const std::vector<Problem> problems = parse_program_file(a.program, a.nodes).problems;
  if (problems.size() < 2) return false;
  std::string text = fmt::format("telos: {}: {} problems\n", printable(a.program), problems.size());
  for (const Problem& problem : problems) {
    text += fmt::format("  {}\n", harmless(to_string(problem)));
    if (!problem.hint.empty()) text += fmt::format("    → {}\n", harmless(problem.hint));
  }
  std::fputs(text.c_str(), stderr);
  return true;
}

CompiledProgram compile_of(const ProgramArguments& a) {
  Builtin made = find_program(a.program, a.nodes, a.network);
  made.options.proof_vectors = a.proof_vectors;
  made.options.seed = a.seed;
  return compile(made.program, made.options);
}

/// Writes the model and says so in the report.
void save_to(const Model& model, const std::string& path, bool as_double, Report& report) {
  save_model(model, path, as_double);
  report.facts.push_back({"saved", path, as_double ? "float64" : "float32"});
}

void add_program_options(CLI::App& command, ProgramArguments& a) {
  command.add_option("PROGRAM", a.program, "A built-in (see `tasks`) or a .pco file")->required();
  command.add_option("--n", a.nodes, "Nodes (default: the file's own n; 8 for a built-in)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command
      .add_option("--network", a.network,
                  "Comparators for sort and median: a file, or themselves, \"(0,2)(1,3)…\"")
      ->type_name("NET");
}

void add_compile(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "compile", "Turn a program into the weights of a positional transformer, and prove it");
  auto a = std::make_shared<ProgramArguments>();
  add_program_options(*command, *a);
  CLI::Option* const save =
      command->add_option("--save", a->save, "Write the model (.safetensors), for eval, convert, capacity");
  save->type_name("FILE");
  command->add_flag("--f64", a->as_double, "Write float64")->needs(save);
  command->add_option("--proof", a->proof_vectors, "Random vectors that the proof tries")
      ->type_name("V")
      ->capture_default_str();
  command->add_option("--seed", a->seed, "Seed of those")->type_name("S")->capture_default_str();
  CLI::Option* const print =
      command->add_flag("--print", a->print, "Print the program's text instead, tables written out");
  add_common_options(*command, context);
  for (CLI::Option* const idle : {save, command->get_option("--out"), command->get_option("--output")})
    print->excludes(idle);
  command->footer(
      "A program, ten lines (the language: docs/positional.md):\n"
      "  input x\n  state least = x\n  output least\n  repeat r < log2(n)\n    round\n"
      "      recv left from i - 2**r else i\n      least = min(least, left.least)\n    end\n  end\n\n"
      "Examples:\n"
      "  telos positional compile cummin --n 16\n"
      "  telos positional compile sort --n 8 --save sort.safetensors --out sort\n"
      "  telos positional compile cummin --n 4 --print > cummin4.pco && telos positional compile "
      "cummin4.pco");
  command->callback([&context, a] {
    context.action = [&context, a] {
      if (list_problems(*a)) return exit_code(ErrorKind::kBadFormat);
      if (a->print) {
        print_out(print_program(find_program(a->program, a->nodes, a->network).program));
        return 0;
      }
      if (!a->save.empty()) require_model_target("--save", a->save, {a->program, a->network});
      const CompiledProgram compiled = compile_of(*a);
      Report report = compiled_report(compiled, positional_page("compile", a->program, context));
      if (!a->save.empty()) save_to(compiled.model, a->save, a->as_double, report);
      return deliver(report, context);
    };
  });
}

/// Columns that would be read silently as something, or not at all.
void check_columns(const NumberTable& table, const std::vector<std::string>& wanted,
                   const std::string& where) {
  for (std::size_t c = 0; c < table.labels.size(); ++c) {
    const std::string& label = table.labels[c];
    const auto refuse = [&](const char* what) {
      throw Error(ErrorKind::kBadFormat, where,
                  fmt::format("column {}, \"{}\", {}", c + 1, printable(label, 40), what),
                  fmt::format("the columns are the program's inputs and bits: {}", fmt::join(wanted, ", ")));
    };
    if (std::find(wanted.begin(), wanted.end(), label) == wanted.end()) refuse("is no input of the program");
    if (std::find(table.labels.begin(), table.labels.begin() + static_cast<std::ptrdiff_t>(c), label) !=
        table.labels.begin() + static_cast<std::ptrdiff_t>(c))
      refuse("is there twice");
  }
}

void require_finite(const Matrix<double>& outputs, const std::vector<std::string>& names) {
  for (std::size_t s = 0; s < outputs.rows(); ++s)
    for (std::size_t c = 0; c < outputs.cols(); ++c)
      if (!std::isfinite(outputs(s, c)))
        throw Error(ErrorKind::kNotFinite,
                    fmt::format("sample {}, node {}, output \"{}\"", s, c / names.size(),
                                printable(names[c % names.size()], 40)),
                    fmt::format("the result is {}", outputs(s, c)),
                    "its numbers leave the range of the arithmetic; give smaller ones");
}

/// Samples of a program from a table: columns named as the program's inputs, a row a node, n rows a sample;
/// or n·given numbers a row, a row a sample.
Matrix<double> samples_of(const NumberTable& table, const Program& program, const std::string& where) {
  std::vector<std::string> wanted = program.inputs;
  wanted.insert(wanted.end(), program.bits.begin(), program.bits.end());
  std::vector<std::size_t> columns;
  for (const std::string& name : wanted) {
    const auto at = std::find(table.labels.begin(), table.labels.end(), name);
    if (at != table.labels.end()) columns.push_back(static_cast<std::size_t>(at - table.labels.begin()));
  }
  const std::size_t n = program.n, given = program.given(), rows = table.values.rows();
  const std::string found = fmt::format(
      "{} column{}{}", table.values.cols(), table.values.cols() == 1 ? "" : "s",
      table.labels.empty()
          ? ""
          : fmt::format(" ({})", printable(fmt::format("{}", fmt::join(table.labels, ", ")), 60)));
  if (columns.size() == wanted.size()) {
    check_columns(table, wanted, where);
    if (rows == 0 || rows % n != 0)
      throw Error(ErrorKind::kShape, where,
                  fmt::format("expected {} rows a sample (one a node), found {} rows in all", n, rows),
                  "give --n, or a row a sample without these column names");
    Matrix<double> out(rows / n, n * given);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < given; ++c) {
        const double value = table.values(r, columns[c]);
        if (c >= program.inputs.size() && value != 0 && value != 1)
          throw Error(
              ErrorKind::kBadFormat,
              fmt::format("{}, row {} (node {}), column \"{}\"", where, r + 1, r % n, printable(wanted[c])),
              fmt::format("expected 0 or 1, because it is a bit, found {}", value));
        out(r / n, r % n * given + c) = value;
      }
    return out;
  }
  if (!columns.empty() || table.values.cols() != n * given)
    throw Error(ErrorKind::kShape, where,
                fmt::format("expected the column{} {} (a row a node), or {} numbers a row (a row a sample), "
                            "found {}",
                            wanted.size() == 1 ? "" : "s", fmt::join(wanted, ", "), n * given, found),
                "name the columns in the first row as the program names its inputs and bits");
  return table.values.copy();
}

int execute_program(const ProgramArguments& a, const NumberTable& table, Context& context) {
  const CompiledProgram compiled = compile_of(a);
  const Matrix<double> given = samples_of(table, compiled.program, a.data);
  const Matrix<double> outputs = execute(compiled, given, a.execution);
  std::vector<std::string> names;
  for (const Output& output : compiled.program.outputs) names.push_back(output.name);
  require_finite(outputs, names);
  static const std::map<Execution, const char*> kHow = {
      {Execution::kFloat, "the network in float32"},
      {Execution::kDouble, "the network in float64"},
      {Execution::kExactMinMax, "minima and maxima by comparison"}};
  return deliver(execution_report(outputs, names, compiled.program.n, kHow.at(a.execution),
                                  positional_page("execute", a.program, context)),
                 context);
}

int execute_model(const ProgramArguments& a, const NumberTable& table, Context& context) {
  for (const auto& [given, name] : {std::pair{a.nodes != 0, "--n"}, {!a.network.empty(), "--network"}})
    if (given) throw Error(ErrorKind::kUsage, name, "a model has no use for it", "it belongs to programs");
  if (a.execution == Execution::kExactMinMax)
    throw Error(ErrorKind::kUsage, "--arithmetic exact", "minima and maxima of a model are not told apart",
                "it belongs to programs; a model runs in f32 or f64");
  const Model model = load_model(a.program);
  const ModelConfig& c = model.config;
  const std::size_t given = c.nodes * c.in_dim;
  if (table.values.cols() != given || table.values.rows() == 0)
    throw Error(
        ErrorKind::kShape, a.data,
        fmt::format(
            "expected {} numbers a row (n {} × {} a node), a row a sample, found {} columns and {} rows",
            given, c.nodes, c.in_dim, table.values.cols(), table.values.rows()));
  const std::size_t samples = table.values.rows();
  Matrix<double> x(samples, c.positions() * c.in_dim);  // scratch positions stay 0
  for (std::size_t s = 0; s < samples; ++s) std::copy_n(table.values.row(s), given, x.row(s));
  const Matrix<double> y = a.execution == Execution::kFloat
                               ? evaluate<float>(model, x, c.nodes, context.arena())
                               : evaluate<double>(model, x, c.nodes, context.arena());
  Matrix<double> outputs(samples, c.nodes * c.out_dim);
  for (std::size_t s = 0; s < samples; ++s)
    std::copy_n(y.data() + s * c.positions() * c.out_dim, outputs.cols(), outputs.row(s));
  std::vector<std::string> names;
  for (std::size_t k = 0; k < c.out_dim; ++k) names.push_back(c.out_dim == 1 ? "y" : fmt::format("y{}", k));
  require_finite(outputs, names);
  return deliver(
      execution_report(outputs, names, c.nodes, a.execution == Execution::kFloat ? "float32" : "float64",
                       positional_page("execute", a.program, context)),
      context);
}

void add_execute(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("execute", "Run a program or a model on the rows of a CSV file");
  auto a = std::make_shared<ProgramArguments>();
  static const std::map<std::string, Execution> kExecutions = {
      {"f32", Execution::kFloat}, {"f64", Execution::kDouble}, {"exact", Execution::kExactMinMax}};
  add_program_options(*command, *a);
  command->add_option("DATA", a->data, "CSV: columns named as the inputs, a row a node; or a row a sample")
      ->required();
  command->add_option("--arithmetic", a->execution, "f32, f64, or exact (minima and maxima by comparison)")
      ->transform(CLI::Transformer(kExecutions).description(""))
      ->type_name("A")
      ->default_str("f64");
  add_common_options(*command, context);
  command->footer(
      "PROGRAM may also be a model (.safetensors): then a row of DATA is a sample.\n\n"
      "Examples:\n"
      "  printf 'x\\n5\\n3\\n8\\n1\\n' > data.csv && telos positional execute cummin --n 4 data.csv\n"
      "  telos positional execute cummin --n 4 data.csv -o csv --arithmetic f32");
  command->callback([&context, a] {
    context.action = [&context, a] {
      if (list_problems(*a)) return exit_code(ErrorKind::kBadFormat);
      if (context.table.empty()) context.table = "outputs";
      require_inputs_stay(context.out_directory, {"tables/outputs.csv"}, {a->data});
      const NumberTable table = read_number_csv(a->data);
      return a->program.ends_with(".safetensors") ? execute_model(*a, table, context)
                                                  : execute_program(*a, table, context);
    };
  });
}

struct ConvertArguments {
  std::string model, to = "standard", save;
  bool as_double = false;
};

void add_convert(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "convert", "Write the standard transformer that computes the same as a positional one");
  auto a = std::make_shared<ConvertArguments>();
  command->add_option("MODEL", a->model, "A positional model (.safetensors)")->required();
  command->add_option("--to", a->to, "standard")->check(CLI::IsMember({"standard"}))->capture_default_str();
  command->add_option("--save", a->save, "Where to write it (.safetensors)")->type_name("FILE")->required();
  command->add_flag("--f64", a->as_double, "Write float64");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos positional compile cummin --save cummin.safetensors\n"
      "  telos positional convert cummin.safetensors --save standard.safetensors\n"
      "  telos positional eval standard.safetensors --task min --integers");
  command->callback([&context, a] {
    context.action = [&context, a] {
      require_model_target("--save", a->save, {a->model});
      const Model positional_model = load_model(a->model);
      const Model standard = convert_to_standard(positional_model);
      const std::vector<CapacityReport> bounds = {capacity(positional_model), capacity(standard)};
      const std::vector<std::string> names = {"the positional model", "the standard one"};
      Report report = capacity_report(bounds, positional_page("convert", a->model, context), names);
      save_to(standard, a->save, a->as_double, report);
      return deliver(report, context);
    };
  });
}

}  // namespace

void add_programs(CLI::App& group, Context& context) {
  add_compile(group, context);
  add_execute(group, context);
  add_convert(group, context);
}

}  // namespace telos::cli
