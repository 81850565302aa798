#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "positional/compiler_parts.h"
#include "positional/program_syntax.h"

namespace telos::positional {
namespace {

// ---- Which channels matter

using Live = std::vector<bool>;  // by channel

void mark_own_and_received(const Expr& e, Live& live) {
  if (e.kind == Expr::Kind::kRead) live[e.channel] = true;
  if (e.kind == Expr::Kind::kSelect) live[e.channel] = live[e.channel + 1] = true;
  for (const Expr& arg : e.args) mark_own_and_received(arg, live);
}

const Expr* assigned(const Round& round, std::size_t role, std::size_t channel) {
  if (role == Round::kKeep) return nullptr;
  for (const Assignment& a : round.roles[role].assignments)
    if (a.channel == channel) return &a.value;
  return nullptr;
}

/// Channels whose value before round r (entry r; the last entry: after all rounds) has an effect on an
/// output.
std::vector<Live> live_channels(const Program& program) {
  const std::size_t channels = program.channels.size();
  std::vector<Live> out(program.rounds.size() + 1, Live(channels, false));
  for (const Output& output : program.outputs)
    for (std::size_t c = 0; c < channels; ++c)
      if (output.weights[c] != 0) out.back()[c] = true;
  for (std::size_t r = program.rounds.size(); r-- > 0;) {
    const Round& round = program.rounds[r];
    const std::set<std::size_t> roles(round.role_of.begin(), round.role_of.end());
    for (std::size_t c = 0; c < channels; ++c) {
      if (!out[r + 1][c]) continue;
      for (const std::size_t role : roles) {
        const Expr* value = assigned(round, role, c);
        if (value == nullptr)
          out[r][c] = true;
        else
          mark_own_and_received(*value, out[r]);
      }
    }
  }
  return out;
}

// ---- Attention rows

/// What softmax makes of a row: exact for one source, and for two, four, … equal parts of 1, of which the
/// sink may have one.
Size row_size(const std::vector<Source>& row) {
  Size out;
  if (row.empty()) return out;
  double total = 0;
  for (const Source& s : row) total += s.weight;
  const std::size_t parts = row.size() + (total < 1 - weight_slack(row.size()) ? 1 : 0);
  const double part = 1 / static_cast<double>(parts);
  out.growth = std::min(total, 1.0);
  out.exact = std::has_single_bit(parts) &&
              std::all_of(row.begin(), row.end(), [&](const Source& s) { return s.weight == part; });
  out.bits = static_cast<int>(std::lround(std::log2(static_cast<double>(parts))));
  return out;
}

Size table_size(const std::vector<std::vector<Source>>& table) {
  Size out;
  for (const auto& row : table) out.cover(row_size(row));
  return out;
}

// ---- One layer

class LayerDrafter {
 public:
  LayerDrafter(const Program& program, const Round& round, const StateLayout& before, std::string name)
      : p_(program), round_(round), before_(before) {
    out_.name = std::move(name);
  }

  LayerDraft run(const Live& live) {
    for (std::size_t c = 0; c < live.size(); ++c)
      if (live[c]) channel(c);
    return std::move(out_);
  }

 private:
  const ChannelState& state_of(std::size_t channel) const {
    return *std::find_if(before_.begin(), before_.end(),
                         [&](const ChannelState& s) { return s.channel == channel; });
  }

  /// All variants of a channel that nodes have after this round, each computed by every node.
  void channel(std::size_t c) {
    ChannelState state{.channel = c, .first_slot = out_.outputs.size()};
    const Expr keep = Expr::own(c);
    std::vector<const Expr*> variants;
    std::vector<std::set<std::size_t>> roles;
    for (std::size_t i = 0; i < p_.n; ++i) {
      const Expr* value = assigned(round_, round_.role_of[i], c);
      if (value == nullptr) value = &keep;
      const auto same = std::find_if(variants.begin(), variants.end(),
                                     [&](const Expr* v) { return v == value || *v == *value; });
      const auto k = static_cast<std::size_t>(same - variants.begin());
      if (same == variants.end()) {
        variants.push_back(value);
        roles.emplace_back();
      }
      roles[k].insert(round_.role_of[i]);
      state.of_node.push_back(k);
    }
    for (std::size_t k = 0; k < variants.size(); ++k) {
      const Circuit::Value value = lower(*variants[k]);
      state.size.cover(value.size);
      out_.outputs.push_back(value);
      state.formulas.push_back(print_value(p_, round_, *variants[k]));
      state.roles.push_back(variants.size() > 1 ? role_names(roles[k]) : "");
    }
    out_.state.push_back(std::move(state));
  }

