#include <algorithm>
#include <array>
#include <string>

#include "positional/program_syntax.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"

// Recursive descent. A statement with an error is reported once, at the first token that does not fit, and
// left out; reading goes on with the next line.

namespace telos::positional::syntax {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxNodesInOne = 2000;

const std::vector<std::string>& statement_words() {
  static const std::vector<std::string> words = {"program", "n",      "input", "bit",    "constant",
                                                 "state",   "output", "bound", "repeat", "round"};
  return words;
}

/// Leaves a statement; its problem has been reported.
struct BadStatement {};

class Parser {
 public:
  Parser(const std::vector<Token>& tokens, Problems& problems) : tokens_(tokens), problems_(problems) {}

  std::vector<Statement> run() {
    std::vector<Statement> out;
    while (!is_end()) {
      const Token& token = peek();
      if (is_word("end")) {
        problems_.add(token.place, "'end' closes nothing", "remove it, or look for an 'end' too many above");
        ++at_;
        skip_line();
      } else {
        statement(out, false);
      }
    }
    return out;
  }

 private:
  // ---- Tokens

  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool is_end() const { return peek().kind == Token::Kind::kEnd; }
  bool is_newline() const { return peek().kind == Token::Kind::kNewline; }
  bool is_symbol(std::string_view symbol) const {
    return peek().kind == Token::Kind::kSymbol && peek().text == symbol;
  }
  bool is_word(std::string_view word) const {
    return peek().kind == Token::Kind::kName && peek().text == word;
  }
  bool accept_symbol(std::string_view symbol) {
    if (!is_symbol(symbol)) return false;
    ++at_;
    return true;
  }
  bool accept_word(std::string_view word) {
    if (!is_word(word)) return false;
    ++at_;
    return true;
  }

  [[noreturn]] void fail(const std::string& expected, std::string hint = {}) {
    problems_.add(peek().place, "expected " + expected + ", found " + describe(peek()), std::move(hint));
    throw BadStatement{};
  }
  void expect_symbol(std::string_view symbol, std::string hint = {}) {
    if (!accept_symbol(symbol)) fail("'" + std::string(symbol) + "'", std::move(hint));
  }
  void expect_word(std::string_view word, std::string hint = {}) {
    if (!accept_word(word)) fail("'" + std::string(word) + "'", std::move(hint));
  }
  const Token& expect_name(const std::string& what) {
    if (peek().kind != Token::Kind::kName) fail(what);
    if (is_reserved(peek().text))
      fail(what, "'" + std::string(peek().text) + "' is a word of the language; take another name");
    return tokens_[at_++];
  }
  double expect_number(const std::string& what) {
    if (peek().kind != Token::Kind::kNumber) fail(what);
    return tokens_[at_++].number;
  }
  void end_of_line(const std::string& instead = {}) {
    if (!is_newline()) fail(instead.empty() ? "the end of the line" : instead + " or the end of the line");
    ++at_;
  }
  void skip_line() {
    while (!is_newline() && !is_end()) ++at_;
    if (is_newline()) ++at_;
  }
  void skip_newlines() {
    while (is_newline()) ++at_;
  }

  /// Runs `read` on one line; after a problem the rest of the line is skipped.
  template <class Read>
  bool line(Read&& read) {
    try {
      depth_ = nodes_ = 0;
      read();
      return true;
    } catch (const BadStatement&) {
      skip_line();
      return false;
    }
  }

  // ---- Statements

  void statement(std::vector<Statement>& out, bool in_repeat) {
    skip_newlines();
    if (is_end()) return;
    const Token start = peek();
    if (accept_word("repeat")) return repeat(out, start.place);
    if (accept_word("round")) return round(out, start.place);
    Statement declared{.place = start.place};
    const bool good = line([&] {
      if (in_repeat) fail("'round', 'repeat' or 'end'", "declarations stand outside of 'repeat'");
      declaration(declared);
      end_of_line(declared.names.empty() ? "" : "','");
    });
    // Names that were declared badly are known all the same, so that their uses are no further problems.
    if (good || !declared.names.empty()) out.push_back(std::move(declared));
  }

