#pragma once

#include <string>

#include "telos/text/tokenizer.h"

// The tokenizers of tests/golden/text.

namespace telos::goldens {

inline Tokenizer tokenizer(const std::string& name) {
  return Tokenizer::load(std::string(TELOS_TEST_DIR) + "/golden/text/" + name + ".json");
}

inline constexpr const char* kTokenizers[] = {"bert_uncased", "bert_cased", "gpt2",      "roberta", "llama3",
                                              "qwen2",        "llama2",     "metaspace", "mixed",   "digits"};

}  // namespace telos::goldens
