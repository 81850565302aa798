// Gram matrices, tile by tile.
#include "telos/symmetry/gram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>

#include "io/sha256.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/quantity.h"
#include "telos/base/stopwatch.h"

namespace telos::symmetry {
namespace {

constexpr double kMostPreparedBytes = 1e9, kMostJointBytes = 1e9;

PreparedSequence prepare_item(const Kernel& kernel, const Sequences& s, std::size_t i) {
  try {
    return kernel.prepare(s.items[i]);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("sequence {}", i), error.message(), error.hint());
  }
}

/// Prepared sequences: all of them, or those of a tile when it is worked on.
class PreparedItems {
 public:
  PreparedItems(const Kernel& kernel, const Sequences& sequences, bool all, const Arena& arena)
      : kernel_(kernel), sequences_(sequences) {
    if (!all) return;
    std::vector<std::optional<PreparedSequence>> items(sequences.size());
    arena.parallel_for(items.size(), [&](std::size_t i) {
      check_interrupt();
      items[i] = prepare_item(kernel, sequences, i);
    });
    all_.reserve(items.size());
    for (auto& item : items) all_.push_back(std::move(*item));
  }

  std::vector<PreparedSequence> some(std::size_t first, std::size_t count) const {
    if (!all_.empty()) {
      const auto begin = all_.begin() + static_cast<std::ptrdiff_t>(first);
      return {begin, begin + static_cast<std::ptrdiff_t>(count)};
    }
    std::vector<PreparedSequence> out;
    for (std::size_t i = first; i < first + count; ++i) out.push_back(prepare_item(kernel_, sequences_, i));
    return out;
  }

 private:
  const Kernel& kernel_;
  const Sequences& sequences_;
  std::vector<PreparedSequence> all_;
};

struct GramTile {
  std::size_t row = 0, col = 0, rows = 0, cols = 0;
};

bool in_single(const Kernel& kernel) {
  return kernel.options().precision == Precision::kSingle;
}

std::string fingerprint(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                        const GramOptions& o) {
  Sha256 hash;
  const KernelOptions& k = kernel.options();
  const std::string head =
      fmt::format("telos gram 2 {} {} {} {} {} {} {} {} {} {}", to_json(kernel.architecture()), o.ntk, o.tile,
                  kernel.vocabulary(), kernel.monte_carlo() ? k.samples : 0, k.batches, k.antithetic, k.seed,
                  columns == nullptr, in_single(kernel));
  hash.update(head.data(), head.size());
  for (const Sequences* s : {&rows, columns})
    if (s)
      for (const auto& item : s->items) {
        const std::uint64_t size = item.size();
        hash.update(&size, sizeof size);
        hash.update(item.data(), item.size() * sizeof(Token));
      }
  return hash.hex();
}

double pair_count(const Sequences& rows, const Sequences* columns) {
  const auto n = static_cast<double>(rows.size());
  return columns ? n * static_cast<double>(columns->size()) : n * (n + 1) / 2;
}

void require_gram(const Sequences& rows, const Sequences* columns, const GramOptions& o) {
  if (rows.size() == 0 || (columns && columns->size() == 0))
    throw Error(ErrorKind::kUsage, "gram", "there is no sequence");
  if (o.errors && !o.path.empty())
    throw Error(ErrorKind::kUsage, "gram", "standard errors are kept in memory only");
  if (o.tile < 1 || o.tile > 4096)
    throw Error(ErrorKind::kUsage, "gram", fmt::format("expected tiles of 1 to 4096, found {}", o.tile));
}

}  // namespace

