#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/lists.h"
#include "cli/symmetry.h"
#include "cli/symmetry_spectra.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/io/table.h"
#include "telos/symmetry/learning_page.h"

namespace telos::cli {
using namespace symmetry;

namespace {

struct PredictArguments {
  SpectrumArguments kernel;
  std::string target = "copy:0", test_law;
  std::optional<double> ridge{};
  PredictOptions options;
};

/// The law of --test-law: an urn, or a chain in which the next token is the same with probability mu.
struct TestLaw {
  bool given = false;
  TokenLaw urn{};
  std::optional<double> mu{};

  Matrix<double> correlation(std::uint32_t length, std::uint32_t vocabulary) const {
    if (!given) return {};
    return mu ? sticky_correlation(length, *mu) : urn_correlation(length, urn.correlation(vocabulary));
  }
  double probability(std::span<const std::uint32_t> tokens, std::uint32_t vocabulary) const {
    if (mu) return sticky_probability(tokens, vocabulary, *mu);
    std::vector<std::uint32_t> counts(vocabulary);
    for (const std::uint32_t token : tokens) ++counts[token];
    return urn.probability(counts);
  }
};

TestLaw parse_test_law(const PredictArguments& a) {
  const std::string sticky = "sticky:";
  TestLaw law{.given = !a.test_law.empty()};
  if (!law.given) return law;
  if (a.test_law.rfind(sticky, 0) != 0) {
    law.urn = parse_token_law(a.test_law, "--test-law");
    return law;
  }
  law.mu = -1;
  if (!parse_number(a.test_law.substr(sticky.size()), *law.mu) || !(*law.mu >= 0 && *law.mu <= 1))
    throw Error(
        ErrorKind::kUsage, "--test-law",
        fmt::format("expected sticky:MU with MU from 0 to 1, found \"{}\"", printable(a.test_law, 40)));
  return law;
}

bool is_npy(const std::string& target) {
  return target.size() > 4 && target.compare(target.size() - 4, 4, ".npy") == 0;
}

Target target_at(const PredictArguments& a, std::uint32_t length) {
  const TokenLaw law = parse_token_law(a.kernel.law);
  if (!is_npy(a.target)) return parse_target(a.target, a.kernel.vocabulary, length, law);
  const Matrix<double> w = read_npy(a.target);
  if (w.rows() != length || w.cols() != a.kernel.vocabulary)
    throw Error(ErrorKind::kShape, a.target,
                fmt::format("is {} × {}, expected positions × letters, {} × {}", w.rows(), w.cols(), length,
                            a.kernel.vocabulary),
                fmt::format("--length {} --vocab {}", w.rows(), w.cols()));
  return linear_target(a.target, w, law);
}

Prediction predict_at(const PredictArguments& a, std::uint32_t length, const Arena& arena) {
  const TestLaw test = parse_test_law(a);
  Target target = target_at(a, length);
  if (spectrum_method(a.kernel, length) != "enumerate")
    return predict(spectrum_by(a.kernel, length, arena), std::move(target), a.options,
                   test.correlation(length, a.kernel.vocabulary));
  const Enumeration all = enumeration_by(a.kernel, length, arena);
  std::vector<double> law;
  if (test.given)
    law = all.probabilities_under(
        [&](std::span<const std::uint32_t> x) { return test.probability(x, a.kernel.vocabulary); });
  return predict(all, std::move(target), a.options, law);
}

/// What the library calls the options.
std::vector<OptionName> predict_options() {
  std::vector<OptionName> options = spectrum_options();
  for (const OptionName& option :
       {OptionName{"target", "--target", "copy:POSITION, count:LETTER, majority, bigram, pair:A,B or a .npy"},
        OptionName{"noise", "--noise", "a variance: --noise 0.01"},
        OptionName{"ridge", "--ridge", "a variance, 0 for none: --ridge 0.01"},
        OptionName{"theta", "--theta", "a share between 0 and 1: --theta 0.5"},
        OptionName{"correlation", "--test-law", "iid, polya:ALPHA or sticky:MU"}})
    options.push_back(option);
  return options;
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
      "  telos symmetry spectrum --vocab 2 --length 32 --method binary --degree 2\n"
      "  telos symmetry spectrum --arch pre-ln-relu --vocab 3 --length 4");
  command->callback([&context, a, command] {
    context.action = [&context, a, command] {
      return with_option_names(spectrum_options(), [&] {
        refuse_idle_options(*command, *a);
        std::vector<Spectrum> spectra;
        for (const std::uint32_t length : parse_lengths(a->lengths))
          spectra.push_back(spectrum_by(*a, length, context.arena()));
        PageContext page = page_context(
            "symmetry spectrum", a->architecture.empty() ? "simplified block" : a->architecture, context);
        add_kernel_facts(*a, page);
        return deliver(spectrum_report(spectra, page), context);
      });
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
      "  telos symmetry predict --vocab 8 --length 16 --target bigram --out predict\n"
      "  telos symmetry predict --arch relu-attention --ntk --vocab 3 --length 4 --target bigram");
  command->callback([&context, a, command] {
    context.action = [&context, a, command] {
      return with_option_names(predict_options(), [&] {
        refuse_idle_options(*command, a->kernel);
        a->options.ridge = a->ridge.value_or(a->options.noise);
        std::vector<Prediction> predictions;
        for (const std::uint32_t length : parse_lengths(a->kernel.lengths))
          predictions.push_back(predict_at(*a, length, context.arena()));
        PageContext page = page_context("symmetry predict", a->target, context);
        add_kernel_facts(a->kernel, page);
        if (!a->test_law.empty()) page.facts.push_back({"test", a->test_law, "another law"});
        return deliver(predict_report(predictions, page), context);
      });
    };
  });
}

}  // namespace telos::cli
