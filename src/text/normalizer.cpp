#include "text/normalizer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace telos::text {
namespace {

bool ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}

/// Code points of bytes [begin, end).
void decode_range(std::string_view bytes, std::size_t begin, std::size_t end, std::u32string& out) {
  out.clear();
  while (begin < end) {
    const Decoded c = decode_utf8(bytes.data() + begin);
    out.push_back(c.value);
    begin += c.bytes;
  }
}

/// Calls f(character, span) for each character of `text`.
template <class F>
void for_each_char(const Aligned& text, F&& f) {
  for (std::size_t i = 0; i < text.bytes.size();) {
    const Decoded c = decode_utf8(text.bytes.data() + i);
    f(c.value, text.origin[i]);
    i += c.bytes;
  }
}

void push_lower(Aligned& out, char32_t c, Span span) {
  out.push(to_lower(c), span);
  if (c == 0x130) out.push(0x307, span);
}

/// The normal form of `text`, characters of a class in `dropped` left out.
void push_normal_form(const Aligned& text, NormalForm form, std::uint16_t dropped, Aligned& out) {
  std::u32string characters;
  decode_range(text.bytes, 0, text.bytes.size(), characters);
  std::vector<Change> changes;
  normal_form(characters, form, changes);
  Aligned whole;
  Aligned& target = dropped != 0 ? whole : out;
  Rewriter rewriter(text, target);
  for (const Change change : changes) rewriter.apply(change);
  if (dropped == 0) return;
  for_each_char(whole, [&](char32_t c, Span span) {
    if (!is(c, dropped)) out.push(c, span);
  });
}

class Normal final : public Normalizer {
 public:
  explicit Normal(NormalForm form) : form_(form) {}
  void apply(Aligned& text) const override {
    // ASCII is in every normal form; only the character before a run of others can take part in what happens
    // there.
    Aligned out, run;
    const std::size_t size = text.bytes.size();
    for (std::size_t i = 0; i < size;) {
      std::size_t j = i;
      while (j < size && ascii(text.bytes[j])) ++j;
      const std::size_t plain_end = j < size && j > i ? j - 1 : j;
      if (i == 0 && plain_end == size) return;
      out.append(text, i, plain_end);
      while (j < size && !ascii(text.bytes[j])) ++j;
      run.clear();
      run.append(text, plain_end, j);
      if (!run.empty()) push_normal_form(run, form_, 0, out);
      i = j;
    }
    text = std::move(out);
  }

 private:
  NormalForm form_;
};

bool chinese(char32_t c) {
  // The CJK ideographs; U+2B81E … U+2B91F are left out by the reference, and therefore here.
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// clean_text, handle_chinese_chars, strip_accents, lowercase: in this order, ASCII in one go and other
/// characters run by run (no step looks across a border between the two: ASCII never reorders).
class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const BertNormalizerOptions& options)
      : options_(options), strip_(options.strip_accents.value_or(options.lowercase)) {
    for (unsigned c = 0; c < 128; ++c) {
      char to = static_cast<char>(c);
      if (options.clean_text) {
        if (is(c, kControl))  // first: vertical tab and form feed are in both classes
          to = '\0';
        else if (is(c, kSpace))
          to = ' ';
      }
      if (options.lowercase) to = static_cast<char>(to_lower(static_cast<char32_t>(to)));
      ascii_[c] = to;
    }
  }

  void apply(Aligned& text) const override {
    Aligned out, run;
    out.bytes.reserve(text.bytes.size());
    out.origin.reserve(text.origin.size());
    const std::size_t size = text.bytes.size();
    for (std::size_t i = 0; i < size;) {
      if (const char c = text.bytes[i]; ascii(c)) {
        const char to = ascii_[static_cast<unsigned char>(c)];
        if (to != '\0' || !options_.clean_text) out.push_ascii(to, text.origin[i]);
        ++i;
        continue;
      }
      std::size_t j = i;
      while (j < size && !ascii(text.bytes[j])) ++j;
      run.clear();
      run.append(text, i, j);
      apply_run(run, out);
      i = j;
    }
    text = std::move(out);
  }

 private:
  /// Does no step but lowercasing change any character?
  bool quiet(const Aligned& run) const {
    for (std::size_t i = 0; i < run.bytes.size();) {
      const Decoded c = decode_utf8(run.bytes.data() + i);
      if (is(c.value, kControl | kSpace | kDecomposes | kReorders | kNonspacing) || chinese(c.value))
        return false;
      i += c.bytes;
    }
    return true;
  }

  void apply_run(Aligned& run, Aligned& out) const {
    Aligned step;
    const bool quiet_run = quiet(run);
    if (options_.clean_text && !quiet_run) {
      for_each_char(run, [&](char32_t c, Span span) {
        if (!is(c, kControl)) step.push(is(c, kSpace) ? U' ' : c, span);
      });
      std::swap(run, step);
    }
    if (options_.handle_chinese_chars && !quiet_run) {
      step.clear();
      for_each_char(run, [&](char32_t c, Span span) {
        if (!chinese(c)) return step.push(c, span);
        step.push(U' ', span);
        step.push(c, span);
        step.push(U' ', span);
      });
      std::swap(run, step);
    }
    if (strip_ && !quiet_run) {
      step.clear();
      push_normal_form(run, NormalForm::kD, kNonspacing, step);
      std::swap(run, step);
    }
    if (!options_.lowercase) {
      out.append(run, 0, run.bytes.size());
      return;
    }
    for_each_char(run, [&](char32_t c, Span span) { push_lower(out, c, span); });
  }

  BertNormalizerOptions options_;
  bool strip_;
  std::array<char, 128> ascii_{};  // what becomes of an ASCII character; NUL: removed
};

