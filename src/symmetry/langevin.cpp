#include "telos/symmetry/langevin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "symmetry/network.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kStart = 0x53794D10, kChain = 0x53794D11, kWidths = 0x53794D12;  // streams
constexpr double kFriction = 2;  // critical for what only the prior holds

std::vector<double> draw_weights(std::size_t n, std::uint64_t seed, std::uint32_t stream,
                                 std::uint64_t sample) {
  Random random(seed, stream, sample);
  std::vector<double> theta(n);
  for (double& w : theta) w = random.normal();
  return theta;
}

/// Rows b V + x_b of the table, one set a sequence.
class TableRows {
 public:
  TableRows(ConstMatrixView<std::uint32_t> sequences, std::uint32_t letters)
      : length_(sequences.cols()), rows_(sequences.rows() * sequences.cols()) {
    for (std::size_t i = 0; i < sequences.rows(); ++i)
      for (std::size_t b = 0; b < length_; ++b) rows_[i * length_ + b] = b * letters + sequences(i, b);
  }
  std::size_t sequences() const { return rows_.size() / length_; }
  std::span<const std::size_t> operator[](std::size_t i) const {
    return std::span(rows_).subspan(i * length_, length_);
  }
  double value(std::size_t i, std::span<const double> table) const {
    double sum = 0;
    for (const std::size_t r : (*this)[i]) sum += table[r];
    return sum;
  }

 private:
  std::size_t length_;
  std::vector<std::size_t> rows_;
};

/// Largest eigenvalue of Σ_p ∇f(x_p)∇f(x_p)ᵀ by powers, J applied by a difference.
double largest_curvature(Network& network, const TableRows& data, std::span<const double> theta,
                         std::uint64_t seed) {
  constexpr int kPowers = 30;
  constexpr double kDifference = 1e-5;
  std::vector<double> v = draw_weights(theta.size(), seed, kStart, ~std::uint64_t{0}), moved(theta.size()),
                      here(network.rows()), there(network.rows()), slope(network.rows());
  for (int power = 0; power < kPowers; ++power) {
    double norm = 0;
    for (const double x : v) norm += x * x;
    norm = std::sqrt(norm);
    if (norm == 0) return 0;
    for (std::size_t i = 0; i < v.size(); ++i) moved[i] = theta[i] + kDifference * (v[i] /= norm);
    network.forward(moved, there);
    network.forward(theta, here);
    std::fill(slope.begin(), slope.end(), 0.0);
    for (std::size_t p = 0; p < data.sequences(); ++p) {
      const double along = (data.value(p, there) - data.value(p, here)) / kDifference;
      for (const std::size_t r : data[p]) slope[r] += along;
    }
    network.gradient(theta, slope, v);
  }
  double square = 0;
  for (const double x : v) square += x * x;
  return std::sqrt(square);
}

/// Numbers of mean 0 and variance 1: 32 signs, their sum over √32.
class Signs {
 public:
  Signs(std::uint64_t seed, std::uint64_t chain)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}, chain_(chain) {}

  /// values[i] ← keep · values[i] + add · noise, for step number `step`.
  void mix(std::span<double> values, double keep, double add, std::uint32_t step) const {
    const double scale = add / std::sqrt(8.0);
    for (std::size_t i = 0; i < values.size(); i += 4) {
      const auto bits = philox4x32(
          {static_cast<std::uint32_t>(i / 4), step, static_cast<std::uint32_t>(chain_), kChain}, key_);
      for (std::size_t j = i; j < std::min(i + 4, values.size()); ++j)
        values[j] = keep * values[j] + scale * (std::popcount(bits[j - i]) - 16);
    }
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t chain_;
};

struct ChainResult {
  std::vector<double> mean, square;  // of f at the test sequences
};

class Chain {
 public:
  Chain(const LangevinOptions& o, std::size_t length, std::uint32_t letters, const TableRows& data,
        std::span<const double> labels, std::uint64_t chain)
      : network_(o.block, o.shape, length, letters),
        data_(data),
        labels_(labels),
        noise_(o.noise),
        signs_(o.seed, chain),
        theta_(draw_weights(network_.parameters(), o.seed, kStart, 2 * chain)),
        momentum_(draw_weights(network_.parameters(), o.seed, kStart, 2 * chain + 1)),
        force_(network_.parameters()),
        table_(network_.rows()),
        slope_(network_.rows()) {
    update_force();
  }

  double curvature(std::uint64_t seed) { return largest_curvature(network_, data_, theta_, seed); }

  /// B A O A B: half a kick, half a move, noise and friction, half a move, half a kick.
  void step(double h, std::uint32_t number) {
    const double keep = std::exp(-kFriction * h);
    kick(h / 2);
    move(h / 2);
    signs_.mix(momentum_, keep, std::sqrt(1 - keep * keep), number);
    move(h / 2);
    update_force();
    kick(h / 2);
  }
  std::span<const double> table() const { return table_; }

