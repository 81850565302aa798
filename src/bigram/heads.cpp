#include "telos/bigram/heads.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/limits.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::bigram {
namespace {

/// Rows and keys of one window.
struct Window {
  std::vector<std::size_t> text;           // real tokens of the text, ascending
  std::vector<std::size_t> special;        // the tokenizer's own
  std::size_t first_row = 0, end_row = 0;  // rows with max_offset tokens of text before them (and after)
  std::vector<std::vector<std::size_t>> earlier;  // by row: where its token came before; empty without ids
};

[[noreturn]] void refuse_heads(ErrorKind kind, const Trace& trace, const std::string& message,
                               const std::string& hint = {}) {
  throw Error(kind, trace.source.empty() ? "trace" : trace.source, message, hint);
}

void check_heads(const Trace& trace, const HeadText* text, const HeadOptions& options) {
  const std::size_t rows = trace.sequences * trace.tokens;
  if (trace.attention.empty() || trace.attention.size() != trace.layers)
    refuse_heads(ErrorKind::kBadFormat, trace, "the trace has no attention matrices", "record attn.{l}");
  const auto expect = [&](const char* what, std::size_t found) {
    if (found != rows)
      refuse_heads(
          ErrorKind::kShape, trace,
          "there are " + std::to_string(found) + " " + what + " for " + std::to_string(rows) + " tokens");
  };
  if (!options.exclude.empty()) expect("flags of special tokens", options.exclude.size());
  if (text == nullptr) return;
  expect("ids", text->ids.size());
  if (text->q.rows() == 0) return;
  expect("tokens of the corpus", text->tokens.size());
  if (std::ranges::any_of(text->tokens, [&](std::uint16_t token) { return token >= text->q.rows(); }))
    refuse_heads(ErrorKind::kShape, trace, "a token of the corpus has no row in q");
}

bool is_special(const HeadOptions& options, std::size_t at) {
  return !options.exclude.empty() && options.exclude[at] != 0;
}

/// D: no more than leaves half of every window's text as rows.
std::size_t usable_offset(const Trace& trace, const std::vector<Window>& windows, std::size_t wanted) {
  std::size_t shortest = trace.tokens;
  for (const Window& window : windows)
    if (!window.text.empty()) shortest = std::min(shortest, window.text.back() - window.text.front() + 1);
  const std::size_t most = shortest / (trace.causal ? 2 : 4);
  if (most == 0 || std::ranges::all_of(windows, [](const Window& w) { return w.text.empty(); }))
    refuse_heads(ErrorKind::kUsage, trace, "the windows are too short to tell offsets apart",
                 "give windows of four tokens or more");
  return std::min(wanted, most);
}

/// Which rows of each window are text, which are the tokenizer's own.
std::vector<Window> rows_of(const Trace& trace, const HeadOptions& options) {
  std::vector<Window> windows(trace.sequences);
  for (std::size_t w = 0; w < windows.size(); ++w)
    for (std::size_t i = 0; i < trace.tokens; ++i) {
      const std::size_t at = w * trace.tokens + i;
      if (!trace.mask.empty() && trace.mask[at] == 0) continue;
      (is_special(options, at) ? windows[w].special : windows[w].text).push_back(i);
    }
  return windows;
}

std::vector<Window> windows_of(const Trace& trace, const HeadText* text, const HeadOptions& options,
                               std::size_t& max_offset) {
  std::vector<Window> windows = rows_of(trace, options);
  max_offset = usable_offset(trace, windows, std::max<std::size_t>(options.max_offset, 1));
  for (std::size_t w = 0; w < windows.size(); ++w) {
    Window& window = windows[w];
    if (window.text.empty()) continue;
    const std::size_t end = window.text.back() + 1;
    window.first_row = window.text.front() + max_offset;
    window.end_row = std::max(window.first_row, trace.causal ? end : end - max_offset);
    if (text == nullptr) continue;
    window.earlier.resize(trace.tokens);
    const std::int32_t* const ids = text->ids.data() + w * trace.tokens;
    for (const std::size_t i : window.text)
      for (const std::size_t j : window.text) {
        if (j >= i) break;
        if (ids[j] == ids[i]) window.earlier[i].push_back(j);
      }
  }
  return windows;
}

/// Sums over the rows of one window.
struct RowSums {
  std::vector<double> by_offset;
  double farther = 0, special = 0, entropy = 0, rows = 0;
  double induction = 0, duplicate = 0, repeated = 0;  // over rows whose token came before
};

/// Mean over windows of a sum over rows, and its standard error (ratio estimate).
template <class Sum, class Rows>
BlockMean mean_over_windows(const std::vector<RowSums>& windows, const Sum& sum, const Rows& rows) {
  double total = 0, count = 0;
  std::size_t blocks = 0;
  for (const RowSums& w : windows) {
    total += sum(w);
    count += rows(w);
    blocks += rows(w) > 0;
  }
  if (!(count > 0)) return {kNaN, kNaN, 0};
  BlockMean mean{total / count, kNaN, blocks};
  if (blocks < 2) return mean;
  double squares = 0;
  for (const RowSums& w : windows) {
    const double r = sum(w) - mean.value * rows(w);
    squares += r * r;
  }
  const double used = static_cast<double>(blocks);
  mean.error = std::sqrt(squares * used / (used - 1)) / count;
  return mean;
}

/// One head of one trace.
class HeadReader {
 public:
  HeadReader(const Trace& trace, const HeadText* text, const HeadOptions& options,
             const std::vector<Window>& windows, const HeadMeasures& all)
      : trace_(trace), text_(text), options_(options), windows_(windows), all_(all) {}

