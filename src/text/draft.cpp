#include "text/draft.h"

#include "telos/base/error.h"

namespace telos::text {

void Aligned::push(char32_t c, Span from) {
  char buffer[4];
  const std::uint32_t n = encode_utf8(c, buffer);
  bytes.append(buffer, n);
  origin.insert(origin.end(), n, from);
}

void Aligned::append(const Aligned& source, std::size_t begin, std::size_t end) {
  bytes.append(source.bytes, begin, end - begin);
  origin.insert(origin.end(), source.origin.begin() + static_cast<std::ptrdiff_t>(begin),
                source.origin.begin() + static_cast<std::ptrdiff_t>(end));
}

void Rewriter::replace(char32_t c, int removed) {
  if (at_ >= source_.bytes.size()) {  // cannot happen for changes that stem from this source
    insert(c);
    return;
  }
  out_.push(c, source_.origin[at_]);
  skip(static_cast<std::size_t>(removed) + 1);
}

void Rewriter::insert(char32_t c) {
  if (source_.origin.empty()) return;
  out_.push(c, source_.origin[at_ == 0 ? 0 : at_ - 1]);
}

void Rewriter::skip(std::size_t count) {
  for (; count > 0 && at_ < source_.bytes.size(); --count) at_ += utf8_bytes(source_.bytes[at_]);
}

Draft make_draft(std::string_view text) {
  if (text.size() > kMaxTextBytes)
    throw Error(ErrorKind::kLimit, "text",
                "has " + std::to_string(text.size()) + " bytes; at most " + std::to_string(kMaxTextBytes) +
                    " are tokenized at once",
                "cut the text at line ends and encode the parts");
  Draft draft;
  Aligned& out = draft.text;
  out.bytes.reserve(text.size());
  out.origin.reserve(text.size());
  std::size_t good_end = valid_utf8_prefix(text);
  for (std::size_t i = 0; i < text.size();) {
    if (i == good_end) {
      const std::size_t bad = bad_utf8_length(text.substr(i));
      out.push(0xFFFD, {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + bad)});
      i += bad;
      good_end = i + valid_utf8_prefix(text.substr(i));
      continue;
    }
    const std::uint32_t n = utf8_bytes(text[i]);
    const Span span{static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i + n)};
    out.bytes.append(text, i, n);
    out.origin.insert(out.origin.end(), n, span);
    i += n;
  }
  if (!out.empty()) draft.pieces.push_back({0, static_cast<std::uint32_t>(out.bytes.size()), -1});
  return draft;
}

}  // namespace telos::text
