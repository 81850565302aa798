#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/draft.h"
#include "text/pattern.h"

namespace telos::text {

/// What becomes of the matches of a pattern at which a text is cut.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Cuts pieces into smaller ones, and may rewrite them. Pieces that are tokens already stay as they are.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Draft& draft) const = 0;
};

enum class PrependScheme { kFirst, kNever, kAlways };

std::unique_ptr<PreTokenizer> split_pre_tokenizer(std::unique_ptr<Pattern> pattern, SplitBehavior behavior,
                                                  bool invert);
std::unique_ptr<PreTokenizer> byte_level_pre_tokenizer(bool add_prefix_space, bool use_regex);
std::unique_ptr<PreTokenizer> metaspace_pre_tokenizer(std::string replacement, PrependScheme scheme,
                                                      bool split);
std::unique_ptr<PreTokenizer> bert_pre_tokenizer();
std::unique_ptr<PreTokenizer> sequence_pre_tokenizer(std::vector<std::unique_ptr<PreTokenizer>> steps);

}  // namespace telos::text
