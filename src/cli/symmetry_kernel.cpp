#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/lists.h"
#include "cli/option_names.h"
#include "cli/symmetry.h"
#include "cli/targets.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/files.h"
#include "telos/symmetry/kernel_page.h"

namespace telos::cli {
using namespace symmetry;

namespace {

struct KernelArguments {
  std::string architecture = "pre-ln-relu", data, data2, matrix;
  std::size_t random = 0, length = 16, vocabulary = 0, pairs = 200;
  std::uint64_t seed = 1;
  std::optional<std::uint32_t> padding;
  bool ntk = false;
  std::string precision = "f64";
  KernelOptions kernel;
};

void add_kernel_options(CLI::App& command, KernelArguments& a) {
  command.add_option("--arch", a.architecture, "Architecture: a name (see --list), or a JSON file")
      ->type_name("NAME|FILE")
      ->capture_default_str();
  CLI::Option* const data = command.add_option(
      "--data", a.data, "Sequences: one a line, token ids divided by blanks or commas; or .npy");
  data->type_name("FILE");
  command.add_option("--data2", a.data2, "Sequences of the columns; without it, those of --data")
      ->type_name("FILE")
      ->needs(data);
  command.add_option("--random", a.random, "Instead of a file: so many uniform draws")
      ->type_name("N")
      ->excludes(data);
  command.add_option("--length", a.length, "Tokens of a draw")
      ->type_name("L")
      ->capture_default_str()
      ->excludes(data);
  command
      .add_option("--vocab", a.vocabulary,
                  "Vocabulary; default: the largest id beside padding, and one; of draws, 8")
      ->type_name("V");
  command
      .add_option("--pad", a.padding,
                  "Token id of padding, which nothing attends to and no readout takes; tokens beside it stay "
                  "where they are. Default: the architecture's pad_token_id")
      ->type_name("ID");
  command.add_flag("--ntk", a.ntk, "The neural tangent kernel instead of the NNGP kernel");
  command
      .add_option("--matrix", a.matrix,
                  "Write the matrix to this .npy file tile by tile; an interrupted run is taken up again")
      ->type_name("FILE");
  command
      .add_option("--precision", a.precision,
                  "f32: pairs in single precision, within 1e-6, and matrices written so. The NTK, attention "
                  "at 1/sqrt(d), "
                  "Monte Carlo, the simplified block and one layer read at one position are computed in f64 "
                  "all the same")
      ->check(CLI::IsMember({"f64", "f32"}))
      ->capture_default_str();
  command.add_option("--pairs", a.pairs, "Pairs for the symmetry breaking; 0: none")
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--samples", a.kernel.samples, "Monte Carlo samples of softmax at 1/sqrt(d), in any layer")
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--seed", a.seed, "Seed of draws, samples and permutations")
      ->type_name("S")
      ->capture_default_str();
}

Sequences kernel_sequences(const KernelArguments& a, std::optional<Token> padding) {
  if (!a.data.empty()) return read_sequences(a.data, a.vocabulary, padding);
  if (a.random == 0)
    throw Error(ErrorKind::kUsage, "--data", "expected --data or --random, found neither",
                "name a file of sequences, or draw some: --random 200 --length 16 --vocab 8");
  return draw_sequences(a.random, a.length, a.vocabulary == 0 ? 8 : a.vocabulary, a.seed);
}

int deliver_presets(Context& context) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const Preset& p : presets()) names.emplace_back(p.name, p.meaning);
  return deliver_list("symmetry kernel", "architectures", names, context);
}

void write_matrix(const std::string& path, const Matrix<double>& m, bool single) {
  if (!single) return write_npy(path, m);
  Matrix<float> rounded(m.rows(), m.cols());
  std::transform(m.data(), m.data() + m.size(), rounded.data(),
                 [](double x) { return static_cast<float>(x); });
  write_npy(path, rounded);
}