  HeadLook read(std::size_t layer, std::size_t head) const {
    HeadLook look;
    look.layer = layer;
    look.head = head;
    look.name = std::to_string(layer) + "." + std::to_string(head);
    std::vector<RowSums> sums;
    for (std::size_t w = 0; w < windows_.size(); ++w)
      sums.push_back(window_sums(windows_[w], trace_.attention_at(layer, w, head)));
    shares(sums, look);
    if (text_ != nullptr) repetitions(sums, look);
    if (text_ != nullptr && text_->q.rows() > 0) tokens(look);
    look.kind = kind_of(look);
    return look;
  }

  /// Σ_d min(law_k, q^(k)) over the tokens that are looked at by themselves, weighted by their rows.
  template <class Law>
  double mean_overlap(const Law& law) const {
    double sum = 0, weight = 0;
    for (std::size_t k = 0; k < all_.rows.size(); ++k) {
      if (all_.rows[k] < options_.min_count) continue;
      const double rows = static_cast<double>(all_.rows[k]);
      const double* const p = law(k);
      for (std::size_t d = 0; d <= all_.max_offset; ++d) sum += rows * std::min(p[d], text_->q(k, d));
      weight += rows;
    }
    return weight > 0 ? sum / weight : kNaN;
  }

 private:
  RowSums window_sums(const Window& window, ConstMatrixView<float> a) const {
    RowSums sums;
    const std::size_t most = all_.max_offset, ahead = trace_.causal ? 0 : most;
    sums.by_offset.resize(most + ahead + 1);
    for (std::size_t i = window.first_row; i < window.end_row; ++i) {
      ++sums.rows;
      const float* const row = a.row(i);
      double near = 0, text = 0;
      for (std::size_t o = 0; o < sums.by_offset.size(); ++o) {
        const double weight = row[i + ahead - o];
        sums.by_offset[o] += weight;
        near += weight;
      }
      for (const std::size_t j : window.text) text += row[j];
      for (const std::size_t j : window.special) sums.special += row[j];
      sums.farther += text - near;
      sums.entropy += entropy(window, row);
      if (window.earlier.empty() || window.earlier[i].empty()) continue;
      ++sums.repeated;
      for (const std::size_t j : window.earlier[i]) {
        sums.duplicate += row[j];
        if (j + 1 < i) sums.induction += row[j + 1];
      }
    }
    return sums;
  }

