// Reads tokenizer.json: each `parse_` function makes one part, and names what it does not know.
#include <algorithm>

#include "io/json.h"
#include "text/json_fields.h"
#include "text/parts.h"

namespace telos::text {
namespace {

[[noreturn]] void unsupported(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kUnsupported, where, what + " is not supported",
              "telos reads WordPiece and BPE tokenizers; see `telos::Tokenizer` for the list of parts");
}

/// { "String": "…" } or { "Regex": "…" }
std::unique_ptr<Pattern> parse_pattern(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  if (fields.find("String") != nullptr) {
    std::string literal = fields.text("String");
    if (literal.empty()) unsupported(where, "an empty pattern");
    return literal_pattern(std::move(literal));
  }
  return regex_pattern(fields.text("Regex"), where);
}

char32_t parse_character(const Fields& fields, const char* name) {
  const std::string text = fields.text(name);
  if (text.empty() || utf8_bytes(text[0]) != text.size())
    bad_format(fields.at(name), "expected a single character");
  return decode_utf8(text.data()).value;
}

/// Applies `parse` to the members of an array.
template <class T>
std::vector<T> parse_list(const Fields& fields, const char* name,
                          T (*parse)(const Json&, const std::string&)) {
  std::vector<T> out;
  for (const Json& item : fields.array(name)) out.push_back(parse(item, fields.at(name)));
  return out;
}

std::unique_ptr<Normalizer> parse_normalizer(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  const std::string type = fields.text("type");
  if (type == "BertNormalizer")
    return bert_normalizer({fields.flag("clean_text", true), fields.flag("handle_chinese_chars", true),
                            fields.maybe_flag("strip_accents"), fields.flag("lowercase", true)});
  if (type == "Lowercase") return lowercase_normalizer();
  if (type == "NFC") return normal_form_normalizer(NormalForm::kC);
  if (type == "NFD") return normal_form_normalizer(NormalForm::kD);
  if (type == "NFKC") return normal_form_normalizer(NormalForm::kKC);
  if (type == "NFKD") return normal_form_normalizer(NormalForm::kKD);
  if (type == "StripAccents") return strip_accents_normalizer();
  if (type == "Strip")
    return strip_normalizer(fields.flag("strip_left", true), fields.flag("strip_right", true));
  if (type == "Replace")
    return replace_normalizer(parse_pattern(fields.need("pattern"), fields.at("pattern")),
                              fields.text("content"));
  if (type == "Prepend") return prepend_normalizer(fields.text("prepend"));
  if (type == "ByteLevel") return byte_level_normalizer();
  if (type == "Sequence") return sequence_normalizer(parse_list(fields, "normalizers", parse_normalizer));
  unsupported(where, "the normalizer '" + printable(type) + "'");
}

SplitBehavior parse_behavior(const Fields& fields) {
  static constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  const std::string name = fields.text_or("behavior", "Isolated");
  for (const auto& [known, behavior] : kNames)
    if (name == known) return behavior;
  unsupported(fields.at("behavior"), "the split behavior '" + printable(name) + "'");
}

PrependScheme parse_prepend_scheme(const Fields& fields) {
  const std::string name = fields.text_or("prepend_scheme", "always");
  const bool wanted = fields.flag("add_prefix_space", true);
  if (!wanted && name != "never" && fields.find("prepend_scheme") != nullptr)
    bad_format(fields.where(), "add_prefix_space and prepend_scheme contradict each other");
  if (name == "never" || !wanted) return PrependScheme::kNever;
  if (name == "always") return PrependScheme::kAlways;
  if (name == "first") return PrependScheme::kFirst;
  unsupported(fields.at("prepend_scheme"), "the scheme '" + printable(name) + "'");
}

std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  const std::string type = fields.text("type");
  const auto split = [](std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool invert = false) {
    return split_pre_tokenizer(std::move(pattern), behavior, invert);
  };
  if (type == "BertPreTokenizer") return bert_pre_tokenizer();
  if (type == "ByteLevel")
    return byte_level_pre_tokenizer(fields.flag("add_prefix_space", true), fields.flag("use_regex", true));
  if (type == "Whitespace") return split(words_pattern(), SplitBehavior::kRemoved, true);
  if (type == "WhitespaceSplit") return split(class_pattern(kSpace), SplitBehavior::kRemoved);
  if (type == "Punctuation") return split(class_pattern(kPunctuation), parse_behavior(fields));
  if (type == "Digits")
    return split(class_pattern(kNumeric), fields.flag("individual_digits", false)
                                              ? SplitBehavior::kIsolated
                                              : SplitBehavior::kContiguous);
  if (type == "CharDelimiterSplit") {
    std::string delimiter;
    append_utf8(delimiter, parse_character(fields, "delimiter"));
    return split(literal_pattern(delimiter), SplitBehavior::kRemoved);
  }
  if (type == "Split")
    return split(parse_pattern(fields.need("pattern"), fields.at("pattern")), parse_behavior(fields),
                 fields.flag("invert", false));
  if (type == "Metaspace") {
    std::string replacement;
    append_utf8(replacement, parse_character(fields, "replacement"));
    return metaspace_pre_tokenizer(replacement, parse_prepend_scheme(fields), fields.flag("split", true));
  }
  if (type == "Sequence")
    return sequence_pre_tokenizer(parse_list(fields, "pretokenizers", parse_pre_tokenizer));
  unsupported(where, "the pre-tokenizer '" + printable(type) + "'");
}

