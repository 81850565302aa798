// Gram matrices, tile by tile.
#include "telos/symmetry/gram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "io/sha256.h"
#include "symmetry/gram_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/stopwatch.h"

namespace telos::symmetry {
namespace {

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

  /// The largest of all sequences.
  double series_rest(const Arena& arena) const {
    std::vector<double> rest(sequences_.size());
    arena.parallel_for(rest.size(), [&](std::size_t i) {
      check_interrupt();
      rest[i] = some(i, 1).front().series_rest();
    });
    return rest.empty() ? 0 : *std::max_element(rest.begin(), rest.end());
  }

 private:
  const Kernel& kernel_;
  const Sequences& sequences_;
  std::vector<PreparedSequence> all_;
};

struct GramTile {
  std::size_t row = 0, col = 0, rows = 0, cols = 0;
};

std::string fingerprint(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                        const GramOptions& o) {
  Sha256 hash;
  const KernelOptions& k = kernel.options();
  const std::string head =
      fmt::format("telos gram 3 {} {} {} {} {} {} {} {} {} {}", to_json(kernel.architecture()), o.ntk, o.tile,
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
    // Of the sequences in what an earlier run wrote, too.
    out_.series_rest_ = left.series_rest(arena_);
    if (!symmetric_) out_.series_rest_ = std::max(out_.series_rest_, right.series_rest(arena_));
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
    arena_.parallel_for(tiles.size(), [&](std::size_t t) {
      check_interrupt();
      fill(tiles[t], left, right);
      progress.advance(pairs_in(tiles[t]));
    });
  }

  void fill(const GramTile& t, const PreparedItems& left, const PreparedItems& right) {
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

Gram gram(const Kernel& kernel, const Sequences& rows, const GramOptions& options, const Arena& arena) {
  return build_gram(kernel, rows, nullptr, options, arena);
}

Gram gram(const Kernel& kernel, const Sequences& rows, const Sequences& columns, const GramOptions& options,
          const Arena& arena) {
  return build_gram(kernel, rows, &columns, options, arena);
}

}  // namespace telos::symmetry
