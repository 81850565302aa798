#include <algorithm>
#include <cmath>
#include <string>

#include "positional/measure_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::positional {
namespace {

using Head = std::pair<std::size_t, std::size_t>;

/// The windows first, first + step, … of a batch.
TokenBatch every(const TokenBatch& batch, std::size_t first, std::size_t step) {
  TokenBatch part;
  part.tokens = batch.tokens;
  const auto take = [&](const auto& from, auto& to, std::size_t w) {
    if (from.empty()) return;
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(w * batch.tokens);
    to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(batch.tokens));
  };
  for (std::size_t w = first; w < batch.sequences; w += step) {
    take(batch.ids, part.ids, w);
    take(batch.mask, part.mask, w);
    take(batch.types, part.types, w);
    ++part.sequences;
  }
  return part;
}

PositionOptions options_of_half(const PositionOptions& options, const TokenBatch& batch) {
  PositionOptions half = options;
  half.exclude.clear();
  for (std::size_t w = 0; !options.exclude.empty() && w < batch.sequences; w += 2)
    half.exclude.insert(half.exclude.end(),
                        options.exclude.begin() + static_cast<std::ptrdiff_t>(w * batch.tokens),
                        options.exclude.begin() + static_cast<std::ptrdiff_t>((w + 1) * batch.tokens));
  return half;
}

/// Mean attention of the replaced heads, as the forward pass takes it for one window.
class StaticMatrices {
 public:
  StaticMatrices(const Trace& fit, const std::vector<Head>& heads, StaticForm form, const Arena& arena)
      : heads_(heads), fitted_(heads.size()), causal_(fit.causal) {
    arena.parallel_for(heads.size(), [&](std::size_t h) {
      fitted_[h] = static_attention(fit, heads[h].first, heads[h].second, form);
    });
  }
  /// Rows restricted to the window's real tokens. A padding token's row is read by nobody.
  std::vector<FixedAttention> of(const TokenBatch& window) {
    const std::size_t tokens = window.tokens;
    rows_.clear();
    for (const Matrix<double>& fitted : fitted_) {
      Matrix<double> a = fitted.copy();
      Matrix<float> rows(tokens, tokens);
      std::vector<std::uint8_t> visible(tokens);
      for (std::size_t i = 0; i < tokens; ++i) {
        for (std::size_t j = 0; j < tokens; ++j)
          visible[j] = (window.mask.empty() || window.mask[j] != 0) && (!causal_ || j <= i);
        if (!window.mask.empty() && window.mask[i] != 0) restrict_row({a.row(i), tokens}, visible);
        for (std::size_t j = 0; j < tokens; ++j) rows(i, j) = static_cast<float>(a(i, j));
      }
      rows_.push_back(std::move(rows));
    }
    std::vector<FixedAttention> fixed;
    for (std::size_t h = 0; h < heads_.size(); ++h)
      fixed.push_back({heads_[h].first, heads_[h].second, rows_[h]});
    return fixed;
  }

 private:
  std::vector<Head> heads_;
  std::vector<Matrix<double>> fitted_;
  bool causal_;
  std::vector<Matrix<float>> rows_;
};

/// One window before and after, means over its tokens.
struct WindowChange {
  double kl = 0, same_top = 0, loss_before = 0, loss_after = 0, token_cosine = 0, embedding_cosine = 0;
};

/// ln softmax of a row of logits.
std::vector<double> log_probabilities(std::span<const float> logits) {
  const double largest = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0;
  for (const float value : logits) sum += std::exp(static_cast<double>(value) - largest);
  const double shift = largest + std::log(sum);
  std::vector<double> result;
  for (const float value : logits) result.push_back(static_cast<double>(value) - shift);
  return result;
}

double cosine(std::span<const double> a, std::span<const double> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t j = 0; j < a.size(); ++j) {
    ab += a[j] * b[j];
    aa += a[j] * a[j];
    bb += b[j] * b[j];
  }
  return ab / std::sqrt(aa * bb);
}

ConstMatrixView<float> final_states(const Trace& trace) {
  return trace.final_hidden.empty() ? trace.hidden.back().view() : trace.final_hidden.view();
}

void compare_states(const Trace& before, const Trace& after, const std::vector<std::size_t>& real,
                    WindowChange& change) {
  const ConstMatrixView<float> x = final_states(before), y = final_states(after);
  std::vector<double> mean_x(x.cols()), mean_y(x.cols()), row_x(x.cols()), row_y(x.cols());
  for (const std::size_t i : real) {
    for (std::size_t j = 0; j < x.cols(); ++j) {
      row_x[j] = static_cast<double>(x(i, j));
      row_y[j] = static_cast<double>(y(i, j));
      mean_x[j] += row_x[j];
      mean_y[j] += row_y[j];
    }
    change.token_cosine += cosine(row_x, row_y) / static_cast<double>(real.size());
  }
  change.embedding_cosine = cosine(mean_x, mean_y);
}

