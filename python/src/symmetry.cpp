#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "module.h"
#include "telos/base/error.h"
#include "telos/io/units.h"
#include "telos/symmetry/corpus_page.h"
#include "telos/symmetry/irreps.h"
#include "telos/symmetry/order.h"
#include "telos/symmetry/projection.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

using namespace symmetry;

using Rows = nb::ndarray<const double, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;

/// In parts: Python reads at most 4,300 digits at once.
nb::int_ whole(const Natural& n) {
  constexpr std::size_t kPart = 4000;
  const std::string digits = n.digits();
  const nb::object ten = nb::int_(10);
  nb::object value = nb::int_(0);
  for (std::size_t at = 0; at < digits.size(); at += kPart) {
    const std::string part = digits.substr(at, kPart);
    const nb::object scale = nb::steal(PyNumber_Power(ten.ptr(), nb::int_(part.size()).ptr(), Py_None));
    value = value * scale + nb::int_(nb::str(part.c_str()));
  }
  return nb::borrow<nb::int_>(value);
}

ConstMatrixView<double> view(const Rows& rows) {
  return {rows.data(), rows.shape(0), rows.shape(1)};
}

void bind_irreps(nb::module_& m) {
  m.def(
      "partitions",
      [](std::uint32_t length, std::optional<std::uint32_t> degree) {
        nb::list all;
        for (const Partition& p : partitions(length, degree.value_or(length)))
          all.append(nb::tuple(nb::cast(p)));
        return all;
      },
      nb::arg("length"), nb::arg("degree") = nb::none(),
      "All partitions of a length, of degree length − λ_1 up to the one given, as tuples.");
  m.def(
      "dimension", [](const Partition& shape) { return whole(dimension(shape)); }, nb::arg("partition"),
      "f^λ by the hook length formula, exact.");
  m.def(
      "multiplicity",
      [](const Partition& shape, std::uint32_t vocabulary) { return whole(multiplicity(shape, vocabulary)); },
      nb::arg("partition"), nb::arg("vocabulary"),
      "Copies of the irrep among functions of length tokens out of a vocabulary, exact.");
  m.def(
      "kostka",
      [](const Partition& shape, const std::vector<std::uint32_t>& counts) {
        return whole(kostka(shape, counts));
      },
      nb::arg("partition"), nb::arg("counts"),
      "Copies of the irrep among functions of the orderings of a bag of tokens with these counts.");
  m.def("character", &character, nb::arg("partition"), nb::arg("cycles"),
        "χ^λ of permutations with cycles of these lengths (Murnaghan and Nakayama).");
  m.def(
      "class_sums",
      [](const Partition& shape) {
        const ClassSums sums = class_sums(shape);
        return std::pair(sums.transpositions, sums.three_cycles);
      },
      nb::arg("partition"), "What the sums of all transpositions and of all 3-cycles multiply the irrep by.");
  m.def(
      "linear_energy",
      [](const Rows& w) {
        const LinearEnergy e = linear_energy(view(w));
        return std::map<std::string, double>{{"trivial", e.trivial}, {"standard", e.standard}};
      },
      nb::arg("w"), "Squares of the parts of w (positions × letters), of f(x) = Σ_b w[b, x_b].");
  m.def(
      "pair_energy",
      [](const Rows& w) {
        const PairEnergy e = pair_energy(view(w));
        return std::map<std::string, double>{{"trivial", e.trivial},
                                             {"standard", e.standard()},
                                             {"symmetric", e.symmetric},
                                             {"antisymmetric", e.antisymmetric}};
      },
      nb::arg("w"),
      "Squares of the parts of w (positions × positions, its diagonal not read), of f(x) = Σ_{b≠c} w[b, c] "
      "g(x_b) "
      "h(x_c).");
}

/// What was measured on a text, and the text.
struct TextSymmetry {
  Corpus corpus;
  CorpusSymmetry found;
};

