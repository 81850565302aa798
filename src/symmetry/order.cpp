#include "telos/symmetry/order.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "symmetry/order_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kOrderStream = 0x6f726472;

/// The tokens of a window's context: the entry at i is the place in the text of what stands in slot i.
using Order = std::vector<std::uint32_t>;

void shuffle_order(Order& order, Random& random) {
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
}

/// Uniform over the orders that have in `kept` random slots what `order` has there.
Order keeping(const Order& order, std::size_t kept, Random& random) {
  Order slots(order.size());
  std::iota(slots.begin(), slots.end(), 0u);
  shuffle_order(slots, random);
  const std::span<const std::uint32_t> free = std::span(slots).subspan(kept);
  Order moved;
  for (const std::uint32_t slot : free) moved.push_back(order[slot]);
  shuffle_order(moved, random);
  Order result = order;
  for (std::size_t i = 0; i < free.size(); ++i) result[free[i]] = moved[i];
  return result;
}

/// Estimates of one readout of one window, none of which a constant added to the readout changes.
struct WindowEnergies {
  double spread = 0;             // E|f(gX) − E_g' f(g'X)|²
  double mean_spread = 0;        // what of the square of the window's mean is the spread of its few orders
  std::array<double, 3> kept{};  // E f(gX)·f(ghX) − E f(gX)·f(g'X), h keeping some slots
  double written = 0;            // |f(X) − E_g f(gX)|²
};

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// One readout of all windows.
struct ReadoutSums {
  std::vector<WindowEnergies> windows;
  std::vector<std::vector<double>> means;    // of the independent orders
  std::vector<std::vector<double>> foreign;  // of those with another window's context; 0 without
};

/// The runs of one window, in this order: as written; then for each shuffle an order, its three partners, and
/// an order of another window's tokens (if those that stay differ).
class OrderRuns {
 public:
  OrderRuns(const OrderWindows& windows, const OrderOptions& options)
      : windows_(windows), options_(options), count_(windows.ids.size() / windows.tokens) {
    for (std::size_t w = 1; w < count_ && !foreign_; ++w)
      for (std::size_t i = 0, next = 0; i < windows.tokens; ++i) {
        if (next < windows.moved.size() && windows.moved[next] == i)
          ++next;
        else if (windows.ids[w * windows.tokens + i] != windows.ids[i])
          foreign_ = true;
      }
  }

  std::size_t per_shuffle() const { return foreign_ ? 5 : 4; }
  std::size_t per_window() const { return 1 + per_shuffle() * options_.shuffles; }
  std::size_t count() const { return count_; }
  bool foreign() const { return foreign_; }

  void append(std::size_t w, std::vector<std::int32_t>& ids) const {
    const std::size_t k = windows_.moved.size();
    Order order(k);
    std::iota(order.begin(), order.end(), 0u);
    append(w, w, order, ids);
    for (std::size_t m = 0; m < options_.shuffles; ++m) {
      Random random(options_.seed, kOrderStream, w * options_.shuffles + m);
      shuffle_order(order, random);
      append(w, w, order, ids);
      for (const std::size_t kept : kept_slots(k)) append(w, w, keeping(order, kept, random), ids);
      if (foreign_) {
        const std::size_t other = (w + 1 + random.below(static_cast<std::uint32_t>(count_ - 1))) % count_;
        Order fresh = order;
        shuffle_order(fresh, random);
        append(w, other, fresh, ids);
      }
    }
  }

  /// `values`: rows of one window's runs from `first` on.
  void evaluate(const Matrix<double>& values, std::size_t first, ReadoutSums& sums) const {
    const std::size_t d = values.cols(), shuffles = options_.shuffles;
    const auto count = static_cast<double>(shuffles);
    const auto run = [&](std::size_t m, std::size_t family) {
      return std::span<const double>(values.row(first + 1 + m * per_shuffle() + family), d);
    };
    // Orders, their partners, foreign orders: each family is `shuffles` independent orders.
    std::vector<std::vector<double>> families(5, std::vector<double>(d));
    for (std::size_t family = 0; family < per_shuffle(); ++family)
      for (std::size_t m = 0; m < shuffles; ++m)
        for (std::size_t c = 0; c < d; ++c) families[family][c] += run(m, family)[c] / count;
    const auto covariance = [&](std::size_t i, std::size_t j) {
      double sum = 0;
      for (std::size_t m = 0; m < shuffles; ++m)
        for (std::size_t c = 0; c < d; ++c)
          sum += (run(m, i)[c] - families[i][c]) * (run(m, j)[c] - families[j][c]);
      return sum / (count - 1);
    };
    WindowEnergies e;
    for (std::size_t family = 0; family < 4; ++family) e.spread += covariance(family, family) / 4;
    e.mean_spread = covariance(0, 0) / count;
    for (std::size_t i = 0; i < 3; ++i) e.kept[i] = covariance(0, 1 + i);
    e.written = distance({values.row(first), d}, families[0]) - e.mean_spread;
    sums.windows.push_back(e);
    sums.means.push_back(std::move(families[0]));
    sums.foreign.push_back(std::move(families[4]));
  }

