#include "telos/model/windows.h"

#include <fmt/format.h>

#include <algorithm>

#include "telos/base/error.h"

namespace telos {

TextWindows cut_windows(const Tokenizer& tokenizer, std::string_view text, std::size_t context,
                        const WindowOptions& options) {
  if (context != 0 && options.length > context)
    throw Error(ErrorKind::kLimit, "window",
                fmt::format("{} tokens asked for, the model reads at most {}", options.length, context),
                fmt::format("use --window {}", context));
  const Encoding whole = tokenizer.encode(text, /*add_special=*/false);
  const std::size_t prefix = tokenizer.prefix_tokens(), suffix = tokenizer.suffix_tokens();
  if (whole.ids.empty())
    throw Error(ErrorKind::kUsage, "text",
                "it holds no token (empty, or only characters that the tokenizer drops)",
                "give a text of at least a few sentences");
  if (options.length < prefix + suffix + 2)
    throw Error(ErrorKind::kUsage, "window",
                fmt::format("{} tokens leave no room for two tokens of text beside {} special ones",
                            options.length, prefix + suffix),
                fmt::format("use --window {} or more", prefix + suffix + 2));

  // The template around an empty text is exactly what goes around every window.
  const Encoding frame = tokenizer.encode("", /*add_special=*/true);
  const std::size_t content = std::min(options.length - prefix - suffix, whole.ids.size());
  const std::size_t possible = whole.ids.size() / content;

  TextWindows out;
  out.text_tokens = whole.ids.size();
  out.batch.sequences = std::min(possible, std::max<std::size_t>(1, options.max_windows));
  out.batch.tokens = prefix + content + suffix;
  out.used_tokens = out.batch.sequences * content;
  for (std::size_t b = 0; b < out.batch.sequences; ++b) {
    const auto begin = whole.ids.begin() + static_cast<std::ptrdiff_t>(b * content);
    auto& ids = out.batch.ids;
    ids.insert(ids.end(), frame.ids.begin(), frame.ids.begin() + static_cast<std::ptrdiff_t>(prefix));
    ids.insert(ids.end(), begin, begin + static_cast<std::ptrdiff_t>(content));
    ids.insert(ids.end(), frame.ids.end() - static_cast<std::ptrdiff_t>(suffix), frame.ids.end());
    out.special.insert(out.special.end(), prefix, 1);
    out.special.insert(out.special.end(), content, 0);
    out.special.insert(out.special.end(), suffix, 1);
  }
  if (out.used_tokens < out.text_tokens)
    out.notes.push_back(fmt::format(
        "{} of the text's {} tokens are beyond the {} windows of {} and were not read",
        out.text_tokens - out.used_tokens, out.text_tokens, out.batch.sequences, out.batch.tokens));
  return out;
}

}  // namespace telos