/// Fills a Gram matrix.
class GramBuilder {
 public:
  GramBuilder(const Kernel& kernel, const Sequences& rows, const Sequences* columns, const GramOptions& o,
              const Arena& arena)
      : kernel_(kernel),
        rows_(rows),
        columns_(columns ? *columns : rows),
        symmetric_(!columns),
        o_(o),
        arena_(arena) {
    out_.rows_ = rows_.size();
    out_.cols_ = columns_.size();
    if (o.path.empty()) {
      out_.values_ = Matrix<double>(out_.rows_, out_.cols_);
      if (o.errors && kernel.monte_carlo()) out_.errors_ = Matrix<double>(out_.rows_, out_.cols_);
    } else {
      out_.path_ = o.path;
      out_.file_ = std::make_unique<NpyMatrixFile>(o.path, out_.rows_, out_.cols_,
                                                   fingerprint(kernel, rows, columns, o), in_single(kernel));
    }
  }

  /// All pairs with the same samples.
  Gram build_jointly() {
    out_.joint_ = true;
    const PreparedItems left(kernel_, rows_, true, arena_);
    std::vector<PreparedSequence> all = left.some(0, rows_.size());
    if (!symmetric_) {
      const PreparedItems right(kernel_, columns_, true, arena_);
      for (PreparedSequence& s : right.some(0, columns_.size())) all.push_back(std::move(s));
    }
    for (const PreparedSequence& s : all) out_.series_rest_ = std::max(out_.series_rest_, s.series_rest());
    const auto square = [&](bool wanted) {
      return Matrix<double>(wanted ? all.size() : 0, wanted ? all.size() : 0);
    };
    const bool errors = !out_.errors_.empty();
    Matrix<double> nngp = square(true), ntk = square(o_.ntk), error = square(errors);
    kernel_.tile_jointly(all, nngp, ntk, o_.ntk ? MatrixView<double>() : error.view(),
                         o_.ntk ? error.view() : MatrixView<double>(), arena_);
    const std::size_t first = symmetric_ ? 0 : rows_.size();
    const auto part = [&](const Matrix<double>& m) {
      Matrix<double> out(m.empty() ? 0 : out_.rows_, m.empty() ? 0 : out_.cols_);
      for (std::size_t i = 0; i < out.rows(); ++i) std::copy_n(m.row(i) + first, out.cols(), out.row(i));
      return out;
    };
    put({0, 0, out_.rows_, out_.cols_}, part(o_.ntk ? ntk : nngp), part(error));
    if (out_.file_) out_.file_->finish();
    return std::move(out_);
  }

  Gram build(bool keep_prepared) {
    const PreparedItems left(kernel_, rows_, keep_prepared, arena_);
    std::optional<PreparedItems> other;
    if (!symmetric_) other.emplace(kernel_, columns_, keep_prepared, arena_);
    const PreparedItems& right = symmetric_ ? left : *other;
    // Bands of rows, each of which is whole before the next one begins: what a file is marked by.
    const std::size_t bands = (out_.rows_ + o_.tile - 1) / o_.tile;
    const std::size_t done = out_.file_ ? std::min<std::size_t>(out_.file_->resumed(), bands) : 0;
    Progress progress("gram", "pairs", pair_count(rows_, symmetric_ ? nullptr : &columns_));
    for (std::size_t band = 0; band < done; ++band) out_.resumed_ += pairs_of(band);
    progress.advance(out_.resumed_);
    // Flushing to the disk takes its time: only now and then, and when the run is interrupted.
    constexpr double kSecondsBetweenMarks = 10;
    Stopwatch since_mark;
    for (std::size_t band = done; band < bands;) {
      // As many bands as keep all threads busy.
      const std::size_t whole = band;
      std::vector<GramTile> tiles;
      while (band < bands && tiles.size() < 8 * static_cast<std::size_t>(arena_.threads()))
        add_tiles(band++, tiles);
      try {
        fill_all(tiles, left, right, progress);
      } catch (...) {
        if (out_.file_ && whole > 0) out_.file_->mark(whole);
        throw;
      }
      if (out_.file_ && since_mark.seconds() > kSecondsBetweenMarks) {
        out_.file_->mark(band);
        since_mark = {};
      }
    }
    if (out_.file_) out_.file_->finish();
    return std::move(out_);
  }

