// A run between two steps as one safetensors file.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "bigram/train_parts.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "telos/base/error.h"
#include "telos/io/checkpoint.h"

namespace telos::bigram {
namespace {

constexpr const char* kStepsKey = "telos.bigram.steps";
constexpr const char* kOptionsKey = "telos.bigram.options";
constexpr const char* kInstanceKey = "telos.bigram.instance";
constexpr const char* kHint = "resume with the instance and options that the run was started with";

/// The numbers of a point, in the order of the file.
constexpr std::size_t kFields = 22;
std::array<double, kFields> numbers(const CurvePoint& p) {
  const Signals& s = p.signals;
  const Excess& e = p.excess;
  return {static_cast<double>(p.step),
          static_cast<double>(p.samples),
          p.held_out,
          p.held_out_error,
          p.gain,
          p.gain_error,
          p.knowledge,
          static_cast<double>(p.stable),
          p.population,
          s.v,
          s.a,
          s.v_error,
          s.a_error,
          s.v_cosine,
          s.a_cosine,
          s.v_distance,
          s.a_distance,
          e.product,
          e.values,
          e.attention,
          e.transitions,
          p.seconds};
}

CurvePoint point(const double* x) {
  CurvePoint p;
  p.step = static_cast<std::uint64_t>(x[0]);
  p.samples = static_cast<std::uint64_t>(x[1]);
  p.held_out = x[2];
  p.held_out_error = x[3];
  p.gain = x[4];
  p.gain_error = x[5];
  p.knowledge = x[6];
  p.stable = static_cast<std::size_t>(x[7]);
  p.population = x[8];
  p.signals = {x[9], x[10], x[11], x[12], x[13], x[14], x[15], x[16]};
  p.excess = {x[17], x[18], x[19], x[20]};
  p.seconds = x[21];
  return p;
}

class Fingerprint {
 public:
  template <class T>
  void add(std::span<const T> values) {
    const std::uint64_t count = values.size();
    hash_.update(&count, sizeof count);
    hash_.update(values.data(), values.size_bytes());
  }
  void add(const Matrix<double>& m) { add(std::span(m.data(), m.size())); }
  std::string hex() { return hash_.hex(); }

 private:
  Sha256 hash_;
};

std::string fingerprint(const Instance& instance, const std::string& data) {
  if (!data.empty()) return data;
  Fingerprint print;
  print.add(instance.p);
  const std::uint64_t length = instance.length;
  print.add(std::span(&length, 1));
  for (const SparseColumn& column : instance.q) {
    print.add(std::span(column.positions));
    print.add(std::span(column.weights));
  }
  return print.hex();
}

/// All options that steps depend on.
std::string options_text(const TrainOptions& o) {
  const auto optional = [](const std::optional<double>& x) { return x ? fmt::format("{}", *x) : "-"; };
  std::string start = "-";
  if (o.start) {
    Fingerprint print;
    print.add(o.start->v);
    print.add(o.start->a);
    start = print.hex();
  }
  return fmt::format(
      "algorithm {}, batch {}, eta {}, eta_v {}, eta_a {}, threshold {}, samples {}, stop_early {}, "
      "fix_mirror {}, keep {}, held_out {}, record_every {}, seed {}, start {}",
      to_string(o.algorithm), o.batch, o.eta, optional(o.eta_v), optional(o.eta_a), o.threshold, o.samples,
      o.stop_early, o.fix_mirror, o.keep, o.held_out, o.record_every, o.seed, start);
}

template <class T>
TensorToWrite tensor(const char* name, DType type, std::vector<std::uint64_t> shape,
                     std::span<const T> data) {
  return {.name = name, .dtype = type, .shape = std::move(shape), .data = std::as_bytes(data)};
}

TensorToWrite matrix(const char* name, const Matrix<double>& m) {
  return tensor(name, DType::kF64, {m.rows(), m.cols()}, std::span(m.data(), m.size()));
}

const std::string& metadata_of(const Checkpoint& file, const std::string& key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  throw Error(ErrorKind::kBadFormat, file.path(), "the metadata have no " + key,
              "expected a run that telos bigram train saved");
}

void require_same(const Checkpoint& file, const char* key, const std::string& expected, const char* what) {
  if (metadata_of(file, key) != expected)
    throw Error(ErrorKind::kUsage, file.path(), fmt::format("it is a run with {}", what), kHint);
}

const TensorInfo& find_tensor(const Checkpoint& file, const std::string& name, DType type) {
  const TensorInfo* found = file.find(name);
  const std::string place = tensor_place(file.path(), name);
  if (found == nullptr)
    throw Error(ErrorKind::kBadFormat, place, "the file does not have this tensor", kHint);
  if (found->dtype != type)
    throw Error(ErrorKind::kBadFormat, place,
                fmt::format("its type is {}, expected {}", to_string(found->dtype), to_string(type)));
  return *found;
}

[[noreturn]] void refuse_shape(const Checkpoint& file, const TensorInfo& found, const std::string& expected) {
  throw Error(ErrorKind::kShape, tensor_place(file.path(), found.name),
              fmt::format("its shape is {}, expected {}", found.shape_text(), expected), kHint);
}

void read_matrix(const Checkpoint& file, const std::string& name, Matrix<double>& out) {
  const TensorInfo& found = find_tensor(file, name, DType::kF64);
  if (found.shape != std::vector<std::uint64_t>{out.rows(), out.cols()})
    refuse_shape(file, found, fmt::format("[{}, {}]", out.rows(), out.cols()));
  file.read(found, 0, 0, out);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!std::isfinite(out.data()[i]))
      throw Error(ErrorKind::kNotFinite, tensor_place(file.path(), name),
                  fmt::format("its element {} is {}", i, out.data()[i]));
}

std::vector<CurvePoint> read_curve(const Checkpoint& file) {
  const TensorInfo& found = find_tensor(file, "curve", DType::kF64);
  if (found.shape.size() != 2 || found.shape[1] != kFields)
    refuse_shape(file, found, fmt::format("[…, {}]", kFields));
  Matrix<double> rows(found.shape[0], kFields);
  file.read(found, 0, 0, rows);  // a loss of one sample has no error: NaN
  std::vector<CurvePoint> curve(rows.rows());
  for (std::size_t i = 0; i < curve.size(); ++i) curve[i] = point(rows.row(i));
  return curve;
}

void read_supports(const Checkpoint& file, SupportHistory& history) {
  const TensorInfo& found = find_tensor(file, "supports", DType::kU64);
  std::vector<std::uint64_t> state(found.elements());
  file.read_bytes(found, std::as_writable_bytes(std::span(state)));
  if (!history.restore(state))
    throw Error(ErrorKind::kBadFormat, tensor_place(file.path(), "supports"),
                "they are not one set for each token");
}

void read_counts(const Checkpoint& file, Moments& moments) {
  const TensorInfo& found = find_tensor(file, "counts", DType::kU32);
  if (found.elements() != moments.counts().size())
    refuse_shape(file, found, fmt::format("[{}]", moments.counts().size()));
  file.read_bytes(found, std::as_writable_bytes(moments.counts()));
}

std::uint64_t read_steps(const Checkpoint& file, std::uint64_t most) {
  const std::string& text = metadata_of(file, kStepsKey);
  std::uint64_t steps = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), steps);
  if (error != std::errc() || end != text.data() + text.size() || steps > most)
    throw Error(ErrorKind::kBadFormat, file.path(),
                fmt::format("{} is \"{}\", expected a number up to {}", kStepsKey, printable(text), most));
  return steps;
}

}  // namespace

