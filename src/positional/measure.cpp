#include "telos/positional/measure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "positional/measure_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::positional {
namespace {

/// A head whose rows lie this close to uniform shows the rounding of its softmax, and nothing else.
constexpr double kUniform = 0x1p-20;

enum Grouping { kPair, kOffset, kKey, kGroupings };

/// Tokens of a window that count, as queries and as keys.
using Kept = std::vector<std::size_t>;

std::vector<Kept> kept_tokens(const Trace& trace, const PositionOptions& options) {
  std::vector<Kept> windows(trace.sequences);
  for (std::size_t w = 0; w < trace.sequences; ++w)
    for (std::size_t i = 0; i < trace.tokens; ++i) {
      const std::size_t at = w * trace.tokens + i;
      const bool real = trace.mask.empty() || trace.mask[at] != 0;
      if (real && (options.exclude.empty() || options.exclude[at] == 0)) windows[w].push_back(i);
    }
  return windows;
}

/// Calls visit(i, j, r) for the entries of one window, r = a_ij less the row's mean over the keys that count.
template <class Visit>
void visit_deviations(const Trace& trace, std::size_t layer, std::size_t head, std::size_t window,
                      const Kept& kept, const Visit& visit) {
  const ConstMatrixView<float> a = trace.attention_at(layer, window, head);
  for (std::size_t q = 0; q < kept.size(); ++q) {
    const float* row = a.row(kept[q]);
    const std::size_t keys = trace.causal ? q + 1 : kept.size();
    double sum = 0;
    for (std::size_t k = 0; k < keys; ++k) sum += static_cast<double>(row[kept[k]]);
    const double mean = sum / static_cast<double>(keys);
    for (std::size_t k = 0; k < keys; ++k) visit(kept[q], kept[k], static_cast<double>(row[kept[k]]) - mean);
  }
}

/// What one grouping explains: E for all windows and without each one of them.
struct Explained {
  double all = 0;
  std::vector<double> without;
};

struct HeadSums {
  std::array<Explained, kGroupings> parts;
  Explained total;        ///< Σr²
  double rows = 0;        ///< rows with pairs that count, over all windows
  bool evidence = false;  ///< a pair that counts lies in a row with more than one key
};

/// C·(S² − Q)/(C² − D) of one group: S, Q the sums over windows of s and s², C, D those of c and c².
double between(double s, double q, double c, double d) {
  return c * c > d ? c * (s * s - q) / (c * c - d) : 0;
}

/// E of a grouping with few groups, from its sums by window.
Explained explain_groups(const Matrix<double>& sums, const Matrix<double>& counts) {
  const std::size_t windows = sums.rows();
  Explained result{0, std::vector<double>(windows)};
  for (std::size_t g = 0; g < sums.cols(); ++g) {
    double s = 0, q = 0, c = 0, d = 0;
    for (std::size_t w = 0; w < windows; ++w) {
      s += sums(w, g);
      q += sums(w, g) * sums(w, g);
      c += counts(w, g);
      d += counts(w, g) * counts(w, g);
    }
    result.all += between(s, q, c, d);
    for (std::size_t w = 0; w < windows; ++w) {
      const double sw = sums(w, g), cw = counts(w, g);
      result.without[w] += between(s - sw, q - sw * sw, c - cw, d - cw * cw);
    }
  }
  return result;
}

/// Rows and evidence from how many windows have each pair.
void count_rows(const Trace& trace, const std::vector<Kept>& kept, const Matrix<double>& windows_of,
                HeadSums& sums) {
  for (const Kept& window : kept)
    for (std::size_t q = 0; q < window.size(); ++q) {
      const std::size_t keys = trace.causal ? q + 1 : window.size();
      bool counts = false;
      for (std::size_t k = 0; k < keys; ++k) counts |= windows_of(window[q], window[k]) >= 2;
      sums.rows += counts ? 1 : 0;
      sums.evidence |= counts && keys > 1;
    }
}

HeadSums sum_head(const Trace& trace, std::size_t layer, std::size_t head, const std::vector<Kept>& kept) {
  const std::size_t windows = trace.sequences, tokens = trace.tokens;
  HeadSums sums;
  // By pair: a window has a pair once or not at all, so that C = D.
  Matrix<double> s(tokens, tokens), q(tokens, tokens), c(tokens, tokens);
  for (std::size_t w = 0; w < windows; ++w)
    visit_deviations(trace, layer, head, w, kept[w], [&](std::size_t i, std::size_t j, double r) {
      s(i, j) += r;
      q(i, j) += r * r;
      ++c(i, j);
    });
  count_rows(trace, kept, c, sums);
  Explained& pair = sums.parts[kPair];
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (c.data()[i] < 2) continue;
    pair.all += between(s.data()[i], q.data()[i], c.data()[i], c.data()[i]);
    sums.total.all += q.data()[i];
  }
  pair.without.assign(windows, pair.all);
  sums.total.without.assign(windows, sums.total.all);
  Matrix<double> offset(windows, 2 * tokens - 1), offset_count(windows, 2 * tokens - 1), key(windows, tokens),
      key_count(windows, tokens);
  for (std::size_t w = 0; w < windows; ++w)
    visit_deviations(trace, layer, head, w, kept[w], [&](std::size_t i, std::size_t j, double r) {
      const double n = c(i, j), rest = q(i, j) - r * r;
      if (n < 2) return;
      pair.without[w] += between(s(i, j) - r, rest, n - 1, n - 1) - between(s(i, j), q(i, j), n, n);
      sums.total.without[w] -= n == 2 ? q(i, j) : r * r;
      const std::size_t o = j + tokens - 1 - i;
      offset(w, o) += r;
      ++offset_count(w, o);
      key(w, j) += r;
      ++key_count(w, j);
    });
  sums.parts[kOffset] = explain_groups(offset, offset_count);
  sums.parts[kKey] = explain_groups(key, key_count);
  return sums;
}

