#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "clustering/soft_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/linalg/gemm.h"

namespace telos::clustering {
namespace {

constexpr const char* kSoftWhere = "simulate";
constexpr double kMostSteps = 1e8;

constexpr std::array<std::pair<SoftKind, std::string_view>, 5> kKinds = {{{SoftKind::kSoftmax, "softmax"},
                                                                          {SoftKind::kLocalmax, "localmax"},
                                                                          {SoftKind::kEmergence, "emergence"},
                                                                          {SoftKind::kSA, "sa"},
                                                                          {SoftKind::kUSA, "usa"}}};

void require(bool holds, const std::string& message, const std::string& hint = {}) {
  if (!holds) throw Error(ErrorKind::kUsage, kSoftWhere, message, hint);
}

void require_finite(ConstMatrixView<double> x, const char* name) {
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j)
      if (!std::isfinite(x(i, j)))
        throw Error(ErrorKind::kNotFinite, name,
                    fmt::format("row {}, column {} is {}", i, j, std::isnan(x(i, j)) ? "NaN" : "infinite"),
                    "every number must be finite");
}

void check_matrix(ConstMatrixView<double> m, const char* name, std::size_t d, bool used, SoftKind kind) {
  if (m.empty()) return;
  require(used, fmt::format("{} has no use for {}", to_string(kind), name),
          kind == SoftKind::kUSA ? "usa is the model with Q = K = V = I"
                                 : "softmax and localmax take A; emergence and sa take Q, K and V");
  if (m.rows() != d || m.cols() != d)
    throw Error(ErrorKind::kShape, kSoftWhere,
                fmt::format("{} is {} x {}, expected {} x {} for tokens of {} numbers", name, m.rows(),
                            m.cols(), d, d, d));
  require_finite(m, name);
}

void check_numbers(const SoftOptions& o) {
  const auto positive = [](double x) { return std::isfinite(x) && x > 0; };
  require(positive(o.distance), fmt::format("expected a distance ε > 0, found {}", o.distance));
  if (!is_continuous(o.kind)) {
    require(positive(o.alpha), fmt::format("expected α > 0, found {}", o.alpha));
    require(o.kind != SoftKind::kSoftmax || positive(o.temperature),
            fmt::format("expected a temperature T > 0, found {}", o.temperature),
            "T = 0 is the hardmax system: telos clustering run");
    require(o.kind != SoftKind::kLocalmax || (std::isfinite(o.relaxation) && o.relaxation >= 0),
            fmt::format("expected a relaxation of 0 or more, found {}", o.relaxation));
    return;
  }
  require(positive(o.time), fmt::format("expected a time > 0, found {}", o.time));
  require(std::isfinite(o.step) && o.step >= 0,
          fmt::format("expected a step > 0, or 0 for one that is chosen, found {}", o.step));
  require(o.frames > 0, "expected one frame or more, found 0");
  require(!is_spherical(o.kind) || (std::isfinite(o.beta) && o.beta >= 0),
          fmt::format("expected β ≥ 0, found {}", o.beta));
}

void check(ConstMatrixView<double> tokens, const SoftOptions& o) {
  if (tokens.empty()) throw Error(ErrorKind::kShape, kSoftWhere, "there are no tokens");
  check_numbers(o);
  const std::size_t d = tokens.cols();
  const bool discrete = !is_continuous(o.kind),
             form = o.kind == SoftKind::kEmergence || o.kind == SoftKind::kSA;
  check_matrix(o.a, "A", d, discrete, o.kind);
  check_matrix(o.q, "Q", d, form, o.kind);
  check_matrix(o.k, "K", d, form, o.kind);
  check_matrix(o.v, "V", d, form, o.kind);
  require_finite(tokens, "tokens");
  for (std::size_t i = 0; is_spherical(o.kind) && i < tokens.rows(); ++i)
    require(std::any_of(tokens.row(i), tokens.row(i) + d, [](double x) { return x != 0; }),
            fmt::format("token {} is zero: it has no direction", i),
            "the sphere models normalise the tokens; leave zero vectors out");
  const double states = static_cast<double>(discrete ? o.layers : o.frames) + 1;
  const double numbers = static_cast<double>(tokens.rows()) * static_cast<double>(d);
  require_memory(8 * numbers * ((o.keep_states ? states : 1) + 6), kSoftWhere,
                 o.keep_states ? "ask for fewer states" : "");
}

double largest_norm(const Matrix<double>& x) {
  double most = 0;
  for (std::size_t i = 0; i < x.rows(); ++i) {
    double square = 0;
    for (std::size_t c = 0; c < x.cols(); ++c) square += x(i, c) * x(i, c);
    most = std::max(most, square);
  }
  return std::sqrt(most);
}

/// Fills a run state by state.
class Recorder {
 public:
  Recorder(const SoftOptions& options, SoftRun& run, const Arena& arena)
      : options_(options), run_(run), arena_(arena) {}

  void add(double time, const Matrix<double>& x) {
    const bool sphere = is_spherical(options_.kind);
    const double radius = sphere ? 1 : largest_norm(x);
    if (!std::isfinite(radius) ||
        !std::all_of(x.data(), x.data() + x.size(), [](double v) { return std::isfinite(v); }))
      throw Error(
          ErrorKind::kNotFinite, kSoftWhere,
          fmt::format("a token overflowed at {} {}", is_continuous(options_.kind) ? "time" : "layer", time),
          is_continuous(options_.kind) ? "end earlier, or take a smaller step" : "scale the tokens down");
    run_.component = components(x, options_.distance * radius);
    run_.times.push_back(time);
    run_.clusters.push_back(*std::max_element(run_.component.begin(), run_.component.end()) + 1);
    if (sphere) {
      const bool energy = options_.kind == SoftKind::kUSA;
      const SphereState state = sphere_state(x, options_.beta, energy, arena_);
      run_.smallest_cosine.push_back(state.smallest_cosine);
      if (energy) run_.energy.push_back(state.energy);
    }
    if (options_.keep_states) run_.states.push_back(x.copy());
  }

