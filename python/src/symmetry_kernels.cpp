#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
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

/// Rows of an integer array, or lists of any lengths.
Sequences sequences_of(const nb::object& rows, std::size_t vocabulary) {
  Sequences s;
  for (const nb::handle row : rows) {
    std::vector<Token> tokens;
    for (const nb::handle token : row)
      tokens.push_back(static_cast<Token>(nb::cast<std::uint32_t>(nb::int_(token))));
    for (const Token token : tokens)
      s.vocabulary = std::max<std::size_t>(s.vocabulary, std::size_t{token} + 1);
    s.items.push_back(std::move(tokens));
  }
  if (vocabulary != 0) s.vocabulary = vocabulary;
  return s;
}

Matrix<double> matrix_of(const Labels& values) {
  if (values.ndim() != 1 && values.ndim() != 2) throw nb::value_error("y has one or two dimensions");
  Matrix<double> m(values.shape(0), values.ndim() == 2 ? values.shape(1) : 1);
  std::copy_n(values.data(), m.size(), m.data());
  return m;
}

/// Gram matrix of an architecture.
Matrix<double> values_of(Gram g) {
  return g.values().copy();
}

/// Regression with the Gaussian process of an infinitely wide transformer, as scikit-learn's estimators.
class WideRegressor {
 public:
  WideRegressor(std::string architecture, double ridge, bool ntk, std::size_t vocabulary, int threads)
      : architecture_(std::move(architecture)),
        ridge_(ridge),
        ntk_(ntk),
        vocabulary_(vocabulary),
        threads_(threads) {}

  void fit(const nb::object& x, const Labels& y) {
    samples_ = sequences_of(x, vocabulary_);
    const Matrix<double> labels = matrix_of(y);
    single_ = y.ndim() == 1;
    const nb::gil_scoped_release release;
    const Arena arena(threads_);
    kernel_.emplace(load_architecture(architecture_), samples_.vocabulary, KernelOptions{.ntk = ntk_});
    require_one_kernel(*kernel_);
    process_.emplace(values_of(gram(*kernel_, samples_, {.ntk = ntk_}, arena)), ridge_, arena);
    weights_ = process_->weights(labels, arena);
  }

  nb::object predict(const nb::object& x, bool return_std) const {
    require_fitted();
    const Sequences rows = sequences_of(x, samples_.vocabulary);
    Matrix<double> mean;
    std::vector<double> deviation;
    {
      const nb::gil_scoped_release release;
      const Arena arena(threads_);
      const Matrix<double> cross = values_of(gram(*kernel_, rows, samples_, {.ntk = ntk_}, arena));
      mean = symmetry::predict(cross, weights_, arena);
      if (return_std) {
        std::vector<double> prior;
        for (const auto& tokens : rows.items) {
          const KernelValue value = (*kernel_)(tokens, tokens);
          prior.push_back(ntk_ ? value.ntk : value.nngp);
        }
        for (const double v : process_->variances(cross, prior, arena))
          deviation.push_back(std::sqrt(std::max(v, 0.0)));
      }
    }
    const std::vector<double> values(mean.data(), mean.data() + mean.size());
    const nb::object out = nb::cast(single_ ? to_numpy(values) : to_numpy(values, mean.rows(), mean.cols()));
    if (!return_std) return out;
    return nb::make_tuple(out, to_numpy(deviation));
  }

  /// 1 − Σ (y − ŷ)²/Σ (y − mean y)².
  double score(const nb::object& x, const Labels& y) const {
    require_fitted();
    const Sequences rows = sequences_of(x, samples_.vocabulary);
    const Matrix<double> labels = matrix_of(y);
    const nb::gil_scoped_release release;
    const Arena arena(threads_);
    const Matrix<double> cross = values_of(gram(*kernel_, rows, samples_, {.ntk = ntk_}, arena));
    const Matrix<double> mean = symmetry::predict(cross, weights_, arena);
    if (labels.rows() != mean.rows() || labels.cols() != mean.cols())
      throw Error(ErrorKind::kShape, "y", "has another shape than what is predicted");
    double residual = 0, total = 0;
    for (std::size_t c = 0; c < labels.cols(); ++c) {
      double average = 0;
      for (std::size_t i = 0; i < labels.rows(); ++i)
        average += labels(i, c) / static_cast<double>(labels.rows());
      for (std::size_t i = 0; i < labels.rows(); ++i) {
        residual += (labels(i, c) - mean(i, c)) * (labels(i, c) - mean(i, c));
        total += (labels(i, c) - average) * (labels(i, c) - average);
      }
    }
    return 1 - residual / total;
  }

  nb::dict parameters() const {
    nb::dict d;
    d["architecture"] = architecture_;
    d["ridge"] = ridge_;
    d["ntk"] = ntk_;
    d["vocabulary"] = vocabulary_;
    d["threads"] = threads_;
    return d;
  }

  void set(const nb::kwargs& values) {
    for (const auto& [key, value] : values) {
      const auto name = nb::cast<std::string>(key);
      if (name == "architecture")
        architecture_ = nb::cast<std::string>(value);
      else if (name == "ridge")
        ridge_ = nb::cast<double>(value);
      else if (name == "ntk")
        ntk_ = nb::cast<bool>(value);
      else if (name == "vocabulary")
        vocabulary_ = nb::cast<std::size_t>(value);
      else if (name == "threads")
        threads_ = nb::cast<int>(value);
      else
        throw nb::value_error(("there is no parameter " + name).c_str());
    }
  }