/// part/total, and its standard error by the jackknife.
Estimate share(const Explained& part, const Explained& total) {
  const std::size_t windows = part.without.size();
  Estimate estimate;
  estimate.value = part.all / total.all;
  if (windows < 3) return estimate;
  double mean = 0, squares = 0;
  std::vector<double> shares(windows);
  for (std::size_t w = 0; w < windows; ++w) {
    shares[w] = part.without[w] / total.without[w];
    mean += shares[w] / static_cast<double>(windows);
  }
  for (const double value : shares) squares += (value - mean) * (value - mean);
  estimate.error = std::sqrt(squares * static_cast<double>(windows - 1) / static_cast<double>(windows));
  return estimate;
}

HeadPositions describe(const HeadSums& sums, std::size_t layer, std::size_t head, std::size_t windows,
                       const PositionOptions& options) {
  HeadPositions h;
  h.layer = layer;
  h.head = head;
  h.name = std::to_string(layer) + "." + std::to_string(head);
  if (!sums.evidence) return h;
  h.deviation = std::sqrt(sums.total.all / sums.rows);
  if (h.deviation < kUniform) {
    h.pair = h.offset = h.key = {1, 0};
  } else {
    h.pair = share(sums.parts[kPair], sums.total);
    h.offset = share(sums.parts[kOffset], sums.total);
    h.key = share(sums.parts[kKey], sums.total);
  }
  h.content = {1 - h.pair.value, h.pair.error};
  const double error = std::isnan(h.pair.error) ? 0 : h.pair.error;
  h.is_static = h.pair.value - error >= options.threshold;
  const double ratio = h.pair.error / options.target_error;
  if (!std::isnan(ratio))
    h.windows_needed = static_cast<std::size_t>(
        std::clamp(std::ceil(static_cast<double>(windows) * ratio * ratio), 2.0, 0x1p53));
  return h;
}

void add(Explained& sum, const Explained& part) {
  sum.all += part.all;
  sum.without.resize(part.without.size());
  for (std::size_t w = 0; w < part.without.size(); ++w) sum.without[w] += part.without[w];
}

void check(const Trace& trace, const PositionOptions& options) {
  const std::string where = trace.source.empty() ? "trace" : trace.source;
  if (trace.attention.empty() || trace.attention.size() != trace.layers)
    throw Error(ErrorKind::kBadFormat, where, "the trace has no attention matrices", "record attn.{l}");
  if (trace.sequences < 2)
    throw Error(ErrorKind::kUsage, where,
                "one window: what positions explain shows only against other windows",
                "give more text, or shorter windows");
  if (!options.exclude.empty() && options.exclude.size() != trace.sequences * trace.tokens)
    throw Error(ErrorKind::kShape, where,
                "there are " + std::to_string(options.exclude.size()) + " flags of tokens to leave out for " +
                    std::to_string(trace.sequences * trace.tokens) + " tokens");
  if (!(options.threshold >= 0 && options.threshold <= 1) || !(options.target_error > 0))
    throw Error(ErrorKind::kUsage, where, "expected a threshold from 0 to 1 and a target error above 0");
}

void add_notes(const std::vector<Kept>& kept, PositionMeasures& result) {
  if (!result.options.exclude.empty())
    result.notes.push_back("special tokens are left out, as queries and as keys");
  if (std::ranges::any_of(kept, [&](const Kept& window) { return window.size() != kept[0].size(); }))
    result.notes.push_back("the windows are of unequal length: pairs that one window alone has do not count");
  if (std::isnan(result.all[0].deviation))
    result.notes.push_back(
        "no pair of tokens lies in two windows where attention has a choice: nothing is known");
  if (result.windows < 3) result.notes.push_back("two windows leave no standard error");
}

}  // namespace