 private:
  void kick(double h) {
    for (std::size_t i = 0; i < theta_.size(); ++i) momentum_[i] += h * force_[i];
  }
  void move(double h) {
    for (std::size_t i = 0; i < theta_.size(); ++i) theta_[i] += h * momentum_[i];
  }
  /// −θ − Σ_p (f(x_p) − y_p) ∇f(x_p)/σ².
  void update_force() {
    network_.forward(theta_, table_);
    std::fill(slope_.begin(), slope_.end(), 0.0);
    for (std::size_t p = 0; p < data_.sequences(); ++p) {
      const double off = (labels_[p] - data_.value(p, table_)) / noise_;
      for (const std::size_t r : data_[p]) slope_[r] += off;
    }
    network_.gradient(theta_, slope_, force_);
    for (std::size_t i = 0; i < theta_.size(); ++i) force_[i] -= theta_[i];
  }

  Network network_;
  const TableRows& data_;
  std::span<const double> labels_;
  double noise_;
  Signs signs_;
  std::vector<double> theta_, momentum_, force_, table_, slope_;
};

ChainResult run_chain(Chain& chain, const LangevinSchedule& schedule, const TableRows& tests,
                      Progress& progress) {
  constexpr std::uint32_t kBetweenChecks = 64;
  ChainResult r{std::vector<double>(tests.sequences()), std::vector<double>(tests.sequences())};
  for (std::uint32_t i = 0; i < schedule.steps; ++i) {
    chain.step(schedule.step, i);
    if (i % kBetweenChecks == 0) {
      check_interrupt();
      progress.advance(kBetweenChecks);
    }
    if (i < schedule.burn_in) continue;
    for (std::size_t t = 0; t < tests.sequences(); ++t) {
      const double f = tests.value(t, chain.table());
      r.mean[t] += f;
      r.square[t] += f * f;
    }
  }
  const double n = static_cast<double>(schedule.steps - schedule.burn_in);
  for (std::size_t t = 0; t < tests.sequences(); ++t) {
    r.mean[t] /= n;
    r.square[t] /= n;
    if (!std::isfinite(r.square[t]))
      throw Error(ErrorKind::kNoConvergence, "Langevin dynamics",
                  fmt::format("left the finite numbers at steps of {:.3g}", schedule.step),
                  "take a smaller step, or a larger ridge");
  }
  return r;
}

LangevinSchedule schedule_of(const LangevinOptions& o, double curvature) {
  const double step = o.step / std::sqrt(1 + curvature / o.noise);
  const double steps = std::ceil((o.burn_in + o.duration) / step);
  if (!(steps <= kMostSteps))
    throw Error(ErrorKind::kLimit, "Langevin dynamics",
                fmt::format("takes {:.3g} steps a chain, at most {:.0e} are run", steps, kMostSteps),
                "take a larger ridge, fewer samples or a shorter time");
  return {curvature, step, static_cast<std::size_t>(std::ceil(o.burn_in / step)),
          static_cast<std::size_t>(steps)};
}

}  // namespace

void require_langevin(const LangevinOptions& o, std::size_t length, std::uint32_t letters) {
  require_network(o.shape, length, letters);
  if (o.block.query || o.block.average != AttentionAverage::kMean)
    throw Error(ErrorKind::kUsage, "block", "networks are those of the block without query, norm 1/L²");
  if (!std::isfinite(o.noise) || o.noise <= 0)
    throw Error(ErrorKind::kUsage, "ridge",
                fmt::format("expected a variance above 0 for a network, found {}", o.noise));
  if (o.chains < 2 || o.chains > 1000)
    throw Error(ErrorKind::kUsage, "chains", fmt::format("expected 2 to 1000, found {}", o.chains));
  const auto positive = [](double value, double least) { return std::isfinite(value) && value >= least; };
  if (!positive(o.burn_in, 0) || !positive(o.duration, 1e-6) || !positive(o.step, 1e-6))
    throw Error(ErrorKind::kUsage, "Langevin dynamics",
                fmt::format("burn-in {}, duration {} and step {}, expected numbers above 0", o.burn_in,
                            o.duration, o.step));
}

NetworkShape shape_of_width(std::size_t width) {
  return {width, std::max<std::size_t>(1, width / 4), 4};
}

void require_network(const NetworkShape& shape, std::size_t length, std::uint32_t letters) {
  for (const std::size_t n : {shape.width, shape.heads, shape.keys})
    if (n < 1 || n > 4096)
      throw Error(ErrorKind::kUsage, "network", fmt::format("expected widths of 1 to 4096, found {}", n));
  const double rows = static_cast<double>(length) * letters, d = static_cast<double>(shape.width),
               heads = static_cast<double>(shape.heads);
  require_memory(
      8 * (4 * heads * d * static_cast<double>(shape.keys) + rows * (2 * d + 4 * heads + 2 * rows)),
      "network", "take a smaller width, or fewer letters");
}