 private:
  void append(std::size_t w, std::size_t context, const Order& order, std::vector<std::int32_t>& ids) const {
    const std::size_t at = ids.size(), length = windows_.tokens;
    const auto window = [&](std::size_t i) {
      return windows_.ids.begin() + static_cast<std::ptrdiff_t>(i * length);
    };
    ids.insert(ids.end(), window(w), window(w + 1));
    for (std::size_t i = 0; i < order.size(); ++i)
      ids[at + windows_.moved[i]] = windows_.ids[context * length + windows_.moved[order[i]]];
  }

  const OrderWindows& windows_;
  const OrderOptions& options_;
  std::size_t count_;
  bool foreign_ = false;
};

/// Shares from sums over windows, and from what remains of them when one is left out.
class OrderJackknife {
 public:
  /// Leaves the means, their own mean taken off, in `sums`.
  OrderJackknife(ReadoutSums& sums, std::size_t moved, bool foreign)
      : sums_(sums), moved_(moved), foreign_(foreign), foreign_sum_(sums.means.front().size()) {
    const std::size_t d = foreign_sum_.size();
    std::vector<double> mean(d);
    for (const auto& f : sums.means)
      for (std::size_t c = 0; c < d; ++c) mean[c] += f[c] / static_cast<double>(sums.means.size());
    double largest = 0;
    for (std::size_t w = 0; w < sums.windows.size(); ++w) {
      largest = std::max(largest, dot(sums.means[w], sums.means[w]));
      for (std::size_t c = 0; c < d; ++c) {
        sums.means[w][c] -= mean[c];
        sums.foreign[w][c] -= mean[c];
        foreign_sum_[c] += sums.foreign[w][c];
      }
      add(sums.windows[w], 1);
      squares_ += dot(sums.means[w], sums.means[w]);
      products_ += dot(sums.means[w], sums.foreign[w]);
    }
    least_ = 1e-18 * largest;  // below it there is rounding only
  }

  OrderReadout readout() {
    const auto n = static_cast<double>(sums_.windows.size());
    OrderReadout all = shares(n, squares_, products_);
    std::vector<OrderReadout> without;
    for (std::size_t w = 0; w < sums_.windows.size(); ++w) {
      add(sums_.windows[w], -1);
      const auto &f = sums_.means[w], &h = sums_.foreign[w];
      without.push_back(shares(n - 1, squares_ - dot(f, f) * n / (n - 1),
                               products_ - dot(f, h) + (dot(f, foreign_sum_) - dot(f, h)) / (n - 1)));
      add(sums_.windows[w], 1);
    }
    for (std::size_t i = 0; i < 3; ++i)
      all.kept[i].error = error(without, [i](const OrderReadout& r) { return r.kept[i].value; });
    for (OrderShare OrderReadout::*const part :
         {&OrderReadout::fixed, &OrderReadout::invariant, &OrderReadout::standard, &OrderReadout::rest,
          &OrderReadout::symmetric, &OrderReadout::written})
      (all.*part).error = error(without, [part](const OrderReadout& r) { return (r.*part).value; });
    return all;
  }

 private:
  void add(const WindowEnergies& e, double sign) {
    sum_.spread += sign * e.spread;
    sum_.mean_spread += sign * e.mean_spread;
    for (std::size_t i = 0; i < 3; ++i) sum_.kept[i] += sign * e.kept[i];
    sum_.written += sign * e.written;
  }