 private:
  void require_fitted() const {
    if (!process_)
      throw Error(ErrorKind::kUsage, "WideTransformerRegressor", "is not fitted", "call fit(X, y) first");
  }

  std::string architecture_;
  double ridge_;
  bool ntk_;
  std::size_t vocabulary_;
  int threads_;
  bool single_ = true;
  Sequences samples_;
  std::optional<Kernel> kernel_;
  std::optional<GaussianProcess> process_;
  Matrix<double> weights_;
};

void bind_regressor(nb::module_& m) {
  nb::class_<WideRegressor>(
      m, "WideTransformerRegressor",
      "Regression with the Gaussian process of an infinitely wide transformer on token sequences.\n\n"
      "fit, predict, score, get_params and set_params as scikit-learn's estimators have them. "
      "X: rows of token ids, or lists of\nany lengths; y: n, or n × outputs.")
      .def(nb::init<std::string, double, bool, std::size_t, int>(), nb::arg("architecture") = "pre-ln-relu",
           nb::kw_only(), nb::arg("ridge") = 0.01, nb::arg("ntk") = false, nb::arg("vocabulary") = 0,
           nb::arg("threads") = 0)
      .def(
          "fit",
          [](WideRegressor& self, const nb::object& x, const Labels& y) -> WideRegressor& {
            self.fit(x, y);
            return self;
          },
          nb::arg("X"), nb::arg("y"), nb::rv_policy::reference,
          "Returns itself. Raises telos.Error where K + ridge is not positive definite.")
      .def("predict", &WideRegressor::predict, nb::arg("X"), nb::arg("return_std") = false,
           "Posterior mean; with return_std also the standard deviation of the clean function.")
      .def("score", &WideRegressor::score, nb::arg("X"), nb::arg("y"), "R² of the mean.")
      .def(
          "get_params", [](const WideRegressor& r, bool) { return r.parameters(); }, nb::arg("deep") = true)
      .def(
          "set_params",
          [](WideRegressor& self, const nb::kwargs& values) -> WideRegressor& {
            self.set(values);
            return self;
          },
          nb::rv_policy::reference);
}

void bind_gram(nb::module_& m) {
  m.def(
      "gram",
      [](const nb::object& x, const std::optional<nb::object>& y, const std::string& architecture, bool ntk,
         std::size_t vocabulary, std::optional<std::uint32_t> pad, const std::string& precision,
         std::size_t samples, std::uint64_t seed, int threads) {
        if (precision != "f64" && precision != "f32") throw nb::value_error("precision is 'f64' or 'f32'");
        const Sequences rows = sequences_of(x, vocabulary);
        Sequences columns;
        if (y) columns = sequences_of(*y, vocabulary);
        Matrix<double> values;
        {
          const nb::gil_scoped_release release;
          const Arena arena(threads);
          symmetry::Architecture a = load_architecture(architecture);
          if (pad) a.padding = pad;
          const Kernel kernel(a, std::max(rows.vocabulary, columns.vocabulary),
                              {.ntk = ntk,
                               .samples = samples,
                               .seed = seed,
                               .precision = precision == "f32" ? Precision::kSingle : Precision::kDouble});
          const GramOptions options{.ntk = ntk};
          values =
              values_of(y ? gram(kernel, rows, columns, options, arena) : gram(kernel, rows, options, arena));
        }
        return to_numpy(values);
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
         std::optional<double> alpha, const std::optional<std::string>& architecture, bool ntk, double token,
         double position, double noise, std::optional<double> ridge, double theta, int threads) {
        const nb::gil_scoped_release release;
        const TokenLaw law = law_of(alpha);
        PredictOptions options{.noise = noise, .ridge = ridge.value_or(noise), .theta = theta};
        Target parsed = parse_target(target, vocabulary, length, law);
        Prediction p;
        if (architecture) {
          const Kernel kernel(load_architecture(*architecture), vocabulary, {.ntk = ntk});
          const Arena arena(threads);
          const Enumeration all(kernel, {.vocabulary = vocabulary, .length = length, .law = law}, arena);
          p = symmetry::predict(all, std::move(parsed), options);
        } else {
          p = symmetry::predict(
              simplified_spectrum({.token = token, .position = position}, vocabulary, length, law),
              std::move(parsed), options);
        }
        return predict_report({&p, 1}, {.command = "symmetry predict", .subject = target});
      },
      nb::arg("target"), nb::arg("vocabulary"), nb::arg("length"), nb::kw_only(),
      nb::arg("alpha") = nb::none(), nb::arg("architecture") = nb::none(), nb::arg("ntk") = false,
      nb::arg("token") = 1.0, nb::arg("position") = 0.5, nb::arg("noise") = 0.01,
      nb::arg("ridge") = nb::none(), nb::arg("theta") = 0.5, nb::arg("threads") = 0,
      "How many samples a target takes by irrep: a report. Of the block with linear attention (token and "
      "position are its weights), or of an architecture as in gram(), on all sequences, at most 4,096.\n\n"
      "target: 'copy:b', 'count:v', 'majority', 'bigram', 'pair:a,b'; alpha: of an urn, else uniform "
      "tokens.");
}

}  // namespace

void bind_symmetry_kernels(nb::module_& m) {
  bind_gram(m);
  bind_regressor(m);
  bind_predict(m);
}

}  // namespace telos::python
