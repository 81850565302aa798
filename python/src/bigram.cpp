#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <optional>

#include "module.h"
#include "telos/base/error.h"
#include "telos/bigram/page.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

using namespace bigram;

template <class Value>
nb::ndarray<nb::numpy, double> each_point(const TrainResult& r, Value value) {
  std::vector<double> out;
  for (const CurvePoint& p : r.curve) out.push_back(value(p));
  return to_numpy(out);
}

void bind_instance(nb::module_& m) {
  nb::class_<Instance>(m, "Instance", "One sparse contextual bigram task.")
      .def_ro("length", &Instance::length, "T, the number of positions.")
      .def_prop_ro("tokens", &Instance::tokens, "N, the number of tokens.")
      .def_prop_ro("sparsity", &Instance::sparsity, "Q, the most positions that a last token looks at.")
      .def_prop_ro(
          "p", [](const Instance& i) { return to_numpy(i.p); }, "N × N, columns are laws of the output.",
          nb::rv_policy::move)
      .def_prop_ro(
          "mu", [](const Instance& i) { return to_numpy(i.mu); }, "N, stationary.", nb::rv_policy::move)
      .def_prop_ro(
          "q", [](const Instance& i) { return to_numpy(true_model(i).a); },
          "N × T, row k: where last token k looks.", nb::rv_policy::move)
      .def_prop_ro(
          "constants",
          [](const Instance& i) {
            const Constants c = bigram::constants(i);
            nb::dict d;
            d["K_P"] = c.k_p;
            d["K_Q"] = c.k_q;
            d["gamma"] = c.gamma;
            d["J_P"] = c.j_p;
            d["loss_start"] = c.loss_start;
            d["loss_least"] = c.loss_least;
            return d;
          },
          "K_P, K_Q, gamma, J_P, loss_start, loss_least.")
      .def(
          "save",
          [](const Instance& i, const std::filesystem::path& path) { write_instance(i, path.string()); },
          nb::arg("path"), "As JSON.");
  m.def(
      "generate",
      [](std::size_t tokens, std::size_t length, std::size_t sparsity, double concentration,
         std::uint64_t seed) {
        const Working working;
        return generate({.tokens = tokens,
                         .length = length,
                         .sparsity = sparsity,
                         .concentration = concentration,
                         .seed = seed});
      },
      nb::arg("tokens") = 3, nb::arg("length") = 5000, nb::arg("sparsity") = 2, nb::kw_only(),
      nb::arg("concentration") = 1.0, nb::arg("seed") = 1, "A random task, the same on every machine.");
  m.def(
      "load", [](const std::filesystem::path& path) { return read_instance(path.string()); }, nb::arg("path"),
      "A task as Instance.save() or `telos bigram generate` left it.");
}

void bind_training(nb::module_& m) {
  nb::class_<bigram::Column>(m, "Column", "Where one last token looks, as found.")
      .def_ro("positions", &bigram::Column::positions)
      .def_ro("weights", &bigram::Column::weights)
      .def_ro("stable", &bigram::Column::stable)
      .def_ro("exact", &bigram::Column::exact);
  nb::class_<TrainResult>(m, "TrainResult", "What a training run found.")
      .def_prop_ro(
          "v", [](const TrainResult& r) { return to_numpy(r.model.v); }, "N × N, close to P.",
          nb::rv_policy::move)
      .def_prop_ro(
          "a", [](const TrainResult& r) { return to_numpy(r.model.a); }, "N × T, row k close to q of k.",
          nb::rv_policy::move)
      .def_ro("columns", &TrainResult::columns)
      .def_ro("steps", &TrainResult::steps)
      .def_ro("samples", &TrainResult::samples)
      .def_ro("samples_to_support", &TrainResult::samples_to_support, "0: not reached.")
      .def_ro("mirrored", &TrainResult::mirrored)
      .def_ro("loss", &TrainResult::population, "Population loss at the end.")
      .def_ro("held_out", &TrainResult::held_out)
      .def_ro("held_out_error", &TrainResult::held_out_error)
      .def_ro("notes", &TrainResult::notes)
      .def_prop_ro(
          "curve",
          [](const TrainResult& r) {
            nb::dict d;
            d["samples"] = each_point(r, [](const CurvePoint& p) { return static_cast<double>(p.samples); });
            d["loss"] = each_point(r, [](const CurvePoint& p) { return p.population; });
            d["alpha_v"] = each_point(r, [](const CurvePoint& p) { return p.signals.v; });
            d["alpha_a"] = each_point(r, [](const CurvePoint& p) { return p.signals.a; });
            d["distance_v"] = each_point(r, [](const CurvePoint& p) { return p.signals.v_distance; });
            d["distance_a"] = each_point(r, [](const CurvePoint& p) { return p.signals.a_distance; });
            return d;
          },
          "Course of the descent as arrays: samples, loss, alpha_v, alpha_a, distance_v, distance_a.");
  m.def(
      "train",
      [](const Instance& instance, const std::string& algorithm, std::size_t batch, double eta,
         std::uint64_t samples, std::uint64_t refit_samples, std::uint64_t screen_samples, std::uint64_t seed,
         int threads) {
        const Working working;
        return train(instance,
                     {.algorithm = algorithm_from(algorithm),
                      .batch = batch,
                      .eta = eta,
                      .samples = samples,
                      .refit_samples = refit_samples,
                      .screen_samples = screen_samples,
                      .seed = seed},
                     arena_of(threads));
      },
      nb::arg("instance"), nb::kw_only(), nb::arg("algorithm") = "scb", nb::arg("batch") = 64,
      nb::arg("eta") = 0.02, nb::arg("samples") = 128000, nb::arg("refit_samples") = 100000,
      nb::arg("screen_samples") = 50000, nb::arg("seed") = 1, nb::arg("threads") = 0,
      "Learn a task from samples: scb, paper, psgd, sgd, nonneg, softmax or moments. Results do not depend "
      "on "
      "threads.\nRaises telos.Error.");
  m.def(
      "population",
      [](const Instance& instance, double eta, std::size_t steps) {
        std::vector<double> v, a, loss;
        {
          const Working working;
          const Constants c = bigram::constants(instance);
          for (const Signals& s : scalar_dynamics(c, instance.length, {}, eta, steps)) {
            v.push_back(s.v);
            a.push_back(s.a);
            loss.push_back(c.loss_least + excess(c, instance.length, s).total());
          }
        }
        nb::dict d;
        d["alpha_v"] = to_numpy(v);
        d["alpha_a"] = to_numpy(a);
        d["loss"] = to_numpy(loss);
        return d;
      },
      nb::arg("instance"), nb::kw_only(), nb::arg("eta") = 0.1, nb::arg("steps") = 2000,
      "The exact dynamics of infinitely many samples a step: alpha_v, alpha_a, loss.");
}

}  // namespace

void bind_bigram(nb::module_& m) {
  bind_instance(m);
  bind_training(m);
}

}  // namespace telos::python