/// ["[SEP]", 102]
std::int32_t parse_token_pair(const Fields& fields, const char* name) {
  const Json& pair = fields.array(name);
  if (pair.size() != 2) bad_format(fields.at(name), "expected a token and its id");
  const std::int64_t id = integer(pair[1], fields.at(name));
  if (id < 0 || id > 0x7FFFFFFF)
    bad_format(fields.at(name), "the id " + std::to_string(id) + " is out of range");
  return static_cast<std::int32_t>(id);
}

/// The ids of one special token of a template.
std::vector<std::int32_t> parse_template_token(const Fields& processor, const std::string& name) {
  const std::string where = processor.at("special_tokens");
  const Fields tokens(processor.need("special_tokens"), where);
  const Json* token = tokens.find(name.c_str());
  if (token == nullptr) bad_format(where, "the template uses '" + printable(name) + "', which is not listed");
  std::vector<std::int32_t> ids;
  for (const Json& id : Fields(*token, where).array("ids")) {
    const std::int64_t value = integer(id, where);
    if (value < 0 || value > 0x7FFFFFFF)
      bad_format(where, "the id " + std::to_string(value) + " is out of range");
    ids.push_back(static_cast<std::int32_t>(value));
  }
  return ids;
}

PostStep parse_template(const Fields& fields) {
  PostStep step;
  bool sequence_seen = false;
  for (const Json& piece : fields.array("single")) {
    const Fields either(piece, fields.at("single"));
    if (const Json* sequence = either.find("Sequence")) {
      if (Fields(*sequence, either.where()).text("id") != "A" || sequence_seen)
        unsupported(either.where(), "a template for one sequence that does not use it exactly once");
      sequence_seen = true;
      continue;
    }
    const std::string name = Fields(either.need("SpecialToken"), either.where()).text("id");
    auto& side = sequence_seen ? step.after : step.before;
    const auto ids = parse_template_token(fields, name);
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (!sequence_seen) unsupported(fields.at("single"), "a template that leaves the sequence out");
  return step;
}

void parse_post_processor(const Json& json, const std::string& where, std::vector<PostStep>& steps) {
  const Fields fields(json, where);
  const std::string type = fields.text("type");
  if (type == "TemplateProcessing") {
    steps.push_back(parse_template(fields));
  } else if (type == "BertProcessing") {
    steps.push_back({false, false, {parse_token_pair(fields, "cls")}, {parse_token_pair(fields, "sep")}});
  } else if (type == "RobertaProcessing") {
    steps.push_back({fields.flag("trim_offsets", true),
                     fields.flag("add_prefix_space", true),
                     {parse_token_pair(fields, "cls")},
                     {parse_token_pair(fields, "sep")}});
  } else if (type == "ByteLevel") {
    steps.push_back({fields.flag("trim_offsets", true), fields.flag("add_prefix_space", true), {}, {}});
  } else if (type == "Sequence") {
    for (const Json& item : fields.array("processors"))
      parse_post_processor(item, fields.at("processors"), steps);
  } else {
    unsupported(where, "the post-processor '" + printable(type) + "'");
  }
}

std::unique_ptr<Decoder> parse_decoder(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  const std::string type = fields.text("type");
  if (type == "WordPiece")
    return wordpiece_decoder(fields.text_or("prefix", "##"), fields.flag("cleanup", true));
  if (type == "ByteLevel") return byte_level_decoder();
  if (type == "ByteFallback") return byte_fallback_decoder();
  if (type == "Fuse") return fuse_decoder();
  if (type == "Replace")
    return replace_decoder(parse_pattern(fields.need("pattern"), fields.at("pattern")),
                           fields.text("content"));
  if (type == "Strip")
    return strip_decoder(parse_character(fields, "content"), fields.count("start", 0),
                         fields.count("stop", 0));
  if (type == "Metaspace")
    return metaspace_decoder(parse_character(fields, "replacement"),
                             parse_prepend_scheme(fields) != PrependScheme::kNever);
  if (type == "BPEDecoder") return bpe_decoder(fields.text_or("suffix", "</w>"));
  if (type == "Sequence") return sequence_decoder(parse_list(fields, "decoders", parse_decoder));
  unsupported(where, "the decoder '" + printable(type) + "'");
}

Vocabulary parse_vocabulary(const Fields& model) {
  const Json& json = model.need("vocab");
  const std::string where = model.at("vocab");
  if (!json.is_object()) bad_format(where, std::string("expected an object, found ") + json.type_name());
  Vocabulary vocabulary(json.size(), where);
  for (const auto& [token, id] : json.items()) vocabulary.add(token, integer(id, where));
  return vocabulary;
}

std::vector<Merge> parse_merges(const Fields& model) {
  std::vector<Merge> merges;
  const std::string where = model.at("merges");
  for (const Json& merge : model.array("merges")) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      continue;
    }
    if (!merge.is_string()) bad_format(where, "expected pairs of strings, or strings \"a b\"");
    const auto& text = merge.get_ref<const std::string&>();
    if (text.starts_with("#version")) continue;
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
      bad_format(where, "merge " + std::to_string(merges.size() + 1) + ", '" + printable(text) +
                            "', is not \"a b\"");
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return merges;
}