std::size_t PositionMeasures::static_heads() const {
  return static_cast<std::size_t>(std::ranges::count(all, true, &HeadPositions::is_static));
}

PositionMeasures measure_positions(const Trace& trace, const PositionOptions& options, const Arena& arena) {
  check(trace, options);
  const std::vector<Kept> kept = kept_tokens(trace, options);
  PositionMeasures result;
  result.windows = trace.sequences;
  result.tokens = trace.tokens;
  result.layers = trace.layers;
  result.heads = trace.heads;
  result.causal = trace.causal;
  result.options = options;
  result.all.resize(trace.layers * trace.heads);
  result.mean.resize(result.all.size());

  std::array<Explained, kGroupings> parts;
  Explained total;
  Progress progress("positions", "layer", static_cast<double>(trace.layers));
  for (std::size_t l = 0; l < trace.layers; ++l) {
    check_interrupt();
    std::vector<HeadSums> sums(trace.heads);
    arena.parallel_for(trace.heads, [&](std::size_t h) {
      const std::size_t index = l * trace.heads + h;
      sums[h] = sum_head(trace, l, h, kept);
      result.all[index] = describe(sums[h], l, h, trace.sequences, options);
      result.mean[index] = static_attention(trace, l, h, StaticForm::kPair);
    });
    for (const HeadSums& head : sums) {
      for (std::size_t g = 0; g < kGroupings; ++g) add(parts[g], head.parts[g]);
      add(total, head.total);
    }
    progress.advance();
  }
  result.pair = share(parts[kPair], total);
  result.offset = share(parts[kOffset], total);
  result.key = share(parts[kKey], total);
  add_notes(kept, result);
  return result;
}

// ---- Static attention

namespace {

/// Sums of a over windows by pair or by offset, with what uniform attention would have put there.
struct MeanSums {
  Matrix<double> sum, uniform;
};

MeanSums sum_attention(const Trace& trace, std::size_t layer, std::size_t head, StaticForm form) {
  const std::size_t tokens = trace.tokens;
  const bool pair = form == StaticForm::kPair;
  MeanSums m{Matrix<double>(pair ? tokens : 1, pair ? tokens : 2 * tokens - 1),
             Matrix<double>(pair ? tokens : 1, pair ? tokens : 2 * tokens - 1)};
  const std::vector<Kept> kept = kept_tokens(trace, {});
  for (std::size_t w = 0; w < trace.sequences; ++w) {
    const ConstMatrixView<float> a = trace.attention_at(layer, w, head);
    for (std::size_t q = 0; q < kept[w].size(); ++q) {
      const std::size_t i = kept[w][q], keys = trace.causal ? q + 1 : kept[w].size();
      for (std::size_t k = 0; k < keys; ++k) {
        const std::size_t j = kept[w][k], row = pair ? i : 0, column = pair ? j : j + tokens - 1 - i;
        m.sum(row, column) += static_cast<double>(a(i, j));
        m.uniform(row, column) += 1 / static_cast<double>(keys);
      }
    }
  }
  return m;
}

}  // namespace

void restrict_row(std::span<double> row, std::span<const std::uint8_t> visible) {
  double sum = 0, count = 0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    if (visible[j] == 0) row[j] = 0;
    sum += row[j];
    count += visible[j] != 0;
  }
  for (std::size_t j = 0; j < row.size(); ++j)
    row[j] = sum > 0 ? row[j] / sum : visible[j] != 0 ? 1 / count : 0;
}

Matrix<double> static_attention(const Trace& trace, std::size_t layer, std::size_t head, StaticForm form) {
  if (trace.attention.size() != trace.layers || layer >= trace.layers || head >= trace.heads)
    throw Error(ErrorKind::kUsage, "static attention",
                "there is no attention of head " + std::to_string(layer) + "." + std::to_string(head) +
                    " in the trace");
  const std::size_t tokens = trace.tokens;
  const MeanSums m = sum_attention(trace, layer, head, form);
  Matrix<double> a(tokens, tokens);
  std::vector<std::uint8_t> visible(tokens);
  for (std::size_t i = 0; i < tokens; ++i) {
    for (std::size_t j = 0; j < tokens; ++j) {
      visible[j] = !trace.causal || j <= i;
      const std::size_t row = form == StaticForm::kPair ? i : 0,
                        column = form == StaticForm::kPair ? j : j + tokens - 1 - i;
      // Relative to uniform attention, so that rows with few keys do not weigh down an offset or a pair.
      if (visible[j] != 0 && m.uniform(row, column) > 0)
        a(i, j) = m.sum(row, column) / m.uniform(row, column);
    }
    restrict_row({a.row(i), tokens}, visible);
  }
  return a;
}

}  // namespace telos::positional