 private:
  double pairs_in(const GramTile& t) const {
    const auto n = static_cast<double>(t.rows);
    return symmetric_ && t.row == t.col ? n * (n + 1) / 2 : n * static_cast<double>(t.cols);
  }
  double pairs_of(std::size_t band) const {
    std::vector<GramTile> tiles;
    add_tiles(band, tiles);
    return std::accumulate(tiles.begin(), tiles.end(), 0.0,
                           [&](double sum, const GramTile& t) { return sum + pairs_in(t); });
  }
  void add_tiles(std::size_t band, std::vector<GramTile>& tiles) const {
    const std::size_t row = band * o_.tile, rows = std::min(o_.tile, out_.rows_ - row);
    for (std::size_t col = symmetric_ ? row : 0; col < out_.cols_; col += o_.tile)
      tiles.push_back({row, col, rows, std::min(o_.tile, out_.cols_ - col)});
  }

  void fill_all(const std::vector<GramTile>& tiles, const PreparedItems& left, const PreparedItems& right,
                Progress& progress) {
    std::vector<double> rest(tiles.size());
    arena_.parallel_for(tiles.size(), [&](std::size_t t) {
      check_interrupt();
      rest[t] = fill(tiles[t], left, right);
      progress.advance(pairs_in(tiles[t]));
    });
    for (const double r : rest) out_.series_rest_ = std::max(out_.series_rest_, r);
  }

  /// The largest rest of series among the tile's sequences.
  double fill(const GramTile& t, const PreparedItems& left, const PreparedItems& right) {
    const std::vector<PreparedSequence> rows = left.some(t.row, t.rows);
    const bool diagonal = symmetric_ && t.row == t.col;
    const std::vector<PreparedSequence> cols = diagonal ? rows : right.some(t.col, t.cols);
    Matrix<double> nngp(t.rows, t.cols), ntk(o_.ntk ? t.rows : 0, o_.ntk ? t.cols : 0),
        error(out_.errors_.empty() ? 0 : t.rows, out_.errors_.empty() ? 0 : t.cols);
    if (diagonal)
      fill_triangle(rows, 0, rows.size(), nngp, ntk, error);
    else
      fill_rectangle(rows, cols, nngp, ntk, error);
    put(t, o_.ntk ? ntk : nngp, error);
    double rest = 0;
    for (const auto* side : {&rows, &cols})
      for (const PreparedSequence& s : *side) rest = std::max(rest, s.series_rest());
    return rest;
  }

  /// Errors are those of the kernel that is asked for.
  void fill_rectangle(std::span<const PreparedSequence> rows, std::span<const PreparedSequence> cols,
                      MatrixView<double> nngp, MatrixView<double> ntk, MatrixView<double> error) const {
    if (o_.ntk)
      kernel_.tile(rows, cols, nngp, ntk, {}, error);
    else
      kernel_.tile(rows, cols, nngp, ntk, error);
  }

  /// `count` items from `first` on with each other: two triangles and the rectangle between them, mirrored.
  void fill_triangle(std::span<const PreparedSequence> items, std::size_t first, std::size_t count,
                     Matrix<double>& nngp, Matrix<double>& ntk, Matrix<double>& error) const {
    constexpr std::size_t kLeast = 4;
    const std::size_t half = count <= kLeast ? 0 : count / 2, rest = count - half;
    const std::size_t row = first, col = first + half, rows = half == 0 ? count : half;
    const auto part = [&](Matrix<double>& m) {
      return m.empty() ? MatrixView<double>() : m.view().block(row, col, rows, rest);
    };
    fill_rectangle(items.subspan(row, rows), items.subspan(col, rest), part(nngp), part(ntk), part(error));
    for (Matrix<double>* m : {&nngp, &ntk, &error})
      for (std::size_t i = row; i < row + rows && !m->empty(); ++i)
        for (std::size_t j = std::max(col, i + 1); j < col + rest; ++j) (*m)(j, i) = (*m)(i, j);
    if (half == 0) return;
    fill_triangle(items, first, half, nngp, ntk, error);
    fill_triangle(items, first + half, rest, nngp, ntk, error);
  }

