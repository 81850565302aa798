#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/base/philox.h"
#include "telos/positional/compiler.h"

namespace telos::positional {
namespace {

// ---- Programs that the language says in a few lines

constexpr std::string_view kCumsum = R"(program cumsum
input x
state sum = x
output sum
repeat r < log2(n)
  round
    recv left from i - 2**r else sink
    sum = sum + left.sum
  end
end
)";

constexpr std::string_view kCumsumDense = R"(program cumsum_dense
input x
state sum = x
output sum
round
  recv seen from each j where j <= i weight 1/n
  sum = n*seen.sum
end
)";

constexpr std::string_view kCummin = R"(program cummin
input x
state least = x
output least
repeat r < log2(n)
  round
    recv left from i - 2**r else i
    least = min(least, left.least)
  end
end
)";

constexpr std::string_view kCummax = R"(program cummax
input x
state most = x
output most
repeat r < log2(n)
  round
    recv left from i - 2**r else i
    most = max(most, left.most)
  end
end
)";

constexpr std::string_view kAllreduceSum = R"(program allreduce_sum
input x
state sum = x
output sum
repeat r < log2(n)
  round
    recv partner from i ^ 2**r
    sum = sum + partner.sum
  end
end
)";

constexpr std::string_view kAllreduceMin = R"(program allreduce_min
input x
state least = x
output least
repeat r < log2(n)
  round
    recv partner from i ^ 2**r
    least = min(least, partner.least)
  end
end
)";

constexpr std::string_view kAllreduceMax = R"(program allreduce_max
input x
state most = x
output most
repeat r < log2(n)
  round
    recv partner from i ^ 2**r
    most = max(most, partner.most)
  end
end
)";

// A node knows, of the last 2^r entries up to its own, the sum, the best prefix and suffix, and the best run.
constexpr std::string_view kMaxsub = R"(program maxsub
input x
state sum = x, prefix = x, suffix = x, best = x
output best
repeat r < log2(n)
  round
    recv left from i - 2**r else i
    role combine if i >= 2**r
      sum = left.sum + sum
      prefix = max(left.prefix, left.sum + prefix)
      suffix = max(suffix, sum + left.suffix)
      best = max(left.best, best, left.suffix + prefix)
  end
end
)";

Builtin from_text(std::string_view text, std::size_t n, std::size_t hidden) {
  Builtin out{.program = read_program(text, "built-in program", {.n = n})};
  out.options.hidden = hidden;
  return out;
}

// ---- Sorting

ComparatorNetwork network_of(const BuiltinOptions& options, bool standard_form) {
  if (options.network.empty()) return batcher_network(options.n);
  ComparatorNetwork network = parse_network(options.network, options.n, options.network_name);
  for (const auto& layer : network.layers)
    for (const auto& [a, b] : layer)
      if (standard_form && a > b)
        throw Error(ErrorKind::kUsage, options.network_name,
                    "comparator (" + std::to_string(a) + "," + std::to_string(b) +
                        ") sends the smaller value up, expected a < b in all of a median's comparators");
  if (options.n <= 20) {
    std::vector<int> counterexample;
    if (is_sorting_network(network, &counterexample)) return network;
    std::string vector;
    for (const int bit : counterexample) vector += bit == 0 ? '0' : '1';
    throw Error(ErrorKind::kUsage, options.network_name, "the network does not sort " + vector,
                "a comparator is missing or turned round; without a file Batcher's network is taken");
  }
  // Each random permutation tries n + 1 vectors of zeros and ones: those above each of its values.
  std::vector<std::size_t> values(options.n);
  for (std::uint64_t sample = 0; sample < 2000; ++sample) {
    Random rng(1, 0, sample);
    for (std::size_t i = 0; i < options.n; ++i) {
      const std::size_t j = rng.below(static_cast<std::uint32_t>(i + 1));
      values[i] = values[j];
      values[j] = i;
    }
    for (const auto& layer : network.layers)
      for (const auto& [a, b] : layer)
        if (values[a] > values[b]) std::swap(values[a], values[b]);
    if (!std::is_sorted(values.begin(), values.end()))
      throw Error(ErrorKind::kUsage, options.network_name, "the network does not sort a random permutation",
                  "a comparator is missing or turned round; without a file Batcher's network is taken");
  }
  return network;
}

std::vector<double> weights_of(std::size_t size, std::size_t index) {
  std::vector<double> out(size, 0.0);
  out[index] = 1;
  return out;
}

Program one_channel(std::string name, std::size_t n) {
  Program out;
  out.name = std::move(name);
  out.n = n;
  out.inputs = {"x"};
  out.channels = {{"v", Channel::Kind::kState, {1}}};
  out.outputs = {{"v", {1}}};
  return out;
}