  static double entropy(const Window& window, const float* row) {
    double sum = 0;
    for (const auto* keys : {&window.text, &window.special})
      for (const std::size_t j : *keys)
        if (row[j] > 0) sum -= static_cast<double>(row[j]) * std::log(static_cast<double>(row[j]));
    return sum;
  }

  void shares(const std::vector<RowSums>& sums, HeadLook& look) const {
    const auto rows = [](const RowSums& w) { return w.rows; };
    const auto mean = [&](const auto& sum) { return mean_over_windows(sums, sum, rows); };
    const std::size_t zero = trace_.causal ? 0 : all_.max_offset;
    for (std::size_t o = 0; o < sums[0].by_offset.size(); ++o)
      look.by_offset.push_back(mean([o](const RowSums& w) { return w.by_offset[o]; }).value);
    look.farther = mean([](const RowSums& w) { return w.farther; }).value;
    look.special = mean([](const RowSums& w) { return w.special; }).value;
    look.keys = std::exp(mean([](const RowSums& w) { return w.entropy; }).value);
    look.self = mean([zero](const RowSums& w) { return w.by_offset[zero]; });
    look.previous = mean([zero](const RowSums& w) { return w.by_offset[zero + 1]; });
    look.next =
        trace_.causal ? BlockMean{0, 0, 0} : mean([zero](const RowSums& w) { return w.by_offset[zero - 1]; });
  }

  /// Mean attention by distance in the past, each offset over the rows that have it: what positions alone say
  /// of a pair. Index: offset.
  std::vector<double> by_distance(std::size_t layer, std::size_t head) const {
    std::vector<double> sum(trace_.tokens), count(trace_.tokens);
    for (std::size_t w = 0; w < windows_.size(); ++w) {
      const ConstMatrixView<float> a = trace_.attention_at(layer, w, head);
      for (std::size_t i = windows_[w].first_row; i < windows_[w].end_row; ++i)
        for (const std::size_t j : windows_[w].text) {
          if (j > i) break;
          sum[i - j] += static_cast<double>(a(i, j));
          ++count[i - j];
        }
    }
    for (std::size_t d = 0; d < sum.size(); ++d)
      if (count[d] > 0) sum[d] /= count[d];
    return sum;
  }

  void repetitions(const std::vector<RowSums>& sums, HeadLook& look) const {
    const auto rows = [](const RowSums& w) { return w.repeated; };
    look.induction = mean_over_windows(
        sums, [](const RowSums& w) { return w.induction; }, rows);
    look.duplicate = mean_over_windows(
        sums, [](const RowSums& w) { return w.duplicate; }, rows);
    const std::vector<double> distance = by_distance(look.layer, look.head);
    double induction = 0, duplicate = 0, count = 0;
    for (const Window& window : windows_)
      for (std::size_t i = window.first_row; i < window.end_row; ++i) {
        count += !window.earlier[i].empty();
        for (const std::size_t j : window.earlier[i]) {
          duplicate += distance[i - j];
          if (j + 1 < i) induction += distance[i - j - 1];
        }
      }
    if (!(count > 0)) return;
    look.induction_by_distance = induction / count;
    look.duplicate_by_distance = duplicate / count;
  }

  void tokens(HeadLook& look) const {
    const std::size_t vocabulary = text_->q.rows(), offsets = all_.max_offset + 1;
    look.by_token = Matrix<double>(vocabulary, offsets);
    for (std::size_t w = 0; w < windows_.size(); ++w) {
      const ConstMatrixView<float> a = trace_.attention_at(look.layer, w, look.head);
      for (std::size_t i = windows_[w].first_row; i < windows_[w].end_row; ++i) {
        double* const sum = look.by_token.row(text_->tokens[w * trace_.tokens + i]);
        for (std::size_t d = 0; d < offsets; ++d) sum[d] += static_cast<double>(a(i, i - d));
      }
    }
    std::vector<double> mean(offsets);
    for (std::size_t k = 0; k < vocabulary; ++k) {
      for (std::size_t d = 0; d < offsets; ++d) mean[d] += look.by_token(k, d);
      if (all_.rows[k] < options_.min_count)
        std::fill_n(look.by_token.row(k), offsets, 0.0);
      else
        scale_to_sum_one({look.by_token.row(k), offsets});
    }
    scale_to_sum_one(mean);
    look.agreement = mean_overlap([&](std::size_t k) { return look.by_token.row(k); });
    look.agreement_mean = mean_overlap([&](std::size_t) { return mean.data(); });
  }

