#include "cli/clustering.h"
#include "cli/targets.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cli/model_options.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/clustering/page.h"
#include "telos/diagnosis/diagnose.h"
#include "telos/io/files.h"
#include "telos/io/vectors.h"

namespace telos::cli {

using namespace clustering;

void add_token_options(CLI::App& command, TokenOptions& o) {
  CLI::Option* const path = command.add_option(
      "TOKENS", o.path, "npy, csv, tsv, safetensors, or a word-vector text file: a row a token");
  command
      .add_option("--demo", o.demo,
                  "A named set of tokens instead of a file; `telos clustering run --list` names them")
      ->excludes(path)
      ->type_name("NAME");
  command.add_option("--n", o.demo_tokens, "Tokens of a random set (default: 200)")
      ->check(CLI::Range(1, 1'000'000'000))
      ->excludes(path)
      ->type_name("N");
  command.add_option("--d", o.demo_dimension, "Dimension of a random set (default: 2)")
      ->check(CLI::Range(1, 100000))
      ->excludes(path)
      ->type_name("D");
  command.add_option("--seed", o.seed, "Seed of a random set")
      ->excludes(path)
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--tensor", o.tensor, "Which tensor of a safetensors file")
      ->needs(path)
      ->type_name("NAME");
  command.add_option("--labels", o.labels, "Names of the tokens, one a line")->needs(path)->type_name("FILE");
  command.add_option("--rows", o.rows, "The first so many rows (default: all)")
      ->check(CLI::Range(1, 1'000'000'000))
      ->needs(path)
      ->type_name("N");
}

double step_of(std::optional<double> given, const Tokens& tokens) {
  if (given) return *given;
  return tokens.alpha != 0 ? tokens.alpha : 1;
}

Tokens load_tokens(const TokenOptions& o) {
  if (o.path.empty() == o.demo.empty())
    throw Error(ErrorKind::kUsage, "TOKENS", "no tokens were given", "name a file, or a set with --demo");
  if (!o.demo.empty()) {
    DemoTokens set = demo_tokens(o.demo, o.demo_tokens, o.demo_dimension, o.seed);
    return {.values = std::move(set.tokens),
            .labels = {},
            .subject = o.demo,
            .remark = std::move(set.description),
            .alpha = set.alpha};
  }
  Vectors read = read_vectors(o.path, {.tensor = o.tensor, .labels_path = o.labels, .max_rows = o.rows});
  if (!o.tensor.empty() && read.tensor.empty())
    throw Error(ErrorKind::kUsage, "--tensor",
                fmt::format("{} has no tensors to choose from", printable(o.path)), "leave it out");
  return {.values = std::move(read.values),
          .labels = std::move(read.labels),
          .subject = std::filesystem::path(o.path).filename().string(),
          .remark = read.tensor.empty() ? read.format : read.format + " · " + read.tensor};
}

Report::Fact tokens_fact(const Tokens& t) {
  return {"tokens", fmt::format("{} · d {}", count_of(t.values.rows(), "token", "tokens"), t.values.cols()),
          t.remark};
}

Matrix<double> parse_matrix(const std::string& text, std::size_t d, const std::string& option) {
  if (text.empty() || text == "identity") return {};
  if (!text.starts_with("diag:")) {
    Matrix<double> read = read_vectors(text).values;
    if (read.rows() != d || read.cols() != d)
      throw Error(ErrorKind::kShape, text,
                  fmt::format("expected a matrix of {0} × {0} for {1}, found {2} × {3}", d, option,
                              read.rows(), read.cols()));
    return read;
  }
  const std::vector<double> diagonal = parse_numbers(text.substr(5), option);
  if (diagonal.size() != d)
    throw Error(ErrorKind::kShape, option,
                fmt::format("expected {} numbers on the diagonal, found {}", d, diagonal.size()));
  Matrix<double> a(d, d);
  for (std::size_t i = 0; i < d; ++i) a(i, i) = diagonal[i];
  return a;
}

namespace {

struct RunArguments {
  TokenOptions tokens;
  HardmaxOptions options;
  std::string layers = "inf", a, v, ties, positions;
  std::optional<double> alpha;
  bool no_paths = false, list = false;
};

std::size_t parse_layer(const std::string& text, const std::string& option) {
  if (text == "inf") return kAllLayers;
  double value = 0;
  const std::vector<double> numbers = parse_numbers(text, option);
  value = numbers[0];
  if (numbers.size() != 1 || value < 0 || value > 1e9 || value != std::floor(value))
    throw Error(ErrorKind::kUsage, option,
                fmt::format("expected a number of layers or inf, found \"{}\"", printable(text, 40)));
  return static_cast<std::size_t>(value);
}

double parse_ties(const std::string& text) {
  if (text.empty()) return HardmaxOptions{}.tie_tolerance;
  if (text == "exact") return 0;
  const std::vector<double> numbers = parse_numbers(text, "--ties");
  if (numbers.size() != 1)
    throw Error(ErrorKind::kUsage, "--ties", "expected exact or a tolerance such as 1e-12");
  return numbers[0];
}

/// The layers of --positions; the limits belong to a run of all layers.
std::vector<std::size_t> parse_positions(const std::string& list, std::size_t layers) {
  std::vector<std::size_t> positions;
  for (const std::string& part : split_list(list)) {
    positions.push_back(parse_layer(part, "--positions"));
    if (positions.back() == kAllLayers && layers != kAllLayers)
      throw Error(ErrorKind::kUsage, "--positions",
                  fmt::format("inf asks for the limits, --layers {} ends before them", layers),
                  "leave --layers out, or name a layer instead of inf");
  }
  if (!list.empty() && positions.empty())
    throw Error(ErrorKind::kUsage, "--positions", "expected layers such as 0,5,inf, found none");
  return positions;
}

std::string position_file(std::size_t layer) {
  return fmt::format("positions-{}.npy", layer == kAllLayers ? "inf" : std::to_string(layer));
}

/// Whether a file has the name of a layer's positions.
bool is_position_file(const std::string& name) {
  constexpr std::string_view kBegin = "positions-", kEnd = ".npy";
  if (name.size() <= kBegin.size() + kEnd.size() || !name.starts_with(kBegin) || !name.ends_with(kEnd))
    return false;
  const std::string layer = name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
  return layer == "inf" || layer.find_first_not_of("0123456789") == std::string::npos;
}

/// Positions that an earlier run left in the folder are of other tokens or layers; what this one read stays.
void remove_positions(const std::string& folder, const std::string& input) {
  std::vector<std::filesystem::path> old;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if ((is_position_file(name) || name == "leader.npy") &&
        !std::filesystem::equivalent(entry.path(), input, ignored))
      old.push_back(entry.path());
  }
  for (const std::filesystem::path& path : old) std::filesystem::remove(path, ignored);
}

/// Positions after some layers as npy files: positions-5.npy, positions-inf.npy, and who follows whom.
std::vector<FolderWriter> position_files(const HardmaxRun& run, const std::vector<std::size_t>& layers,
                                         const std::string& input, Context& context) {
  std::vector<FolderWriter> files = {[input](const std::string& folder) { remove_positions(folder, input); }};
  for (const std::size_t layer : layers) {
    if (layer == kAllLayers && !run.complete)
      throw Error(ErrorKind::kUsage, "--positions", "the run ended before every token was decided",
                  "name a layer instead of inf");
    files.push_back([&run, &context, layer](const std::string& folder) {
      const std::string path = folder + "/" + position_file(layer);
      if (layer == kAllLayers)
        write_npy(path, run.limits.view());
      else
        write_npy(path, run.positions(layer, context.arena()).view());
    });
  }
  if (!layers.empty())
    files.push_back([&run](const std::string& folder) {
      Matrix<double> leader(1, run.tokens);
      for (std::size_t i = 0; i < run.tokens; ++i) {
        const Fate& f = run.fates[i];
        leader(0, i) = f.leader == kNone ? -1 : static_cast<double>(run.leaders[f.leader].token);
      }
      write_npy(folder + "/leader.npy", leader.view());
    });
  return files;
}

int run_command(RunArguments& a, Context& context) {
  if (a.list) return deliver_list("clustering run", "sets of tokens", demo_names(), context);
  if (!a.positions.empty() && context.out_directory.empty())
    throw Error(ErrorKind::kUsage, "--positions", "the files need a folder", "name it with --out");
  const Tokens tokens = load_tokens(a.tokens);
  const std::size_t d = tokens.values.cols();
  const Matrix<double> score = parse_matrix(a.a, d, "--A"), value = parse_matrix(a.v, d, "--V");
  a.options.alpha = step_of(a.alpha, tokens);
  a.options.layers = parse_layer(a.layers, "--layers");
  if (a.options.layers == 0)
    throw Error(ErrorKind::kUsage, "--layers", "no layer is asked for", "take 1 or more, or inf");
  const std::vector<std::size_t> positions = parse_positions(a.positions, a.options.layers);
  if (!positions.empty()) {
    std::vector<std::string> files = {"leader.npy"};
    for (const std::size_t layer : positions) files.push_back(position_file(layer));
    require_inputs_stay(context.out_directory, files, {a.tokens.path, a.tokens.labels, a.a, a.v});
  }
  a.options.a = score.view();
  a.options.v = value.view();
  a.options.tie_tolerance = parse_ties(a.ties);
  a.options.history = !a.no_paths;
  const HardmaxRun run = run_hardmax(tokens.values.view(), a.options, context.arena());
  PageContext page = page_context("clustering run", tokens.subject, context);
  page.facts.push_back(tokens_fact(tokens));
  page.facts.push_back(
      {"system",
       fmt::format("{}{}{}{}", value.empty() ? fmt::format("α {} · ", format_number(run.alpha)) : "",
                   score.empty() ? "A = I" : "A = " + printable(a.a, 60),
                   a.options.center ? " · centred" : "", value.empty() ? "" : " · V = " + a.v),
       a.options.tie_tolerance == 0 ? "ties to the bit"
                                    : fmt::format("ties within {}", format_number(a.options.tie_tolerance))});
  const auto files = position_files(run, positions, a.tokens.path, context);
  return deliver(run_report(run, tokens.labels, page), context, {}, files);
}

}  // namespace

void add_hardmax(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("run", "The hardmax system on tokens, exactly: leaders, clusters, limits");
  auto a = std::make_shared<RunArguments>();
  add_token_options(*command, a->tokens);
  CLI::Option* const alpha =
      command
          ->add_option("--alpha", a->alpha,
                       "Step α: a token moves α/(1 + α) of the way (default: the demo's, or 1)")
          ->type_name("ALPHA");
  const HardmaxOptions limits;
  command
      ->add_option(
          "--layers", a->layers,
          fmt::format("Layers K, or inf: all that it takes to decide every token, {} at most ({} with "
                      "--V or --general-A, where none is decided before nothing moves)",
                      format_count(limits.max_layers), format_count(limits.max_general_layers)))
      ->type_name("K")
      ->capture_default_str();
  command->add_option("--A", a->a, "Matrix of the scores ⟨Az, z⟩: diag:4,1, or a file (default: identity)")
      ->type_name("MATRIX");
  command->add_option("--V", a->v, "Value matrix, instead of αI: diag:1,-0.5, or a file")
      ->excludes(alpha)
      ->type_name("MATRIX");
  command->add_flag("--general-A", a->options.general_a,
                    "Take a matrix A that is not symmetric positive semidefinite (no leaders then)");
  command->add_option("--ties", a->ties, "exact (to the bit), or a tolerance (default: 1e-12)")
      ->type_name("TIES");
  command->add_flag("--center", a->options.center, "Move the origin to the mean of the tokens first");
  command->add_option("--positions", a->positions, "Leave positions-K.npy for these layers, e.g. 0,5,inf")
      ->type_name("LIST");
  command->add_flag("--no-paths", a->no_paths, "Keep no paths: less memory, no animated figure");
  command->add_flag("--list", a->list, "The sets that --demo knows");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering run --demo emerging-leader --out leaders\n"
      "  telos clustering run glove.txt --rows 20000 -o csv --table leaders\n"
      "  telos clustering run tokens.npy --A diag:4,1 --alpha 0.5 --positions 0,1,inf --out run");
  command->callback([&context, a] { context.action = [&context, a] { return run_command(*a, context); }; });
}

void add_cluster_heads(CLI::App& group, Context& context) {
  struct Arguments {
    ModelOptions model;
    ClusterMeasureOptions options;
    std::string thresholds;
  };
  CLI::App* const command = group.add_subcommand(
      "heads", "How hard a model's attention is, whom it follows, how its tokens cluster with depth");
  auto a = std::make_shared<Arguments>();
  add_model_options(*command, a->model, true);
  add_text_options(*command, a->model);
  a->thresholds = fmt::format("{}", fmt::join(a->options.thresholds, ","));
  command->add_option("--thresholds", a->thresholds, "Cosines from which on two tokens are one cluster")
      ->type_name("LIST")
      ->capture_default_str();
  command->add_option("--alpha", a->options.alpha, "Step α of the hardmax prediction")
      ->type_name("ALPHA")
      ->capture_default_str();
  command->add_option("--permutations", a->options.permutations, "Relabellings of the null")
      ->check(CLI::Range(kLeastPermutations, std::size_t{100000}))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--seed", a->options.seed, "Seed of the relabellings")
      ->type_name("S")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering heads ./my-model --text notes.txt --out heads\n"
      "  telos clustering heads activations.safetensors -o csv --table heads");
  command->callback([&context, a] {
    context.action = [&context, a] {
      a->options.thresholds = parse_numbers(a->thresholds, "--thresholds");
      return deliver(
          clustering_heads(a->model.model, diagnose_options(a->model, context), a->options, context.arena()),
          context);
    };
  });
}

void add_clustering(CLI::App& app, Context& context) {
  CLI::App* const group =
      app.add_subcommand("clustering", "Which tokens lead, and where do the others end up?");
  add_hardmax(*group, context);
  add_soft(*group, context);
  add_sentiment(*group, context);
  add_cluster_heads(*group, context);
  group->footer(
      "Examples:\n"
      "  telos clustering run --demo emerging-leader --out leaders\n"
      "  telos clustering sentiment train reviews.tsv --dim 2 --out model\n"
      "  telos clustering sentiment explain model/model.safetensors \"a great film\" --out why\n"
      "  telos clustering heads ./my-model --text notes.txt");
  add_definitions(*group, context, clustering_definitions);
}

}  // namespace telos::cli
