#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"

namespace telos::text {

/// A tokenizer as its files describe it: the steps in the order in which a text goes through them.
struct Parts {
  std::unique_ptr<Normalizer> normalizer;       ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  ///< may be null
  std::unique_ptr<Model> model;
  AddedTokens added;
  std::vector<PostStep> post_steps;
  std::unique_ptr<Decoder> decoder;
};

/// From the text of a tokenizer.json; `where` names the file. `truncation` and `padding` are ignored: cutting
/// is the caller's business.
Parts parse_tokenizer_json(std::string_view text, const std::string& where);
/// From vocab.txt as BERT has it, with what tokenizer_config.json and special_tokens_map.json in `directory`
/// say.
Parts load_bert_vocabulary(const std::string& path, const std::string& directory);
/// From vocab.json and merges.txt as GPT-2 and RoBERTa have them, likewise.
Parts load_gpt2_vocabulary(const std::string& path, const std::string& directory);

}  // namespace telos::text
