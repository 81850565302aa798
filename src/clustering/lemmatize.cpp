#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "clustering/preprocess_parts.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos::clustering {
namespace {

/// index.noun of WordNet 3.1 has 4.8 MB.
constexpr std::uint64_t kMaxBytes = 64'000'000;
/// The longest noun has 71 letters; nothing is looked up for longer words than this, so that a hostile one
/// that ends in thousands of s costs nothing.
constexpr std::size_t kMaxWord = 256;

constexpr const char *kIndex = "/index.noun", *kExceptions = "/noun.exc";

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kRules{{{"s", ""},
                                                                               {"ses", "s"},
                                                                               {"ves", "f"},
                                                                               {"xes", "x"},
                                                                               {"zes", "z"},
                                                                               {"ches", "ch"},
                                                                               {"shes", "sh"},
                                                                               {"men", "man"},
                                                                               {"ies", "y"}}};

std::vector<std::string> apply_rules(const std::vector<std::string>& forms) {
  std::vector<std::string> out;
  for (const std::string& form : forms)
    for (const auto& [ending, replacement] : kRules)
      if (form.ends_with(ending))
        out.push_back(form.substr(0, form.size() - ending.size()).append(replacement));
  return out;
}

bool a_rule_applies(std::string_view word) {
  return word.ends_with('s') || word.ends_with("men");
}

/// Calls line(text, number) for each line.
template <class Line>
void for_each_line(std::string_view text, Line&& line) {
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    line(text.substr(0, end), ++number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

/// The next of the words that blanks divide; "" at the end.
std::string_view next_word(std::string_view& text) {
  while (!text.empty() && is_ascii_space(text.front())) text.remove_prefix(1);
  std::size_t end = 0;
  while (end < text.size() && !is_ascii_space(text[end])) ++end;
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::string read_wordnet(const std::string& path) {
  try {
    return read_text(path, kMaxBytes);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kMissingFile) throw;
    throw Error(ErrorKind::kMissingFile, error.where(),
                "WordNet's list of nouns is not there: " + error.message(),
                "Debian's package wordnet-base has it in /usr/share/wordnet; or go without lemmas");
  }
}

[[noreturn]] void refuse(const std::string& path, std::size_t line, const char* expected) {
  throw Error(ErrorKind::kBadFormat, fmt::format("{}, line {}", path, line),
              fmt::format("not a file of WordNet: expected {}", expected),
              "take index.noun and noun.exc of WordNet 3.0 as they are");
}

}  // namespace

NounLemmas::NounLemmas(const std::string& folder)
    : NounLemmas{read_wordnet(folder + kIndex), read_wordnet(folder + kExceptions), folder} {}

NounLemmas::NounLemmas(std::string nouns, std::string_view exceptions, const std::string& folder)
    : index_(std::move(nouns)) {
  read_nouns(folder + kIndex);
  read_exceptions(exceptions, folder + kExceptions);
}

void NounLemmas::read_nouns(const std::string& path) {
  for_each_line(index_, [&](std::string_view line, std::size_t number) {
    if (line.empty() || line.front() == ' ') return;  // the licence at the top is indented
    const std::string_view noun = next_word(line);
    if (next_word(line) != "n") refuse(path, number, "\"noun n …\"");
    nouns_.insert(noun);
  });
  if (nouns_.empty()) refuse(path, 1, "nouns");
}

void NounLemmas::read_exceptions(std::string_view text, const std::string& path) {
  for_each_line(text, [&](std::string_view line, std::size_t number) {
    const std::string_view word = next_word(line);
    if (word.empty()) return;
    std::string_view best = is_noun(word) ? word : std::string_view();
    std::size_t lemmas = 0;
    for (std::string_view lemma = next_word(line); !lemma.empty(); lemma = next_word(line), ++lemmas)
      if (is_noun(lemma) && (best.empty() || lemma.size() < best.size())) best = lemma;
    if (lemmas == 0) refuse(path, number, "a word and its lemma");
    exceptions_.insert_or_assign(std::string(word), std::string(best.empty() ? word : best));
  });
}

std::string NounLemmas::lemma(std::string word) const {
  if (word.size() > kMaxWord) return word;
  if (const auto exception = exceptions_.find(word); exception != exceptions_.end()) return exception->second;
  if (!a_rule_applies(word)) return word;  // whether it is a noun or not
  const std::string* best = is_noun(word) ? &word : nullptr;
  std::vector<std::string> forms{word};
  while (!forms.empty()) {
    forms = apply_rules(forms);
    for (const std::string& form : forms)
      if (is_noun(form) && (best == nullptr || form.size() < best->size())) best = &form;
    if (best != nullptr) return *best;
  }
  return word;
}

}  // namespace telos::clustering
