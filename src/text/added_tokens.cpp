#include "text/added_tokens.h"

#include <algorithm>

#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::text {
namespace {

bool word_before(std::string_view text, std::size_t at) {
  return at > 0 && is(decode_utf8(text.data() + previous_char(text, at)).value, kWord);
}
bool word_after(std::string_view text, std::size_t at) {
  return at < text.size() && is(decode_utf8(text.data() + at).value, kWord);
}
std::size_t spaces_begin(std::string_view text, std::size_t end, std::size_t limit) {
  while (end > limit) {
    const std::size_t last = previous_char(text, end);
    if (!is(decode_utf8(text.data() + last).value, kSpace)) break;
    end = last;
  }
  return end;
}
std::size_t spaces_end(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const Decoded c = decode_utf8(text.data() + at);
    if (!is(c.value, kSpace)) break;
    at += c.bytes;
  }
  return at;
}

}  // namespace

void AddedTokens::add(const AddedToken& token, const Vocabulary& vocabulary, const Normalizer* normalizer,
                      std::optional<std::int64_t> expected_id, const std::string& where) {
  if (token.content.empty()) return;
  if (token.content.size() > kMaxBytes)
    throw Error(ErrorKind::kLimit, where,
                "the added token '" + printable(token.content, 40) + "' has " +
                    std::to_string(token.content.size()) + " bytes; at most " + std::to_string(kMaxBytes) +
                    " are accepted",
                "remove it from added_tokens");
  // Each of many such tokens in a long run of white space would reach to its end, at quadratic cost.
  if (token.rstrip && spaces_end(token.content, 0) == token.content.size())
    throw Error(ErrorKind::kUnsupported, where,
                "the added token '" + printable(token.content, 40) + "' is white space and has rstrip",
                "set rstrip to false");
  const auto count = static_cast<std::int32_t>(vocabulary.size());
  std::int32_t taken = max_id_ < count ? count : max_id_ + 1;
  if (const auto known = id(token.content))
    taken = *known;
  else if (const auto in_model = vocabulary.id(token.content))
    taken = *in_model;
  if (expected_id && *expected_id != taken)
    log(LogLevel::kWarning, where + ": the added token '" + printable(token.content) + "' gets the id " +
                                std::to_string(taken) + ", not " + std::to_string(*expected_id) +
                                " as the file says (the reference library does the same)");
  ids_[token.content] = taken;
  if (token.special) special_.insert(token.content);
  Known known{token, token.content};
  if (token.normalized && normalizer != nullptr) {
    Draft draft = make_draft(token.content);
    normalizer->apply(draft.text);
    known.decoded = draft.text.bytes;
  }
  (token.normalized ? normalized_ : raw_).add(known.decoded, taken);
  tokens_.insert_or_assign(taken, std::move(known));
  max_id_ = std::max(max_id_, taken);
}

std::optional<std::int32_t> AddedTokens::id(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* AddedTokens::content(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second.token.content;
}

const std::string* AddedTokens::decoded(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second.decoded;
}

void AddedTokens::split(Draft& draft, const Trie& trie) const {
  if (trie.empty()) return;
  std::vector<Piece> pieces;
  for (const Piece& piece : draft.pieces) {
    if (piece.token >= 0)
      pieces.push_back(piece);
    else
      split_piece(draft, piece, trie, pieces);
  }
  draft.pieces = std::move(pieces);
}

void AddedTokens::split_piece(const Draft& draft, const Piece& piece, const Trie& trie,
                              std::vector<Piece>& out) const {
  const std::string_view text = draft.view(piece);
  const auto push = [&](std::size_t begin, std::size_t end, std::int32_t token) {
    if (end > begin)
      out.push_back({piece.begin + static_cast<std::uint32_t>(begin),
                     piece.begin + static_cast<std::uint32_t>(end), token});
  };
  std::size_t done = 0;  // text before this is in `out`
  for (std::size_t at = 0; at < text.size();) {
    const Trie::Match match = trie.starts(text[at]) ? trie.longest(text.substr(at)) : Trie::Match{};
    if (match.bytes == 0) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + match.bytes;
    at = end;
    const AddedToken& token = tokens_.at(match.value).token;
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (token.lstrip) begin = begin > done ? spaces_begin(text, begin, done) : done;
    if (token.rstrip) end = spaces_end(text, end);
    if (done < begin) push(done, begin, -1);
    push(begin, end, match.value);
    done = end;
  }
  push(done, text.size(), -1);
}

}  // namespace telos::text
