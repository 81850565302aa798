#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/complex.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>

#include "module.h"
#include "telos/io/checkpoint.h"
#include "telos/model/architecture.h"
#include "telos/smoothing/spectra.h"
#include "telos/smoothing/theory.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

using smoothing::Complex;

// One row a head; eigenvalues and singular values are heads × k, NaN for heads that could not be used.
nb::dict spectrum_arrays(const smoothing::WeightSpectra& spectra) {
  std::vector<Complex> eigenvalues;
  std::vector<double> sigma, layer, head, trace, rho, copy_score, henrici, smooth, sharp, depends;
  std::vector<std::string> names, tendency;
  std::size_t k = 0;
  for (const auto& site : spectra.sites)
    for (const auto& h : site.heads) k = std::max({k, h.eigenvalues.size(), h.sigma.size()});
  for (const auto& site : spectra.sites) {
    for (const auto& h : site.heads) {
      for (std::size_t i = 0; i < k; ++i) {
        eigenvalues.push_back(i < h.eigenvalues.size() ? h.eigenvalues[i]
                                                       : Complex(smoothing::kNaN, smoothing::kNaN));
        sigma.push_back(i < h.sigma.size() ? h.sigma[i] : smoothing::kNaN);
      }
      layer.push_back(static_cast<double>(site.layer));
      head.push_back(static_cast<double>(h.head));
      names.push_back(h.name);
      tendency.emplace_back(to_string(h.tendency));
      trace.push_back(h.trace), rho.push_back(h.rho), copy_score.push_back(h.copy_score),
          henrici.push_back(h.henrici);
      smooth.push_back(h.smooth_share), sharp.push_back(h.sharp_share), depends.push_back(h.depends_share);
    }
  }
  const std::size_t heads = names.size();
  nb::dict out;
  out["name"] = names;
  out["layer"] = to_numpy(layer);
  out["head"] = to_numpy(head);
  out["eigenvalues"] = to_numpy(eigenvalues, heads, k);
  out["singular_values"] = to_numpy(sigma, heads, k);
  out["trace"] = to_numpy(trace);
  out["rho"] = to_numpy(rho);
  out["copy_score"] = to_numpy(copy_score);
  out["henrici"] = to_numpy(henrici);
  out["smooth_share"] = to_numpy(smooth);
  out["sharp_share"] = to_numpy(sharp);
  out["depends_share"] = to_numpy(depends);
  out["tendency"] = tendency;
  out["fold"] = spectra.fold_text;
  out["problems"] = spectra.problems;
  return out;
}

nb::dict measures_dict(const smoothing::TokenMeasures& m) {
  nb::dict out;
  out["hfc_lfc"] = m.hfc_lfc;
  out["hfc_frac"] = m.hfc_frac;
  out["cos_mean"] = m.cos_mean;
  out["cos_abs_incl"] = m.cos_abs_incl;
  out["res_1inf"] = m.res_1inf;
  out["rank1_res"] = m.rank1_res;
  out["stable_rank"] = m.stable_rank;
  out["eff_rank"] = m.eff_rank;
  out["part_ratio"] = m.part_ratio;
  out["dirichlet"] = m.dirichlet;
  out["log_norm"] = m.log_norm;
  return out;
}

}  // namespace

void bind_smoothing(nb::module_& m) {
  m.def(
      "spectrum",
      [](const std::filesystem::path& model, const std::string& fold, int threads) {
        smoothing::WeightSpectra spectra;
        {
          const Working working;
          const Checkpoint checkpoint = Checkpoint::open(model.string());
          smoothing::SpectraOptions options;
          options.fold = smoothing::parse_fold(fold);
          spectra = smoothing::weight_spectra(checkpoint, identify(checkpoint), options, arena_of(threads));
        }
        return spectrum_arrays(spectra);
      },
      nb::arg("model"), nb::kw_only(), nb::arg("fold") = "auto", nb::arg("threads") = 0,
      "Spectra of H = W_V W_O, one row a head: eigenvalues (heads × k, complex), singular values, trace, "
      "rho, copy score,\n"
      "Henrici departure, zone shares and tendency. fold: none, gamma, center+gamma or auto.");
  m.def(
      "zone", [](Complex h) { return std::string(to_string(smoothing::zone(h))); }, nb::arg("h"),
      "Zone of an eigenvalue h of W_V W_O: smooth (|h + 1| >= 1), sharp (|h + 1/2| <= 1/2), depends, or "
      "null.");
  m.def("flip_point", &smoothing::flip_point, nb::arg("h"),
        "a* = -2 Re h / |h|^2 - 1, where h changes sides.");
  m.def(
      "token_measures",
      [](const nb::ndarray<const double, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>& x) {
        return measures_dict(
            smoothing::measure_tokens(ConstMatrixView<double>(x.data(), x.shape(0), x.shape(1))));
      },
      nb::arg("x"), "How alike the rows (tokens) of a float64 matrix are: hfc_lfc, cos_mean, stable_rank, …");
}

}  // namespace telos::python
