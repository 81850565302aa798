#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "telos/smoothing/measure.h"

namespace telos::smoothing {

Estimate estimate(std::span<const double> values) {
  Estimate out;
  double sum = 0;
  for (const double v : values)
    if (std::isfinite(v)) {
      sum += v;
      ++out.windows;
    }
  if (out.windows == 0) return out;
  const double n = static_cast<double>(out.windows);
  out.mean = sum / n;
  if (out.windows < 2) return out;
  double square = 0;
  for (const double v : values)
    if (std::isfinite(v)) square += (v - out.mean) * (v - out.mean);
  out.error = std::sqrt(square / (n - 1) / n);
  return out;
}

namespace {

using Windows = std::span<const WindowMeasures>;

/// Estimate over windows of what `number` reads from each.
template <class Number>
Estimate over(Windows windows, Number&& number) {
  std::vector<double> values;
  for (const WindowMeasures& window : windows) values.push_back(number(window));
  return estimate(values);
}

template <class Number>
double largest(Windows windows, Number&& number) {
  double out = kNaN;
  for (const WindowMeasures& window : windows)
    if (const double v = number(window); !(v <= out)) out = std::isnan(v) ? out : v;
  return out;
}

TokenEstimates token_estimates(Windows windows, std::vector<TokenMeasures> WindowMeasures::*side,
                               std::size_t l) {
  const auto of = [&](double TokenMeasures::*field) {
    return over(windows, [&](const WindowMeasures& w) { return (w.*side)[l].*field; });
  };
  return {of(&TokenMeasures::hfc_lfc),      of(&TokenMeasures::hfc_frac), of(&TokenMeasures::cos_mean),
          of(&TokenMeasures::cos_abs_incl), of(&TokenMeasures::res_1inf), of(&TokenMeasures::rank1_res),
          of(&TokenMeasures::stable_rank),  of(&TokenMeasures::eff_rank), of(&TokenMeasures::part_ratio),
          of(&TokenMeasures::dirichlet),    of(&TokenMeasures::log_norm), of(&TokenMeasures::max_norm_share)};
}

struct Line {
  double slope = kNaN, error = kNaN;
};
/// Least squares through the finite points of y(l), l = first … last.
Line fit_line(const std::vector<double>& y, std::size_t first, std::size_t last) {
  double n = 0, sx = 0, sy = 0;
  for (std::size_t l = first; l <= last; ++l)
    if (std::isfinite(y[l])) {
      n += 1;
      sx += static_cast<double>(l);
      sy += y[l];
    }
  if (n < 2) return {};
  double sxx = 0, sxy = 0, residual = 0;
  for (std::size_t l = first; l <= last; ++l)
    if (std::isfinite(y[l])) {
      const double dx = static_cast<double>(l) - sx / n;
      sxx += dx * dx;
      sxy += dx * (y[l] - sy / n);
    }
  Line out{sxy / sxx, kNaN};
  if (n < 3) return out;
  for (std::size_t l = first; l <= last; ++l)
    if (std::isfinite(y[l])) {
      const double r = y[l] - sy / n - out.slope * (static_cast<double>(l) - sx / n);
      residual += r * r;
    }
  out.error = std::sqrt(residual / (n - 2) / sxx);
  return out;
}

double log_ratio(const TokenMeasures& m) {
  return m.hfc_lfc < kEqualTokens ? std::log(kEqualTokens) : std::log(m.hfc_lfc);
}
std::vector<double> log_ratio(const std::vector<TokenMeasures>& depth) {
  std::vector<double> y;
  for (const TokenMeasures& m : depth) y.push_back(log_ratio(m));
  return y;
}

/// Windows below which their spread alone is no error estimate.
constexpr std::size_t kFewWindows = 5;

Estimate slope_of(Windows windows, std::vector<TokenMeasures> WindowMeasures::*side, std::size_t first,
                  std::size_t last) {
  if (first >= last) return {};
  Estimate out =
      over(windows, [&](const WindowMeasures& w) { return fit_line(log_ratio(w.*side), first, last).slope; });
  if (out.windows == 0 || out.windows >= kFewWindows) return out;
  std::vector<double> mean;
  for (std::size_t l = 0; l <= last; ++l)
    mean.push_back(over(windows, [&](const WindowMeasures& w) { return log_ratio((w.*side)[l]); }).mean);
  const double regression = fit_line(mean, first, last).error;
  if (!std::isnan(regression) && !(regression <= out.error)) out.error = regression;
  return out;
}

/// Share of |h|-weight that sharpens against attention with smallest eigenvalue a, at token scale s.
double sharp_share(const HeadSpectrum& head, double a, double s) {
  double weight = 0, sharp = 0;
  for (const Complex h : head.eigenvalues) {
    weight += std::abs(h);
    if (sharpens(s * h, a)) sharp += std::abs(h);
  }
  return weight > 0 ? sharp / weight : kNaN;
}

HeadMeasures head_measures(Windows windows, std::size_t l, std::size_t h) {
  HeadMeasures out;
  out.name = std::to_string(l) + "." + std::to_string(h);
  const auto of_head = [&](std::vector<double> WindowSublayer::*field) {
    return over(windows, [&](const WindowMeasures& w) {
      const std::vector<double>& values = w.sublayers[l].*field;
      return h < values.size() ? values[h] : kNaN;
    });
  };
  out.gain = of_head(&WindowSublayer::gain);
  out.mean_gain = of_head(&WindowSublayer::mean_gain);
  const auto of = [&](double AttentionSpectrum::*field) {
    return over(windows, [&](const WindowMeasures& w) {
      const auto& attention = w.sublayers[l].attention;
      return h < attention.size() ? attention[h].*field : kNaN;
    });
  };
  out.smallest_real = of(&AttentionSpectrum::smallest_real);
  out.second_modulus = of(&AttentionSpectrum::second_modulus);
  out.sigma_max_pap = of(&AttentionSpectrum::sigma_max_pap);
  out.row_entropy = of(&AttentionSpectrum::row_entropy);
  out.sink_mass = of(&AttentionSpectrum::sink_mass);
  out.stable_rank = of(&AttentionSpectrum::stable_rank);
  return out;
}

SublayerMeasures sublayer_measures(Windows windows, std::size_t l, std::size_t heads) {
  SublayerMeasures out;
  const auto of = [&](double WindowSublayer::*field) {
    return over(windows, [&](const WindowMeasures& w) { return w.sublayers[l].*field; });
  };
  const auto total = [](const std::vector<double>& values, double start) {
    double sum = values.empty() ? kNaN : start;
    for (const double g : values) sum += g;
    return sum;
  };
  out.gain = over(windows, [&](const WindowMeasures& w) { return total(w.sublayers[l].gain, 0); });
  out.mean_gain = over(windows, [&](const WindowMeasures& w) {
    return total(w.sublayers[l].mean_gain, w.sublayers[l].constant_gain);
  });
  out.hfc_log_gain = of(&WindowSublayer::hfc_log_gain);
  out.dc_log_gain = of(&WindowSublayer::dc_log_gain);
  out.rest_hfc_log_gain = of(&WindowSublayer::rest_hfc_log_gain);
  out.rest_dc_log_gain = of(&WindowSublayer::rest_dc_log_gain);
  out.constant_ratio = of(&WindowSublayer::constant_ratio);
  out.scale = of(&WindowSublayer::scale);
  out.law1 = largest(windows, [&](const WindowMeasures& w) { return w.sublayers[l].law1; });
  out.law2 = largest(windows, [&](const WindowMeasures& w) { return w.sublayers[l].law2; });
  for (std::size_t h = 0; h < heads; ++h) out.heads.push_back(head_measures(windows, l, h));
  return out;
}

void apply_spectra(const WeightSpectra& spectra, std::span<const std::size_t> site_of_layer,
                   TraceMeasures& out) {
  for (std::size_t l = 0; l < out.sublayers.size() && l < site_of_layer.size(); ++l) {
    const std::vector<HeadSpectrum>& heads = spectra.sites[site_of_layer[l]].heads;
    SublayerMeasures& sublayer = out.sublayers[l];
    for (std::size_t h = 0; h < sublayer.heads.size() && h < heads.size(); ++h) {
      const double a = sublayer.heads[h].smallest_real.mean, s = sublayer.scale.mean;
      if (a > -1 && s > 0) sublayer.heads[h].sharp_share = sharp_share(heads[h], a, s);
    }
  }
}

std::string without_text(const TraceShape& shape, const TraceOptions& options) {
  const bool special =
      std::any_of(options.special.begin(), options.special.end(), [](std::uint8_t s) { return s != 0; });
  if (!special) return "token 0";
  const std::string name = options.without_text.empty() ? "special tokens" : options.without_text;
  return shape.causal ? "token 0 and " + name : name;
}

void note_gaps(Windows windows, const TraceOptions& options, TraceMeasures& out) {
  const auto none = [&](auto&& number) {
    return std::all_of(out.sublayers.begin(), out.sublayers.end(),
                       [&](const SublayerMeasures& s) { return std::isnan(number(s)); });
  };
  if (out.sublayers.empty()) {
    out.notes.push_back("contributions of heads and attention spectra: the trace has no attention matrices");
    return;
  }
  if (none([](const SublayerMeasures& s) { return s.gain.mean; }))
    out.notes.push_back(std::any_of(windows.begin(), windows.end(),
                                    [](const WindowMeasures& w) {
                                      return std::any_of(w.sublayers.begin(), w.sublayers.end(),
                                                         [](const WindowSublayer& s) { return !s.linear; });
                                    })
                            ? "contributions of heads and the token scale: a norm acts on the values or on "
                              "the attention output, whose "
                              "scale is another for each token"
                            : "contributions of heads: no usable weights with the trace");
  else if (none([](const SublayerMeasures& s) { return s.law1; }))
    out.notes.push_back("laws L1 and L2: the trace does not record the stream right after attention");
  if (!windows.empty() && windows.size() > options.spectra_windows && options.attention_spectra)
    out.notes.push_back("attention spectra are from the first " + std::to_string(options.spectra_windows) +
                        " of " + std::to_string(windows.size()) + " windows");
}

}  // namespace

TraceMeasures aggregate(Windows windows, const TraceShape& shape, const TraceOptions& options,
                        const WeightSpectra* spectra, std::span<const std::size_t> site_of_layer) {
  TraceMeasures out;
  out.windows = windows.size();
  out.tokens = shape.tokens;
  out.layers = shape.layers;
  out.heads = shape.heads;
  out.causal = shape.causal;
  out.without_text = without_text(shape, options);
  out.centred = options.centre_features;
  out.options_text =
      "residual stream before each layer; " +
      std::string(options.centre_features ? "features centred over tokens" : "features not centred") +
      "; padding left out; with all tokens, and without " + out.without_text;
  const std::size_t last = shape.layers, third = std::max<std::size_t>(1, last / 3);
  for (std::size_t l = 0; l <= last; ++l)
    out.depth.push_back({token_estimates(windows, &WindowMeasures::all, l),
                         token_estimates(windows, &WindowMeasures::without, l),
                         over(windows, [&](const WindowMeasures& w) { return w.cos_without_constant[l]; })});
  const bool attention = !windows.empty() && !windows.front().sublayers.empty();
  for (std::size_t l = 0; attention && l < last; ++l)
    out.sublayers.push_back(sublayer_measures(windows, l, shape.heads));
  for (const SublayerMeasures& s : out.sublayers) {
    if (!(s.law1 <= out.law1) && !std::isnan(s.law1)) out.law1 = s.law1;
    if (!(s.law2 <= out.law2) && !std::isnan(s.law2)) out.law2 = s.law2;
  }
  out.slope = slope_of(windows, &WindowMeasures::all, 0, last);
  out.slope_without = slope_of(windows, &WindowMeasures::without, 0, last);
  if (last >= 3) out.slope_inner = slope_of(windows, &WindowMeasures::without, 1, last - 1);
  out.slope_last_third = slope_of(windows, &WindowMeasures::without, last - third, last);
  if (spectra != nullptr) apply_spectra(*spectra, site_of_layer, out);
  note_gaps(windows, options, out);
  return out;
}

}  // namespace telos::smoothing
