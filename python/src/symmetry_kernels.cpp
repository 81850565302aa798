#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "module.h"
#include "telos/base/error.h"
#include "telos/symmetry/enumeration.h"
#include "telos/symmetry/gpr.h"
#include "telos/symmetry/gram.h"
#include "telos/symmetry/kernel_learning.h"
#include "telos/symmetry/learning_page.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

using namespace symmetry;

using Labels = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;

Sequences sequences_of(const nb::object& rows, std::size_t vocabulary, const char* name = "X") {
  Sequences s{.items = token_rows(rows, name), .vocabulary = vocabulary};
  if (vocabulary == 0)
    for (const auto& tokens : s.items)
      s.vocabulary = std::max<std::size_t>(s.vocabulary, std::size_t{*std::ranges::max_element(tokens)} + 1);
  return s;
}

Matrix<double> matrix_of(const Labels& values) {
  if (values.ndim() != 1 && values.ndim() != 2) throw nb::value_error("y has one or two dimensions");
  Matrix<double> m(values.shape(0), values.ndim() == 2 ? values.shape(1) : 1);
  std::copy_n(values.data(), m.size(), m.data());
  return m;
}

/// What regression with the Gaussian process of an infinitely wide transformer finds. It never changes, so
/// that threads may predict with it while the estimator that holds it is fitted anew.
class Posterior {
 public:
  /// `vocabulary` 0: any token, also one that no sample has.
  Posterior(symmetry::Architecture architecture, Sequences samples, Matrix<double> labels, bool single,
            double ridge, bool ntk, std::size_t vocabulary, const Arena& arena)
      : ntk_(ntk),
        single_(single),
        vocabulary_(vocabulary),
        samples_(std::move(samples)),
        labels_(std::move(labels)),
        kernel_(one_kernel(std::move(architecture), samples_.vocabulary, ntk)),
        process_(gram(kernel_, samples_, {.ntk = ntk}, arena).values().copy(), ridge, arena),
        weights_(process_.weights(labels_, arena)) {}

  nb::object predict(const nb::object& x, bool return_std, int threads) const {
    const Sequences rows = sequences_of(x, vocabulary_);
    Matrix<double> mean;
    std::vector<double> deviation;
    {
      const Working working;
      const Arena arena = arena_of(threads);
      const Kernel kernel = kernel_of(rows);
      const Gram cross = gram(kernel, rows, samples_, {.ntk = ntk_}, arena);
      mean = symmetry::predict(cross.values(), weights_, arena);
      if (return_std) deviation = deviations(kernel, rows, cross.values(), arena);
    }
    const std::vector<double> values(mean.data(), mean.data() + mean.size());
    const nb::object out = nb::cast(single_ ? to_numpy(values) : to_numpy(values, mean.rows(), mean.cols()));
    if (!return_std) return out;
    return nb::make_tuple(out, to_numpy(deviation));
  }

  /// Tokens of each sample, where all have as many.
  std::optional<std::size_t> length() const {
    if (samples_.shortest() != samples_.longest()) return std::nullopt;
    return samples_.longest();
  }

  /// What the same is made of again: architecture, X, y, ridge, ntk, vocabulary.
  nb::tuple state() const {
    const std::vector<double> labels(labels_.data(), labels_.data() + labels_.size());
    return nb::make_tuple(to_json(kernel_.architecture()), samples_.items,
                          single_ ? to_numpy(labels) : to_numpy(labels, labels_.rows(), labels_.cols()),
                          process_.ridge(), ntk_, vocabulary_);
  }

 private:
  static Kernel one_kernel(symmetry::Architecture architecture, std::size_t vocabulary, bool ntk) {
    Kernel kernel(std::move(architecture), vocabulary, {.ntk = ntk});
    require_one_kernel(kernel);
    return kernel;
  }

  Kernel kernel_of(const Sequences& rows) const {
    if (vocabulary_ != 0 || rows.vocabulary <= kernel_.vocabulary()) return kernel_;
    return {kernel_.architecture(), rows.vocabulary, kernel_.options()};
  }