  void declaration(Statement& out) {
    using Kind = Statement::Kind;
    if (accept_word("program")) {
      out.kind = Kind::kProgram;
      out.names.push_back(name("the program's name"));
    } else if (accept_word("n")) {
      out.kind = Kind::kNodes;
      accept_symbol("=");
      out.number = expect_number("the number of nodes");
    } else if (accept_word("bound")) {
      out.kind = Kind::kBound;
      out.number = expect_number("a number, the largest value that select() meets");
    } else if (accept_word("input")) {
      names(out, Kind::kInput, "a column's name", false);
    } else if (accept_word("bit")) {
      names(out, Kind::kBit, "a column's name", false);
    } else if (accept_word("constant")) {
      names(out, Kind::kConstant, "a channel's name", false);
    } else if (accept_word("state")) {
      names(out, Kind::kState, "a channel's name", true);
    } else if (accept_word("output")) {
      names(out, Kind::kOutput, "a column's name", true);
    } else {
      const bool assignment = peek().kind == Token::Kind::kName && peek(1).text == "=";
      const bool in_round = assignment || is_word("recv") || is_word("role");
      fail("a statement", in_round ? "'recv', 'role' and assignments stand between 'round' and 'end'"
                                   : nearest_hint(peek().text, statement_words()));
    }
  }

  NamedNode name(const std::string& what) {
    const Token& token = expect_name(what);
    return {.name = token.text, .place = token.place, .node = {}};
  }
  void names(Statement& out, Statement::Kind kind, const std::string& what, bool values) {
    out.kind = kind;
    do {
      out.names.push_back(name(what));
      if (values && accept_symbol("=")) out.names.back().node = expression();
    } while (accept_symbol(","));
  }

  void repeat(std::vector<Statement>& out, Place place) {
    Statement made{.kind = Statement::Kind::kRepeat, .place = place};
    const bool good = line([&] {
      const std::string hint = "write repeat r < log2(n)";
      if (peek().kind != Token::Kind::kName) fail("a name that counts", hint);
      made.names.push_back(name("a name that counts"));
      expect_symbol("<", hint);
      made.names.back().node = sum();
      end_of_line();
    });
    if (++repeat_depth_ > 8) {
      problems_.add(place, "'repeat' stands inside 8 others already");
      throw Stop{};
    }
    block("repeat", place, [&] { statement(made.body, true); });
    --repeat_depth_;
    if (good) out.push_back(std::move(made));
  }

  void round(std::vector<Statement>& out, Place place) {
    Statement made{.kind = Statement::Kind::kRound, .place = place};
    line([&] { end_of_line(); });
    block("round", place, [&] { line([&] { in_round(made); }); });
    out.push_back(std::move(made));
  }

  template <class Read>
  void block(const char* what, Place place, Read&& read) {
    for (;;) {
      skip_newlines();
      if (is_end()) {
        problems_.add(peek().place,
                      "expected 'end' for the '" + std::string(what) + "' of line " +
                          std::to_string(place.line) + ", found the end of the file",
                      "every 'round' and every 'repeat' has its 'end'");
        return;
      }
      if (accept_word("end")) {
        line([&] { end_of_line(); });
        return;
      }
      read();
    }
  }

  void in_round(Statement& out) {
    const Token start = peek();
    if (accept_word("recv")) {
      const Token& token = expect_name("a name for what is received");
      if (!out.roles.empty())
        problems_.add(start.place, "'recv' stands after assignments of its round",
                      "put it first: a round receives, then computes");
      out.receives.push_back({.name = token.text, .place = token.place, .table = {.place = token.place}});
      expect_word("from", "write recv left from i - 1 else sink");
      out.receives.back().table = table();
      end_of_line("'if', 'else'");
    } else if (accept_word("role")) {
      const std::string_view role_name = expect_name("the role's name").text;
      const bool bad = !out.roles.empty() && out.roles.front().name.empty();
      if (bad)
        problems_.add(start.place, "assignments stand before the first 'role'",
                      "put them into a role, or leave the roles out");
      RoleStatement& role = out.roles.emplace_back(RoleStatement{.name = role_name, .place = start.place});
      if (accept_word("if")) {
        role.condition = expression();
      } else if (accept_word("at")) {
        role.nodes.emplace();
        list(*role.nodes);
      }
      end_of_line(role.condition || role.nodes ? "" : "'if', 'at'");
    } else {
      if (start.kind != Token::Kind::kName || is_word("round") || is_word("repeat"))
        fail("'recv', 'role', an assignment or 'end'", "a missing 'end' above?");
      if (peek(1).kind != Token::Kind::kSymbol || peek(1).text != "=") {
        ++at_;
        fail("'=' and a value", "a round holds recv NAME from …, role NAME if …, CHANNEL = …");
      }
      const Token& channel = expect_name("a channel's name");
      expect_symbol("=");
      NamedNode assignment{.name = channel.text, .place = channel.place, .node = expression()};
      end_of_line("an operator");
      if (out.roles.empty()) out.roles.push_back({.place = start.place});
      out.roles.back().assignments.push_back(std::move(assignment));
    }
  }

