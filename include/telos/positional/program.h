#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Programs that a positional transformer can run: n nodes with a few named numbers each, which in every round
// receive from nodes that are fixed beforehand, and then compute sums, minima, maxima and ReLUs. compiler.h
// turns them into weights.
//
// The language (.pco). One statement a line, `#` starts a comment. Ten lines are a program:
//
//     input x                         # one column of the table that it is run on
//     state least = x                 # a number that each node holds
//     output least
//     repeat r < log2(n)              # r = 0, 1, …
//       round
//         recv left from i - 2**r else i
//         least = min(least, left.least)
//       end
//     end
//
// clang-format off
// Grammar ([x] optional, {x} any number of times):
//
//     program     = { statement }
//     statement   = "program" NAME                     what it is called
//                 | "n" NUMBER                         number of nodes, unless the caller gives one
//                 | "input" NAME {"," NAME}            columns of numbers
//                 | "bit" NAME {"," NAME}              columns of zeros and ones, for select()
//                 | "constant" NAME                    a channel that holds 1; literals in values need it
//                 | "state" NAME ["=" value] {"," …}   channels; they start at 0, or linear in the inputs
//                 | "output" NAME ["=" value] {"," …}  columns of the result, linear in the channels
//                 | "bound" NUMBER                     M: select() is exact for values of at most this size
//                 | "repeat" NAME "<" formula … "end"  the rounds inside, for NAME = 0, 1, … below the formula
//                 | "round" {recv} (body | {"role" NAME ["if" condition | "at" list] body}) "end"
//     recv        = "recv" NAME "from" table
//     body        = { NAME "=" value }
//     table       = formula [("if" condition "else" | "else") table] | "sink"
//                 | "[" entry {"," entry} "]"          one for each node
//                 | "each" NAME "where" condition "weight" formula
//                 | "perm" STRING                      a file of n indices
//     entry       = NUMBER | "-" | "{" NUMBER ":" NUMBER {"," …} "}"
//     value       = sums and differences; products and quotients with a constant; min(a, b, …), max(a, b, …),
//                   relu(a), abs(a), select(bit, a, b); CHANNEL, RECV.CHANNEL; numbers, n, repeat's names
//     formula     = + - * / % ** ^ with whole numbers, i (this node), n, repeat's names, min, max, abs, log2
//     condition   = formula (== != < <= > >=) formula; "and", "or", "not", parentheses
//
// clang-format on
//
// What it means:
// * The right-hand sides of a round see the state before it. A channel that is not assigned keeps its value;
//   a node that is in no role keeps all.
// * `recv left from T`: left.c is channel c of node T. `A else B` takes B where A is not a node; an A that is
//   none is an error without `else`. `A if C else B` takes A where C holds. The sink ("-") sends zeros.
//   `each j where C weight W` sums W times node j over all j with C; weights are ≥ 0 and sum to at most 1.
// * A node takes the first role whose condition it meets; a role without one takes all the rest.
// * Formulas compute with whole numbers: / rounds towards −∞, % is ≥ 0 for a positive divisor, ** is a power,
//   ^ exclusive or (and must be bracketed beside + - * / %), log2 rounds up. `weight` and values
//   compute with reals (1/2 is a half, 2**-1 too), except below ^ and log2.
// * i is no value: what nodes do differently is said by roles, because all nodes share one network.
// * Without `constant`, f(c·x) = c·f(x) for c > 0. With it, a number stands for itself times that channel.
// * select(b, p, q) is p where the node's own bit b is 1, q where it is 0.
//
// Limits: 1 MiB of text, n ≤ 4096, 4096 rounds, 256 channels, 2^21 rows and sources of tables, 2^18 parts of
// values, 2^25 steps of formulas, brackets 64 deep, numbers |k| ≤ 2^53 in formulas. What bounds n and rounds
// sooner is the network: it has 8192 linear maps at most, k + 3 a round whose values need k (1638 rounds of
// two); each head of each layer stores 2(n + 1)² numbers, at n = 4096 268 MB in float64.

namespace telos::positional {

inline constexpr std::size_t kMaxNodes = 4096;
inline constexpr std::size_t kMaxRounds = 4096;
inline constexpr std::size_t kMaxChannels = 256;

/// A number that each node holds.
struct Channel {
  enum class Kind { kState, kConstant, kBit, kNotBit };
  std::string name;
  Kind kind = Kind::kState;
  /// Start value = Σ_j start[j]·column j, over the model's input columns: see Program::columns().
  std::vector<double> start;
  bool operator==(const Channel&) const = default;
};

/// Part of a source row: `weight` times node `node`.
struct Source {
  std::size_t node = 0;
  double weight = 1;
  bool operator==(const Source&) const = default;
};

/// Where each node receives from; an empty row is the sink, what weights leave of 1 goes to the sink.
struct Receive {
  std::string name;
  std::vector<std::vector<Source>> table;  ///< n rows
  bool operator==(const Receive&) const = default;
};

/// A piecewise linear value.
struct Expr {
  enum class Kind { kRead, kSum, kMin, kMax, kRelu, kSelect };
  static constexpr std::size_t kOwn = std::numeric_limits<std::size_t>::max();
  Kind kind = Kind::kSum;
  std::size_t receive = kOwn;     ///< kRead: index of the receive, or the node's own channel
  std::size_t channel = 0;        ///< kRead; kSelect: the bit's channel (the one after it holds 1 − bit)
  std::vector<double> weights{};  ///< kSum: of args; no args is 0
  std::vector<Expr> args{};       ///< kSelect: where the bit is 1, where it is 0
  bool operator==(const Expr&) const = default;

