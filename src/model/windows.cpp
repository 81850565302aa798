#include "telos/model/windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "telos/base/error.h"

namespace telos {
namespace {

constexpr std::size_t kLabelBytes = 40;

// `before` and `after` are the special tokens around each window.
TextWindows cut(std::span<const std::int32_t> before, std::span<const std::int32_t> text,
                std::span<const std::int32_t> after, std::size_t context, const WindowOptions& options) {
  const std::size_t frame = before.size() + after.size();
  if (context != 0 && options.length > context)
    throw Error(ErrorKind::kLimit, "window",
                fmt::format("{} tokens asked for, the model reads at most {}", options.length, context),
                fmt::format("use --window {}", context));
  if (text.size() < 2)  // the measures compare tokens
    throw Error(ErrorKind::kBadFormat, options.name,
                text.empty() ? "it holds no token (it is empty, or has only what the tokenizer drops)"
                             : "it holds one token, at least two are needed",
                "give a text of at least a few sentences");
  if (options.length < frame + 2)
    throw Error(ErrorKind::kUsage, "window",
                fmt::format("{} tokens leave no room for two tokens of text beside {} special ones",
                            options.length, frame),
                fmt::format("use --window {} or more", frame + 2));

  const std::size_t content = std::min(options.length - frame, text.size());
  TextWindows out;
  out.text_tokens = text.size();
  out.batch.sequences = std::min(text.size() / content, std::max<std::size_t>(1, options.max_windows));
  out.batch.tokens = frame + content;
  out.used_tokens = out.batch.sequences * content;
  const auto add = [&out](std::span<const std::int32_t> ids, std::uint8_t special) {
    out.batch.ids.insert(out.batch.ids.end(), ids.begin(), ids.end());
    out.special.insert(out.special.end(), ids.size(), special);
  };
  for (std::size_t b = 0; b < out.batch.sequences; ++b) {
    add(before, 1);
    add(text.subspan(b * content, content), 0);
    add(after, 1);
  }
  return out;
}

}  // namespace

TextWindows cut_windows(const Tokenizer& tokenizer, std::string_view text, std::size_t context,
                        const WindowOptions& options) {
  const Encoding whole = tokenizer.encode(text, /*add_special=*/false);
  // The template around an empty text is exactly what goes around every window.
  const Encoding frame = tokenizer.encode("", /*add_special=*/true);
  const std::span<const std::int32_t> ids(frame.ids);
  TextWindows out = cut(ids.first(tokenizer.prefix_tokens()), whole.ids, ids.last(tokenizer.suffix_tokens()),
                        context, options);
  if (const auto unknown = tokenizer.unknown()) {
    out.unknown_tokens = static_cast<std::size_t>(std::count(whole.ids.begin(), whole.ids.end(), *unknown));
    if (out.unknown_tokens > 0) out.unknown_text = printable(tokenizer.token(*unknown));
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const char* const before = i == 0 ? "" : i + 1 < ids.size() ? ", " : " and ";
    out.special_text += before + printable(tokenizer.token(ids[i]));
  }
  for (const std::int32_t id : out.batch.ids)
    out.labels.push_back(printable(tokenizer.token(id), kLabelBytes));
  return out;
}

TextWindows cut_windows(const std::vector<std::int32_t>& ids, std::size_t context,
                        const WindowOptions& options) {
  TextWindows out = cut({}, ids, {}, context, options);
  for (const std::int32_t id : out.batch.ids) out.labels.push_back(std::to_string(id));
  return out;
}

}  // namespace telos
