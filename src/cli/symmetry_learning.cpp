#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/lists.h"
#include "cli/symmetry.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/io/table.h"
#include "telos/symmetry/enumeration.h"
#include "telos/symmetry/learning_page.h"
#include "telos/symmetry/token_kernel.h"

namespace telos::cli {
using namespace symmetry;

namespace {

/// Kernel, law, sizes, and how the spectrum is found, of both commands.
struct SpectrumArguments {
  SimplifiedBlock block;
  std::string norm = "1/L2", law = "iid", lengths = "8";
  std::uint32_t vocabulary = 8;
  std::string architecture, method;  // method: default_method() where empty
  bool ntk = false;
  std::uint32_t degree = std::numeric_limits<std::uint32_t>::max();
  ZonalOptions zonal;
};

const std::map<std::string, AttentionAverage> kNorms = {
    {"none", AttentionAverage::kNone}, {"1/L", AttentionAverage::kRoot}, {"1/L2", AttentionAverage::kMean}};

void add_spectrum_source(CLI::App& command, SpectrumArguments& a) {
  command.add_option("--vocab", a.vocabulary, "Letters V")->type_name("V")->capture_default_str();
  command.add_option("--length", a.lengths, "Positions L: one, a list 8,16, or 8..512 in doubling steps")
      ->type_name("L")
      ->capture_default_str();
  command.add_option("--law", a.law, "Tokens: iid (uniform), or polya:ALPHA, an urn")
      ->type_name("LAW")
      ->capture_default_str();
  command.add_option("--token", a.block.token, "Variance of the token embeddings")
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--position", a.block.position, "Variance of the position embeddings; 0: none")
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--norm", a.norm, "What the sum over pairs of positions is multiplied by")
      ->check(CLI::IsMember({"none", "1/L", "1/L2"}))
      ->type_name("N")
      ->capture_default_str();
  command.add_flag("--query", a.block.query, "A query token after the L, uniform and independent");
  command
      .add_option("--method", a.method,
                  "closed form; enumerate all sequences; binary: two letters at large L; zonal: random pairs "
                  "(default: closed without --arch; else the first of the others that can)")
      ->check(CLI::IsMember({"closed", "enumerate", "binary", "zonal"}));
  CLI::Option* const architecture = command.add_option("--arch", a.architecture,
                                                       "Instead of the simplified block: an architecture, a "
                                                       "name (telos symmetry kernel --list) or a JSON file");
  architecture->type_name("NAME|FILE");
  for (const char* const option : {"--token", "--position", "--norm", "--query"})
    architecture->excludes(command.get_option(option));
  command.add_flag("--ntk", a.ntk, "The neural tangent kernel of --arch instead of its NNGP kernel")
      ->needs(architecture);
  command.add_option("--degree", a.degree, "binary: highest degree")->type_name("M");
  command.add_option("--pairs", a.zonal.pairs, "zonal: random pairs")
      ->check(CLI::Range(2, 100'000'000))
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--seed", a.zonal.seed, "zonal: seed")->type_name("S")->capture_default_str();
}

std::uint32_t parse_length(const std::string& text) {
  double value = 0;
  if (!parse_number(text, value) || !(value >= 1 && value <= kMaxLength) || value != std::floor(value))
    throw Error(
        ErrorKind::kUsage, "--length",
        fmt::format("expected whole numbers from 1 to {}, a list 8,16 or a range 8..512, found \"{}\"",
                    kMaxLength, printable(text, 40)));
  return static_cast<std::uint32_t>(value);
}

std::vector<std::uint32_t> parse_lengths(const std::string& text) {
  std::vector<std::uint32_t> lengths;
  for (const std::string& part : split_list(text)) {
    const std::size_t dots = part.find("..");
    const std::uint32_t first = parse_length(part.substr(0, dots));
    const std::uint32_t last = dots == std::string::npos ? first : parse_length(part.substr(dots + 2));
    for (std::uint32_t length = first; length <= last; length *= 2) lengths.push_back(length);
    if (last < first)
      throw Error(ErrorKind::kUsage, "--length", fmt::format("the range {} is empty", printable(part, 40)));
  }
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  if (lengths.empty()) parse_length(text);
  return lengths;
}

TokenLaw parse_law(const std::string& text, const char* option = "--law") {
  if (text == "iid") return {};
  TokenLaw law;
  if (text.rfind("polya:", 0) != 0 || !parse_number(text.substr(6), law.alpha) || !(law.alpha > 0) ||
      !std::isfinite(law.alpha))
    throw Error(
        ErrorKind::kUsage, option,
        fmt::format("expected iid, or polya:ALPHA with ALPHA above 0, found \"{}\"", printable(text, 40)));
  return law;
}

void add_kernel_facts(const SpectrumArguments& a, PageContext& page) {
  if (a.architecture.empty())
    page.facts.push_back(
        {"kernel",
         fmt::format("linear attention, linear activations · token {} · position {} · norm {}{}",
                     a.block.token, a.block.position, a.norm, a.block.query ? " · query" : ""),
         "one block, independent positions"});
  else
    page.facts.push_back(
        {"architecture", describe(load_architecture(a.architecture)), a.ntk ? "NTK" : "NNGP kernel"});
  const TokenLaw law = parse_law(a.law);
  page.facts.push_back({"law",
                        std::isinf(law.alpha) ? std::string("independent uniform tokens")
                                              : fmt::format("urn (Pólya) · α {} · correlation {}", law.alpha,
                                                            format_number(law.correlation(a.vocabulary))),
                        "exchangeable"});
}

/// How to get at the eigenvalues where --method does not say.
std::string default_method(const SpectrumArguments& a, std::uint32_t length, bool query) {
  if (a.architecture.empty()) return "closed";
  const double sequences = std::pow(a.vocabulary, length + (query ? 1 : 0));
  if (sequences <= static_cast<double>(kMostEnumerated)) return "enumerate";
  if (query)
    throw Error(ErrorKind::kUsage, "--length",
                fmt::format("{} letters at {} positions and a query are more than {} sequences", a.vocabulary,
                            length, kMostEnumerated),
                "take fewer, or an architecture that reads the mean");
  return a.vocabulary == 2 && length <= kMostBinaryLength ? "binary" : "zonal";
}

Spectrum spectrum_by(const SpectrumArguments& a, std::uint32_t length, const Arena& arena) {
  const TokenLaw law = parse_law(a.law);
  const bool given = !a.architecture.empty();
  TokenKernel kernel;
  bool query = a.block.query;
  if (given) {
    const symmetry::Architecture architecture = load_architecture(a.architecture);
    kernel = token_kernel(Kernel(architecture, a.vocabulary, {.ntk = a.ntk}));
    query = has_query(architecture);
  } else {
    kernel = simplified_kernel(a.block);
  }
  const std::string method = a.method.empty() ? default_method(a, length, query) : a.method;
  const auto refuse = [&](bool wrong, const char* what) {
    if (wrong) throw Error(ErrorKind::kUsage, "--method", fmt::format("{} takes {}", method, what));
  };
  if (method == "closed") {
    refuse(given, "no --arch: only the simplified block has a closed form");
    return simplified_spectrum(a.block, a.vocabulary, length, law);
  }
  if (method == "enumerate")
    return enumerated_spectrum(
        kernel, {.vocabulary = a.vocabulary, .length = length, .queries = query ? 1u : 0u, .law = law},
        arena);
  refuse(query, "no query");
  if (method == "binary") {
    refuse(a.vocabulary != 2, "two letters: --vocab 2");
    return binary_spectrum(kernel, length, law, a.degree);
  }
  refuse(!std::isinf(law.alpha), "uniform tokens: --law iid");
  ZonalOptions zonal = a.zonal;
  zonal.vocabulary = a.vocabulary;
  zonal.length = length;
  return zonal_spectrum(kernel, zonal);
}

struct PredictArguments {
  SpectrumArguments kernel;
  std::string target = "copy:0", ridge, test_law;
  PredictOptions options;
};

/// Of the test; empty without one.
Matrix<double> parse_test_law(const PredictArguments& a, std::uint32_t length) {
  const std::string sticky = "sticky:";
  if (a.test_law.empty()) return {};
  if (a.test_law.rfind(sticky, 0) != 0)
    return urn_correlation(length, parse_law(a.test_law, "--test-law").correlation(a.kernel.vocabulary));
  double mu = -1;
  if (!parse_number(a.test_law.substr(sticky.size()), mu) || !(mu >= 0 && mu <= 1))
    throw Error(
        ErrorKind::kUsage, "--test-law",
        fmt::format("expected sticky:MU with MU from 0 to 1, found \"{}\"", printable(a.test_law, 40)));
  return sticky_correlation(length, mu);
}

bool is_npy(const std::string& target) {
  return target.size() > 4 && target.compare(target.size() - 4, 4, ".npy") == 0;
}

Prediction predict_at(const PredictArguments& a, std::uint32_t length, const Arena& arena) {
  const TokenLaw law = parse_law(a.kernel.law);
  Spectrum spectrum = spectrum_by(a.kernel, length, arena);
  const Matrix<double> correlation = parse_test_law(a, length);
  if (!is_npy(a.target))
    return predict(std::move(spectrum), parse_target(a.target, a.kernel.vocabulary, length, law), a.options,
                   correlation);
  const Matrix<double> w = read_npy(a.target);
  if (w.rows() != length || w.cols() != a.kernel.vocabulary)
    throw Error(ErrorKind::kShape, a.target,
                fmt::format("is {} × {}, expected positions × letters, {} × {}", w.rows(), w.cols(), length,
                            a.kernel.vocabulary),
                fmt::format("--length {} --vocab {}", w.rows(), w.cols()));
  return predict(std::move(spectrum), linear_target(a.target, w, law), a.options, correlation);
}

}  // namespace

void add_symmetry_spectrum(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "spectrum", "Eigenvalues of a kernel by irrep: what is learned first, and what last");
  auto a = std::make_shared<SpectrumArguments>();
  add_spectrum_source(*command, *a);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry spectrum --law polya:1.0 --vocab 8 --length 8..512\n"
      "  telos symmetry spectrum --vocab 3 --length 4 --query --norm none --method enumerate\n"
      "  telos symmetry spectrum --arch block.json --vocab 2 --length 32 --degree 2");
  command->callback([&context, a] {
    context.action = [&context, a] {
      a->block.average = kNorms.at(a->norm);
      std::vector<Spectrum> spectra;
      for (const std::uint32_t length : parse_lengths(a->lengths))
        spectra.push_back(spectrum_by(*a, length, context.arena()));
      PageContext page = page_context(
          "symmetry spectrum", a->architecture.empty() ? "simplified block" : a->architecture, context);
      add_kernel_facts(*a, page);
      return deliver(spectrum_report(spectra, page), context);
    };
  });
}