  static void scale_to_sum_one(std::span<double> law) {
    double sum = 0;
    for (const double x : law) sum += x;
    if (sum > 0)
      for (double& x : law) x /= sum;
  }

  static std::string kind_of(const HeadLook& look) {
    const std::pair<double, const char*> kinds[] = {
        {look.previous.value, "previous token"},
        {look.self.value, "same token"},
        {look.next.value, "next token"},
        {look.special, "special tokens"},
        {look.induction.value >= 2 * look.induction_by_distance ? look.induction.value : 0, "induction-like"},
        {look.duplicate.value >= 2 * look.duplicate_by_distance ? look.duplicate.value : 0,
         "duplicate token"}};
    const auto& most = *std::ranges::max_element(kinds, {}, &std::pair<double, const char*>::first);
    return most.first >= kNamedShare ? most.second : "";
  }

  const Trace& trace_;
  const HeadText* text_;
  const HeadOptions& options_;
  const std::vector<Window>& windows_;
  const HeadMeasures& all_;
};

void count_rows(const HeadText& text, const Trace& trace, const std::vector<Window>& windows,
                HeadMeasures& result) {
  result.rows.resize(text.q.rows());
  for (std::size_t w = 0; w < windows.size(); ++w)
    for (std::size_t i = windows[w].first_row; i < windows[w].end_row; ++i)
      ++result.rows[text.tokens[w * trace.tokens + i]];
}

}  // namespace

std::size_t usable_offset(const Trace& trace, const HeadOptions& options) {
  check_heads(trace, nullptr, options);
  return usable_offset(trace, rows_of(trace, options), std::max<std::size_t>(options.max_offset, 1));
}

HeadMeasures measure_heads(const Trace& trace, const HeadText* text, const HeadOptions& options,
                           const Arena& arena) {
  check_heads(trace, text, options);
  HeadMeasures result;
  result.windows = trace.sequences;
  result.tokens = trace.tokens;
  result.layers = trace.layers;
  result.heads = trace.heads;
  result.causal = trace.causal;
  const std::vector<Window> windows = windows_of(trace, text, options, result.max_offset);
  const bool has_corpus = text != nullptr && text->q.rows() > 0;
  if (has_corpus) {
    if (text->q.cols() <= result.max_offset)
      refuse_heads(ErrorKind::kShape, trace,
                   "q has " + std::to_string(text->q.cols()) + " offsets, expected " +
                       std::to_string(result.max_offset + 1) + " or more");
    count_rows(*text, trace, windows, result);
  }
  const HeadReader reader(trace, text, options, windows, result);
  if (has_corpus) {
    const std::vector<double> even(result.max_offset + 1, 1 / static_cast<double>(result.max_offset + 1));
    result.agreement_uniform = reader.mean_overlap([&](std::size_t) { return even.data(); });
  }
  result.all.resize(trace.layers * trace.heads);
  Progress progress("heads", "layer", static_cast<double>(trace.layers));
  for (std::size_t layer = 0; layer < trace.layers; ++layer) {
    check_interrupt();
    arena.parallel_for(trace.heads, [&](std::size_t head) {
      result.all[layer * trace.heads + head] = reader.read(layer, head);
    });
    progress.advance();
  }
  if (result.max_offset < options.max_offset)
    result.notes.push_back("the windows are short: offsets up to " + std::to_string(result.max_offset) +
                           " are told apart");
  if (text == nullptr)
    result.notes.push_back("the trace does not hold its tokens: what depends on them is not measured");
  return result;
}

}  // namespace telos::bigram