void compare_logits(const Trace& before, const Trace& after, const TokenBatch& window,
                    const std::vector<std::size_t>& real, const Arena& arena, WindowChange& change) {
  struct Token {
    double kl = 0, same = 0, loss_before = 0, loss_after = 0;
  };
  std::vector<Token> tokens(real.size());
  arena.parallel_for(real.size(), [&](std::size_t t) {
    const std::span<const float> a(before.logits.row(real[t]), before.logits.cols()),
        b(after.logits.row(real[t]), after.logits.cols());
    const std::vector<double> p = log_probabilities(a), q = log_probabilities(b);
    for (std::size_t v = 0; v < p.size(); ++v) tokens[t].kl += std::exp(p[v]) * (p[v] - q[v]);
    tokens[t].same = std::ranges::max_element(a) - a.begin() == std::ranges::max_element(b) - b.begin();
    if (t + 1 == real.size()) return;
    const auto next = static_cast<std::size_t>(window.ids[real[t + 1]]);
    tokens[t].loss_before = -p[next];
    tokens[t].loss_after = -q[next];
  });
  const double count = static_cast<double>(real.size()), predicted = count - 1;
  for (const Token& token : tokens) {
    change.kl += token.kl / count;
    change.same_top += token.same / count;
    change.loss_before += token.loss_before / predicted;
    change.loss_after += token.loss_after / predicted;
  }
}

Estimate mean_over_windows(const std::vector<WindowChange>& changes, double WindowChange::*field) {
  const double n = static_cast<double>(changes.size());
  double mean = 0, squares = 0;
  for (const WindowChange& change : changes) mean += change.*field / n;
  for (const WindowChange& change : changes) squares += std::pow(change.*field - mean, 2);
  Estimate estimate;
  estimate.value = mean;
  if (changes.size() > 1) estimate.error = std::sqrt(squares / (n - 1) / n);
  return estimate;
}

/// The two losses vary together over windows: their difference is known better than either.
Estimate loss_change(std::vector<WindowChange> windows) {
  for (WindowChange& change : windows) change.loss_after -= change.loss_before;
  return mean_over_windows(windows, &WindowChange::loss_after);
}

std::vector<std::size_t> real_tokens(const TokenBatch& window) {
  std::vector<std::size_t> real;
  for (std::size_t i = 0; i < window.tokens; ++i)
    if (window.mask.empty() || window.mask[i] != 0) real.push_back(i);
  return real;
}

/// What replacing a set of heads does on the windows that check it, one by one.
struct Changes {
  std::vector<WindowChange> windows;
  bool logits = false;
};

Changes replace_heads(const Transformer& transformer, const TokenBatch& batch, StaticMatrices& matrices,
                      const Arena& arena, Progress& progress) {
  Changes changes;
  for (std::size_t w = 1; w < batch.sequences; w += 2) {
    check_interrupt();
    const TokenBatch window = every(batch, w, batch.sequences);
    const std::vector<std::size_t> real = real_tokens(window);
    progress.advance();
    if (real.size() < 2) continue;  // nothing is attended to but the token itself, and nothing predicted
    const Taps taps{.hidden = true, .attention = false, .logits = true};
    const Trace before = transformer.forward(window, taps, arena),
                after = transformer.forward(window, taps, arena, matrices.of(window));
    changes.logits = !before.logits.empty();
    WindowChange& change = changes.windows.emplace_back();
    compare_states(before, after, real, change);
    if (changes.logits) compare_logits(before, after, window, real, arena, change);
  }
  return changes;
}

void summarise(const Changes& changes, StaticHeads& result) {
  const std::vector<WindowChange>& windows = changes.windows;
  result.has_logits = changes.logits;
  result.token_cosine = mean_over_windows(windows, &WindowChange::token_cosine);
  result.embedding_cosine = mean_over_windows(windows, &WindowChange::embedding_cosine);
  if (!result.has_logits) return;
  result.kl = mean_over_windows(windows, &WindowChange::kl);
  result.same_top = mean_over_windows(windows, &WindowChange::same_top);
  if (!result.causal) return;
  result.loss_before = mean_over_windows(windows, &WindowChange::loss_before);
  result.loss_after = mean_over_windows(windows, &WindowChange::loss_after);
  result.loss_change = loss_change(windows);
  result.perplexity_before = std::exp(result.loss_before.value);
  result.perplexity_after = std::exp(result.loss_after.value);
}

void summarise_control(const Changes& changes, StaticHeads& result) {
  result.control_embedding_cosine = mean_over_windows(changes.windows, &WindowChange::embedding_cosine);
  if (!changes.logits) return;
  result.control_kl = mean_over_windows(changes.windows, &WindowChange::kl);
  if (result.causal) result.control_loss_change = loss_change(changes.windows);
}

