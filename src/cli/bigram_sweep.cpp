// `telos bigram sweep`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/bigram.h"
#include "cli/lists.h"
#include "telos/base/error.h"
#include "telos/bigram/page.h"
#include "telos/io/files.h"
#include "telos/io/table.h"

namespace telos::cli {
namespace {

using namespace bigram;

/// "250:8000:x2" as numbers that grow by a factor; anything else as parse_numbers.
std::vector<double> growing_numbers(const std::string& text, const std::string& option) {
  const std::size_t factor_at = text.rfind(":x");
  if (factor_at == std::string::npos) return parse_numbers(text, option);
  const std::size_t colon = text.find(':');
  double low = 0, high = 0, factor = 0;
  if (colon >= factor_at || !parse_number(text.substr(0, colon), low) ||
      !parse_number(text.substr(colon + 1, factor_at - colon - 1), high) ||
      !parse_number(text.substr(factor_at + 2), factor) || !(low > 0) || !(high >= low) || !(factor > 1))
    throw Error(ErrorKind::kUsage, option,
                fmt::format("expected LOW:HIGH:xFACTOR, found \"{}\"", printable(text, 40)));
  std::vector<double> numbers;
  for (double x = low; x <= high * (1 + 1e-12) && numbers.size() < 100; x *= factor) numbers.push_back(x);
  return numbers;
}

template <class T>
std::vector<T> whole_numbers(const std::string& text, const std::string& option) {
  std::vector<T> numbers;
  for (const double x : growing_numbers(text, option)) {
    if (!(x >= 1) || x != std::floor(x) || x > 0x1p53)
      throw Error(ErrorKind::kUsage, option,
                  fmt::format("expected whole numbers of at least 1, found {}", x));
    numbers.push_back(static_cast<T>(x));
  }
  return numbers;
}

/// "2/3": the second of three.
SweepShard parse_shard(const std::string& text) {
  const std::size_t slash = text.find('/');
  double index = 0, count = 0;
  if (slash == std::string::npos || !parse_number(text.substr(0, slash), index) ||
      !parse_number(text.substr(slash + 1), count) || !(index >= 1 && index <= count && count <= 100000) ||
      index != std::floor(index) || count != std::floor(count))
    throw Error(ErrorKind::kUsage, "--shard",
                fmt::format("expected I/K with I from 1 to K, found \"{}\"", printable(text, 40)));
  return {static_cast<std::size_t>(index) - 1, static_cast<std::size_t>(count)};
}

struct SweepArguments {
  std::string tokens = "3", lengths = "250,1000,4000", sparsities = "2", seeds = "1:7",
              methods = "scb,transfer,moments", shard = "1/1";
  SweepOptions options;
};

/// Refuses options that none of the methods reads.
void refuse_idle_options(const CLI::App& command, const std::vector<std::string>& methods) {
  const auto refuse_unless = [&command](bool read, std::initializer_list<const char*> options,
                                        const char* why) {
    for (const char* option : options)
      if (!read && command.count(option) > 0)
        throw Error(ErrorKind::kUsage, option, why, "leave it out, or name another of the --methods");
  };
  const bool descends = std::ranges::any_of(methods, [](const std::string& m) { return m != "moments"; });
  refuse_unless(descends, {"--eta", "--l1", "--batch"}, "moments has no descent, and no use for it");
  refuse_unless(std::ranges::find(methods, "transfer") != methods.end(), {"--share"},
                "only transfer has a use for it");
}

int run_sweep(SweepArguments a, Context& context) {
  SweepOptions& o = a.options;
  o.tokens = whole_numbers<std::size_t>(a.tokens, "--n");
  o.lengths = whole_numbers<std::size_t>(a.lengths, "--t");
  o.sparsities = whole_numbers<std::size_t>(a.sparsities, "--q");
  o.seeds = whole_numbers<std::uint64_t>(a.seeds, "--seeds");
  o.methods = split_list(a.methods);
  const SweepShard shard = parse_shard(a.shard);
  sweep_runs(o);  // refuses before a folder is made
  if (shard.count > 1 && context.out_directory.empty())
    throw Error(ErrorKind::kUsage, "--shard", "there is no folder for its runs", "name it with --out");
  if (!context.out_directory.empty()) const RunFolder folder(context.out_directory);
  const std::vector<SweepRun> runs = sweep(o, shard, context.out_directory, context.arena());
  const std::string subject =
      shard.count == 1 ? std::string("random tasks") : fmt::format("random tasks, shard {}", a.shard);
  return deliver(sweep_report(o, runs, page_context("bigram sweep", subject, context)), context);
}

}  // namespace

void add_bigram_sweep(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "sweep",
      "How many samples it takes, over sizes, methods and random tasks; goes on with what --out holds");
  auto a = std::make_shared<SweepArguments>();
  const auto list = [&](const char* name, std::string& value, const char* text) {
    command->add_option(name, value, text)->type_name("LIST")->capture_default_str();
  };
  list("--n", a->tokens, "Tokens N");
  list("--t", a->lengths, "Positions T: a list, or LOW:HIGH:xFACTOR");
  list("--q", a->sparsities, "Positions Q that a last token looks at");
  list("--seeds", a->seeds, "Seeds, each a random task and its samples");
  list("--methods", a->methods, "Of scb, transfer, moments, nonneg, psgd");
  SweepOptions& o = a->options;
  add_batch(*command, o.batch);
  add_eta(*command, o.eta);
  command->add_option("--l1", o.threshold, "Soft threshold c, in units of η‖V − μ1ᵀ‖")
      ->type_name("C")
      ->capture_default_str();
  command->add_option("--p", o.concentration, "Concentration of the Dirichlet law of P's columns")
      ->type_name("A")
      ->capture_default_str();
  command
      ->add_option("--share", o.share, "transfer: share of unrelated transitions in the task learned before")
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--samples", o.samples, "Most samples of a run")->type_name("M")->capture_default_str();
  command
      ->add_option("--shard", a->shard,
                   "I/K: every K-th run from the I-th on; a last call without it puts them together")
      ->type_name("I/K")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram sweep --n 3,5 --t 250:4000:x2 --q 2 --seeds 1:7 --out sweep\n"
      "  telos bigram sweep --methods scb,moments --t 500,2000 --shard 1/2 --out sweep");
  command->callback([&context, a, command] {
    refuse_idle_options(*command, split_list(a->methods));
    context.action = [&context, a] { return run_sweep(*a, context); };
  });
}

}  // namespace telos::cli