/// Files of old versions do not name the type of their model.
std::string model_type(const Fields& model) {
  if (model.find("type") != nullptr) return model.text("type");
  if (model.find("merges") != nullptr) return "BPE";
  if (model.find("continuing_subword_prefix") != nullptr) return "WordPiece";
  if (const Json* vocab = model.find("vocab"); vocab != nullptr && vocab->is_array()) return "Unigram";
  bad_format(model.where(), "the member 'type' is missing");
}

/// Does a ByteLevel step stand anywhere in this description of a normaliser or pre-tokenizer?
bool uses_byte_level(const Json* json) {
  if (json == nullptr) return false;
  if (json->is_object() && json->value("type", Json()) == "ByteLevel") return true;
  if (!json->is_structured()) return false;
  return std::any_of(json->begin(), json->end(), [](const Json& item) { return uses_byte_level(&item); });
}

std::unique_ptr<Model> parse_model(const Fields& root) {
  const Fields model(root.need("model"), root.at("model"));
  const std::string type = model_type(model);
  if (type == "WordPiece") {
    WordPieceOptions options;
    options.unknown = model.text_or("unk_token", options.unknown);
    options.continuing_prefix = model.text_or("continuing_subword_prefix", options.continuing_prefix);
    options.max_characters = model.count("max_input_chars_per_word", options.max_characters);
    return make_wordpiece(parse_vocabulary(model), options, model.where());
  }
  if (type == "BPE") {
    if (const Json* dropout = model.find("dropout"); dropout != nullptr && *dropout != 0.0)
      unsupported(model.where(), "dropout, which makes encoding random,");
    BpeOptions options;
    options.unknown = model.text_or("unk_token", "");
    options.continuing_prefix = model.text_or("continuing_subword_prefix", "");
    options.end_suffix = model.text_or("end_of_word_suffix", "");
    options.fuse_unknown = model.flag("fuse_unk", false);
    options.byte_fallback = model.flag("byte_fallback", false);
    options.ignore_merges = model.flag("ignore_merges", false);
    options.byte_level =
        uses_byte_level(root.find("pre_tokenizer")) || uses_byte_level(root.find("normalizer"));
    return make_bpe(parse_vocabulary(model), parse_merges(model), options, model.where());
  }
  if (type == "Unigram") unsupported(model.where(), "a Unigram (SentencePiece) model");
  unsupported(model.where(), "a model of type '" + printable(type) + "'");
}

void parse_added_tokens(const Fields& root, Parts& parts) {
  if (root.find("added_tokens") == nullptr) return;
  for (const Json& item : root.array("added_tokens")) {
    const Fields fields(item, root.at("added_tokens"));
    AddedToken token;
    token.content = fields.text("content");
    token.single_word = fields.flag("single_word", false);
    token.lstrip = fields.flag("lstrip", false);
    token.rstrip = fields.flag("rstrip", false);
    token.special = fields.flag("special", false);
    token.normalized = fields.flag("normalized", !token.special);
    const std::int64_t id = integer(fields.need("id"), fields.at("id"));
    if (id < 0) bad_format(fields.at("id"), "is negative");
    parts.added.add(token, parts.model->vocabulary(), parts.normalizer.get(), id, fields.where());
  }
}

}  // namespace

Parts parse_tokenizer_json(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where);
  const Fields root(json, where);
  if (const std::string version = root.text_or("version", "1.0"); version != "1.0")
    unsupported(where, "version '" + printable(version) + "' of the format");
  Parts parts;
  if (const Json* part = root.find("normalizer"))
    parts.normalizer = parse_normalizer(*part, root.at("normalizer"));
  if (const Json* part = root.find("pre_tokenizer"))
    parts.pre_tokenizer = parse_pre_tokenizer(*part, root.at("pre_tokenizer"));
  parts.model = parse_model(root);
  if (const Json* part = root.find("post_processor"))
    parse_post_processor(*part, root.at("post_processor"), parts.post_steps);
  const Json* decoder = root.find("decoder");
  parts.decoder = decoder != nullptr ? parse_decoder(*decoder, root.at("decoder")) : joining_decoder();
  parse_added_tokens(root, parts);
  return parts;
}

}  // namespace telos::text
