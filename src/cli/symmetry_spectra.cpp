#include "cli/symmetry_spectra.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "cli/lists.h"
#include "telos/base/error.h"
#include "telos/io/table.h"
#include "telos/symmetry/token_kernel.h"

namespace telos::cli {
using namespace symmetry;

namespace {

const std::map<std::string, AttentionAverage> kNorms = {
    {"none", AttentionAverage::kNone}, {"1/L", AttentionAverage::kRoot}, {"1/L2", AttentionAverage::kMean}};

std::uint32_t parse_length(const std::string& text) {
  double value = 0;
  if (!parse_number(text, value) || !(value >= 1 && value <= kMaxLength) || value != std::floor(value))
    throw Error(
        ErrorKind::kUsage, "--length",
        fmt::format("expected whole numbers from 1 to {}, a list 8,16 or a range 8..512, found \"{}\"",
                    kMaxLength, printable(text, 40)));
  return static_cast<std::uint32_t>(value);
}

/// The block of the options.
SimplifiedBlock block_of(const SpectrumArguments& a) {
  SimplifiedBlock block = a.block;
  block.average = kNorms.at(a.norm);
  return block;
}

Kernel kernel_of(const SpectrumArguments& a) {
  return Kernel(load_architecture(a.architecture), a.vocabulary, {.ntk = a.ntk});
}

bool has_query(const SpectrumArguments& a) {
  return a.architecture.empty() ? a.block.query : symmetry::has_query(load_architecture(a.architecture));
}

EnumerationOptions enumeration_options(const SpectrumArguments& a, std::uint32_t length) {
  return {.vocabulary = a.vocabulary,
          .length = length,
          .queries = has_query(a) ? 1u : 0u,
          .law = parse_token_law(a.law)};
}

/// The first method that can.
std::string default_method(const SpectrumArguments& a, std::uint32_t length, bool query) {
  if (a.architecture.empty()) return "closed";
  const double sequences = std::pow(a.vocabulary, length + (query ? 1 : 0));
  if (sequences <= static_cast<double>(kMostEnumerated)) return "enumerate";
  if (query)
    throw Error(
        ErrorKind::kUsage, "--length",
        fmt::format("{} letters at {} positions and a query are {:.3g} sequences, expected at most {}",
                    a.vocabulary, length, sequences, kMostEnumerated),
        "take fewer letters or positions, or an architecture that reads the mean");
  return a.vocabulary == 2 && length <= kMostBinaryLength ? "binary" : "zonal";
}

}  // namespace

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

void refuse_idle_options(const CLI::App& command, const SpectrumArguments& a) {
  const std::vector<std::uint32_t> lengths = parse_lengths(a.lengths);
  for (const auto& [option, method] :
       {std::pair{"--degree", "binary"}, {"--pairs", "zonal"}, {"--seed", "zonal"}})
    if (command.count(option) > 0 && std::none_of(lengths.begin(), lengths.end(), [&, name = method](auto l) {
          return spectrum_method(a, l) == name;
        }))
      throw Error(ErrorKind::kUsage, option,
                  fmt::format("the method {} has no use for it", spectrum_method(a, lengths.front())),
                  fmt::format("it belongs to --method {}", method));
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

TokenLaw parse_token_law(const std::string& text, const char* option) {
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
  const TokenLaw law = parse_token_law(a.law);
  page.facts.push_back({"law",
                        std::isinf(law.alpha) ? std::string("independent uniform tokens")
                                              : fmt::format("urn (Pólya) · α {} · correlation {}", law.alpha,
                                                            format_number(law.correlation(a.vocabulary))),
                        "exchangeable"});
}

std::vector<OptionName> spectrum_options() {
  return {{"vocabulary", "--vocab", "letters V: --vocab 8"},
          {"length", "--length", "positions L: one, 8,16, or 8..512"},
          {"alpha", "--law", "iid, or polya:ALPHA with ALPHA above 0"},
          {"law", "--law", "iid, or polya:ALPHA with ALPHA above 0"},
          {"token variance", "--token", "a number of at least 0"},
          {"position variance", "--position", "a number of at least 0"},
          {"pairs", "--pairs", "random pairs: --pairs 20000"},
          {"zonal estimate", "--pairs", "take more --pairs"},
          {"kernel", "--arch", "independent or no position vectors, no causal mask beyond one block"},
          {"architecture", "--arch", "telos symmetry kernel --list"},
          {"spectrum", "--length", "fewer letters or positions"}};
}

std::string spectrum_method(const SpectrumArguments& a, std::uint32_t length) {
  const bool query = has_query(a);
  const std::string method = a.method.empty() ? default_method(a, length, query) : a.method;
  const auto refuse = [&](bool wrong, const char* what, const char* hint) {
    if (wrong) throw Error(ErrorKind::kUsage, "--method", fmt::format("{} takes {}", method, what), hint);
  };
  if (method == "closed")
    refuse(!a.architecture.empty(), "no --arch: only the simplified block has a closed form",
           "--method enumerate, binary or zonal");
  if (method == "closed" || method == "enumerate") return method;
  refuse(query, "no query", "--method enumerate, or an architecture that reads the mean");
  if (method == "binary") refuse(a.vocabulary != 2, "two letters: --vocab 2", "--method enumerate or zonal");
  if (method == "zonal")
    refuse(a.law != "iid", "uniform tokens: --law iid", "--method enumerate, or closed without --arch");
  return method;
}

Spectrum spectrum_by(const SpectrumArguments& a, std::uint32_t length, const Arena& arena) {
  const std::string method = spectrum_method(a, length);
  const TokenLaw law = parse_token_law(a.law);
  const bool given = !a.architecture.empty();
  if (method == "closed") return simplified_spectrum(block_of(a), a.vocabulary, length, law);
  if (method == "enumerate")
    return given ? enumerated_spectrum(kernel_of(a), enumeration_options(a, length), arena)
                 : enumerated_spectrum(simplified_kernel(block_of(a)), enumeration_options(a, length), arena);
  const TokenKernel kernel = given ? token_kernel(kernel_of(a)) : simplified_kernel(block_of(a));
  if (method == "binary") return binary_spectrum(kernel, length, law, a.degree);
  ZonalOptions zonal = a.zonal;
  zonal.vocabulary = a.vocabulary;
  zonal.length = length;
  return zonal_spectrum(kernel, zonal);
}

Enumeration enumeration_by(const SpectrumArguments& a, std::uint32_t length, const Arena& arena) {
  const EnumerationOptions options = enumeration_options(a, length);
  return a.architecture.empty() ? Enumeration(simplified_kernel(block_of(a)), options, arena)
                                : Enumeration(kernel_of(a), options, arena);
}

}  // namespace telos::cli