  void put(const GramTile& t, const Matrix<double>& values, const Matrix<double>& errors) {
    put_into(t, values, out_.values_);
    if (!errors.empty()) put_into(t, errors, out_.errors_);
  }
  void put_into(const GramTile& t, const Matrix<double>& tile, Matrix<double>& matrix) {
    const bool mirrored = symmetric_ && t.row != t.col;
    Matrix<double> turned(mirrored ? t.cols : 0, mirrored ? t.rows : 0);
    for (std::size_t i = 0; i < turned.rows(); ++i)
      for (std::size_t j = 0; j < turned.cols(); ++j) turned(i, j) = tile(j, i);
    if (out_.file_) {
      out_.file_->write(t.row, t.col, tile);
      if (mirrored) out_.file_->write(t.col, t.row, turned);
      return;
    }
    for (std::size_t i = 0; i < t.rows; ++i) std::copy_n(tile.row(i), t.cols, matrix.row(t.row + i) + t.col);
    for (std::size_t i = 0; i < turned.rows(); ++i)
      std::copy_n(turned.row(i), t.rows, matrix.row(t.col + i) + t.row);
  }

  const Kernel& kernel_;
  const Sequences &rows_, &columns_;
  bool symmetric_;
  GramOptions o_;
  const Arena& arena_;
  Gram out_;
};

void Gram::row(std::size_t i, std::span<double> out) const {
  if (file_)
    file_->read_row(i, out);
  else
    std::copy_n(values_.row(i), cols_, out.begin());
}

