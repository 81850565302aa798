// Tokenizers without a tokenizer.json: the vocabulary files of BERT, GPT-2 and RoBERTa, with the defaults of
// their reference implementations where tokenizer_config.json and special_tokens_map.json say nothing.
#include <algorithm>
#include <filesystem>
#include <map>

#include "io/json.h"
#include "telos/io/files.h"
#include "text/json_fields.h"
#include "text/parts.h"

namespace telos::text {
namespace {

/// What the two side files say. Special tokens by role: "cls_token", "mask_token", …
struct SideFiles {
  Json config = Json::object();
  std::string config_path;
  std::map<std::string, AddedToken> roles;
  std::vector<AddedToken> others;  // of no single role

  Fields fields() const { return Fields(config, config_path); }
  std::string content(const std::string& role, const std::string& otherwise) const {
    const auto found = roles.find(role);
    return found == roles.end() ? otherwise : found->second.content;
  }
};

AddedToken parse_special(const Json& json, const std::string& where) {
  AddedToken token;
  token.special = true;
  token.normalized = false;
  if (json.is_string()) {
    token.content = json.get<std::string>();
    return token;
  }
  const Fields fields(json, where);
  token.content = fields.text("content");
  token.single_word = fields.flag("single_word", false);
  token.lstrip = fields.flag("lstrip", false);
  token.rstrip = fields.flag("rstrip", false);
  token.normalized = fields.flag("normalized", false);
  token.special = fields.flag("special", true);
  return token;
}

void read_roles(const Fields& fields, SideFiles& out) {
  for (const char* role :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (const Json* token = fields.find(role)) out.roles[role] = parse_special(*token, fields.at(role));
  if (fields.find("additional_special_tokens") == nullptr) return;
  for (const Json& token : fields.array("additional_special_tokens"))
    out.others.push_back(parse_special(token, fields.at("additional_special_tokens")));
}

Json read_side_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Json::object();
  return parse_json(read_text(path), path);
}

SideFiles read_side_files(const std::string& directory) {
  const std::filesystem::path folder(directory);
  SideFiles out;
  const std::string map_path = (folder / "special_tokens_map.json").string();
  const Json map = read_side_file(map_path);
  read_roles(Fields(map, map_path), out);
  out.config_path = (folder / "tokenizer_config.json").string();
  out.config = read_side_file(out.config_path);
  read_roles(out.fields(), out);
  if (const Json* list = out.fields().find("added_tokens_decoder"))
    for (const auto& [id, token] : Fields(*list, out.fields().at("added_tokens_decoder")).members())
      out.others.push_back(parse_special(token, out.fields().at("added_tokens_decoder")));
  return out;
}

/// A token that the files leave to the defaults of the reference.
void default_role(SideFiles& files, const char* role, const std::string& content, bool lstrip = false) {
  AddedToken token;
  token.content = content;
  token.special = true;
  token.normalized = false;
  token.lstrip = lstrip;
  files.roles.try_emplace(role, token);
}

/// Special tokens go by increasing id, those that are not in the vocabulary last, so that they get the next
/// free ids in the order in which the files name them.
void add_special_tokens(const SideFiles& files, Parts& parts, const std::string& where) {
  std::vector<AddedToken> tokens;
  for (const auto& [role, token] : files.roles) tokens.push_back(token);
  tokens.insert(tokens.end(), files.others.begin(), files.others.end());
  const Vocabulary& vocabulary = parts.model->vocabulary();
  const auto rank = [&](const AddedToken& token) {
    return static_cast<std::uint32_t>(vocabulary.id(token.content).value_or(-1));
  };
  std::stable_sort(tokens.begin(), tokens.end(),
                   [&](const AddedToken& a, const AddedToken& b) { return rank(a) < rank(b); });
  for (const AddedToken& token : tokens)
    if (!parts.added.id(token.content))
      parts.added.add(token, vocabulary, parts.normalizer.get(), std::nullopt, where);
}

std::int32_t need_token(const Parts& parts, const std::string& token, const std::string& where) {
  if (const auto id = parts.added.id(token)) return *id;
  if (const auto id = parts.model->vocabulary().id(token)) return *id;
  bad_format(where, "the token '" + printable(token) +
                        "', which stands around each sequence, is not in the vocabulary");
}

/// Lines without their ends ("\n" or "\r\n"); a last empty line is none.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view trim_end(std::string_view line) {
  while (!line.empty()) {
    const std::size_t last = previous_char(line, line.size());
    if (!is(decode_utf8(line.data() + last).value, kSpace)) break;
    line = line.substr(0, last);
  }
  return line;
}

std::vector<Merge> parse_merge_lines(std::string_view text, const std::string& path) {
  std::vector<Merge> merges;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (line.empty() || line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
      bad_format(path + ", line " + std::to_string(number),
                 "'" + printable(line) + "' is not a merge \"a b\"");
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

/// vocab.json → merges.txt; NAME-vocab.json → NAME-merges.txt
std::string merges_path(const std::string& vocab_path) {
  const std::filesystem::path path(vocab_path);
  std::string name = path.filename().string();
  name.replace(name.rfind("vocab.json"), std::string::npos, "merges.txt");
  return (path.parent_path() / name).string();
}

bool roberta_like(const SideFiles& files, const Vocabulary& vocabulary) {
  const std::string type = files.fields().text_or("tokenizer_class", "");
  for (const char* family : {"Roberta", "Bart", "Longformer", "LED", "MPNet"})
    if (type.find(family) != std::string::npos) return true;
  if (type.find("GPT2") != std::string::npos) return false;
  return vocabulary.id("<s>") && vocabulary.id("</s>") && !vocabulary.id("<|endoftext|>");
}

}  // namespace

Parts load_bert_vocabulary(const std::string& path, const std::string& directory) {
  SideFiles files = read_side_files(directory);
  const std::string text = read_text(path);
  const auto lines = lines_of(text);
  if (lines.empty()) bad_format(path, "the vocabulary is empty");
  Vocabulary vocabulary(lines.size(), path);
  for (std::size_t i = 0; i < lines.size(); ++i)
    vocabulary.add_or_move(trim_end(lines[i]), static_cast<std::int64_t>(i));

  static constexpr std::pair<const char*, const char*> kDefaults[] = {{"unk_token", "[UNK]"},
                                                                      {"sep_token", "[SEP]"},
                                                                      {"pad_token", "[PAD]"},
                                                                      {"cls_token", "[CLS]"},
                                                                      {"mask_token", "[MASK]"}};
  for (const auto& [role, token] : kDefaults)
    if (vocabulary.id(token)) default_role(files, role, token);

  const Fields config = files.fields();
  Parts parts;
  parts.normalizer =
      bert_normalizer({true, config.flag("tokenize_chinese_chars", true), config.maybe_flag("strip_accents"),
                       config.flag("do_lower_case", true)});
  parts.pre_tokenizer = bert_pre_tokenizer();
  WordPieceOptions options;
  options.unknown = files.content("unk_token", options.unknown);
  parts.model = make_wordpiece(std::move(vocabulary), options, path);
  parts.decoder = wordpiece_decoder("##", true);
  add_special_tokens(files, parts, path);
  const std::int32_t cls = need_token(parts, files.content("cls_token", "[CLS]"), path);
  const std::int32_t sep = need_token(parts, files.content("sep_token", "[SEP]"), path);
  parts.post_steps.push_back({false, false, {cls}, {sep}});
  return parts;
}

Parts load_gpt2_vocabulary(const std::string& path, const std::string& directory) {
  SideFiles files = read_side_files(directory);
  const Json json = parse_json(read_text(path), path);
  if (!json.is_object()) bad_format(path, std::string("expected an object, found ") + json.type_name());
  Vocabulary vocabulary(json.size(), path);
  for (const auto& [token, id] : json.items()) vocabulary.add(token, integer(id, path));
  const std::string merge_file = merges_path(path);
  const std::vector<Merge> merges = parse_merge_lines(read_text(merge_file), merge_file);

  const bool roberta = roberta_like(files, vocabulary);
  if (roberta) {
    for (const char* role : {"bos_token", "cls_token"}) default_role(files, role, "<s>");
    for (const char* role : {"eos_token", "sep_token"}) default_role(files, role, "</s>");
    default_role(files, "unk_token", "<unk>");
    default_role(files, "pad_token", "<pad>");
    default_role(files, "mask_token", "<mask>", true);
  } else if (vocabulary.id("<|endoftext|>")) {
    for (const char* role : {"bos_token", "eos_token", "unk_token"})
      default_role(files, role, "<|endoftext|>");
  }

  const Fields config = files.fields();
  const bool prefix_space = config.flag("add_prefix_space", false);
  Parts parts;
  parts.pre_tokenizer = byte_level_pre_tokenizer(prefix_space, true);
  BpeOptions options;
  options.byte_level = true;
  parts.model = make_bpe(std::move(vocabulary), merges, options, path);
  parts.decoder = byte_level_decoder();
  add_special_tokens(files, parts, path);
  if (roberta) {
    const std::int32_t cls = need_token(parts, files.content("cls_token", "<s>"), path);
    const std::int32_t sep = need_token(parts, files.content("sep_token", "</s>"), path);
    parts.post_steps.push_back({true, prefix_space, {cls}, {sep}});
  } else if (config.flag("add_bos_token", false)) {
    parts.post_steps.push_back(
        {false, false, {need_token(parts, files.content("bos_token", "<|endoftext|>"), path)}, {}});
  }
  return parts;
}

}  // namespace telos::text
