#include "text/post_processor.h"

#include <algorithm>

#include "text/normalizer.h"
#include "text/unicode.h"

namespace telos::text {
namespace {

bool space(char32_t c) {
  return c == kByteLevelSpace || is(c, kSpace);
}

/// Offsets move by characters of the given text. An ill-formed sequence counts as the one character U+FFFD
/// that it is read as.
std::size_t forward(std::string_view text, std::size_t at, std::uint32_t characters, std::size_t limit) {
  for (; characters > 0 && at < limit; --characters) at += bad_utf8_length(text.substr(at));
  return std::min(at, limit);
}

/// As forward(), to the left; false if the text starts before `characters` characters are passed.
bool backward(std::string_view text, std::size_t& at, std::uint32_t characters) {
  std::size_t to = at;
  for (; characters > 0; --characters) {
    if (to == 0) return false;
    to = previous_char(text, to);
  }
  at = to;
  return true;
}

void trim(std::string_view text, bool add_prefix_space, std::vector<TokenOut>& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    TokenOut& token = tokens[i];
    if (token.leading > 0) {
      const bool first = i == 0 || token.range.begin == 0;
      const std::uint32_t leading = first && add_prefix_space && token.leading == 1 ? 0 : token.leading;
      token.range.begin = forward(text, token.range.begin, leading, token.range.end);
    }
    if (token.trailing > 0) {
      std::size_t end = token.range.end;
      if (backward(text, end, token.trailing)) token.range.end = std::max(end, token.range.begin);
    }
  }
}

std::vector<TokenOut> specials(const std::vector<std::int32_t>& ids) {
  std::vector<TokenOut> out(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    out[i].id = ids[i];
    out[i].special = true;
  }
  return out;
}

}  // namespace

void count_spaces(std::string_view token_text, std::uint32_t& leading, std::uint32_t& trailing) {
  leading = trailing = 0;
  std::size_t at = 0;
  while (at < token_text.size()) {
    const Decoded c = decode_utf8(token_text.data() + at);
    if (!space(c.value)) break;
    ++leading;
    at += c.bytes;
  }
  for (std::size_t end = token_text.size(); end > 0;) {
    const std::size_t last = previous_char(token_text, end);
    if (!space(decode_utf8(token_text.data() + last).value)) break;
    ++trailing;
    end = last;
  }
}

void post_process(const std::vector<PostStep>& steps, std::string_view text, bool add_special,
                  std::vector<TokenOut>& tokens) {
  for (const PostStep& step : steps) {
    if (step.trim) trim(text, step.add_prefix_space, tokens);
    if (!add_special) continue;
    const auto before = specials(step.before), after = specials(step.after);
    tokens.insert(tokens.begin(), before.begin(), before.end());
    tokens.insert(tokens.end(), after.begin(), after.end());
  }
}

}  // namespace telos::text