/// Products of one window that go with the replaced heads.
void count_flops(const Transformer& transformer, std::size_t tokens, StaticHeads& result) {
  const Architecture& a = transformer.architecture();
  const double l = static_cast<double>(tokens), k = static_cast<double>(a.head_width),
               d = static_cast<double>(a.width);
  const double pairs = a.causal ? l * (l + 1) / 2 : l * l;
  const double layers = static_cast<double>(result.fit.layers);
  result.flops = l * transformer.flops_per_token() + 4 * pairs * k * static_cast<double>(a.heads) * layers;
  const std::size_t shared = a.heads / a.kv_heads;
  std::vector<std::size_t> gone(result.fit.layers * a.kv_heads);  // replaced heads that read a key head
  for (const auto& [layer, head] : result.replaced) {
    result.flops_saved += 2 * pairs * k + 2 * l * d * k;
    if (++gone[layer * a.kv_heads + head / shared] == shared) result.flops_saved += 2 * l * d * k;
  }
}

/// As many heads as were replaced, from the least positional on.
std::vector<Head> control_heads(const StaticHeadOptions& options, const StaticHeads& result) {
  if (!options.heads.empty() || 2 * result.replaced.size() > result.total) return {};
  std::vector<const HeadPositions*> heads;
  for (const HeadPositions& h : result.fit.all) heads.push_back(&h);
  std::ranges::stable_sort(heads, {}, [](const HeadPositions* h) { return h->pair.value; });
  std::vector<Head> control;
  for (std::size_t i = 0; i < result.replaced.size(); ++i)
    control.emplace_back(heads[i]->layer, heads[i]->head);
  std::ranges::sort(control);
  return control;
}

std::vector<Head> chosen_heads(const StaticHeadOptions& options, const PositionMeasures& fit) {
  std::vector<Head> heads = options.heads;
  for (const auto& [layer, head] : heads)
    if (layer >= fit.layers || head >= fit.heads)
      throw Error(ErrorKind::kUsage, "static heads",
                  "there is no head " + std::to_string(layer) + "." + std::to_string(head) +
                      ": the model has " + std::to_string(fit.layers) + " layers of " +
                      std::to_string(fit.heads) + " heads, counted from 0");
  if (heads.empty())
    for (const HeadPositions& h : fit.all)
      if (h.is_static) heads.emplace_back(h.layer, h.head);
  std::ranges::sort(heads);
  heads.erase(std::unique(heads.begin(), heads.end()), heads.end());
  return heads;
}

}  // namespace

StaticHeads what_if_static(const Transformer& transformer, const TokenBatch& batch,
                           const StaticHeadOptions& options, const Arena& arena) {
  if (batch.sequences < 4)
    throw Error(ErrorKind::kUsage, "static heads",
                std::to_string(batch.sequences) + (batch.sequences == 1 ? " window" : " windows") +
                    ": two are needed to fit and two to compare",
                "give more text, or shorter windows");
  if (!options.positions.exclude.empty() &&
      options.positions.exclude.size() != batch.sequences * batch.tokens)
    throw Error(ErrorKind::kShape, "static heads",
                "there are " + std::to_string(options.positions.exclude.size()) +
                    " flags of tokens to leave out for " + std::to_string(batch.sequences * batch.tokens) +
                    " tokens");
  StaticHeads result;
  const TokenBatch fit = every(batch, 0, 2);
  const Trace trace = transformer.forward(fit, {.hidden = false, .attention = true}, arena);
  result.fit = measure_positions(trace, options_of_half(options.positions, batch), arena);
  result.replaced = chosen_heads(options, result.fit);
  result.total = result.fit.all.size();
  result.fit_windows = fit.sequences;
  result.check_windows = batch.sequences - fit.sequences;
  result.causal = transformer.architecture().causal;
  count_flops(transformer, batch.tokens, result);
  if (result.replaced.empty()) {
    result.notes.push_back("no head is above the threshold: nothing was replaced");
    return result;
  }

  result.control = control_heads(options, result);
  Progress progress("static heads", "window",
                    static_cast<double>(result.check_windows) * (result.control.empty() ? 1 : 2));
  StaticMatrices matrices(trace, result.replaced, options.form, arena);
  const Changes changes = replace_heads(transformer, batch, matrices, arena, progress);
  if (changes.windows.empty())
    throw Error(ErrorKind::kUsage, "static heads", "none of the windows to compare on has two real tokens",
                "give more text");
  if (changes.windows.size() < result.check_windows)
    result.notes.push_back("windows of a single token are left out of the comparison");
  result.check_windows = changes.windows.size();
  summarise(changes, result);
  if (!result.control.empty()) {
    StaticMatrices others(trace, result.control, options.form, arena);
    summarise_control(replace_heads(transformer, batch, others, arena, progress), result);
  }
  return result;
}

}  // namespace telos::positional