  static Expr own(std::size_t channel) { return {.kind = Kind::kRead, .channel = channel}; }
  static Expr received(std::size_t receive, std::size_t channel) {
    return {.kind = Kind::kRead, .receive = receive, .channel = channel};
  }
  static Expr sum(std::vector<double> weights, std::vector<Expr> args) {
    return {.kind = Kind::kSum, .weights = std::move(weights), .args = std::move(args)};
  }
  static Expr min(std::vector<Expr> args) { return {.kind = Kind::kMin, .args = std::move(args)}; }
  static Expr max(std::vector<Expr> args) { return {.kind = Kind::kMax, .args = std::move(args)}; }
  static Expr relu(Expr arg) { return {.kind = Kind::kRelu, .args = {std::move(arg)}}; }
  static Expr select(std::size_t bit, Expr one, Expr zero) {
    return {.kind = Kind::kSelect, .channel = bit, .args = {std::move(one), std::move(zero)}};
  }
};

struct Assignment {
  std::size_t channel = 0;
  Expr value;
  bool operator==(const Assignment&) const = default;
};

struct Role {
  std::string name;  ///< "" where a round has one role for all nodes
  std::vector<Assignment> assignments;
  bool operator==(const Role&) const = default;
};

struct Round {
  static constexpr std::size_t kKeep = std::numeric_limits<std::size_t>::max();
  std::vector<Receive> receives;
  std::vector<Role> roles;
  std::vector<std::size_t> role_of;  ///< n indices into `roles`; kKeep: the node keeps its state
  bool operator==(const Round&) const = default;
};

struct Output {
  std::string name;
  std::vector<double> weights;  ///< one a channel
  bool operator==(const Output&) const = default;
};

struct Program {
  std::string name = "program";
  std::size_t n = 0;
  std::vector<std::string> inputs;  ///< columns of numbers
  std::vector<std::string> bits;    ///< columns of zeros and ones; each has two channels, bit and 1 − bit
  std::vector<Channel> channels;
  std::vector<Round> rounds;
  std::vector<Output> outputs;
  double bound = 0;  ///< M of select(); 0 without select
  bool operator==(const Program&) const = default;

  bool has_constant() const;
  /// Numbers a node that a caller gives: inputs, then bits.
  std::size_t given() const { return inputs.size() + bits.size(); }
  /// Numbers a node that the network sees: inputs, the constant 1 if there is one, bit and 1 − bit by bit.
  std::size_t columns() const { return inputs.size() + (has_constant() ? 1 : 0) + 2 * bits.size(); }
};

/// Something wrong with a program: where, what was expected and found, what to do. Lines and columns (in
/// bytes) count from 1; both are 0 for a program that was not read from text.
struct Problem {
  std::size_t line = 0, column = 0;
  std::string message, hint;
};
/// "line 3, column 5: expected …, found …", without the hint.
std::string to_string(const Problem& problem);

struct ParseOptions {
  std::size_t n = 0;  ///< 0: the program's own `n`
  /// Reads the file of `perm "file"`; without it, such a table is a problem.
  std::function<std::string(const std::string& path)> read_file{};
  std::size_t max_problems = 64;
  std::size_t max_entries = std::size_t{1} << 21;  ///< rows and sources of all tables together
};
struct ParseResult {
  Program program;                ///< complete if there are no problems
  std::vector<Problem> problems;  ///< in the order of the text
};

/// Reads a program and lists all that is wrong with it. Throws nothing for any text.
ParseResult parse_program(std::string_view text, const ParseOptions& options = {});
/// The same, or one kBadFormat error with the first problem, its hint, and the others after it.
Program read_program(std::string_view text, const std::string& where, const ParseOptions& options = {});
/// A file, with `perm` files beside it, and all that is wrong with it. Throws kMissingFile.
ParseResult parse_program_file(const std::string& path, std::size_t n = 0);
/// The same as a program. Throws kMissingFile and what read_program throws.
Program load_program(const std::string& path, std::size_t n = 0);

/// What the checker finds in a program made by code: sizes of tables, indices, weights, names.
std::vector<Problem> check_program(const Program& program);
/// Throws kUsage with the first problem and the others after it.
void require_sound(const Program& program);

/// Text with explicit tables; parse_program gives the same program back.
std::string print_program(const Program& program);
/// A value of one of its rounds, as text.
std::string print_value(const Program& program, const Round& round, const Expr& value);

/// The network's inputs (n × columns()) from what is given (n × given()). Throws kShape for another size,
/// kNotFinite, and kUsage for a bit that is neither 0 nor 1, naming node and column.
std::vector<double> network_inputs(const Program& program, std::span<const double> given);

/// Runs the program itself, without a network: given is n × given(), the result n × outputs. T = std::int64_t
/// is exact or throws kLimit on overflow, and kUsage for weights that are not whole numbers; double and float
/// take min and max by comparison, so that programs without sums are exact on all numbers. Throws kShape, and
/// kUsage for bits other than 0 and 1 and for |value| > bound in select().
template <class T>
std::vector<T> interpret(const Program& program, std::span<const T> given);

}  // namespace telos::positional