/// {irrep: (share, standard error)}
nb::dict shares(const BlockEstimate& e) {
  nb::dict d;
  for (std::size_t part = 0; part < kParts; ++part)
    d[part_name(static_cast<Part>(part)).c_str()] =
        nb::make_tuple(e.fractions[part].value, e.fractions[part].error);
  return d;
}

Unit unit_of(const std::string& name) {
  if (name == "char") return Unit::kCharacter;
  if (name == "word") return Unit::kWord;
  if (name == "piece") return Unit::kPiece;
  throw nb::value_error("unit is 'char', 'word' or 'piece'");
}

void bind_corpus(nb::module_& m) {
  nb::class_<TextSymmetry>(m, "TextSymmetry", "How far the windows of a text are exchangeable.")
      .def_prop_ro(
          "names", [](const TextSymmetry& t) { return t.corpus.names; }, "Letters, the most frequent first.")
      .def_prop_ro(
          "windows", [](const TextSymmetry& t) { return t.found.windows; }, "Windows that were counted.")
      .def_prop_ro(
          "fractions", [](const TextSymmetry& t) { return shares(t.found.text); },
          "Of what positions tell of each other: {irrep: (share, standard error)}; (L) ignores order.")
      .def_prop_ro(
          "shuffled", [](const TextSymmetry& t) { return shares(t.found.shuffled); },
          "The same with the tokens of each window in random order: exchangeable.")
      .def_prop_ro(
          "markov",
          [](const TextSymmetry& t) {
            nb::dict d;
            for (std::size_t part = 0; part < kParts; ++part)
              d[part_name(static_cast<Part>(part)).c_str()] = t.found.markov[part];
            return d;
          },
          "The same of the first-order Markov chain of the text, exact.")
      .def_prop_ro(
          "p_value", [](const TextSymmetry& t) { return t.found.p_value; },
          "Of exchangeability, by shuffles within windows; NaN without shuffles, and where no positions "
          "covary.")
      .def(
          "report",
          [](const TextSymmetry& t) {
            return corpus_report(t.corpus, t.found, {}, {.command = "symmetry corpus", .subject = "text"});
          },
          "Verdict, figures and tables.");
  m.def(
      "corpus",
      [](const std::string& text, const std::string& unit, std::size_t vocabulary, std::size_t length,
         std::size_t blocks, std::size_t shuffles, std::uint64_t seed, int threads) {
        const Unit units = unit_of(unit);
        const Working working;
        TextSymmetry result{read_units(text, units, vocabulary + 1), {}};
        result.found = measure_corpus(
            result.corpus.tokens,
            {.letters = vocabulary, .length = length, .blocks = blocks, .shuffles = shuffles, .seed = seed},
            arena_of(threads));
        return result;
      },
      nb::arg("text"), nb::kw_only(), nb::arg("unit") = "word", nb::arg("vocabulary") = 64,
      nb::arg("length") = 16, nb::arg("blocks") = 20, nb::arg("shuffles") = 199, nb::arg("seed") = 1,
      nb::arg("threads") = 0,
      "How much of what the tokens of a text's windows tell of each other is the same in every order.\n"
      "unit: 'char', 'word' or 'piece'. Raises telos.Error.");
}

/// Windows one after the other, and the length that all of them have.
OrderWindows windows_of(const nb::object& rows, const std::vector<std::size_t>& moved) {
  OrderWindows out{.tokens = 0, .ids = {}, .moved = moved};
  for (const auto& window : token_rows(rows, "windows")) {
    if (out.tokens == 0) out.tokens = window.size();
    if (window.size() != out.tokens) throw nb::value_error("windows: expected rows of one length");
    out.ids.insert(out.ids.end(), window.begin(), window.end());
  }
  return out;
}

Matrix<double> matrix_of(const nb::handle& value) {
  Rows rows;
  if (!nb::try_cast(nb::module_::import_("numpy").attr("asarray")(value), rows))
    throw nb::type_error("f: expected values in B × d numbers, or a list of such");
  Matrix<double> copy(rows.shape(0), rows.shape(1));
  std::copy_n(rows.data(), copy.size(), copy.data());
  return copy;
}