/// Wires are nodes; the lower end of a comparator is in role lo. Wires without one compare with themselves.
Builtin sort(const BuiltinOptions& options) {
  Builtin out{.program = one_channel("sort", options.n)};
  for (const auto& layer : network_of(options, false).layers) {
    Round round;
    round.role_of.assign(options.n, 0);
    std::vector<std::vector<Source>> table(options.n);
    for (std::size_t i = 0; i < options.n; ++i) table[i] = {{i, 1}};
    for (const auto& [a, b] : layer) {
      table[a] = {{b, 1}};
      table[b] = {{a, 1}};
      round.role_of[b] = 1;
    }
    round.receives = {{"partner", std::move(table)}};
    round.roles = {{"lo", {{0, Expr::min({Expr::own(0), Expr::received(0, 0)})}}},
                   {"hi", {{0, Expr::max({Expr::own(0), Expr::received(0, 0)})}}}};
    out.program.rounds.push_back(std::move(round));
  }
  out.options.hidden = 6;
  return out;
}

/// Node i sorts x_0 … x_i in channels of its own and takes the middle. Comparators that touch a later channel
/// are left out: in a network whose smaller values go down, large values in the upper wires stay there.
class MedianBuilder {
 public:
  MedianBuilder(std::size_t n, const ComparatorNetwork& network) : n_(n), network_(network) {
    p_.name = "median";
    p_.n = n;
    p_.inputs = {"x"};
    for (std::size_t t = 0; t < n; ++t)
      p_.channels.push_back({"s" + std::to_string(t), Channel::Kind::kState, {t == 0 ? 1.0 : 0.0}});
    p_.outputs = {{"median", weights_of(n, 0)}};
  }

  Program run() {
    gather();
    for (const auto& layer : network_.layers) compare(layer);
    take_middle();
    return std::move(p_);
  }

 private:
  void gather() {
    Round round;
    Role all;
    for (std::size_t t = 0; t < n_; ++t) {
      std::vector<std::vector<Source>> table(n_);
      for (std::size_t i = t; i < n_; ++i) table[i] = {{t, 1}};
      round.receives.push_back({"x" + std::to_string(t), std::move(table)});
      all.assignments.push_back({t, Expr::received(t, 0)});
    }
    add(std::move(round), std::move(all));
  }

  void compare(const std::vector<std::pair<std::size_t, std::size_t>>& layer) {
    Round round;
    round.role_of.assign(n_, Round::kKeep);
    std::size_t before = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      Role role{.name = "from" + std::to_string(i), .assignments = {}};
      for (const auto& [a, b] : layer) {
        if (b > i) continue;
        role.assignments.push_back({a, Expr::min({Expr::own(a), Expr::own(b)})});
        role.assignments.push_back({b, Expr::max({Expr::own(b), Expr::own(a)})});
      }
      if (role.assignments.size() > before) {
        before = role.assignments.size();
        round.roles.push_back(std::move(role));
      }
      if (before > 0) round.role_of[i] = round.roles.size() - 1;
    }
    p_.rounds.push_back(std::move(round));
  }

  void take_middle() {
    Round round;
    Role all;
    Expr sum = Expr::sum({}, {});
    for (std::size_t t = 0; t < n_; ++t) {
      std::vector<std::vector<Source>> table(n_);
      bool used = false;
      for (std::size_t i = 0; i < n_; ++i) {
        const std::size_t low = i / 2, high = (i + 1) / 2;  // ⌊(m−1)/2⌋ and ⌊m/2⌋ of m = i + 1 values
        if (t != low && t != high) continue;
        table[i] = {{i, low == high ? 1.0 : 0.5}};
        used = true;
      }
      if (!used) continue;
      sum.weights.push_back(1);
      sum.args.push_back(Expr::received(round.receives.size(), t));
      round.receives.push_back({"middle" + std::to_string(t), std::move(table)});
    }
    all.assignments.push_back({0, sum.args.size() == 1 ? sum.args[0] : sum});
    add(std::move(round), std::move(all));
  }

  void add(Round round, Role all) {
    round.role_of.assign(n_, 0);
    round.roles = {std::move(all)};
    p_.rounds.push_back(std::move(round));
  }

  std::size_t n_;
  const ComparatorNetwork& network_;
  Program p_{};
};

Builtin median(const BuiltinOptions& options) {
  Builtin out{.program = MedianBuilder(options.n, network_of(options, true)).run()};
  out.options.hidden = 6 * options.n;
  out.options.head_width = 1;
  return out;
}

// ---- Routing