 private:
  const SoftOptions& options_;
  SoftRun& run_;
  const Arena& arena_;
};

void run_layers(const SoftOptions& options, Matrix<double>& z, Recorder& recorder, const Arena& arena) {
  const double s = options.alpha / (1 + options.alpha);
  WeightRule rule;
  if (options.kind == SoftKind::kLocalmax)
    rule = {.kind = WeightRule::Kind::kBand, .scale = 1, .band = options.relaxation};
  else
    rule.scale = 1 / options.temperature;
  Matrix<double> queries(options.a.empty() ? 0 : z.rows(), z.cols()), mean(z.rows(), z.cols());
  Progress progress("simulate", "layer", static_cast<double>(options.layers));
  for (std::size_t layer = 1; layer <= options.layers; ++layer) {
    check_interrupt();
    if (!options.a.empty())
      gemm<double>(Op::kPlain, Op::kTransposed, 1, z, options.a, 0, queries.view(), arena);
    attend(options.a.empty() ? z : queries, z, z, rule, mean, arena);
    for (std::size_t i = 0; i < z.size(); ++i) z.data()[i] += s * (mean.data()[i] - z.data()[i]);
    recorder.add(static_cast<double>(layer), z);
    progress.advance();
  }
}

void run_flow(const SoftOptions& options, Matrix<double>& x, Recorder& recorder, SoftRun& run,
              const Arena& arena) {
  const double stretch = options.time / static_cast<double>(options.frames);
  const double steps = std::max(1.0, std::ceil(stretch / flow_step(options) * (1 - 1e-12)));
  if (!(steps * static_cast<double>(options.frames) <= kMostSteps))
    throw Error(
        ErrorKind::kLimit, kSoftWhere,
        fmt::format("until time {} there would be {:.2g} steps of {:.2g}, more than {:.0g}", options.time,
                    steps * static_cast<double>(options.frames), flow_step(options), kMostSteps),
        "end earlier, or set the step");
  run.step = stretch / steps;
  const std::unique_ptr<Flow> flow = make_flow(options, x.cols(), arena);
  Progress progress("simulate", "state", static_cast<double>(options.frames));
  const auto note_saturation = [&](std::size_t frame, double time) {
    if (options.kind != SoftKind::kEmergence) return;
    flow->begin_stretch(time, run.step);
    if (!flow->saturated(x))
      run.saturated_at = kNone;  // tokens may part again
    else if (run.saturated_at == kNone)
      run.saturated_at = frame;
  };
  note_saturation(0, 0);
  for (std::size_t frame = 1; frame <= options.frames; ++frame) {
    integrate(*flow, stretch * static_cast<double>(frame - 1), run.step, static_cast<std::size_t>(steps), x);
    const double time = frame == options.frames ? options.time : stretch * static_cast<double>(frame);
    recorder.add(time, x);
    note_saturation(frame, time);
    progress.advance();
  }
}

bool normalise(Matrix<double>& x) {
  const Matrix<double> before = x.copy();
  normalise_rows(x);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (std::abs(x.data()[i] - before.data()[i]) > 1e-12) return true;
  return false;
}

}  // namespace

std::string_view to_string(SoftKind kind) {
  for (const auto& [value, name] : kKinds)
    if (value == kind) return name;
  return "softmax";
}

SoftKind soft_kind_from(std::string_view name) {
  std::string known;
  for (const auto& [value, text] : kKinds) {
    if (text == name) return value;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw Error(ErrorKind::kUsage, kSoftWhere, "no such system: \"" + printable(name) + "\"",
              "known are " + known);
}

bool is_continuous(SoftKind kind) {
  return kind == SoftKind::kEmergence || is_spherical(kind);
}

bool is_spherical(SoftKind kind) {
  return kind == SoftKind::kSA || kind == SoftKind::kUSA;
}

SoftRun run_soft(ConstMatrixView<double> tokens, const SoftOptions& options, const Arena& arena) {
  check(tokens, options);
  Matrix<double> x(tokens.rows(), tokens.cols());
  for (std::size_t i = 0; i < x.rows(); ++i) std::copy_n(tokens.row(i), x.cols(), x.row(i));
  SoftRun run;
  if (is_spherical(options.kind) && normalise(x)) run.notes.push_back("the tokens were normalised");
  if (is_spherical(options.kind) && x.cols() == 1)
    run.notes.push_back("for d = 1 the sphere is two points: nothing moves");
  Recorder recorder(options, run, arena);
  recorder.add(0, x);
  if (is_continuous(options.kind))
    run_flow(options, x, recorder, run, arena);
  else
    run_layers(options, x, recorder, arena);
  return run;
}

Plateau longest_plateau(const SoftRun& run) {
  Plateau best;
  double longest = 0;
  for (std::size_t first = 0; first < run.clusters.size();) {
    std::size_t last = first;
    while (last + 1 < run.clusters.size() && run.clusters[last + 1] == run.clusters[first]) ++last;
    const double length = run.times[last] - run.times[first];
    if (run.clusters[first] > 1 && run.clusters[first] < run.clusters.front() && length > longest) {
      longest = length;
      best = {run.clusters[first], first, last};
    }
    first = last + 1;
  }
  return best;
}

}  // namespace telos::clustering