  /// `squares`: Σ|f_w − f|² over the windows' means and their mean f; `products`: Σ (f_w − f)·(h_w − f) with
  /// the foreign ones.
  OrderReadout shares(double n, double squares, double products) const {
    const double spread = sum_.spread / n, standard = first_degree(moved_, sum_.kept[0], sum_.kept[1]) / n;
    const double between = squares / (n - 1) - sum_.mean_spread / n;
    // E products/n = fixed − (fixed + context)/n, for f's energy of the tokens that stay, of the context and
    // of both together is between = fixed + context + interaction: what remains is interaction/n.
    const double fixed = foreign_ ? products / n + between / n : 0;
    const double total = between + spread;
    OrderReadout r;
    r.variance = total;
    if (!(total > least_)) return r;
    const auto share = [&](double part) { return std::abs(part) > 1e-12 * total ? part / total : 0; };
    r.fixed.value = share(fixed);
    r.invariant.value = share(between - fixed);
    r.standard.value = share(standard);
    r.rest.value = share(spread - standard);
    if (const double context = total - fixed; context > 1e-9 * total)
      r.symmetric.value = (between - fixed) / context;
    if (!(spread > 1e-9 * total)) return r;
    r.written.value = sum_.written / n / spread;
    for (std::size_t i = 0; i < 3; ++i) r.kept[i].value = sum_.kept[i] / n / spread;
    return r;
  }

  template <class Value>
  static double error(const std::vector<OrderReadout>& without, const Value& value) {
    const auto n = static_cast<double>(without.size());
    double mean = 0, squares = 0;
    for (const OrderReadout& r : without) mean += value(r) / n;
    for (const OrderReadout& r : without) squares += (value(r) - mean) * (value(r) - mean);
    return std::sqrt(squares * (n - 1) / n);
  }

  ReadoutSums& sums_;
  std::size_t moved_;
  bool foreign_;
  std::vector<double> foreign_sum_;
  WindowEnergies sum_;
  double squares_ = 0, products_ = 0, least_ = 0;
};

void check_order(const OrderWindows& windows, const OrderOptions& options) {
  const auto refuse = [](const char* where, const std::string& what, const std::string& hint) {
    throw Error(ErrorKind::kUsage, where, what, hint);
  };
  if (windows.tokens == 0 || windows.ids.size() % windows.tokens != 0)
    refuse("windows", "the ids are no whole number of windows", "");
  if (const std::size_t n = windows.ids.size() / windows.tokens; n < kFewestWindows)
    refuse("windows",
           "expected at least " + std::to_string(kFewestWindows) + " windows, found " + std::to_string(n),
           "take a longer text, shorter windows, or more of them");
  std::set<std::vector<std::int32_t>> different;
  for (std::size_t at = 0; at < windows.ids.size() && different.size() < kFewestWindows; at += windows.tokens)
    different.emplace(windows.ids.begin() + static_cast<std::ptrdiff_t>(at),
                      windows.ids.begin() + static_cast<std::ptrdiff_t>(at + windows.tokens));
  if (different.size() < kFewestWindows)
    refuse("windows",
           "expected at least " + std::to_string(kFewestWindows) + " different windows, found " +
               std::to_string(different.size()),
           "take a longer text; equal windows tell nothing new");
  if (windows.moved.size() < 4 || !std::ranges::is_sorted(windows.moved, std::less_equal<>{}) ||
      windows.moved.back() >= windows.tokens)
    refuse("windows",
           "expected at least 4 tokens of a window that can change places, found " +
               std::to_string(windows.moved.size()),
           "take longer windows");
  if (options.shuffles < 2)
    refuse("shuffles", "expected at least 2 shuffles of a window, found " + std::to_string(options.shuffles),
           "");
}

}  // namespace

OrderMeasures measure_order(const OrderWindows& windows, const OrderModel& model, const OrderOptions& options,
                            std::size_t batch) {
  check_order(windows, options);
  const OrderRuns runs(windows, options);
  const std::size_t at_once = std::max<std::size_t>(1, batch / runs.per_window());
  std::vector<ReadoutSums> readouts;
  OrderMeasures out{runs.count(), windows.tokens, windows.moved.size(), runs.count() * runs.per_window(), {}};
  for (std::size_t first = 0; first < runs.count(); first += at_once) {
    check_interrupt();
    const std::size_t end = std::min(runs.count(), first + at_once);
    std::vector<std::int32_t> ids;
    for (std::size_t w = first; w < end; ++w) runs.append(w, ids);
    const std::vector<Matrix<double>> values = model(ids);
    readouts.resize(values.size());
    for (std::size_t r = 0; r < values.size(); ++r) {
      const Matrix<double>& v = values[r];
      if (!std::all_of(v.data(), v.data() + v.size(), [](double x) { return std::isfinite(x); }))
        throw Error(ErrorKind::kNotFinite, "order", "the model returns values that are not finite");
      for (std::size_t w = first; w < end; ++w)
        runs.evaluate(v, (w - first) * runs.per_window(), readouts[r]);
    }
  }
  for (ReadoutSums& sums : readouts)
    out.readouts.push_back(OrderJackknife(sums, windows.moved.size(), runs.foreign()).readout());
  return out;
}

}  // namespace telos::symmetry
