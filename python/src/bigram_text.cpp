#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "module.h"
#include "telos/base/error.h"
#include "telos/bigram/page.h"
#include "telos/bigram/studies.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

using namespace bigram;

/// What was measured on a text, and the text.
struct TextEstimate {
  Corpus corpus;
  CorpusEstimate found;
};

Corpus corpus_of(const std::string& text, const std::string& unit, std::size_t vocabulary) {
  if (unit != "char" && unit != "word") throw nb::value_error("unit is 'char' or 'word'");
  return read_units(text, unit == "char" ? Unit::kCharacter : Unit::kWord, vocabulary);
}

/// {model: (value, standard error)}
nb::dict by_model(const CorpusEstimate& e, BlockMean HeldOut::*mean) {
  nb::dict d;
  for (const HeldOut& model : e.models)
    d[model.model.c_str()] = nb::make_tuple((model.*mean).value, (model.*mean).error);
  return d;
}

void bind_estimate(nb::module_& m) {
  nb::class_<TextEstimate>(m, "TextEstimate", "What a sparse contextual bigram says of a text.")
      .def_prop_ro(
          "names", [](const TextEstimate& t) { return t.corpus.names; }, "V tokens, the most frequent first.")
      .def_prop_ro(
          "mu", [](const TextEstimate& t) { return to_numpy(t.found.mu); }, "V frequencies.",
          nb::rv_policy::move)
      .def_prop_ro(
          "p", [](const TextEstimate& t) { return to_numpy(t.found.contextual.p); },
          "V × V, column j: law of the next token where token j is attended.", nb::rv_policy::move)
      .def_prop_ro(
          "q", [](const TextEstimate& t) { return to_numpy(t.found.contextual.q); },
          "V × (offsets + 1), row k: where last token k looks, offset 0 is itself.", nb::rv_policy::move)
      .def_prop_ro(
          "nats", [](const TextEstimate& t) { return by_model(t.found, &HeldOut::nats); },
          "Held-out cross-entropy a token: {model: (nats, standard error)}.")
      .def_prop_ro(
          "gain", [](const TextEstimate& t) { return by_model(t.found, &HeldOut::gain); },
          "Nats below the bigram, paired: {model: (nats, standard error)}.")
      .def(
          "report",
          [](const TextEstimate& t) {
            return estimate_report(t.corpus, t.found, {.command = "bigram estimate", .subject = "text"});
          },
          "Verdict, figures and tables.");
  m.def(
      "estimate",
      [](const std::string& text, const std::string& unit, std::size_t vocabulary, std::size_t offsets,
         std::size_t sparsity, int threads) {
        const Working working;
        TextEstimate result{corpus_of(text, unit, vocabulary), {}};
        result.found =
            estimate(result.corpus, {.max_offset = offsets, .sparsity = sparsity}, arena_of(threads));
        return result;
      },
      nb::arg("text"), nb::kw_only(), nb::arg("unit") = "char", nb::arg("vocabulary") = 64,
      nb::arg("offsets") = 16, nb::arg("sparsity") = 3, nb::arg("threads") = 0,
      "Which offsets each last token of a text looks at, and what that explains of the next token beyond the "
      "bigram.\nunit: 'char' or 'word'. Raises telos.Error.");
}

nb::dict described(const StudyInfo& info) {
  nb::dict d, parameters;
  for (const StudyParameter& p : info.parameters) parameters[p.name.c_str()] = p.value;
  d["name"] = info.name;
  d["title"] = info.title;
  d["paper"] = info.paper;
  d["claim"] = info.claim;
  d["parameters"] = parameters;
  return d;
}

void bind_studies(nb::module_& m) {
  m.def(
      "studies",
      [] {
        nb::list all;
        for (const StudyInfo& info : study_list()) all.append(described(info));
        return all;
      },
      "The studies: name, title, paper, claim, and parameters with their defaults.");
  m.def(
      "study",
      [](const std::string& name, const std::map<std::string, double>& parameters, std::uint64_t seed,
         int threads) {
        const Working working;
        const std::array<StudyResult, 1> results{run_study(name, parameters, seed, arena_of(threads))};
        return studies_report(results, {.command = "bigram study", .subject = name});
      },
      nb::arg("name"), nb::arg("parameters") = std::map<std::string, double>{}, nb::kw_only(),
      nb::arg("seed") = 1, nb::arg("threads") = 0,
      "Run a study at the given sizes: its claim, checks and figure. Raises telos.Error.");
}

void bind_heads(nb::module_& m) {
  m.def(
      "heads",
      [](const std::filesystem::path& model, const std::optional<std::string>& text,
         const std::optional<std::vector<std::int32_t>>& ids, std::size_t offsets, std::size_t vocabulary,
         std::size_t window, std::size_t max_windows, int threads) {
        const Working working;
        return bigram_heads(model.string(), options_of(text, ids, window, max_windows),
                            {.max_offset = offsets}, vocabulary, arena_of(threads));
      },
      nb::arg("model"), nb::arg("text") = nb::none(), nb::kw_only(), nb::arg("ids") = nb::none(),
      nb::arg("offsets") = 16, nb::arg("vocabulary") = 64, nb::arg("window") = 0, nb::arg("max_windows") = 16,
      nb::arg("threads") = 0,
      "How far back attention heads of a model or a recorded trace look, which repeat what followed before, "
      "and "
      "whether they look where the text's next token is informed. Raises telos.Error.");
}

}  // namespace

void bind_bigram_text(nb::module_& m) {
  bind_estimate(m);
  bind_studies(m);
  bind_heads(m);
}

}  // namespace telos::python