void add_symmetry_predict(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("predict", "How many samples a target takes, by irrep and by length");
  auto a = std::make_shared<PredictArguments>();
  add_spectrum_source(*command, a->kernel);
  command
      ->add_option(
          "--target", a->target,
          "copy:POSITION, count:LETTER, majority, bigram, pair:A,B, or a .npy of positions × letters")
      ->type_name("T")
      ->capture_default_str();
  command->add_option("--noise", a->options.noise, "Variance of the noise on the target")
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--ridge", a->ridge, "Ridge of the regression; as the noise if not given")
      ->type_name("R");
  command->add_option("--theta", a->options.theta, "Share that is to be learned")
      ->type_name("T")
      ->capture_default_str();
  command
      ->add_option("--test-law", a->test_law,
                   "Also the error under another law: iid, polya:ALPHA or sticky:MU")
      ->type_name("LAW");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos symmetry predict --vocab 64 --length 8..512 --target copy:3 --noise 0.01 --theta 0.5\n"
      "  telos symmetry predict --vocab 8 --length 16 --target bigram --out predict");
  command->callback([&context, a] {
    context.action = [&context, a] {
      a->kernel.block.average = kNorms.at(a->kernel.norm);
      a->options.ridge = a->ridge.empty() ? a->options.noise : parse_numbers(a->ridge, "--ridge").front();
      std::vector<Prediction> predictions;
      for (const std::uint32_t length : parse_lengths(a->kernel.lengths))
        predictions.push_back(predict_at(*a, length, context.arena()));
      PageContext page = page_context("symmetry predict", a->target, context);
      add_kernel_facts(a->kernel, page);
      return deliver(predict_report(predictions, page), context);
    };
  });
}

}  // namespace telos::cli
