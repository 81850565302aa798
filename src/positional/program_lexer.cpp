#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "positional/program_syntax.h"
#include "telos/base/error.h"

namespace telos::positional::syntax {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

constexpr std::array<std::string_view, 5> kLongSymbols = {"**", "==", "!=", "<=", ">="};
constexpr std::string_view kSymbols = "+-*/%^(),.=<>[]{}:";

class Lexer {
 public:
  Lexer(std::string_view text, Problems& problems) : text_(text), problems_(problems) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    push(Token::Kind::kNewline, 0);
    push(Token::Kind::kEnd, 0);
    return std::move(tokens_);
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  Place place() const { return {line_, at_ - line_start_ + 1}; }

  void push(Token::Kind kind, std::size_t length) {
    tokens_.push_back({.kind = kind, .text = text_.substr(at_, length), .place = place()});
    at_ += length;
  }

  void step() {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\r') {
      ++at_;
    } else if (c == '\n') {
      push(Token::Kind::kNewline, 1);
      ++line_;
      line_start_ = at_;
    } else if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (is_letter(c)) {
      std::size_t length = 1;
      while (is_letter(peek(length)) || is_digit(peek(length))) ++length;
      push(Token::Kind::kName, length);
    } else if (is_digit(c)) {
      number();
    } else if (c == '"') {
      string();
    } else {
      symbol();
    }
  }

  void number() {
    std::size_t length = 1;
    const auto digits = [&] {
      while (is_digit(peek(length))) ++length;
    };
    digits();
    if (peek(length) == '.' && is_digit(peek(length + 1))) {
      ++length;
      digits();
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
      const std::size_t sign = peek(length + 1) == '+' || peek(length + 1) == '-' ? 1 : 0;
      if (is_digit(peek(length + 1 + sign))) {
        length += 1 + sign;
        digits();
      }
    }
    const std::string_view digits_text = text_.substr(at_, length);
    double value = 0;
    const auto [end, status] =
        std::from_chars(digits_text.data(), digits_text.data() + digits_text.size(), value);
    if (status != std::errc{}) {
      problems_.add(place(), "the number " + printable(digits_text, 40) + " has no float64",
                    "numbers up to 1.8e308 can be written");
      value = 1;
    }
    push(Token::Kind::kNumber, length);
    tokens_.back().number = value;
  }

  void string() {
    const std::size_t end = text_.find_first_of("\"\n", at_ + 1);
    if (end == std::string_view::npos || text_[end] == '\n') {
      problems_.add_spoiled(place(), "expected a closing quote on the same line", "write \"file\"");
      at_ = std::min(end, text_.size());
      return;
    }
    tokens_.push_back(
        {.kind = Token::Kind::kString, .text = text_.substr(at_ + 1, end - at_ - 1), .place = place()});
    at_ = end + 1;
  }

  void symbol() {
    for (const std::string_view symbol : kLongSymbols)
      if (text_.substr(at_, 2) == symbol) return push(Token::Kind::kSymbol, 2);
    if (peek() != '\0' && kSymbols.find(peek()) != std::string_view::npos)
      return push(Token::Kind::kSymbol, 1);
    // A character of several bytes is one finding, not several.
    std::size_t length = 1;
    while (at_ + length < text_.size() && (static_cast<unsigned char>(text_[at_ + length]) & 0xC0) == 0x80)
      ++length;
    problems_.add_spoiled(place(), "found the character '" + printable(text_.substr(at_, length), 16) + "'",
                          "names, numbers and the signs + - * / % ^ ( ) , . = < > [ ] { } : are allowed");
    at_ += length;
  }

  std::string_view text_;
  Problems& problems_;
  std::size_t at_ = 0, line_ = 1, line_start_ = 0;
  std::vector<Token> tokens_{};
};

}  // namespace

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kNewline:
      return "the end of the line";
    case Token::Kind::kEnd:
      return "the end of the file";
    case Token::Kind::kString:
      return "the string \"" + printable(token.text, 40) + "\"";
    default:
      return "'" + printable(token.text, 40) + "'";
  }
}

void Problems::add_spoiled(Place place, std::string message, std::string hint) {
  add(place, std::move(message), std::move(hint));
  spoiled_.insert(place.line);
}

void Problems::add(Place place, std::string message, std::string hint) {
  if (spoiled_.contains(place.line)) return;
  // A statement inside `repeat` is built many times; its first problem stands for all.
  if (std::any_of(list_.begin(), list_.end(),
                  [&](const Problem& p) { return p.line == place.line && p.column == place.column; }))
    return;
  list_.push_back({place.line, place.column, std::move(message), std::move(hint)});
  if (list_.size() >= most_) throw Stop{};
}

std::vector<Problem> Problems::take() {
  std::stable_sort(list_.begin(), list_.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return std::move(list_);
}

std::vector<Token> tokenize(std::string_view text, Problems& problems) {
  return Lexer(text, problems).run();
}

}  // namespace telos::positional::syntax
