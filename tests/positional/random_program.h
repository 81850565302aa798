#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/philox.h"
#include "telos/positional/program.h"

// Programs drawn from a seed, for properties that hold for all programs.

namespace telos::positional {

class RandomProgram {
 public:
  explicit RandomProgram(std::uint64_t sample) : rng_(20240917, 0, sample) {}

  Program draw() {
    p_.n = 1 + below(9);
    for (std::size_t k = 1 + below(2); k > 0; --k) p_.inputs.push_back("x" + std::to_string(k));
    const bool constant = below(3) == 0;
    if (below(4) == 0) p_.bits.push_back("b");
    if (!p_.bits.empty()) p_.bound = 1 << 20;
    const std::size_t columns = p_.inputs.size() + (constant ? 1 : 0) + 2 * p_.bits.size();
    const std::size_t states = 1 + below(3);
    for (std::size_t c = 0; c < states; ++c) {
      std::vector<double> start(columns, 0.0);
      for (std::size_t j = 0; j < p_.inputs.size(); ++j) start[j] = weight();
      p_.channels.push_back({"v" + std::to_string(c), Channel::Kind::kState, start});
    }
    std::size_t column = p_.inputs.size();
    const auto fixed = [&](const std::string& name, Channel::Kind kind) {
      std::vector<double> start(columns, 0.0);
      start[column++] = 1;
      p_.channels.push_back({name, kind, start});
    };
    if (constant) fixed("one", Channel::Kind::kConstant);
    if (!p_.bits.empty()) fixed("b", Channel::Kind::kBit);
    if (!p_.bits.empty()) fixed("!b", Channel::Kind::kNotBit);
    for (std::size_t r = below(4); r > 0; --r) p_.rounds.push_back(round(states));
    for (std::size_t o = 0; o <= below(2); ++o) {
      std::vector<double> weights(p_.channels.size(), 0.0);
      for (std::size_t c = 0; c < states; ++c) weights[c] = weight();
      p_.outputs.push_back({"y" + std::to_string(o), weights});
    }
    return std::move(p_);
  }

 private:
  std::uint32_t below(std::uint32_t n) { return rng_.below(n); }
  double weight() { return static_cast<double>(below(5)) - 2; }

  Round round(std::size_t states) {
    Round out;
    for (std::uint32_t k = below(3); k > 0; --k) {
      Receive receive{"r" + std::to_string(k), std::vector<std::vector<Source>>(p_.n)};
      const bool quarters = p_.n >= 4 && below(4) == 0;  // exact unless variants split them
      for (auto& row : receive.table) {
        const auto n = static_cast<std::uint32_t>(p_.n);
        const std::size_t j = below(n);
        if (quarters) {
          for (std::size_t step = 0; step < 4; ++step) row.push_back({(j + step) % n, 0.25});
          continue;
        }
        const std::uint32_t form = below(8);
        if (form == 0) continue;  // the sink
        row = {{j, form == 1 ? 0.5 : 1}};
        if (form == 2 && n > 1) row = {{j, 0.5}, {(j + 1) % n, 0.5}};
      }
      out.receives.push_back(std::move(receive));
    }
    const std::uint32_t roles = below(4);  // 0: one role without a name
    for (std::uint32_t k = 0; k < std::max(roles, 1u); ++k) {
      Role role{roles == 0 ? "" : "role" + std::to_string(k), {}};
      for (std::size_t c = 0; c < states; ++c)
        if (below(4) != 0) role.assignments.push_back({c, value(out, 3)});
      out.roles.push_back(std::move(role));
    }
    for (std::size_t i = 0; i < p_.n; ++i) {
      const std::uint32_t role = roles == 0 ? 0 : below(roles + 1);
      out.role_of.push_back(role < out.roles.size() ? role : Round::kKeep);
    }
    return out;
  }

  Expr read(const Round& round) {
    auto readable = static_cast<std::uint32_t>(p_.channels.size());
    if (!p_.bits.empty()) --readable;  // the complement stands last
    const std::size_t channel = below(readable);
    const std::uint32_t from = below(static_cast<std::uint32_t>(round.receives.size()) + 1);
    return from == 0 ? Expr::own(channel) : Expr::received(from - 1, channel);
  }

  Expr value(const Round& round, std::size_t depth) {
    const std::uint32_t form = depth == 0 ? 0 : below(6);
    if (form == 5 && !p_.bits.empty())
      return Expr::select(p_.channels.size() - 2, value(round, depth - 1), value(round, depth - 1));
    if (form == 4) return Expr::relu(value(round, depth - 1));
    if (form == 0 || form == 5) return read(round);
    std::vector<Expr> args;
    for (std::uint32_t k = 1 + below(3); k > 0; --k) args.push_back(value(round, depth - 1));
    if (form == 1) return Expr::min(std::move(args));
    if (form == 2) return Expr::max(std::move(args));
    std::vector<double> weights;
    for (std::size_t k = 0; k < args.size(); ++k) weights.push_back(weight());
    return Expr::sum(std::move(weights), std::move(args));
  }

  Random rng_;
  Program p_{};
};

inline Program random_program(std::uint64_t sample) {
  return RandomProgram(sample).draw();
}

/// Whole numbers of at most `size`, and bits.
inline std::vector<double> random_given(const Program& program, std::uint64_t sample, std::uint32_t size) {
  Random rng(7, 1, sample);
  std::vector<double> out;
  for (std::size_t i = 0; i < program.n; ++i) {
    for (std::size_t j = 0; j < program.inputs.size(); ++j)
      out.push_back(static_cast<double>(rng.below(2 * size + 1)) - static_cast<double>(size));
    for (std::size_t j = 0; j < program.bits.size(); ++j) out.push_back(rng.below(2));
  }
  return out;
}

}  // namespace telos::positional