  std::vector<double> deviations(const Kernel& kernel, const Sequences& rows, const Matrix<double>& cross,
                                 const Arena& arena) const {
    std::vector<double> prior;
    for (const auto& tokens : rows.items) {
      const KernelValue value = kernel(tokens, tokens);
      prior.push_back(ntk_ ? value.ntk : value.nngp);
    }
    std::vector<double> out = process_.variances(cross, prior, arena);
    for (double& v : out) v = std::sqrt(std::max(v, 0.0));
    return out;
  }

  bool ntk_, single_;
  std::size_t vocabulary_;
  Sequences samples_;
  Matrix<double> labels_;
  Kernel kernel_;
  GaussianProcess process_;
  Matrix<double> weights_;
};

void make_posterior(Posterior* at, symmetry::Architecture architecture, const nb::object& x, const Labels& y,
                    double ridge, bool ntk, std::size_t vocabulary, int threads) {
  Sequences samples = sequences_of(x, vocabulary);
  Matrix<double> labels = matrix_of(y);
  if (labels.rows() != samples.size())
    throw nb::value_error(
        ("y has " + std::to_string(labels.rows()) + " rows, X has " + std::to_string(samples.size()))
            .c_str());
  const bool single = y.ndim() == 1;
  const Working working;
  new (at) Posterior(std::move(architecture), std::move(samples), std::move(labels), single, ridge, ntk,
                     vocabulary, arena_of(threads));
}

void bind_posterior(nb::module_& m) {
  nb::class_<Posterior>(m, "WidePosterior",
                        "What WideTransformerRegressor.fit finds; it never changes. Its pickle holds the "
                        "samples, and loading one fits again.")
      .def(
          "__init__",
          [](Posterior* at, const nb::object& x, const Labels& y, const std::filesystem::path& architecture,
             double ridge, bool ntk, std::size_t vocabulary, int threads) {
            make_posterior(at, load_architecture(architecture.string()), x, y, ridge, ntk, vocabulary,
                           threads);
          },
          nb::arg("X"), nb::arg("y"), nb::kw_only(), nb::arg("architecture"), nb::arg("ridge"),
          nb::arg("ntk"), nb::arg("vocabulary"), nb::arg("threads"))
      .def("predict", &Posterior::predict, nb::arg("X"), nb::kw_only(), nb::arg("return_std"),
           nb::arg("threads"))
      .def_prop_ro("length", &Posterior::length, "Tokens of each sample, None where they differ.")
      .def("__getstate__", &Posterior::state)
      .def("__setstate__",
           [](Posterior& at,
              const std::tuple<std::string, nb::object, Labels, double, bool, std::size_t>& state) {
             const auto& [architecture, x, y, ridge, ntk, vocabulary] = state;
             make_posterior(&at, parse_architecture(architecture, "architecture"), x, y, ridge, ntk,
                            vocabulary, 0);
           });
}