void save_run(const Instance& instance, const std::string& data, const TrainOptions& options,
              const RunState& state, const std::string& path) {
  std::vector<double> curve;
  for (const CurvePoint& p : state.curve) {
    const auto row = numbers(p);
    curve.insert(curve.end(), row.begin(), row.end());
  }
  const std::vector<std::uint64_t> supports = state.history.state();
  std::vector<TensorToWrite> tensors = {
      matrix("v", state.model.v), matrix("a", state.model.a),
      tensor("curve", DType::kF64, {state.curve.size(), kFields}, std::span<const double>(curve)),
      tensor("supports", DType::kU64, {supports.size()}, std::span(supports)),
      tensor("lambda", DType::kF64, {1, 1}, std::span(&state.lambda, 1))};
  if (options.algorithm == Algorithm::kSoftmax) tensors.push_back(matrix("logits", state.logits));
  if (options.algorithm == Algorithm::kMoments)
    tensors.push_back(tensor("counts", DType::kU32, {state.moments.counts().size()}, state.moments.counts()));
  write_safetensors(path, tensors,
                    {{kStepsKey, std::to_string(state.steps)},
                     {kOptionsKey, options_text(options)},
                     {kInstanceKey, fingerprint(instance, data)}});
}

RunState load_run(const Instance& instance, const std::string& data, const TrainOptions& options,
                  const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  require_same(file, kInstanceKey, fingerprint(instance, data),
               data.empty() ? "another instance" : "other samples");
  require_same(file, kOptionsKey, options_text(options), "other options");
  const std::size_t n = instance.tokens(), length = instance.length;
  RunState state;
  state.steps = read_steps(file, last_step(options));
  state.model = {Matrix<double>(n, n), Matrix<double>(n, length)};
  read_matrix(file, "v", state.model.v);
  read_matrix(file, "a", state.model.a);
  Matrix<double> lambda(1, 1);
  read_matrix(file, "lambda", lambda);
  state.lambda = lambda(0, 0);
  state.history = SupportHistory(n);
  read_supports(file, state.history);
  state.curve = read_curve(file);
  if (options.algorithm == Algorithm::kSoftmax) {
    state.logits = Matrix<double>(n, length);
    read_matrix(file, "logits", state.logits);
  }
  if (options.algorithm == Algorithm::kMoments) {
    state.moments = Moments(instance);
    read_counts(file, state.moments);
  }
  return state;
}

}  // namespace telos::bigram