namespace {

std::size_t token_count(const Sequences& s) {
  std::size_t sum = 0;
  for (const auto& item : s.items) sum += item.size();
  return sum;
}

struct GramMeasured {
  GramCost cost;
  bool keep = true;    ///< all prepared sequences fit
  bool joint = false;  ///< all pairs are sampled together
};

/// The i-th of a few items out of n, evenly over all however few they are: files are often sorted by length.
std::size_t spread_item(std::size_t i, std::size_t n) {
  const double turn = static_cast<double>(i) / std::numbers::phi;
  return static_cast<std::size_t>((turn - std::floor(turn)) * static_cast<double>(n));
}

/// Seconds and bytes of a prepared sequence, and seconds of a pair and of a value in fresh memory.
struct GramProbe {
  double prepare = 0, bytes = 0, pair = 0, value = 0;
};

double probe_memory() {
  constexpr std::size_t kValues = std::size_t{1} << 19;
  const Stopwatch watch;
  const Matrix<double> fresh(1, kValues);
  return watch.seconds() / static_cast<double>(kValues);
}

/// Pairs are cheaper in large tiles, whose products are wide: squares of the sequences' kernel are computed,
/// each of twice the side, up to that of a tile or until enough time has passed.
GramProbe probe_gram(const Kernel& kernel, const Sequences& rows, const GramOptions& o) {
  constexpr double kEnough = 0.01;
  const std::size_t most = std::min(rows.size(), o.tile);
  GramProbe probe;
  std::vector<PreparedSequence> items;
  double preparing = 0;
  const Stopwatch all;
  for (std::size_t side = std::min<std::size_t>(most, 2);; side = std::min(2 * side, most)) {
    const Stopwatch prepare;
    for (; items.size() < side; probe.bytes += items.back().bytes())
      items.push_back(prepare_item(kernel, rows, spread_item(items.size(), rows.size())));
    preparing += prepare.seconds();
    Matrix<double> nngp(side, side), ntk(o.ntk ? side : 0, o.ntk ? side : 0),
        error(o.errors ? side : 0, o.errors ? side : 0);
    const Stopwatch pairing;
    kernel.tile(items, items, nngp, ntk, error);
    probe.pair = pairing.seconds() / static_cast<double>(side * side);
    if (side == most || all.seconds() > kEnough) break;
  }
  const auto count = static_cast<double>(items.size());
  probe.prepare = preparing / count;
  probe.bytes /= count;
  if (all.seconds() < kEnough) probe.value = probe_memory();  // else pairs take all the time
  return probe;
}

GramMeasured measure_cost(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                          const GramOptions& o, const Arena& arena) {
  require_gram(rows, columns, o);
  const GramProbe probe = probe_gram(kernel, rows, o);
  const auto n = static_cast<double>(rows.size()), m = columns ? static_cast<double>(columns->size()) : n;
  const auto tile = static_cast<double>(o.tile);
  GramMeasured out;
  out.keep = probe.bytes * (n + (columns ? m : 0)) <= kMostPreparedBytes;
  out.cost.pairs = pair_count(rows, columns);
  const double tiles = out.cost.pairs / (tile * tile);
  const double prepared = out.keep ? n + (columns ? m : 0) : 2 * tile * std::max(1.0, tiles);
  out.cost.seconds = (out.cost.pairs * probe.pair + prepared * probe.prepare) / arena.threads();
  // Cleared, then filled.
  const double matrices = o.errors && kernel.monte_carlo() ? 2 : 1;
  out.cost.seconds += 2 * n * m * probe.value * matrices;
  const double matrix = 8 * n * m * matrices;
  out.cost.file = o.path.empty() ? 0 : in_single(kernel) ? matrix / 2 : matrix;
  out.cost.memory = (o.path.empty() ? matrix : 0) +
                    probe.bytes * (out.keep ? n + (columns ? m : 0) : 2 * tile * arena.threads());
  if (kernel.joint()) {
    const std::size_t tokens = token_count(rows) + (columns ? token_count(*columns) : 0);
    out.joint = kernel.joint_bytes(tokens) <= kMostJointBytes;
    if (out.joint) {
      out.cost.memory += kernel.joint_bytes(tokens) + matrix;
      // Of the tokens of a pair: between the square, of the pairs, and the cube, of the products.
      out.cost.seconds = probe.pair * std::pow((n + (columns ? m : 0)) / 2, 2.5) / arena.threads();
    }
  }
  out.cost.memory +=
      arena.threads() * kernel.working_bytes(std::max(rows.longest(), columns ? columns->longest() : 0));
  return out;
}

Gram build_gram(const Kernel& kernel, const Sequences& rows, const Sequences* columns, const GramOptions& o,
                const Arena& arena) {
  const GramMeasured measured = measure_cost(kernel, rows, columns, o, arena);
  require_memory(measured.cost.memory, "gram",
                 o.path.empty() ? "write the matrix to a file, or take fewer sequences"
                                : "take fewer samples or shorter sequences");
  if (measured.cost.seconds > 2) log(LogLevel::kInfo, "gram: " + measured.cost.text());
  GramBuilder builder(kernel, rows, columns, o, arena);
  return measured.joint ? builder.build_jointly() : builder.build(measured.keep);
}

}  // namespace

std::string GramCost::text() const {
  std::string out =
      fmt::format("{} pairs · about {} · {} of memory", format_count(static_cast<std::size_t>(pairs)),
                  format_seconds(seconds), format_bytes(memory));
  if (file > 0) out += fmt::format(" · a file of {}", format_bytes(file));
  return out;
}

Gram gram(const Kernel& kernel, const Sequences& rows, const GramOptions& options, const Arena& arena) {
  return build_gram(kernel, rows, nullptr, options, arena);
}

Gram gram(const Kernel& kernel, const Sequences& rows, const Sequences& columns, const GramOptions& options,
          const Arena& arena) {
  return build_gram(kernel, rows, &columns, options, arena);
}

GramCost estimate_gram(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                       const GramOptions& options, const Arena& arena) {
  return measure_cost(kernel, rows, columns, options, arena).cost;
}

}  // namespace telos::symmetry
