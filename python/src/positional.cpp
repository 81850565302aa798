#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "module.h"
#include "telos/diagnosis/diagnose.h"
#include "telos/io/files.h"
#include "telos/positional/page.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

using namespace positional;
using Samples = nb::ndarray<const double, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;

ConstMatrixView<double> view_of(const Samples& x) {
  return {x.data(), x.shape(0), x.shape(1)};
}

PageContext page(const char* command, const std::string& subject) {
  return {.command = std::string("positional ") + command, .subject = subject, .facts = {}, .provenance = {}};
}

nb::object from_json(const std::string& text) {
  return nb::module_::import_("json").attr("loads")(text);
}
std::string to_json(const nb::handle& value) {
  return nb::cast<std::string>(nb::module_::import_("json").attr("dumps")(value));
}

Execution execution_named(const std::string& name) {
  if (name == "f32") return Execution::kFloat;
  if (name == "f64") return Execution::kDouble;
  if (name == "exact") return Execution::kExactMinMax;
  throw nb::value_error("arithmetic is 'f32', 'f64' or 'exact'");
}

void bind_programs(nb::module_& m) {
  m.def(
      "compile",
      [](const std::filesystem::path& program, std::size_t n, const std::filesystem::path& network,
         const std::optional<std::filesystem::path>& save) {
        const Working working;
        const Builtin made = find_program(program.string(), n, network.string());
        const CompiledProgram compiled = compile(made.program, made.options);
        if (save && !save->empty()) save_model(compiled.model, save->string());
        return compiled_report(compiled, page("compile", program.string()));
      },
      nb::arg("program"), nb::kw_only(), nb::arg("n") = 0, nb::arg("network") = "",
      nb::arg("save") = nb::none(),
      "Turn a built-in program or a .pco file into the weights of a positional transformer, and prove it.\n\n"
      "n 0 takes the file's own, or 8; network is a file of comparators for sort and median; save writes the "
      "model.");
  m.def(
      "execute",
      [](const std::filesystem::path& program, const Samples& x, std::size_t n,
         const std::filesystem::path& network, const std::string& arithmetic) {
        const Execution how = execution_named(arithmetic);
        Matrix<double> y;
        {
          const Working working;
          const Builtin made = find_program(program.string(), n, network.string());
          y = execute(compile(made.program, made.options), view_of(x), how);
        }
        return to_numpy(y);
      },
      nb::arg("program"), nb::arg("x"), nb::kw_only(), nb::arg("n") = 0, nb::arg("network") = "",
      nb::arg("arithmetic") = "f64",
      "Run a program's network on samples: x has a row of n·inputs numbers a sample (node by node), the "
      "result n·outputs.\n"
      "arithmetic: 'f32', 'f64', or 'exact' (minima and maxima by comparison).");
}

void bind_models(nb::module_& m) {
  m.def(
      "evaluate",
      [](const std::filesystem::path& model, const Samples& x, bool f64, int threads) {
        Matrix<double> y;
        {
          const Working working;
          const Model loaded = load_model(model.string());
          const Arena arena = arena_of(threads);
          y = f64 ? evaluate<double>(loaded, view_of(x), 0, arena)
                  : evaluate<float>(loaded, view_of(x), 0, arena);
        }
        return to_numpy(y);
      },
      nb::arg("model"), nb::arg("x"), nb::kw_only(), nb::arg("f64") = false, nb::arg("threads") = 0,
      "Outputs of a trained, compiled or converted model: x has a row of S·in_dim numbers a sample (S = n + "
      "scratch).");
  m.def(
      "attention",
      [](const std::filesystem::path& model) {
        std::vector<double> values;
        std::size_t size = 0;
        {
          const Working working;
          for (const auto& layer : attention_matrices(load_model(model.string())))
            for (const Matrix<double>& a : layer) {
              size = a.rows();
              values.insert(values.end(), a.data(), a.data() + a.size());
            }
        }
        return to_numpy(values, size == 0 ? 0 : values.size() / size, size);
      },
      nb::arg("model"), "The attention matrices of a positional model, stacked: (layers · heads · S) × S.");
  m.def(
      "capacity",
      [](const std::filesystem::path& model, double input_norm, std::size_t samples) {
        const Working working;
        return capacity_report(
            std::vector<CapacityReport>{
                capacity(load_model(model.string()), {.input_norm = input_norm, .samples = samples})},
            page("capacity", model.string()));
      },
      nb::arg("model"), nb::kw_only(), nb::arg("input_norm") = 2.0, nb::arg("samples") = 30000,
      "Lipschitz constants and the norm-based bound, from the weights alone.");
}

