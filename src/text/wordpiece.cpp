#include "telos/base/error.h"
#include "text/model.h"
#include "text/trie.h"
#include "text/unicode.h"

namespace telos::text {
namespace {

class WordPiece final : public Model {
 public:
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, std::int32_t unknown)
      : Model(std::move(vocabulary)), max_characters_(options.max_characters), unknown_(unknown) {
    const std::string_view prefix = options.continuing_prefix;
    for (std::int32_t id = 0; id <= vocabulary_.max_id(); ++id) {
      if (!vocabulary_.has(id)) continue;
      const std::string_view token = vocabulary_.token(id);
      start_.add(token, id);
      if (token.starts_with(prefix)) inside_.add(token.substr(prefix.size()), id);
    }
  }

  void tokenize(std::string_view word, std::vector<WordToken>& out) const override {
    const std::size_t before = out.size();
    const auto unknown = [&] {
      out.resize(before);
      out.push_back({unknown_, static_cast<std::uint32_t>(word.size())});
    };
    if (word.size() > max_characters_ && too_long(word)) return unknown();
    for (std::size_t at = 0; at < word.size();) {
      const Trie::Match match = (at == 0 ? start_ : inside_).longest(word.substr(at));
      if (match.bytes == 0) return unknown();
      out.push_back({match.value, static_cast<std::uint32_t>(match.bytes)});
      at += match.bytes;
    }
  }

  std::string_view kind() const override { return "WordPiece"; }
  std::optional<std::int32_t> unknown() const override { return unknown_; }

 private:
  bool too_long(std::string_view word) const {
    std::uint64_t characters = 0;
    for (std::size_t i = 0; i < word.size(); i += utf8_bytes(word[i])) ++characters;
    return characters > max_characters_;
  }

  std::uint64_t max_characters_;
  std::int32_t unknown_;
  Trie start_, inside_;  // tokens that may start a word, and tokens that go on, without their prefix
};

}  // namespace

std::unique_ptr<Model> make_wordpiece(Vocabulary vocabulary, const WordPieceOptions& options,
                                      const std::string& where) {
  const auto unknown = vocabulary.id(options.unknown);
  if (!unknown)
    throw Error(ErrorKind::kBadFormat, where,
                "the unknown token '" + printable(options.unknown) + "' is not in the vocabulary",
                "name a token of the vocabulary as unk_token");
  return std::make_unique<WordPiece>(std::move(vocabulary), options, *unknown);
}

}  // namespace telos::text