  std::string role_names(const std::set<std::size_t>& roles) const {
    std::string out;
    for (const std::size_t role : roles)
      out += (out.empty() ? "" : ", ") + (role == Round::kKeep ? "keep" : round_.roles[role].name);
    return out;
  }

  Circuit::Value lower(const Expr& e) {
    using Kind = Expr::Kind;
    switch (e.kind) {
      case Kind::kRead:
        return symbol(e.receive, e.channel);
      case Kind::kSum: {
        Circuit::Value sum;
        for (std::size_t k = 0; k < e.args.size(); ++k)
          sum = Circuit::sum(1, sum, e.weights[k], lower(e.args[k]));
        return sum;
      }
      case Kind::kRelu:
        return out_.circuit.relu(lower(e.args[0]));
      case Kind::kSelect:
        return select(e);
      default:
        return extremum(e, 0, e.args.size());
    }
  }

  /// Balanced, so that m values take ⌈log2 m⌉ hidden layers.
  Circuit::Value extremum(const Expr& e, std::size_t first, std::size_t last) {
    if (last - first == 1) return lower(e.args[first]);
    const std::size_t middle = first + (last - first + 1) / 2;
    const Circuit::Value left = extremum(e, first, middle), right = extremum(e, middle, last);
    return e.kind == Expr::Kind::kMin ? out_.circuit.min(left, right) : out_.circuit.max(left, right);
  }

  Circuit::Value select(const Expr& e) {
    const Circuit::Value one = lower(e.args[0]), zero = lower(e.args[1]);
    out_.select_limit.cover(one.size);
    out_.select_limit.cover(zero.size);
    return out_.circuit.select(symbol(Expr::kOwn, e.channel), symbol(Expr::kOwn, e.channel + 1), one, zero,
                               p_.bound);
  }

  Circuit::Value symbol(std::size_t receive, std::size_t channel) {
    const auto [found, added] = symbols_.try_emplace({receive, channel});
    if (!added) return found->second;
    const ChannelState& state = state_of(channel);
    out_.symbols.push_back(place(receive, state));
    found->second = out_.circuit.symbol(size_of(receive, state, out_.symbols.back()));
    return found->second;
  }

  /// A value is at most what the whole row receives, and as fine as the rows that the heads have, by variant.
  Size size_of(std::size_t receive, const ChannelState& state, const SymbolPlace& place) const {
    Size size = state.size;
    if (receive == Expr::kOwn) return size;
    Size rows;
    for (const auto& [fetch, slot] : place.fetched) rows.cover(table_size(out_.fetches[fetch].table));
    const double growth = table_size(round_.receives[receive].table).growth;
    size.growth *= growth;
    size.offset *= growth;
    size.bits += rows.bits;
    size.exact = size.exact && rows.exact;
    return size;
  }

  SymbolPlace place(std::size_t receive, const ChannelState& state) {
    if (receive == Expr::kOwn && state.variants() == 1) return {.in_state = true, .slot = state.first_slot};
    SymbolPlace out;
    for (std::size_t v = 0; v < state.variants(); ++v) {
      std::vector<std::vector<Source>> table = rows_with(receive, state, v);
      const bool empty = std::all_of(table.begin(), table.end(), [](const auto& row) { return row.empty(); });
      if (!empty) out.fetched.push_back(fetch(receive, state, v, std::move(table)));
    }
    return out;
  }

  /// The source's row where it has the variant, the sink otherwise.
  std::vector<std::vector<Source>> rows_with(std::size_t receive, const ChannelState& state,
                                             std::size_t variant) const {
    std::vector<std::vector<Source>> out(p_.n);
    for (std::size_t i = 0; i < p_.n; ++i) {
      if (receive == Expr::kOwn) {
        if (state.of_node[i] == variant) out[i] = {{i, 1}};
        continue;
      }
      for (const Source& s : round_.receives[receive].table[i])
        if (state.of_node[s.node] == variant) out[i].push_back(s);
      std::sort(out[i].begin(), out[i].end(),
                [](const Source& a, const Source& b) { return a.node < b.node; });
    }
    return out;
  }