void bind_lab(nb::module_& m) {
  m.def(
      "spec",
      [](const std::string& experiment_name, const std::string& task, const std::string& model) {
        nb::list specs;
        for (const TrainSpec& spec : experiment(experiment_name, task, model))
          specs.append(from_json(spec_json(spec)));
        return specs;
      },
      nb::arg("experiment"), nb::arg("task"), nb::arg("model") = "positional",
      "The specs of an experiment, as dictionaries to change and to hand to train().");
  m.def(
      "train",
      [](const nb::iterable& specs, const std::filesystem::path& out, int threads) {
        std::vector<TrainSpec> parsed;
        for (const nb::handle spec : specs) parsed.push_back(parse_spec(to_json(spec), "spec"));
        const Working working;
        return training_report(train_each(parsed, out.string(), arena_of(threads)),
                               page("train", parsed.empty() ? "" : parsed[0].task));
      },
      nb::arg("specs"), nb::kw_only(), nb::arg("out") = "", nb::arg("threads") = 0,
      "Train every spec's runs and test them beyond the training range. With out, models, metrics and "
      "checkpoints are\n"
      "left there. Results do not depend on threads.");
}

void bind_head_measures(nb::module_& m) {
  m.def(
      "heads",
      [](const std::filesystem::path& model, const std::optional<std::string>& text,
         const std::optional<std::vector<std::int32_t>>& ids, double threshold, std::size_t window,
         std::size_t max_windows, int threads) {
        const Working working;
        return positional_heads(model.string(), options_of(text, ids, window, max_windows),
                                {.threshold = threshold}, arena_of(threads));
      },
      nb::arg("model"), nb::arg("text") = nb::none(), nb::kw_only(), nb::arg("ids") = nb::none(),
      nb::arg("threshold") = 0.9, nb::arg("window") = 0, nb::arg("max_windows") = 16, nb::arg("threads") = 0,
      "How much of each head's attention positions explain: on a text, or in a recorded trace.");
  m.def(
      "whatif",
      [](const std::filesystem::path& model, const std::optional<std::string>& text,
         const std::optional<std::vector<std::int32_t>>& ids, double threshold, std::size_t window,
         std::size_t max_windows, int threads) {
        const Working working;
        StaticHeadOptions options;
        options.positions.threshold = threshold;
        return positional_whatif(model.string(), options_of(text, ids, window, max_windows), options,
                                 arena_of(threads));
      },
      nb::arg("model"), nb::arg("text") = nb::none(), nb::kw_only(), nb::arg("ids") = nb::none(),
      nb::arg("threshold") = 0.9, nb::arg("window") = 0, nb::arg("max_windows") = 16, nb::arg("threads") = 0,
      "Replace the heads that positions explain by their mean attention; what becomes of the output?");
}

}  // namespace

void bind_positional(nb::module_& m) {
  bind_programs(m);
  bind_models(m);
  bind_lab(m);
  bind_head_measures(m);
  m.def(
      "studies",
      [](const std::vector<std::string>& names, std::uint64_t seed, int threads) {
        const Working working;
        const Arena arena = arena_of(threads);
        std::vector<StudyResult> results;
        for (const std::string& name : names) results.push_back(run_study(name, seed, arena));
        return studies_report(results, page("studies", ""));
      },
      nb::arg("names"), nb::kw_only(), nb::arg("seed") = 1, nb::arg("threads") = 0,
      "Related systems, each with the check that decides its claim: counting, graphs, hops, performer, "
      "rpe-fft, nystrom,\n"
      "dape, hard, momentum.");
}

}  // namespace telos::python
