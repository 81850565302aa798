#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/positional/compiler.h"

namespace telos::positional {
namespace {

/// Streams of random numbers.
constexpr std::uint32_t kIntegers32 = 1, kIntegers64 = 2, kReals = 3;
constexpr std::size_t kMinVectors = 8;

/// Multiplications of one forward pass with the plain plan.
double work_of(const ModelConfig& c) {
  const auto real = [](std::size_t v) { return static_cast<double>(v); };
  const double s = real(c.positions()), d = real(c.width), h = real(c.hidden);
  return real(c.layers) * (s * s * d + s * (2 * d * d + 3 * d * h + real(c.mlp_layers - 2) * h * h));
}

template <class Draw>
Matrix<double> draw_given(const Program& program, std::size_t count, std::uint64_t seed, std::uint32_t stream,
                          Draw&& draw) {
  Matrix<double> out(count, program.n * program.given());
  for (std::size_t s = 0; s < count; ++s) {
    Random rng(seed, stream, s);
    for (std::size_t i = 0; i < program.n; ++i)
      for (std::size_t j = 0; j < program.given(); ++j)
        out(s, i * program.given() + j) =
            j < program.inputs.size() ? draw(rng) : static_cast<double>(rng.below(2));
  }
  return out;
}

/// Inputs of the network for samples of what is given; scratch positions hold 0.
Matrix<double> network_samples(const CompiledProgram& compiled, ConstMatrixView<double> given) {
  const Program& p = compiled.program;
  Matrix<double> out(given.rows(), compiled.model.config.positions() * p.columns());
  for (std::size_t s = 0; s < given.rows(); ++s) {
    try {
      const std::vector<double> x = network_inputs(p, {given.row(s), given.cols()});
      std::copy(x.begin(), x.end(), out.row(s));
    } catch (const Error& error) {
      throw Error(error.kind(), error.where(), "sample " + std::to_string(s) + ", " + error.message(),
                  error.hint());
    }
  }
  return out;
}

Matrix<double> run_network(const CompiledProgram& compiled, ConstMatrixView<double> given, bool as_float) {
  static const Arena serial(1);
  const Matrix<double> x = network_samples(compiled, given);
  return as_float ? evaluate<float>(compiled.model, x, compiled.program.n, serial)
                  : evaluate<double>(compiled.model, x, compiled.program.n, serial);
}

bool is_whole(double weight) {
  return weight == std::floor(weight);
}
bool are_whole(const std::vector<double>& weights) {
  return std::all_of(weights.begin(), weights.end(), is_whole);
}
bool has_whole_weights(const Expr& e) {
  return are_whole(e.weights) &&
         std::all_of(e.args.begin(), e.args.end(), [](const Expr& arg) { return has_whole_weights(arg); });
}

/// Whether interpret<std::int64_t> takes it.
bool has_whole_weights(const Program& program) {
  for (const Channel& channel : program.channels)
    if (!are_whole(channel.start)) return false;
  for (const Output& output : program.outputs)
    if (!are_whole(output.weights)) return false;
  for (const Round& round : program.rounds) {
    for (const Receive& receive : round.receives)
      for (const auto& row : receive.table)
        for (const Source& source : row)
          if (!is_whole(source.weight)) return false;
    for (const Role& role : round.roles)
      for (const Assignment& a : role.assignments)
        if (!has_whole_weights(a.value)) return false;
  }
  return true;
}

/// Whether int64 holds its sums on numbers up to `largest`.
bool fits_integers(const CompiledProgram& compiled, double largest) {
  const CompileReport& report = compiled.report;
  return has_whole_weights(compiled.program) &&
         report.growth * std::max(1.0, largest) + report.offset < 0x1p62;
}

/// The program itself: in int64, or in float64, which is exact on whole inputs up to largest_exact_f64.
std::vector<double> run_program(const Program& program, std::span<const double> given, bool as_integers) {
  if (!as_integers) return interpret<double>(program, given);
  const std::vector<std::int64_t> x(given.begin(), given.end());
  const std::vector<std::int64_t> y = interpret<std::int64_t>(program, x);
  return {y.begin(), y.end()};
}

/// Largest |network − program| over samples, divided by each sample's max|x| if `relative` (at least 1 with
/// constants and bits, which do not shrink with x). NaN if any difference is.
double largest_error(const CompiledProgram& compiled, ConstMatrixView<double> given, bool as_float,
                     bool as_integers, bool relative) {
  const Matrix<double> y = run_network(compiled, given, as_float);
  double worst = 0;
  for (std::size_t s = 0; s < given.rows(); ++s) {
    check_interrupt();
    const std::span<const double> x{given.row(s), given.cols()};
    const std::vector<double> wanted = run_program(compiled.program, x, as_integers);
    double scale = 1;
    if (relative) {
      scale = compiled.report.homogeneous ? std::numeric_limits<double>::min() : 1;
      for (const double v : x) scale = std::max(scale, std::abs(v));
    }
    for (std::size_t k = 0; k < wanted.size(); ++k) {
      const double error = std::abs(y(s, k) - wanted[k]) / scale;
      if (std::isnan(error)) return error;  // worse than any other
      worst = std::max(worst, error);
    }
  }
  return worst;
}

[[noreturn]] void fail(const CompiledProgram& compiled, const std::string& what, double found, double bound) {
  throw Error(ErrorKind::kInternal, printable(compiled.program.name),
              "the compiled network differs from its program on " + what + " by " + std::to_string(found) +
                  ", expected at most " + std::to_string(bound),
              "please report the program");
}

}  // namespace

Proof prove(const CompiledProgram& compiled, const CompileOptions& options) {
  const CompileReport& report = compiled.report;
  const Program& program = compiled.program;
  Proof out;
  const double affordable = options.proof_work / (3 * work_of(compiled.model.config));
  const std::size_t count =
      std::max(kMinVectors,
               static_cast<std::size_t>(std::min(affordable, static_cast<double>(options.proof_vectors))));
  out.integers = out.reals = count;

  const auto integers = [&](std::optional<double> largest, std::uint32_t stream, bool as_float,
                            double& tried) {
    // Where none is sure to be exact, whole numbers show the size of the error.
    const double inexact = std::floor(std::min(report.largest_select, 1000.0));
    tried = std::min(largest.value_or(inexact), 0x1p31 - 1);  // Random::below counts to 2^32 − 1
    const auto most = static_cast<std::uint32_t>(tried);
    const Matrix<double> given = draw_given(program, count, options.seed, stream, [&](Random& rng) {
      return static_cast<double>(rng.below(2 * most + 1)) - static_cast<double>(most);
    });
    return largest_error(compiled, given, as_float, fits_integers(compiled, tried), false);
  };
  out.integer_error_f32 = integers(report.largest_exact_f32, kIntegers32, true, out.largest_f32);
  out.integer_error_f64 = integers(report.largest_exact_f64, kIntegers64, false, out.largest_f64);
  out.exact_f32 = out.integer_error_f32 == 0;
  out.exact_f64 = out.integer_error_f64 == 0;

  // N(0, 1) has no entry beyond 9 in as many draws as this; select() sees at most M.
  const double scale = std::min(1.0, report.largest_select / 9);
  const Matrix<double> reals =
      draw_given(program, count, options.seed, kReals, [&](Random& rng) { return scale * rng.normal(); });
  out.real_error_f32 = largest_error(compiled, reals, true, false, true);
  out.real_error_f64 = largest_error(compiled, reals, false, false, true);
  const double size = 4 * static_cast<double>(report.layers) * (report.growth + report.offset);
  out.bound_f32 = size * std::numeric_limits<float>::epsilon();
  out.bound_f64 = size * std::numeric_limits<double>::epsilon();

  if (report.largest_exact_f32 && !out.exact_f32)
    fail(compiled, "whole numbers in float32", out.integer_error_f32, 0);
  if (report.largest_exact_f64 && !out.exact_f64)
    fail(compiled, "whole numbers in float64", out.integer_error_f64, 0);
  if (!(out.real_error_f32 <= out.bound_f32))
    fail(compiled, "reals in float32", out.real_error_f32, out.bound_f32);
  if (!(out.real_error_f64 <= out.bound_f64))
    fail(compiled, "reals in float64", out.real_error_f64, out.bound_f64);
  return out;
}

Matrix<double> execute(const CompiledProgram& compiled, ConstMatrixView<double> given, Execution execution) {
  const Program& program = compiled.program;
  const std::size_t outputs = program.n * program.outputs.size();
  Matrix<double> out(given.rows(), outputs);
  const Matrix<double> x = network_samples(compiled, given);  // refuses what cannot be run
  for (std::size_t s = 0; s < given.rows(); ++s) {
    if (execution != Execution::kExactMinMax && program.bound == 0) break;
    check_interrupt();
    try {
      const std::vector<double> y =
          interpret<double>(program, std::span<const double>{given.row(s), given.cols()});
      std::copy(y.begin(), y.end(), out.row(s));
    } catch (const Error& error) {
      throw Error(error.kind(), error.where(), "sample " + std::to_string(s) + ", " + error.message(),
                  error.hint());
    }
  }
  if (execution == Execution::kExactMinMax) return out;
  const Matrix<double> y = run_network(compiled, given, execution == Execution::kFloat);
  for (std::size_t s = 0; s < given.rows(); ++s) std::copy_n(y.row(s), outputs, out.row(s));
  return out;
}

}  // namespace telos::positional
