#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/positional/program.h"

// A program's text as a tree, before names and numbers mean anything.

namespace telos::positional {

/// How far the sum of so many rounded weights may lie from the 1 that was meant.
inline double weight_slack(std::size_t sources) {
  return 4 * static_cast<double>(sources) * std::numeric_limits<double>::epsilon();
}

}  // namespace telos::positional

namespace telos::positional::syntax {

struct Place {
  std::size_t line = 1, column = 1;
};

struct Token {
  enum class Kind { kName, kNumber, kString, kSymbol, kNewline, kEnd } kind = Kind::kEnd;
  std::string_view text{};  ///< a string without its quotes
  Place place{};
  double number = 0;
};
/// What an error calls the token, e.g. "')'" or "the end of the line".
std::string describe(const Token& token);

/// Collects what is wrong, one problem a place, and stops all work (by throwing Stop) once there are enough.
struct Stop {};
class Problems {
 public:
  explicit Problems(std::size_t most) : most_(most) {}
  void add(Place place, std::string message, std::string hint = {});
  /// A line that could not be cut into words: what follows from that is no further problem.
  void add_spoiled(Place place, std::string message, std::string hint);
  /// In the order of the text.
  std::vector<Problem> take();

 private:
  std::size_t most_;
  std::vector<Problem> list_;
  std::set<std::size_t> spoiled_{};
};

/// Formulas, conditions and values share one form; what is allowed where is the builder's business.
struct Node {
  enum class Kind { kNumber, kName, kField, kUnary, kBinary, kCall } kind = Kind::kNumber;
  std::string_view text{};   ///< name, operator or function; kField: what stands before the dot
  std::string_view field{};  ///< kField: after the dot
  double number = 0;
  bool bracketed = false;
  Place place{};
  std::vector<Node> args{};
};

struct Entry {
  Place place{};
  std::vector<std::pair<double, double>> sources{};  ///< index, weight; none: the sink
};

struct Table {
  enum class Kind { kFormula, kSink, kChoice, kFallback, kList, kEach, kPermutation } kind = Kind::kSink;
  Place place{};
  std::vector<Node> nodes{};      ///< kFormula: index; kChoice: condition; kEach: condition, weight
  std::vector<Table> branches{};  ///< kChoice, kFallback: first, second
  std::vector<Entry> entries{};
  std::string_view text{};  ///< kEach: the variable; kPermutation: the file
};

struct NamedNode {
  std::string_view name{};
  Place place{};
  std::optional<Node> node{};
};

struct RecvStatement {
  std::string_view name{};
  Place place{};
  Table table{};
};

struct RoleStatement {
  std::string_view name{};
  Place place{};
  std::optional<Node> condition{};
  std::optional<std::vector<Entry>> nodes{};
  std::vector<NamedNode> assignments{};
};

struct Statement {
  enum class Kind { kProgram, kNodes, kInput, kBit, kConstant, kState, kOutput, kBound, kRepeat, kRound };
  Kind kind = Kind::kRound;
  Place place{};
  std::vector<NamedNode> names{};  ///< declarations; kRepeat: its variable with the limit
  double number = 0;               ///< kNodes, kBound
  std::vector<Statement> body{};   ///< kRepeat
  std::vector<RecvStatement> receives{};
  std::vector<RoleStatement> roles{};
};

std::vector<Token> tokenize(std::string_view text, Problems& problems);
std::vector<Statement> parse(const std::vector<Token>& tokens, Problems& problems);

/// Words that cannot be names.
bool is_reserved(std::string_view word);

}  // namespace telos::positional::syntax