  // ---- Tables

  Table table() {
    Table out{.place = peek().place};
    if (++depth_ > kMaxDepth) fail("a table with less than 64 branches");
    if (accept_word("each")) {
      out.kind = Table::Kind::kEach;
      out.text = expect_name("a name for the other node").text;
      expect_word("where", "write each j where j <= i weight 1/n");
      out.nodes.push_back(expression());
      expect_word("weight", "write each j where j <= i weight 1/n");
      out.nodes.push_back(sum());
      return out;
    }
    if (accept_word("perm")) {
      out.kind = Table::Kind::kPermutation;
      if (peek().kind != Token::Kind::kString) fail("a file's name in quotes");
      out.text = tokens_[at_++].text;
      return out;
    }
    if (is_symbol("[")) {
      out.kind = Table::Kind::kList;
      list(out.entries);
      return out;
    }
    if (is_word("self")) fail("a table", "write i for the node itself");
    if (accept_word("sink")) {
      out.kind = Table::Kind::kSink;
    } else {
      out.kind = Table::Kind::kFormula;
      out.nodes.push_back(sum());
    }
    return branches(std::move(out));
  }

  Table branches(Table first) {
    if (accept_word("if")) {
      Table out{.kind = Table::Kind::kChoice, .place = first.place};
      out.nodes.push_back(expression());
      expect_word("else", "write A if CONDITION else B");
      out.branches.push_back(std::move(first));
      out.branches.push_back(table());
      return out;
    }
    if (accept_word("else")) {
      Table out{.kind = Table::Kind::kFallback, .place = first.place};
      out.branches.push_back(std::move(first));
      out.branches.push_back(table());
      return out;
    }
    return first;
  }

  /// "[" entry, … "]", over as many lines as it takes.
  void list(std::vector<Entry>& out) {
    expect_symbol("[");
    skip_newlines();
    if (accept_symbol("]")) return;
    do {
      skip_newlines();
      out.push_back(entry());
      skip_newlines();
    } while (accept_symbol(","));
    expect_symbol("]", "entries are node numbers, '-' for the sink, or {node: weight, …}");
  }

  Entry entry() {
    Entry out{.place = peek().place};
    if (accept_symbol("-")) return out;
    if (!accept_symbol("{")) {
      out.sources.emplace_back(expect_number("a node's number, '-' or '{'"), 1.0);
      return out;
    }
    do {
      skip_newlines();
      const double node = expect_number("a node's number");
      expect_symbol(":");
      out.sources.emplace_back(node, expect_number("a weight"));
      skip_newlines();
    } while (accept_symbol(","));
    expect_symbol("}");
    return out;
  }

  // ---- Expressions: or, and, not, comparison, ^, + -, * / %, unary -, **

  Node expression() {
    return chain({"or"}, true, [&] { return conjunction(); });
  }
  Node conjunction() {
    return chain({"and"}, true, [&] { return negation(); });
  }
  Node negation() {
    const Token start = peek();
    if (!accept_word("not")) return comparison();
    const Deeper deeper(*this);
    return made({.kind = Node::Kind::kUnary, .text = start.text, .place = start.place, .args = {negation()}});
  }
  Node comparison() {
    Node left = sum();
    for (const std::string_view op : {"==", "!=", "<=", ">=", "<", ">"})
      if (is_symbol(op)) {
        const Token token = tokens_[at_++];
        Node right = sum();
        return binary(token, std::move(left), std::move(right));
      }
    return left;
  }
  /// A formula or value without conditions at its top.
  Node sum() {
    return chain({"^"}, false, [&] {
      return chain({"+", "-"}, false, [&] { return chain({"*", "/", "%"}, false, [&] { return unary(); }); });
    });
  }
  Node unary() {
    const Token start = peek();
    if (!accept_symbol("-")) return power();
    const Deeper deeper(*this);
    return made({.kind = Node::Kind::kUnary, .text = start.text, .place = start.place, .args = {unary()}});
  }
  Node power() {
    Node base = primary();
    if (!is_symbol("**")) return base;
    const Token token = tokens_[at_++];
    const Deeper deeper(*this);
    Node exponent = unary();
    return binary(token, std::move(base), std::move(exponent));
  }