class LowercaseNormalizer final : public Normalizer {
  void apply(Aligned& text) const override {
    Aligned out;
    for_each_char(text, [&](char32_t c, Span span) { push_lower(out, c, span); });
    text = std::move(out);
  }
};

class StripAccents final : public Normalizer {
  void apply(Aligned& text) const override {
    Aligned out;
    for_each_char(text, [&](char32_t c, Span span) {
      if (!is(c, kCombining)) out.push(c, span);
    });
    text = std::move(out);
  }
};

class StripNormalizer final : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  void apply(Aligned& text) const override {
    std::size_t begin = 0, end = text.bytes.size();
    while (left_ && begin < end) {
      const Decoded c = decode_utf8(text.bytes.data() + begin);
      if (!is(c.value, kSpace)) break;
      begin += c.bytes;
    }
    while (right_ && begin < end) {
      const std::size_t last = previous_char(text.bytes, end);
      if (!is(decode_utf8(text.bytes.data() + last).value, kSpace)) break;
      end = last;
    }
    Aligned out;
    out.append(text, begin, end);
    text = std::move(out);
  }

 private:
  bool left_, right_;
};

class ReplaceNormalizer final : public Normalizer {
 public:
  ReplaceNormalizer(std::unique_ptr<Pattern> pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(Aligned& text) const override { replace_matches(text, *pattern_, content_); }

 private:
  std::unique_ptr<Pattern> pattern_;
  std::string content_;
};

class PrependNormalizer final : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(Aligned& text) const override { prepend(text, prefix_); }

 private:
  std::string prefix_;
};

class ByteLevelNormalizer final : public Normalizer {
  void apply(Aligned& text) const override {
    Aligned out;
    to_byte_level(text, 0, text.bytes.size(), out);
    text = std::move(out);
  }
};

class SequenceNormalizer final : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  void apply(Aligned& text) const override {
    for (const auto& step : steps_) step->apply(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

struct ByteAlphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<int, 0x144> byte{};

  ByteAlphabet() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const bool itself = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      of_byte[b] = itself ? static_cast<char32_t>(b) : next++;
      byte[of_byte[b]] = static_cast<int>(b);
    }
  }
};

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

}  // namespace

void normalize_pieces(Draft& draft, const Normalizer* normalizer) {
  if (normalizer == nullptr) return;
  if (draft.pieces.size() == 1 &&
      draft.pieces[0].token < 0) {  // the usual case: no need to copy the whole text
    normalizer->apply(draft.text);
    draft.pieces.clear();
    if (!draft.text.empty())
      draft.pieces.push_back({0, static_cast<std::uint32_t>(draft.text.bytes.size()), -1});
    return;
  }
  rewrite_pieces(draft, [&](const Piece& piece, Aligned& out) {
    Aligned text;
    text.append(draft.text, piece.begin, piece.end);
    normalizer->apply(text);
    out.append(text, 0, text.bytes.size());
  });
}

void replace_matches(Aligned& text, const Pattern& pattern, std::string_view content) {
  std::vector<Stretch> stretches;
  pattern.cover(text.bytes, stretches);
  if (std::none_of(stretches.begin(), stretches.end(), [](const Stretch& s) { return s.match; })) return;
  Aligned out;
  for (const Stretch& stretch : stretches) {
    if (!stretch.match) {
      out.append(text, stretch.begin, stretch.end);
      continue;
    }
    out.bytes.append(content);
    out.origin.insert(out.origin.end(), content.size(), text.origin[stretch.end - 1]);
  }
  text = std::move(out);
}

void prepend(Aligned& text, std::string_view prefix) {
  if (text.empty()) return;
  text.bytes.insert(0, prefix);
  text.origin.insert(text.origin.begin(), prefix.size(), text.origin.front());
}

void to_byte_level(const Aligned& text, std::size_t begin, std::size_t end, Aligned& out) {
  const auto& characters = byte_alphabet().of_byte;
  for (std::size_t i = begin; i < end; ++i) {
    const char32_t c = characters[static_cast<unsigned char>(text.bytes[i])];
    if (c < 0x80)
      out.push_ascii(static_cast<char>(c), text.origin[i]);
    else
      out.push(c, text.origin[i]);
  }
}

int byte_of_level(char32_t c) noexcept {
  const auto& bytes = byte_alphabet().byte;
  return c < bytes.size() ? bytes[c] : -1;
}

std::unique_ptr<Normalizer> bert_normalizer(const BertNormalizerOptions& options) {
  return std::make_unique<BertNormalizer>(options);
}
std::unique_ptr<Normalizer> lowercase_normalizer() {
  return std::make_unique<LowercaseNormalizer>();
}
std::unique_ptr<Normalizer> normal_form_normalizer(NormalForm form) {
  return std::make_unique<Normal>(form);
}
std::unique_ptr<Normalizer> strip_accents_normalizer() {
  return std::make_unique<StripAccents>();
}
std::unique_ptr<Normalizer> strip_normalizer(bool left, bool right) {
  return std::make_unique<StripNormalizer>(left, right);
}
std::unique_ptr<Normalizer> replace_normalizer(std::unique_ptr<Pattern> pattern, std::string content) {
  return std::make_unique<ReplaceNormalizer>(std::move(pattern), std::move(content));
}
std::unique_ptr<Normalizer> prepend_normalizer(std::string prefix) {
  return std::make_unique<PrependNormalizer>(std::move(prefix));
}
std::unique_ptr<Normalizer> byte_level_normalizer() {
  return std::make_unique<ByteLevelNormalizer>();
}
std::unique_ptr<Normalizer> sequence_normalizer(std::vector<std::unique_ptr<Normalizer>> steps) {
  return std::make_unique<SequenceNormalizer>(std::move(steps));
}

}  // namespace telos::text
