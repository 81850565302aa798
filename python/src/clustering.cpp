#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "module.h"
#include "telos/base/error.h"
#include "telos/clustering/page.h"
#include "telos/clustering/theory.h"
#include "telos/diagnosis/diagnose.h"
#include "telos/io/labelled_text.h"

namespace nb = nanobind;

// They hold vectors of matrices, which move but do not copy; the standard's trait looks at the vector alone.
template <>
struct nanobind::detail::is_copy_constructible<telos::clustering::HardmaxRun> : std::false_type {};
template <>
struct nanobind::detail::is_copy_constructible<telos::clustering::SoftRun> : std::false_type {};

namespace telos::python {
namespace {

using namespace clustering;
using Points = nb::ndarray<const double, nb::shape<-1, -1>, nb::c_contig, nb::device::cpu>;

ConstMatrixView<double> view_of(const Points& x) {
  return {x.data(), x.shape(0), x.shape(1)};
}
ConstMatrixView<double> view_of(const std::optional<Points>& x) {
  return x ? view_of(*x) : ConstMatrixView<double>{};
}

PageContext page(const char* command, const std::string& subject) {
  return {.command = std::string("clustering ") + command, .subject = subject, .facts = {}, .provenance = {}};
}

/// A number of each token as an array; −1 where there is none.
template <class F>
nb::ndarray<nb::numpy, std::int64_t> per_token(const HardmaxRun& run, F value) {
  std::vector<std::int64_t> out;
  out.reserve(run.fates.size());
  for (const Fate& fate : run.fates) {
    const std::size_t v = value(fate);
    out.push_back(v == kNone ? -1 : static_cast<std::int64_t>(v));
  }
  return to_numpy(out);
}

void bind_run(nb::module_& m) {
  nb::class_<Leader>(m, "Leader", "A token that attends to itself alone from some layer on, and never moves.")
      .def_ro("token", &Leader::token)
      .def_ro("copies", &Leader::copies)
      .def_ro("norm", &Leader::norm)
      .def_ro("emergence", &Leader::emergence)
      .def_ro("followers", &Leader::followers)
      .def("__repr__", [](const Leader& l) {
        return "<telos.clustering.Leader token " + std::to_string(l.token) + ", " +
               std::to_string(l.followers) + " followers>";
      });
  nb::class_<HardmaxRun>(m, "Run", "An exact run of the hardmax system.")
      .def_ro("tokens", &HardmaxRun::tokens)
      .def_ro("unique", &HardmaxRun::unique)
      .def_ro("rate", &HardmaxRun::rate, "What is left of the distance to the limit after a further layer.")
      .def_ro("layers", &HardmaxRun::layers, "Layers computed one by one; all later ones are formulas.")
      .def_ro("complete", &HardmaxRun::complete, "Every token is decided.")
      .def_ro("leaders", &HardmaxRun::leaders)
      .def_ro("notes", &HardmaxRun::notes)
      .def_prop_ro(
          "limits", [](const HardmaxRun& r) { return to_numpy(r.limits.view()); },
          "Exact limits (layers=None), or positions after the last layer: n × d.", nb::rv_policy::move)
      .def_prop_ro(
          "leader",
          [](const HardmaxRun& r) {
            return per_token(
                r, [&r](const Fate& f) { return f.leader == kNone ? kNone : r.leaders[f.leader].token; });
          },
          "Token that each token's limit is, −1 where it is none.", nb::rv_policy::move)
      .def_prop_ro(
          "decided",
          [](const HardmaxRun& r) { return per_token(r, [](const Fate& f) { return f.decided; }); },
          "Layer from which on each token's way is a formula, −1 where it is not decided.",
          nb::rv_policy::move)
      .def_prop_ro(
          "ends",
          [](const HardmaxRun& r) {
            std::vector<std::string> ends;
            for (const Fate& f : r.fates) ends.emplace_back(to_string(f.end));
            return ends;
          },
          "leader, follows, static, face, asymptotic or undecided, a token.")
      .def(
          "positions",
          [](const HardmaxRun& r, std::size_t layer) {
            Matrix<double> z;
            {
              const Working working;
              z = r.positions(layer, Arena(0));
            }
            return to_numpy(z.view());
          },
          nb::arg("layer"), "Positions after a layer: n × d.")
      .def(
          "targets",
          [](const HardmaxRun& r, std::size_t token, std::size_t layer) {
            std::vector<std::size_t> tokens;
            for (const std::size_t u : r.targets(token, layer)) tokens.push_back(r.first[u]);
            return tokens;
          },
          nb::arg("token"), nb::arg("layer"),
          "The tokens of largest score for a token (lowest of equal ones).")
      .def(
          "report",
          [](const HardmaxRun& r, const std::vector<std::string>& labels) {
            return run_report(r, labels, page("run", "tokens"));
          },
          nb::arg("labels") = std::vector<std::string>{}, "The page of the run, with its animated figure.");
  m.def(
      "run",
      [](const Points& tokens, double alpha, std::optional<std::size_t> layers,
         const std::optional<Points>& a, const std::optional<Points>& v, bool general_a, double ties,
         bool center, bool paths, int threads) {
        const HardmaxOptions options{.alpha = alpha,
                                     .layers = layers.value_or(kAllLayers),
                                     .a = view_of(a),
                                     .v = view_of(v),
                                     .general_a = general_a,
                                     .tie_tolerance = ties,
                                     .center = center,
                                     .history = paths};
        const Working working;
        return run_hardmax(view_of(tokens), options, arena_of(threads));
      },
      nb::arg("tokens"), nb::kw_only(), nb::arg("alpha") = 1.0, nb::arg("layers") = nb::none(),
      nb::arg("A") = nb::none(), nb::arg("V") = nb::none(), nb::arg("general_A") = false,
      nb::arg("ties") = 1e-12, nb::arg("center") = false, nb::arg("paths") = true, nb::arg("threads") = 0,
      "The hardmax system on tokens (n × d), exactly: z_i moves α/(1+α) of the way to the mean of the tokens "
      "of\n"
      "largest ⟨A z_i, z_j⟩. layers None is infinitely many; ties 0 compares to the bit.");
}

void bind_soft(nb::module_& m) {
  nb::class_<SoftRun>(m, "SoftRun", "States of a soft or continuous relative of the hardmax system.")
      .def_prop_ro(
          "times", [](const SoftRun& r) { return to_numpy(r.times); }, nb::rv_policy::move)
      .def_ro("clusters", &SoftRun::clusters, "Clusters at each time: components at `distance`.")
      .def_ro("component", &SoftRun::component, "Of each token at the end.")
      .def_prop_ro(
          "energy", [](const SoftRun& r) { return to_numpy(r.energy); }, "usa: E_β at each time.",
          nb::rv_policy::move)
      .def_prop_ro(
          "smallest_cosine", [](const SoftRun& r) { return to_numpy(r.smallest_cosine); },
          nb::rv_policy::move)
      .def_ro("notes", &SoftRun::notes)
      .def(
          "state", [](const SoftRun& r, std::size_t i) { return to_numpy(r.states.at(i).view()); },
          nb::arg("index"), "Tokens at times[index]: n × d.");
  m.def(
      "simulate",
      [](const Points& tokens, const std::string& kind, double alpha, double temperature, double relaxation,
         double beta, const std::optional<Points>& a, const std::optional<Points>& q,
         const std::optional<Points>& k, const std::optional<Points>& v, std::size_t layers, double time,
         double step, std::size_t frames, double distance, int threads) {
        SoftOptions options;
        options.kind = soft_kind_from(kind);
        options.alpha = alpha;
        options.temperature = temperature;
        options.relaxation = relaxation;
        options.beta = beta;
        options.a = view_of(a);
        options.q = view_of(q);
        options.k = view_of(k);
        options.v = view_of(v);
        options.layers = layers;
        options.time = time;
        options.step = step;
        options.frames = frames;
        options.distance = distance;
        const Working working;
        return run_soft(view_of(tokens), options, arena_of(threads));
      },
      nb::arg("tokens"), nb::arg("kind"), nb::kw_only(), nb::arg("alpha") = 1.0,
      nb::arg("temperature") = 1e-3, nb::arg("relaxation") = 0.0, nb::arg("beta") = 1.0,
      nb::arg("A") = nb::none(), nb::arg("Q") = nb::none(), nb::arg("K") = nb::none(),
      nb::arg("V") = nb::none(), nb::arg("layers") = 30, nb::arg("time") = 10.0, nb::arg("step") = 0.0,
      nb::arg("frames") = 60, nb::arg("distance") = 1e-2, nb::arg("threads") = 0,
      "Relatives of the hardmax system: softmax and localmax layers, the rescaled ODE ('emergence'), "
      "attention "
      "on the\nsphere ('sa', 'usa'), by RK4 with attention at every stage. step 0 is chosen by the system.");
  m.def("expected_leaders", &expected_leaders, nb::arg("tokens"), nb::arg("dimension"),
        "Expected leaders at layer 0 among n standard normal tokens in d dimensions.");
  m.def(
      "equiangular",
      [](std::size_t tokens, double beta, const std::vector<double>& times, bool unnormalised) {
        return to_numpy(equiangular(tokens, beta, unnormalised, times));
      },
      nb::arg("tokens"), nb::arg("beta"), nb::arg("times"), nb::arg("unnormalised") = false,
      "γ(t) of n orthonormal tokens on the sphere.");
}

LayerMode mode_named(const std::string& name) {
  if (name == "soft") return LayerMode::kSoft;
  if (name == "hard") return LayerMode::kHard;
  throw nb::value_error("mode is 'soft' or 'hard'");
}

LabelledText labelled(const std::vector<std::string>& texts, const std::vector<std::uint8_t>& labels) {
  LabelledText out;
  out.texts = texts;
  out.labels = labels;
  out.negative = "negative";
  out.positive = "positive";
  return out;
}

void bind_model(nb::module_& m) {
  nb::class_<SentimentModel>(m, "SentimentModel", "Word vectors, K hardmax layers, mean, linear, sigmoid.")
      .def_static(
          "load", [](const std::filesystem::path& path) { return load_sentiment(path.string()); },
          nb::arg("path"))
      .def_static(
          "import_published",
          [](const std::filesystem::path& weights, const std::filesystem::path& vocabulary) {
            return import_published(weights.string(), vocabulary.string());
          },
          nb::arg("weights"), nb::arg("vocabulary"), "The published .pth file, read without running pickle.")
      .def(
          "save",
          [](const SentimentModel& s, const std::filesystem::path& path) {
            save_sentiment(s, path.string());
          },
          nb::arg("path"))
      .def_ro("alpha", &SentimentModel::alpha)
      .def_ro("bias", &SentimentModel::bias)
      .def_prop_ro(
          "v", [](const SentimentModel& s) { return to_numpy(s.v); }, nb::rv_policy::move)
      .def_prop_ro("words", [](const SentimentModel& s) { return s.vocabulary.words(); })
      .def_prop_ro(
          "embedding",
          [](const SentimentModel& s) {
            const float* begin = s.embedding.data();
            return to_numpy(std::vector<float>(begin, begin + s.embedding.size()), s.embedding.rows(),
                            s.embedding.cols());
          },
          nb::rv_policy::move)
      .def(
          "predict",
          [](const SentimentModel& s, const std::vector<std::string>& texts, const std::string& mode,
             int threads) {
            const LayerMode how = mode_named(mode);
            std::vector<double> out;
            {
              const Working working;
              for (const Prediction& p : predict(s, texts, how, arena_of(threads)))
                out.push_back(p.probability);
            }
            return to_numpy(out);
          },
          nb::arg("texts"), nb::arg("mode") = "hard", nb::arg("threads") = 0,
          "Probability of the positive class of each text.")
      .def(
          "explain",
          [](const SentimentModel& s, const std::string& text, int threads) {
            const Working working;
            return explanation_report(explain(s, text, arena_of(threads)), s,
                                      page("sentiment explain", "text"));
          },
          nb::arg("text"), nb::arg("threads") = 0, "Which words decided, and the sum: a Report.")
      .def(
          "leaders",
          [](const SentimentModel& s, const std::vector<std::string>& texts,
             const std::vector<std::uint8_t>& labels, double confidence, double far, int threads) {
            const Working working;
            const CensusOptions options{.confidence = confidence, .far = far};
            return census_report(leader_census(s, texts, labels, options, arena_of(threads)), s,
                                 page("sentiment leaders", "texts"));
          },
          nb::arg("texts"), nb::arg("labels") = std::vector<std::uint8_t>{}, nb::arg("confidence") = 0.0,
          nb::arg("far") = 0.0, nb::arg("threads") = 0, "Words that lead over a corpus: a Report.");
}

void bind_sentiment(nb::module_& m) {
  bind_model(m);
  m.def(
      "read_texts",
      [](const std::filesystem::path& path) {
        LabelledText read;
        {
          const Working working;
          read = read_labelled_text(path.string());
        }
        return std::make_pair(std::move(read.texts), to_numpy(read.labels));
      },
      nb::arg("path"), "Texts and labels (0, 1) of a csv, tsv or jsonl file, or a folder with pos and neg.");
  m.def(
      "train",
      [](const std::vector<std::string>& texts, const std::vector<std::uint8_t>& labels,
         const std::vector<std::string>& test_texts, const std::vector<std::uint8_t>& test_labels,
         std::size_t dim, std::size_t layers, std::size_t epochs, std::uint64_t seed, bool lower_case,
         bool mask_padding, const std::string& mode, bool baselines, int threads) {
        TrainingSpec spec;
        spec.model.dim = dim;
        spec.model.layers = layers;
        spec.model.mask_padding = mask_padding;
        spec.preprocess.lower_case = lower_case;
        spec.mode = mode == "ste" ? LayerMode::kSte : mode_named(mode);
        spec.epochs = epochs;
        spec.seeds = {seed};
        spec.baselines = baselines;
        const Working working;
        TrainingResult result = train_sentiment(
            spec, labelled(texts, labels), labelled(test_texts, test_labels), "", false, arena_of(threads));
        Report report = training_report(result, page("sentiment train", "texts"));
        if (!result.runs[0].failed.empty())
          throw Error(ErrorKind::kNotFinite, "training", result.runs[0].failed);
        return std::make_pair(std::move(result.runs[0].model), std::move(report));
      },
      nb::arg("texts"), nb::arg("labels"), nb::arg("test_texts") = std::vector<std::string>{},
      nb::arg("test_labels") = std::vector<std::uint8_t>{}, nb::kw_only(), nb::arg("dim") = 2,
      nb::arg("layers") = 8, nb::arg("epochs") = 30, nb::arg("seed") = 0, nb::arg("lower_case") = true,
      nb::arg("mask_padding") = true, nb::arg("mode") = "soft", nb::arg("baselines") = true,
      nb::arg("threads") = 0,
      "Train a sentiment model; returns (SentimentModel, Report). Without test texts, three tenths of the "
      "texts "
      "test.");
}

}  // namespace

void bind_clustering(nb::module_& m) {
  bind_run(m);
  bind_soft(m);
  bind_sentiment(m);
  m.def(
      "heads",
      [](const std::filesystem::path& model, const std::optional<std::string>& text,
         const std::optional<std::vector<std::int32_t>>& ids, std::size_t window, std::size_t max_windows,
         const std::optional<std::vector<double>>& thresholds, double alpha, int threads) {
        ClusterMeasureOptions options;
        if (thresholds) options.thresholds = *thresholds;
        options.alpha = alpha;
        const Working working;
        return clustering_heads(model.string(), options_of(text, ids, window, max_windows), options,
                                arena_of(threads));
      },
      nb::arg("model"), nb::arg("text") = nb::none(), nb::kw_only(), nb::arg("ids") = nb::none(),
      nb::arg("window") = 0, nb::arg("max_windows") = 16, nb::arg("thresholds") = nb::none(),
      nb::arg("alpha") = 1.0, nb::arg("threads") = 0,
      "How hard each head's attention is, which tokens it follows, and how the residual stream clusters.");
}

}  // namespace telos::python
