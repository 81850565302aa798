#include "telos/clustering/preprocess.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "clustering/preprocess_parts.h"

namespace telos::clustering {

PreprocessOptions published_preprocessing(const std::string& wordnet) {
  PreprocessOptions options;
  options.lower_case = false;
  options.wordnet = wordnet;
  return options;
}

struct Preprocessor::Impl {
  explicit Impl(PreprocessOptions given) : options(std::move(given)) {
    if (!options.wordnet.empty()) lemmas.emplace(options.wordnet);
  }

  /// What steps 10 to 13 make of a word, added to `out`.
  void add_word(std::string word, std::vector<std::string>& out) const {
    if (options.lower_case)
      for (char& c : word)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    const std::size_t split = options.contractions ? contraction_split(word) : 0;
    if (split == 0) return add_token(std::move(word), out);
    add_token(word.substr(0, split), out);
    add_token(word.substr(split), out);
  }

  void add_token(std::string word, std::vector<std::string>& out) const {
    if (options.stop_words && in_stop_list(word)) return;
    if (lemmas) {
      word = lemmas->lemma(std::move(word));
      if (options.stop_words && in_stop_list(word)) return;
    }
    out.push_back(std::move(word));
  }

  PreprocessOptions options;
  std::optional<NounLemmas> lemmas;
};

Preprocessor::Preprocessor(PreprocessOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Preprocessor::~Preprocessor() = default;
Preprocessor::Preprocessor(Preprocessor&&) noexcept = default;
Preprocessor& Preprocessor::operator=(Preprocessor&&) noexcept = default;

const PreprocessOptions& Preprocessor::options() const {
  return impl_->options;
}

std::vector<std::string> Preprocessor::words(std::string_view text) const {
  std::string cleaned;
  if (impl_->options.clean) text = cleaned = clean_text(text);
  std::vector<std::string> out;
  for (std::size_t at = 0, begin = 0; at <= text.size();) {
    const std::size_t space = at == text.size() ? 1 : space_at(text, at);
    if (space > 0) {
      if (at > begin) impl_->add_word(std::string(text.substr(begin, at - begin)), out);
      begin = at + space;
    }
    at += std::max<std::size_t>(space, 1);
  }
  return out;
}

}  // namespace telos::clustering
