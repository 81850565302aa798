#include "text/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "text/normalizer.h"

namespace telos::text {
namespace {

/// Joins neighbouring stretches as `behavior` says; those that still match afterwards are to be removed.
void settle(std::vector<Stretch>& stretches, SplitBehavior behavior) {
  if (behavior == SplitBehavior::kRemoved) return;
  std::vector<Stretch> out;
  out.reserve(stretches.size());
  bool previous = false;
  if (behavior == SplitBehavior::kMergedWithNext) {
    for (auto s = stretches.rbegin(); s != stretches.rend(); ++s) {
      if (s->match && !previous && !out.empty())
        out.back().begin = s->begin;
      else
        out.push_back({s->begin, s->end, false});
      previous = s->match;
    }
    std::reverse(out.begin(), out.end());
  } else {
    for (const Stretch& s : stretches) {
      const bool join = (behavior == SplitBehavior::kMergedWithPrevious && s.match && !previous) ||
                        (behavior == SplitBehavior::kContiguous && s.match == previous);
      if (join && !out.empty())
        out.back().end = s.end;
      else
        out.push_back({s.begin, s.end, false});
      previous = s.match;
    }
  }
  stretches = std::move(out);
}

void split(Draft& draft, const Pattern& pattern, SplitBehavior behavior, bool invert) {
  std::vector<Piece> pieces;
  pieces.reserve(draft.pieces.size() + draft.text.bytes.size() / 4);
  std::vector<Stretch> stretches;
  for (const Piece& piece : draft.pieces) {
    if (piece.token >= 0) {
      pieces.push_back(piece);
      continue;
    }
    stretches.clear();
    pattern.cover(draft.view(piece), stretches);
    if (invert)
      for (Stretch& s : stretches) s.match = !s.match;
    if (behavior != SplitBehavior::kIsolated) settle(stretches, behavior);
    for (const Stretch& s : stretches)
      if (behavior == SplitBehavior::kIsolated || !s.match)
        pieces.push_back({piece.begin + s.begin, piece.begin + s.end, -1});
  }
  draft.pieces = std::move(pieces);
}

class Split final : public PreTokenizer {
 public:
  Split(std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(Draft& draft) const override { split(draft, *pattern_, behavior_, invert_); }

 private:
  std::unique_ptr<Pattern> pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

/// White space goes, punctuation stands alone.
class BertPreTokenizer final : public PreTokenizer {
  void apply(Draft& draft) const override {
    std::vector<Piece> pieces;
    pieces.reserve(draft.pieces.size() + draft.text.bytes.size() / 4);
    const std::string& bytes = draft.text.bytes;
    for (const Piece& piece : draft.pieces) {
      if (piece.token >= 0) {
        pieces.push_back(piece);
        continue;
      }
      std::uint32_t word = piece.begin;  // start of the word that is going on
      for (std::uint32_t i = piece.begin; i < piece.end;) {
        const Decoded c = decode_utf8(bytes.data() + i);
        const std::uint16_t found = char_class(c.value);
        if (found & (kSpace | kPunctuation)) {
          if (i > word) pieces.push_back({word, i, -1});
          if (!(found & kSpace)) pieces.push_back({i, i + c.bytes, -1});
          word = i + c.bytes;
        }
        i += c.bytes;
      }
      if (piece.end > word) pieces.push_back({word, piece.end, -1});
    }
    draft.pieces = std::move(pieces);
  }
};

class ByteLevelPreTokenizer final : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex), pattern_(gpt2_pattern()) {}

  void apply(Draft& draft) const override {
    if (add_prefix_space_ && std::any_of(draft.pieces.begin(), draft.pieces.end(),
                                         [&](const Piece& p) { return needs_space(draft, p); }))
      rewrite_pieces(draft, [&](const Piece& piece, Aligned& out) {
        if (needs_space(draft, piece)) out.push_ascii(' ', draft.text.origin[piece.begin]);
        out.append(draft.text, piece.begin, piece.end);
      });
    if (use_regex_) split(draft, *pattern_, SplitBehavior::kIsolated, false);
    rewrite_pieces(draft, [&](const Piece& piece, Aligned& out) {
      to_byte_level(draft.text, piece.begin, piece.end, out);
    });
  }

 private:
  static bool needs_space(const Draft& draft, const Piece& piece) {
    return piece.token < 0 && draft.text.bytes[piece.begin] != ' ';
  }
  bool add_prefix_space_, use_regex_;
  std::unique_ptr<Pattern> pattern_;
};

class MetaspacePreTokenizer final : public PreTokenizer {
 public:
  MetaspacePreTokenizer(std::string replacement, PrependScheme scheme, bool split_too)
      : replacement_(std::move(replacement)),
        scheme_(scheme),
        split_(split_too),
        space_(literal_pattern(" ")),
        mark_(literal_pattern(replacement_)) {}

  void apply(Draft& draft) const override {
    rewrite_pieces(draft, [&](const Piece& piece, Aligned& out) {
      Aligned text;
      text.append(draft.text, piece.begin, piece.end);
      replace_matches(text, *space_, replacement_);
      const bool wanted = scheme_ == PrependScheme::kAlways ||
                          (scheme_ == PrependScheme::kFirst && text.origin.front().begin == 0);
      if (wanted && !text.view().starts_with(replacement_)) prepend(text, replacement_);
      out.append(text, 0, text.bytes.size());
    });
    if (split_) split(draft, *mark_, SplitBehavior::kMergedWithNext, false);
  }

 private:
  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
  std::unique_ptr<Pattern> space_, mark_;
};

class SequencePreTokenizer final : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps)
      : steps_(std::move(steps)) {}
  void apply(Draft& draft) const override {
    for (const auto& step : steps_) step->apply(draft);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

}  // namespace

std::unique_ptr<PreTokenizer> split_pre_tokenizer(std::unique_ptr<Pattern> pattern, SplitBehavior behavior,
                                                  bool invert) {
  return std::make_unique<Split>(std::move(pattern), behavior, invert);
}
std::unique_ptr<PreTokenizer> byte_level_pre_tokenizer(bool add_prefix_space, bool use_regex) {
  return std::make_unique<ByteLevelPreTokenizer>(add_prefix_space, use_regex);
}
std::unique_ptr<PreTokenizer> metaspace_pre_tokenizer(std::string replacement, PrependScheme scheme,
                                                      bool split) {
  return std::make_unique<MetaspacePreTokenizer>(std::move(replacement), scheme, split);
}
std::unique_ptr<PreTokenizer> bert_pre_tokenizer() {
  return std::make_unique<BertPreTokenizer>();
}
std::unique_ptr<PreTokenizer> sequence_pre_tokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps) {
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

}  // namespace telos::text