LangevinSchedule plan_langevin(ConstMatrixView<std::uint32_t> sequences, std::span<const double> labels,
                               std::uint32_t letters, const LangevinOptions& o) {
  if (sequences.rows() == 0) throw Error(ErrorKind::kUsage, "Langevin dynamics", "there is no sample");
  if (labels.size() != sequences.rows())
    throw Error(ErrorKind::kShape, "Langevin dynamics",
                fmt::format("{} labels of {} sequences", labels.size(), sequences.rows()));
  require_langevin(o, sequences.cols(), letters);
  const TableRows data(sequences, letters);
  Chain first(o, sequences.cols(), letters, data, labels, 0);
  return schedule_of(o, first.curvature(o.seed));
}

LangevinResult train_langevin(ConstMatrixView<std::uint32_t> sequences, std::span<const double> labels,
                              ConstMatrixView<std::uint32_t> tests, std::uint32_t letters,
                              const LangevinOptions& o, const Arena& arena) {
  if (tests.cols() != sequences.cols())
    throw Error(ErrorKind::kShape, "Langevin dynamics",
                fmt::format("sequences of {} letters, and of {} to test", sequences.cols(), tests.cols()));
  LangevinResult result;
  result.schedule = plan_langevin(sequences, labels, letters, o);
  const LangevinSchedule& schedule = result.schedule;
  const TableRows data(sequences, letters), test_rows(tests, letters);
  result.parameters = Network(o.block, o.shape, sequences.cols(), letters).parameters();
  Progress progress("Langevin", "step", static_cast<double>(schedule.steps * o.chains));
  std::vector<ChainResult> chains(o.chains);
  arena.parallel_for(o.chains, [&](std::size_t c) {
    Chain chain(o, sequences.cols(), letters, data, labels, c);
    chains[c] = run_chain(chain, schedule, test_rows, progress);
  });
  const double n = static_cast<double>(o.chains);
  for (std::size_t t = 0; t < tests.rows(); ++t) {
    double mean = 0, square = 0, spread = 0;
    for (const ChainResult& c : chains) {
      mean += c.mean[t] / n;
      square += c.square[t] / n;
    }
    for (const ChainResult& c : chains) spread += (c.mean[t] - mean) * (c.mean[t] - mean);
    result.mean.push_back(mean);
    result.error.push_back(std::sqrt(spread / (n * (n - 1))));
    result.variance.push_back(square - mean * mean);
  }
  return result;
}

std::vector<WidthPoint> measure_widths(const SimplifiedBlock& block, ConstMatrixView<std::uint32_t> sequences,
                                       std::uint32_t letters, const std::vector<std::size_t>& widths,
                                       std::size_t networks, std::uint64_t seed, const Arena& arena) {
  if (networks < 2 || sequences.rows() < 1 || block.query)
    throw Error(ErrorKind::kUsage, "widths",
                "expected 2 networks or more, a sequence or more, and a block without query");
  const Matrix<double> wide = simplified_gram(block, sequences, letters, arena);
  const TableRows rows(sequences, letters);
  const std::size_t n = sequences.rows();
  std::vector<WidthPoint> points;
  for (const std::size_t width : widths) {
    const NetworkShape shape = shape_of_width(width);
    require_network(shape, sequences.cols(), letters);
    std::vector<double> means(networks), squares(networks);
    arena.parallel_for(networks, [&](std::size_t i) {
      check_interrupt();
      Network network(block, shape, sequences.cols(), letters);
      std::vector<double> table(network.rows());
      network.forward(draw_weights(network.parameters(), seed, kWidths, (std::uint64_t{width} << 32) + i),
                      table);
      const Matrix<double> kernel = network.row_kernel();
      for (std::size_t x = 0; x < n; ++x)
        for (std::size_t y = 0; y <= x; ++y) {
          double own = 0;
          for (const std::size_t r : rows[x])
            for (const std::size_t t : rows[y]) own += kernel(r, t);
          const double off = (own - wide(x, y)) / std::sqrt(wide(x, x) * wide(y, y));
          means[i] += off;
          squares[i] += off * off;
        }
    });
    const double pairs = static_cast<double>(n * (n + 1) / 2), count = static_cast<double>(networks);
    WidthPoint point;
    point.shape = shape;
    const double own_size = std::pow(block.token + block.position, 2);
    for (std::size_t x = 0; x < n; ++x)
      for (std::size_t y = 0; y <= x; ++y)
        point.expected +=
            (own_size + wide(x, y)) / std::sqrt(wide(x, x) * wide(y, y)) / static_cast<double>(width) / pairs;
    double spread = 0;
    for (std::size_t i = 0; i < networks; ++i) {
      point.mean += means[i] / pairs / count;
      point.spread += squares[i] / pairs / count;
    }
    for (const double m : means) spread += std::pow(m / pairs - point.mean, 2);
    point.mean_error = std::sqrt(spread / (count * (count - 1)));
    point.spread = std::sqrt(point.spread);
    points.push_back(point);
  }
  return points;
}

}  // namespace telos::symmetry