  Node primary() {
    const Token token = peek();
    const Deeper deeper(*this);
    if (token.kind == Token::Kind::kNumber) {
      ++at_;
      return made(
          {.kind = Node::Kind::kNumber, .text = token.text, .number = token.number, .place = token.place});
    }
    if (accept_symbol("(")) {
      Node inner = expression();
      expect_symbol(")", "a bracket stays on its line");
      inner.bracketed = true;
      return inner;
    }
    static constexpr std::array<std::string_view, 9> kStops = {"if",   "else", "from", "where", "weight",
                                                               "role", "recv", "end",  "at"};
    if (token.kind != Token::Kind::kName ||
        std::find(kStops.begin(), kStops.end(), token.text) != kStops.end())
      fail("a number, a name or '('");
    ++at_;
    if (accept_symbol("(")) return call(token);
    if (accept_symbol(".")) {
      if (peek().kind != Token::Kind::kName) fail("a channel's name after the dot");
      const std::string_view field = tokens_[at_++].text;
      return made({.kind = Node::Kind::kField, .text = token.text, .field = field, .place = token.place});
    }
    return made({.kind = Node::Kind::kName, .text = token.text, .place = token.place});
  }

  Node call(const Token& function) {
    Node out{.kind = Node::Kind::kCall, .text = function.text, .place = function.place};
    if (!is_symbol(")")) {
      do out.args.push_back(expression());
      while (accept_symbol(","));
    }
    expect_symbol(")", "a bracket stays on its line");
    return made(std::move(out));
  }

  template <class Next>
  Node chain(std::initializer_list<std::string_view> operators, bool words, Next&& next) {
    Node left = next();
    for (;;) {
      const auto* found = std::find_if(operators.begin(), operators.end(), [&](std::string_view op) {
        return words ? is_word(op) : is_symbol(op);
      });
      if (found == operators.end()) return left;
      const Token token = tokens_[at_++];
      Node right = next();
      if (token.text == "^") check_exclusive_or(token, left, right);
      left = binary(token, std::move(left), std::move(right));
    }
  }

  /// 2^r and i - 2^r are powers in other languages: what can be taken for one has to be bracketed.
  void check_exclusive_or(const Token& token, const Node& left, const Node& right) {
    const std::string hint = "'^' is exclusive or; a power is written 2**r, and i ^ (a + b) takes brackets";
    if (left.kind == Node::Kind::kNumber && !left.bracketed) {
      problems_.add(token.place, "'^' after a number could be meant as a power", hint);
      throw BadStatement{};
    }
    for (const Node* side : {&left, &right})
      if (side->kind == Node::Kind::kBinary && !side->bracketed && side->text != "**" && side->text != "^") {
        problems_.add(token.place, "'^' beside '" + std::string(side->text) + "' without brackets", hint);
        throw BadStatement{};
      }
  }

  Node binary(const Token& op, Node left, Node right) {
    Node out{.kind = Node::Kind::kBinary, .text = op.text, .place = op.place};
    out.args.push_back(std::move(left));
    out.args.push_back(std::move(right));
    return made(std::move(out));
  }
  Node made(Node node) {
    if (++nodes_ > kMaxNodesInOne) fail("a formula with at most 2000 parts", "split it over several rounds");
    return node;
  }
  struct Deeper {
    explicit Deeper(Parser& p) : parser(p) {
      if (++parser.depth_ > kMaxDepth) parser.fail("brackets and signs at most 64 deep");
    }
    ~Deeper() { --parser.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    Parser& parser;
  };

  const std::vector<Token>& tokens_;
  Problems& problems_;
  std::size_t at_ = 0, depth_ = 0, nodes_ = 0, repeat_depth_ = 0;
};

}  // namespace

bool is_reserved(std::string_view word) {
  static constexpr std::array<std::string_view, 36> kWords = {
      "program", "n",    "input", "bit",    "constant", "state", "output", "bound", "repeat",
      "round",   "end",  "recv",  "from",   "role",     "if",    "else",   "at",    "sink",
      "self",    "each", "where", "weight", "perm",     "and",   "or",     "not",   "min",
      "max",     "relu", "abs",   "select", "log2",     "i",     "true",   "false", "let"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

std::vector<Statement> parse(const std::vector<Token>& tokens, Problems& problems) {
  return Parser(tokens, problems).run();
}

}  // namespace telos::positional::syntax
