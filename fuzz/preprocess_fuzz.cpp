// Preprocessing: the first byte chooses the options; then WordNet's two files and a text, divided by NUL
// bytes. Clean text is letters and control characters, none more than twice in a row, and cleaning it again
// changes nothing; a lemma is the word, a noun of the list, or what the exceptions say.
#include <algorithm>
#include <string>

#include "clustering/preprocess_parts.h"
#include "support.h"

namespace {

using namespace telos;
using namespace telos::clustering;
using fuzz::require;

std::string_view next_part(std::string_view& input) {
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return part;
}

void check_clean(std::string_view text) {
  const std::string clean = clean_text(text);
  require(clean.size() <= text.size(), "cleaning added something");
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const char c = clean[i];
    const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    require(letter || c == ' ' || c == '\x7F' || static_cast<unsigned char>(c) < 0x20, "not a letter");
    require(c == ' ' || !is_ascii_space(c), "space that is no blank");
    require(i < 2 || clean[i - 1] != c || clean[i - 2] != c, "a letter three times");
  }
  require(clean_text(clean) == clean, "clean text is not clean");
}

void check_words(std::string_view text, const PreprocessOptions& options) {
  const Preprocessor preprocessor(options);
  std::size_t bytes = 0;
  for (const std::string& word : preprocessor.words(text)) {
    require(!word.empty(), "an empty word");
    require(!options.stop_words || !in_stop_list(word), "a stop word");
    require(!options.lower_case ||
                std::none_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; }),
            "a capital letter");
    bytes += word.size();
  }
  require(bytes <= text.size(), "words have more letters than the text");
}

void check_lemmas(std::string_view nouns, std::string_view exceptions, std::string_view text) {
  const NounLemmas lemmas(std::string(nouns), exceptions, "wordnet");
  PreprocessOptions options;
  options.stop_words = false;
  for (const std::string& word : Preprocessor(options).words(text)) {
    const std::string lemma = lemmas.lemma(word);
    require(lemma == word || (nouns.find(lemma) != std::string_view::npos && !lemma.empty()),
            "a lemma from nowhere");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view input = fuzz::as_text(data + 1, size - 1);
  PreprocessOptions options;
  options.clean = (data[0] & 1) == 0;
  options.lower_case = (data[0] & 2) == 0;
  options.stop_words = (data[0] & 4) == 0;
  options.contractions = (data[0] & 8) == 0;
  const std::string_view nouns = next_part(input), exceptions = next_part(input);
  check_clean(input);
  check_words(input, options);
  fuzz::accepts([&] { check_lemmas(nouns, exceptions, input); });
  return 0;
}