int run_kernel(KernelArguments& a, bool samples_given, Context& context) {
  require_no_input("--matrix", a.matrix, {a.data, a.data2, a.architecture});
  symmetry::Architecture architecture = load_architecture(a.architecture);
  if (a.padding) architecture.padding = a.padding;
  const Sequences rows = kernel_sequences(a, architecture.padding);
  Sequences columns;
  if (!a.data2.empty()) columns = read_sequences(a.data2, a.vocabulary, architecture.padding);
  a.kernel.ntk = a.ntk;
  a.kernel.seed = a.seed;
  const bool single = a.precision == "f32";
  a.kernel.precision = single ? Precision::kSingle : Precision::kDouble;
  const Kernel kernel(architecture, std::max(rows.vocabulary, columns.vocabulary), a.kernel);
  if (samples_given && !kernel.monte_carlo())
    throw Error(
        ErrorKind::kUsage, "--samples",
        fmt::format("{} has no use for it: nothing in it is sampled", printable(architecture.name, 60)),
        "it belongs to softmax at 1/sqrt(d)");
  if (single && !kernel.stays_double().empty())
    log(LogLevel::kInfo, "pairs are computed in f64, and rounded to f32: " + kernel.stays_double());
  const GramOptions options{.ntk = a.ntk, .errors = a.matrix.empty(), .path = a.matrix};
  const bool square = a.data2.empty();
  const Gram matrix = square ? gram(kernel, rows, options, context.arena())
                             : gram(kernel, rows, columns, options, context.arena());
  KernelResult result{
      .kernel = kernel, .rows = rows, .columns = square ? nullptr : &columns, .matrix = matrix, .ntk = a.ntk};
  result.summary = summarise(matrix, square);
  result.breaking_asked = a.pairs > 0;
  if (a.pairs > 0) result.breaking = measure_breaking(kernel, rows, a.ntk, a.pairs, a.seed, context.arena());
  const FolderWriter files = [&](const std::string& folder) {
    if (!matrix.path().empty()) return;
    write_matrix(folder + "/gram.npy", matrix.values(), single);
    if (matrix.errors().empty())
      remove_path(folder + "/errors.npy");  // of another matrix
    else
      write_matrix(folder + "/errors.npy", matrix.errors(), single);
  };
  return deliver(kernel_report(result, page_context("symmetry kernel", architecture.name, context)), context,
                 fmt::format("{{\"architecture\": {}}}", to_json(architecture)), {files});
}

/// What the library calls the options.
std::vector<OptionName> kernel_options() {
  return {{"sequence", "--length", "take shorter sequences"},
          {"vocabulary", "--vocab", "token ids are below it: --vocab 8"},
          {"samples", "--samples", "Monte Carlo samples: --samples 2000"},
          {"gram", "--data", "take fewer sequences, or write the matrix to a file: --matrix K.npy"}};
}

}  // namespace

void add_symmetry_kernel(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "kernel", "Kernels of an infinitely wide transformer on pairs of sequences, and their symmetry");
  auto a = std::make_shared<KernelArguments>();
  add_kernel_options(*command, *a);
  auto list = std::make_shared<bool>(false);
  command->add_flag("--list", *list, "Print the architectures that have a name");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry kernel --random 200 --length 16 --vocab 8 --out kernel\n"
      "  telos symmetry kernel --arch pre-ln-gelu --data sequences.txt --ntk\n"
      "  telos symmetry kernel --arch sqrt-softmax --data padded.npy --pad 0 --samples 10000\n"
      "  telos symmetry kernel --arch block.json --data sequences.npy --matrix K.npy");
  command->callback([&context, a, list, command] {
    context.action = [&context, a, list, command] {
      if (*list) return deliver_presets(context);
      return with_option_names(kernel_options(),
                               [&] { return run_kernel(*a, command->count("--samples") > 0, context); });
    };
  });
}

}  // namespace telos::cli