nb::dict readout_dict(const OrderReadout& r) {
  nb::dict d;
  d["variance"] = r.variance;
  const auto put = [&](const char* name, const OrderShare& s) { d[name] = nb::make_tuple(s.value, s.error); };
  put("stays", r.fixed);
  put("any order", r.invariant);
  put("place by place", r.standard);
  put("pairs and beyond", r.rest);
  put("symmetric", r.symmetric);
  put("as written", r.written);
  nb::list kept;
  for (const OrderShare& s : r.kept) kept.append(nb::make_tuple(s.value, s.error));
  d["kept"] = kept;
  return d;
}

/// A Python function as the library calls it. What it returns keeps its number of values and their widths.
OrderModel order_model(const nb::callable& f, std::size_t tokens) {
  return [&f, tokens,
          widths = std::optional<std::vector<std::size_t>>()](std::span<const std::int32_t> ids) mutable {
    const std::size_t sequences = ids.size() / tokens;
    const nb::object values =
        f(to_numpy(std::vector<std::int32_t>(ids.begin(), ids.end()), sequences, tokens));
    std::vector<Matrix<double>> readouts;
    if (nb::isinstance<nb::list>(values) || nb::isinstance<nb::tuple>(values))
      for (const nb::handle value : values) readouts.push_back(matrix_of(value));
    else
      readouts.push_back(matrix_of(values));
    std::vector<std::size_t> found;
    for (const Matrix<double>& r : readouts) {
      if (r.rows() != sequences) throw nb::value_error("f: expected a row for each sequence");
      found.push_back(r.cols());
    }
    if (found != widths.value_or(found)) throw nb::value_error("f: values changed their number or width");
    widths = std::move(found);
    return readouts;
  };
}

void bind_order(nb::module_& m) {
  m.def(
      "order",
      [](const nb::callable& f, const nb::object& windows, const std::vector<std::size_t>& moved,
         std::size_t shuffles, std::uint64_t seed, std::size_t batch) {
        const OrderWindows ids = windows_of(windows, moved);
        const OrderMeasures measures =
            measure_order(ids, order_model(f, ids.tokens), {.shuffles = shuffles, .seed = seed}, batch);
        nb::list out;
        for (const OrderReadout& r : measures.readouts) out.append(readout_dict(r));
        return out;
      },
      nb::arg("f"), nb::arg("windows"), nb::arg("moved"), nb::kw_only(), nb::arg("shuffles") = 4,
      nb::arg("seed") = 1, nb::arg("batch") = 64,
      "How much of any function of token windows ignores the order of its tokens.\n\n"
      "f takes int32 ids (B × L) and returns numbers (B × d), or a list of such; windows is W × L; "
      "moved are "
      "the\npositions that change places. For each value: {part: (share of the variance, standard error)}.");
  m.def(
      "measure",
      [](const std::filesystem::path& model, const std::optional<std::string>& text,
         const std::optional<std::vector<std::int32_t>>& ids, const std::string& read, std::size_t shuffles,
         std::uint64_t seed, std::size_t window, std::size_t max_windows, int threads) {
        const Working working;
        return symmetry_measure(model.string(), options_of(text, ids, window, max_windows),
                                parse_order_reading(read, "read"), {.shuffles = shuffles, .seed = seed},
                                arena_of(threads));
      },
      nb::arg("model"), nb::arg("text") = nb::none(), nb::kw_only(), nb::arg("ids") = nb::none(),
      nb::arg("read") = "auto", nb::arg("shuffles") = 4, nb::arg("seed") = 1, nb::arg("window") = 0,
      nb::arg("max_windows") = 32, nb::arg("threads") = 0,
      "How much of what a context adds to a model's state ignores the order of its tokens, by layer and by "
      "length "
      "of\nthe window. read: 'auto', 'last', 'first' or 'mean'. Raises telos.Error.");
}

}  // namespace

void bind_symmetry(nb::module_& m) {
  bind_order(m);
  bind_corpus(m);
  bind_irreps(m);
}

}  // namespace telos::python
