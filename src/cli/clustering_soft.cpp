#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "cli/clustering.h"
#include "cli/idle_options.h"
#include "cli/validators.h"
#include "telos/base/error.h"
#include "telos/clustering/page.h"

namespace telos::cli {
namespace {

using namespace clustering;

struct SoftArguments {
  TokenOptions tokens;
  SoftOptions options;
  std::string kind = "softmax", a, q, k, v;
  std::optional<double> alpha;
};

void refuse_idle_options(const CLI::App& command, SoftKind kind) {
  using enum SoftKind;
  static const KindOption<SoftKind> options[] = {{"--alpha", {kSoftmax, kLocalmax}},
                                                 {"--layers", {kSoftmax, kLocalmax}},
                                                 {"--temperature", {kSoftmax}},
                                                 {"--relaxation", {kLocalmax}},
                                                 {"--beta", {kSA, kUSA}},
                                                 {"--time", {kEmergence, kSA, kUSA}},
                                                 {"--step", {kEmergence, kSA, kUSA}},
                                                 {"--frames", {kEmergence, kSA, kUSA}}};
  refuse_idle_options(command, kind, options);
}

int simulate_command(SoftArguments& a, Context& context) {
  const Tokens tokens = load_tokens(a.tokens);
  const std::size_t d = tokens.values.cols();
  const Matrix<double> score = parse_matrix(a.a, d, "--A"), query = parse_matrix(a.q, d, "--Q"),
                       key = parse_matrix(a.k, d, "--K"), value = parse_matrix(a.v, d, "--V");
  a.options.alpha = step_of(a.alpha, tokens);
  a.options.a = score.view();
  a.options.q = query.view();
  a.options.k = key.view();
  a.options.v = value.view();
  const SoftRun run = run_soft(tokens.values.view(), a.options, context.arena());
  PageContext page = page_context("clustering simulate", tokens.subject, context);
  page.facts.push_back(tokens_fact(tokens));
  return deliver(soft_report(run, a.options, tokens.labels, page), context);
}

void add_soft_simulation(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "simulate", "Soft and continuous relatives: softmax, localmax, emergence of clusters, the sphere");
  auto a = std::make_shared<SoftArguments>();
  add_token_options(*command, a->tokens);
  command->add_option("--kind", a->kind, "softmax, localmax, emergence, sa or usa")
      ->type_name("KIND")
      ->capture_default_str();
  command->add_option("--alpha", a->alpha, "Step α (softmax, localmax; default: the demo's, or 1)")
      ->type_name("ALPHA");
  command->add_option("--temperature", a->options.temperature, "T of the softmax")
      ->type_name("T")
      ->capture_default_str();
  command
      ->add_option("--relaxation", a->options.relaxation,
                   "localmax: how far below the best score counts, relative")
      ->type_name("R")
      ->capture_default_str();
  command->add_option("--beta", a->options.beta, "β of sa and usa")->type_name("BETA")->capture_default_str();
  command->add_option("--layers", a->options.layers, "Layers (softmax, localmax)")
      ->check(above_zero())
      ->type_name("K")
      ->capture_default_str();
  command->add_option("--time", a->options.time, "End of time (emergence, sa, usa)")
      ->type_name("T")
      ->capture_default_str();
  command->add_option("--step", a->options.step, "RK4 step (default: by the system)")->type_name("DT");
  command->add_option("--frames", a->options.frames, "States kept (emergence, sa, usa)")
      ->check(above_zero())
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--distance", a->options.distance, "Tokens closer than this are one cluster, relative")
      ->type_name("E")
      ->capture_default_str();
  command->add_option("--A", a->a, "Score matrix (softmax, localmax): diag:…, or a file")
      ->type_name("MATRIX");
  command->add_option("--Q", a->q, "Query matrix (emergence, sa)")->type_name("MATRIX");
  command->add_option("--K", a->k, "Key matrix (emergence, sa)")->type_name("MATRIX");
  command->add_option("--V", a->v, "Value matrix (emergence, sa)")->type_name("MATRIX");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering simulate --demo gaussian --n 40 --kind softmax --temperature 0.05\n"
      "  telos clustering simulate --demo sphere --n 64 --d 3 --kind sa --beta 9 --time 50 --out sphere\n"
      "  telos clustering simulate --demo cube --n 20 --kind emergence --V diag:1,-0.5 --time 5");
  command->callback([&context, a, command] {
    a->options.kind = soft_kind_from(a->kind);
    refuse_idle_options(*command, a->options.kind);
    context.action = [&context, a] { return simulate_command(*a, context); };
  });
}

void add_phase(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "phase", "When do tokens on the sphere become one? Share of random systems over β and time");
  auto spec = std::make_shared<PhaseSpec>();
  command->add_flag("--usa", spec->unnormalised, "The unnormalised system");
  command->add_option("--n", spec->tokens, "Tokens")->type_name("N")->capture_default_str();
  command->add_option("--d", spec->dimension, "Dimension")->type_name("D")->capture_default_str();
  command->add_option("--systems", spec->systems, "Random systems for each β")
      ->check(above_zero())
      ->type_name("M")
      ->capture_default_str();
  command->add_option("--beta-from", spec->beta_from, "Smallest β")->type_name("B")->capture_default_str();
  command->add_option("--beta-to", spec->beta_to, "Largest β")->type_name("B")->capture_default_str();
  command->add_option("--betas", spec->betas, "How many")
      ->check(above_zero())
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--time", spec->time, "End of time")->type_name("T")->capture_default_str();
  command->add_option("--times", spec->times, "Times looked at")
      ->check(above_zero())
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--epsilon", spec->epsilon, "One cluster: all ⟨x_i, x_j⟩ ≥ 1 − ε")
      ->type_name("E")
      ->capture_default_str();
  command->add_option("--seed", spec->seed, "Seed")->type_name("S")->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos clustering phase --betas 10 --systems 16\n"
      "  telos clustering phase --n 32 --d 2 --systems 2048 --betas 90 --out phase");
  command->callback([&context, spec, command] {
    if (spec->betas == 1 && command->count("--beta-to") > 0)
      throw Error(ErrorKind::kUsage, "--beta-to", "a single β is that of --beta-from", "leave it out");
    context.action = [&context, spec] {
      return deliver(phase_report(phase_diagram(*spec, context.arena()),
                                  page_context("clustering phase", "sphere", context)),
                     context);
    };
  });
}

}  // namespace

void add_soft(CLI::App& group, Context& context) {
  add_soft_simulation(group, context);
  add_phase(group, context);
}

}  // namespace telos::cli