  std::pair<std::size_t, std::size_t> fetch(std::size_t receive, const ChannelState& state,
                                            std::size_t variant, std::vector<std::vector<Source>> table) {
    // Slots that are read through the same table share heads.
    auto found = std::find_if(out_.fetches.begin(), out_.fetches.end(),
                              [&](const Fetch& f) { return f.table == table; });
    if (found == out_.fetches.end()) {
      out_.fetches.push_back({.source = receive == Expr::kOwn ? "own" : round_.receives[receive].name,
                              .table = std::move(table)});
      found = out_.fetches.end() - 1;
    }
    found->slots.push_back(state.first_slot + variant);
    found->channels.push_back(p_.channels[state.channel].name);
    found->roles.push_back(state.roles[variant]);
    return {static_cast<std::size_t>(found - out_.fetches.begin()), found->slots.size() - 1};
  }

  const Program& p_;
  const Round& round_;
  const StateLayout& before_;
  LayerDraft out_{};
  std::map<std::pair<std::size_t, std::size_t>, Circuit::Value> symbols_{};
};

/// The state that the encoder makes.
StateLayout start_state(const Program& program, const Live& live) {
  StateLayout out;
  for (std::size_t c = 0; c < live.size(); ++c) {
    if (!live[c]) continue;
    ChannelState state{.channel = c, .first_slot = out.size()};
    state.formulas = {""};
    state.roles = {""};
    state.of_node.assign(program.n, 0);
    for (std::size_t j = 0; j < program.columns(); ++j) {
      const Size column{.growth = j < program.inputs.size() ? 1.0 : 0.0,
                        .offset = j < program.inputs.size() ? 0.0 : 1.0};
      if (const double w = program.channels[c].start[j]; w != 0) state.size.add(w, column);
    }
    out.push_back(std::move(state));
  }
  return out;
}

bool is_ambiguous(const StateLayout& state) {
  return std::any_of(state.begin(), state.end(), [](const ChannelState& s) { return s.variants() > 1; });
}

}  // namespace

Program without_dead_assignments(const Program& program) {
  Program out = program;
  const std::vector<Live> live = live_channels(program);
  for (std::size_t r = 0; r < out.rounds.size(); ++r)
    for (Role& role : out.rounds[r].roles)
      std::erase_if(role.assignments, [&](const Assignment& a) { return !live[r + 1][a.channel]; });
  return out;
}

Draft draft_layers(const Program& program) {
  Draft out;
  const std::vector<Live> live = live_channels(program);
  out.start = start_state(program, live[0]);
  const StateLayout* state = &out.start;
  out.layers.reserve(program.rounds.size() + 1);
  const auto add = [&](const Round& round, const Live& after, std::string name) {
    out.layers.push_back(LayerDrafter(program, round, *state, std::move(name)).run(after));
    state = &out.layers.back().state;
  };
  for (std::size_t r = 0; r < program.rounds.size(); ++r)
    add(program.rounds[r], live[r + 1], "round " + std::to_string(r + 1));
  if (out.layers.empty() || is_ambiguous(*state)) {
    Round keep;
    keep.role_of.assign(program.n, Round::kKeep);
    add(keep, live.back(), out.layers.empty() ? "identity" : "select");
  }

  const auto account = [&](const StateLayout& s) {
    std::size_t slots = 0;
    for (const ChannelState& channel : s) {
      slots += channel.variants();
      out.largest.cover(channel.size);
    }
    out.width = std::max(out.width, slots);
  };
  account(out.start);
  for (const LayerDraft& layer : out.layers) {
    account(layer.state);
    out.hidden = std::max(out.hidden, layer.circuit.depth());
  }
  for (const Output& output : program.outputs) {
    Size size;
    for (const ChannelState& channel : *state) size.add(output.weights[channel.channel], channel.size);
    out.largest.cover(size);
  }
  return out;
}

}  // namespace telos::positional