void bind_gram(nb::module_& m) {
  m.def(
      "gram",
      [](const nb::object& x, const std::optional<nb::object>& y, const std::filesystem::path& architecture,
         bool ntk, std::size_t vocabulary, std::optional<std::uint32_t> pad, const std::string& precision,
         std::size_t samples, std::uint64_t seed, int threads) {
        if (precision != "f64" && precision != "f32") throw nb::value_error("precision is 'f64' or 'f32'");
        const Sequences rows = sequences_of(x, vocabulary);
        Sequences columns;
        if (y) columns = sequences_of(*y, vocabulary, "Y");
        std::optional<Gram> values;
        {
          const Working working;
          const Arena arena = arena_of(threads);
          symmetry::Architecture a = load_architecture(architecture.string());
          if (pad) a.padding = pad;
          const Kernel kernel(a, std::max(rows.vocabulary, columns.vocabulary),
                              {.ntk = ntk,
                               .samples = samples,
                               .seed = seed,
                               .precision = precision == "f32" ? Precision::kSingle : Precision::kDouble});
          const GramOptions options{.ntk = ntk};
          values = y ? gram(kernel, rows, columns, options, arena) : gram(kernel, rows, options, arena);
        }
        return to_numpy(values->values());
      },
      nb::arg("X"), nb::arg("Y") = nb::none(), nb::kw_only(), nb::arg("architecture") = "pre-ln-relu",
      nb::arg("ntk") = false, nb::arg("vocabulary") = 0, nb::arg("pad") = nb::none(),
      nb::arg("precision") = "f64", nb::arg("samples") = 2000, nb::arg("seed") = 1, nb::arg("threads") = 0,
      "NNGP kernel (or NTK) of an infinitely wide transformer on pairs of token sequences.\n\n"
      "architecture: a name of `telos symmetry kernel --list`, or the path of a JSON file. pad: the token "
      "id that stands for padding. precision: 'f32' computes pairs in single precision where that pays. "
      "Raises telos.Error.");
}

TokenLaw law_of(const std::optional<double>& alpha) {
  return alpha ? TokenLaw{*alpha} : TokenLaw{};
}

void bind_predict(nb::module_& m) {
  m.def(
      "predict",
      [](const std::string& target, std::uint32_t vocabulary, std::uint32_t length,
         std::optional<double> alpha, const std::optional<std::filesystem::path>& architecture,
         std::optional<bool> ntk, std::optional<double> token, std::optional<double> position, double noise,
         std::optional<double> ridge, double theta, int threads) {
        for (const auto& [given, name] : {std::pair(ntk.has_value() && !architecture, "ntk"),
                                          std::pair(token.has_value() && architecture, "token"),
                                          std::pair(position.has_value() && architecture, "position")})
          if (given)
            throw Error(ErrorKind::kUsage, name,
                        architecture
                            ? "belongs to the block with linear attention, which architecture replaces"
                            : "belongs to an architecture, and none is named");
        const Arena arena = arena_of(threads);
        const Working working;
        const TokenLaw law = law_of(alpha);
        PredictOptions options{.noise = noise, .ridge = ridge.value_or(noise), .theta = theta};
        Target parsed = parse_target(target, vocabulary, length, law);
        Prediction p;
        if (architecture) {
          const Kernel kernel(load_architecture(architecture->string()), vocabulary,
                              {.ntk = ntk.value_or(false)});
          const Enumeration all(kernel, {.vocabulary = vocabulary, .length = length, .law = law}, arena);
          p = symmetry::predict(all, std::move(parsed), options);
        } else {
          p = symmetry::predict(
              simplified_spectrum({.token = token.value_or(1), .position = position.value_or(0.5)},
                                  vocabulary, length, law),
              std::move(parsed), options);
        }
        return predict_report({&p, 1}, {.command = "symmetry predict", .subject = target});
      },
      nb::arg("target"), nb::arg("vocabulary"), nb::arg("length"), nb::kw_only(),
      nb::arg("alpha") = nb::none(), nb::arg("architecture") = nb::none(), nb::arg("ntk") = nb::none(),
      nb::arg("token") = nb::none(), nb::arg("position") = nb::none(), nb::arg("noise") = 0.01,
      nb::arg("ridge") = nb::none(), nb::arg("theta") = 0.5, nb::arg("threads") = 0,
      "How many samples a target takes by irrep: a report. Of the block with linear attention (token and "
      "position are its weights, 1 and 0.5 if not given), or of an architecture as in gram(), on all "
      "sequences, at most 4,096.\n\n"
      "target: 'copy:b', 'count:v', 'majority', 'bigram', 'pair:a,b'; alpha: of an urn, else uniform "
      "tokens.");
}

}  // namespace

void bind_symmetry_kernels(nb::module_& m) {
  bind_gram(m);
  bind_posterior(m);
  bind_predict(m);
}

}  // namespace telos::python
