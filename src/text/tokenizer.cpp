#include "telos/text/tokenizer.h"

#include <algorithm>
#include <filesystem>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/files.h"
#include "text/parts.h"
#include "text/word_cache.h"

namespace telos {

struct Tokenizer::Impl {
  text::Parts parts;
  std::size_t before = 0, after = 0;  // special tokens around one sequence

  explicit Impl(text::Parts from_files) : parts(std::move(from_files)) {
    for (const text::PostStep& step : parts.post_steps) {
      before += step.before.size();
      after += step.after.size();
    }
  }

  std::int32_t max_id() const { return std::max(parts.model->vocabulary().max_id(), parts.added.max_id()); }
  std::vector<text::TokenOut> tokenize(const text::Draft& draft) const;
};

namespace {

/// A token whose bytes lie at [begin, end) of the draft's text, with its place in the original.
text::TokenOut token_at(const text::Draft& draft, std::int32_t id, std::size_t begin, std::size_t end) {
  text::TokenOut token;
  token.id = id;
  token.range = {draft.text.origin[begin].begin, draft.text.origin[end - 1].end};
  return token;
}

}  // namespace

std::vector<text::TokenOut> Tokenizer::Impl::tokenize(const text::Draft& draft) const {
  const text::Vocabulary& vocabulary = parts.model->vocabulary();
  const bool trims =
      std::any_of(parts.post_steps.begin(), parts.post_steps.end(), [](const auto& s) { return s.trim; });
  std::vector<text::TokenOut> out;
  out.reserve(draft.pieces.size() + before + after);
  text::WordCache cache(*parts.model, draft.text.bytes.size());
  std::size_t since_check = 0;
  for (const text::Piece& piece : draft.pieces) {
    since_check += piece.end - piece.begin;
    if (since_check > 1'000'000) {
      check_interrupt();
      since_check = 0;
    }
    if (piece.token >= 0) {
      text::TokenOut& token = out.emplace_back(token_at(draft, piece.token, piece.begin, piece.end));
      if (trims) text::count_spaces(draft.view(piece), token.leading, token.trailing);
      continue;
    }
    std::size_t at = piece.begin;
    for (const text::WordToken& part : cache.tokens(draft.view(piece))) {
      text::TokenOut& token = out.emplace_back(token_at(draft, part.id, at, at + part.bytes));
      if (trims) text::count_spaces(vocabulary.token(part.id), token.leading, token.trailing);
      at += part.bytes;
    }
  }
  return out;
}

Encoding Tokenizer::encode(std::string_view text, bool add_special) const {
  const text::Parts& parts = impl_->parts;
  text::Draft draft = text::make_draft(text);
  parts.added.split_raw(draft);
  text::normalize_pieces(draft, parts.normalizer.get());
  parts.added.split_normalized(draft);
  if (parts.pre_tokenizer) parts.pre_tokenizer->apply(draft);
  std::vector<text::TokenOut> tokens = impl_->tokenize(draft);
  text::post_process(parts.post_steps, text, add_special, tokens);

  Encoding out;
  out.ids.reserve(tokens.size());
  out.offsets.reserve(tokens.size());
  out.special.reserve(tokens.size());
  for (const text::TokenOut& token : tokens) {
    out.ids.push_back(token.id);
    out.offsets.push_back(token.range);
    out.special.push_back(token.special ? 1 : 0);
  }
  return out;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  const text::AddedTokens& added = impl_->parts.added;
  const text::Vocabulary& vocabulary = impl_->parts.model->vocabulary();
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (id < 0 || id > impl_->max_id())
      throw Error(ErrorKind::kUsage, "decode",
                  "token id " + std::to_string(id) + " is out of range; ids go from 0 to " +
                      std::to_string(impl_->max_id()),
                  "use ids of this very tokenizer");
    const std::string* content = added.decoded(id);
    if (content == nullptr && !vocabulary.has(id)) continue;  // a hole in the vocabulary
    std::string token = content != nullptr ? *content : std::string(vocabulary.token(id));
    if (skip_special && added.special(token)) continue;
    tokens.push_back(std::move(token));
  }
  impl_->parts.decoder->apply(tokens);
  std::string out;
  for (const std::string& token : tokens) out += token;
  return out;
}

std::size_t Tokenizer::vocabulary_size() const {
  return static_cast<std::size_t>(impl_->max_id() + 1);
}

std::string_view Tokenizer::token(std::int32_t id) const {
  const std::string* content = impl_->parts.added.content(id);
  if (content != nullptr) return *content;
  if (id < 0 || id > impl_->max_id())
    throw Error(ErrorKind::kUsage, "token",
                "token id " + std::to_string(id) + " is out of range; ids go from 0 to " +
                    std::to_string(impl_->max_id()));
  return impl_->parts.model->vocabulary().token(id);
}

std::optional<std::int32_t> Tokenizer::id(std::string_view token) const {
  if (const auto id = impl_->parts.added.id(token)) return id;
  return impl_->parts.model->vocabulary().id(token);
}

std::optional<std::int32_t> Tokenizer::unknown() const {
  return impl_->parts.model->unknown();
}

std::string_view Tokenizer::kind() const {
  return impl_->parts.model->kind();
}
std::size_t Tokenizer::prefix_tokens() const {
  return impl_->before;
}
std::size_t Tokenizer::suffix_tokens() const {
  return impl_->after;
}

namespace {

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

/// The file to read: `path` itself, or the first of the known names in the directory.
std::string choose_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    throw Error(ErrorKind::kMissingFile, path, "there is no such file or directory",
                "give a tokenizer.json, a vocab.txt, a vocab.json, or a directory with one of them");
  if (!fs::is_directory(path, ignored)) return path;
  for (const char* name : {"tokenizer.json", "vocab.txt", "vocab.json"})
    if (const fs::path file = fs::path(path) / name; fs::exists(file, ignored)) return file.string();
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
    if (fs::exists(fs::path(path) / name, ignored))
      throw Error(
          ErrorKind::kUnsupported, (fs::path(path) / name).string(), "a SentencePiece model is not supported",
          "save the fast tokenizer beside it: AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
  throw Error(ErrorKind::kMissingFile, path, "no tokenizer.json, vocab.txt or vocab.json in this directory",
              "copy the tokenizer's files there, or name another place");
}

}  // namespace

Tokenizer Tokenizer::load(const std::string& path) {
  const std::string file = choose_file(path);
  const std::string directory = std::filesystem::path(file).parent_path().string();
  const std::string name = file_name(file);
  Tokenizer out;
  if (name.ends_with(".txt"))
    out.impl_ = std::make_unique<Impl>(text::load_bert_vocabulary(file, directory));
  else if (name == "vocab.json" || name.ends_with("-vocab.json"))
    out.impl_ = std::make_unique<Impl>(text::load_gpt2_vocabulary(file, directory));
  else
    out.impl_ = std::make_unique<Impl>(text::parse_tokenizer_json(read_text(file), file));
  return out;
}

Tokenizer Tokenizer::from_json(std::string_view json, const std::string& where) {
  Tokenizer out;
  out.impl_ = std::make_unique<Impl>(text::parse_tokenizer_json(json, where));
  return out;
}

Tokenizer::Tokenizer() = default;
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

}  // namespace telos