Builtin benes(const BuiltinOptions& options) {
  if (!(options.bound > 0) || !std::isfinite(options.bound))
    throw Error(ErrorKind::kUsage, "benes",
                "the bound is " + std::to_string(options.bound) + ", expected M > 0");
  Program p = one_channel("benes", options.n);
  const std::vector<std::size_t> stages = benes_stages(options.n);
  const std::size_t columns = 1 + 2 * stages.size();
  p.bound = options.bound;
  p.channels[0].start = weights_of(columns, 0);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const std::string bit = "c" + std::to_string(s);
    p.bits.push_back(bit);
    p.channels.push_back({bit, Channel::Kind::kBit, weights_of(columns, 1 + 2 * s)});
    p.channels.push_back({"!" + bit, Channel::Kind::kNotBit, weights_of(columns, 2 + 2 * s)});
    std::vector<std::vector<Source>> table(options.n);
    for (std::size_t i = 0; i < options.n; ++i) table[i] = {{i ^ (std::size_t{1} << stages[s]), 1}};
    Round round{.receives = {{"partner", std::move(table)}},
                .roles = {{"", {{0, Expr::select(1 + 2 * s, Expr::received(0, 0), Expr::own(0))}}}},
                .role_of = std::vector<std::size_t>(options.n, 0)};
    p.rounds.push_back(std::move(round));
  }
  p.outputs[0].weights = weights_of(columns, 0);
  return {.program = std::move(p)};
}

// ---- The list

struct BuiltinEntry {
  const char *name, *summary;
  Builtin (*make)(const BuiltinOptions&);
  bool power_of_two = false, network = false;
};

constexpr BuiltinEntry kBuiltins[] = {
    {"cumsum", "sums of the entries so far, by doubling distances",
     [](const BuiltinOptions& o) { return from_text(kCumsum, o.n, 0); }},
    {"cumsum-dense", "the same in one layer of averages; rounds, because 1/n does",
     [](const BuiltinOptions& o) { return from_text(kCumsumDense, o.n, 0); }},
    {"cummin", "least entry so far", [](const BuiltinOptions& o) { return from_text(kCummin, o.n, 4); }},
    {"cummax", "largest entry so far", [](const BuiltinOptions& o) { return from_text(kCummax, o.n, 4); }},
    {"allreduce-sum", "sum of the list at each node, by a butterfly (n = 2^k)",
     [](const BuiltinOptions& o) { return from_text(kAllreduceSum, o.n, 4); }, true},
    {"allreduce-min", "least entry of the list at each node (n = 2^k)",
     [](const BuiltinOptions& o) { return from_text(kAllreduceMin, o.n, 4); }, true},
    {"allreduce-max", "largest entry of the list at each node (n = 2^k)",
     [](const BuiltinOptions& o) { return from_text(kAllreduceMax, o.n, 4); }, true},
    {"sort", "the list in ascending order, by any comparator network", sort, false, true},
    {"maxsub", "largest sum of adjacent entries so far",
     [](const BuiltinOptions& o) { return from_text(kMaxsub, o.n, 40); }},
    {"median", "median so far (mean of the middle two), by any comparator network", median, false, true},
    {"benes", "any permutation, given as control bits (n = 2^k)", benes, true},
};

}  // namespace

std::vector<BuiltinInfo> builtin_list() {
  std::vector<BuiltinInfo> out;
  for (const BuiltinEntry& entry : kBuiltins) out.push_back({entry.name, entry.summary});
  return out;
}

Builtin builtin(std::string_view name, const BuiltinOptions& options) {
  const auto* entry = std::find_if(std::begin(kBuiltins), std::end(kBuiltins),
                                   [&](const BuiltinEntry& e) { return name == e.name; });
  if (entry == std::end(kBuiltins)) {
    std::vector<std::string> names;
    for (const BuiltinEntry& e : kBuiltins) names.emplace_back(e.name);
    throw Error(ErrorKind::kUsage, "built-in program", "'" + printable(name) + "' is not known",
                nearest_hint(name, names));
  }
  const std::string where = entry->name;
  // The median's state has n channels.
  const std::size_t most = entry->make == median ? kMaxChannels : kMaxNodes;
  if (options.n < 1 || options.n > most)
    throw Error(ErrorKind::kUsage, where,
                "n is " + std::to_string(options.n) + ", expected 1 to " + std::to_string(most));
  const std::size_t least = entry->make == benes ? 2 : 1;
  if (entry->power_of_two && (!std::has_single_bit(options.n) || options.n < least))
    throw Error(ErrorKind::kUsage, where, "n is " + std::to_string(options.n) + ", expected a power of two",
                entry->make == benes
                    ? "append entries that stay where they are; sort takes any n"
                    : "take a prefix scan (cumsum, cummin, cummax): any n, and the last node "
                      "has the list's answer");
  if (!options.network.empty() && !entry->network)
    throw Error(ErrorKind::kUsage, where, "takes no comparator network", "sort and median do");
  return entry->make(options);
}

}  // namespace telos::positional
