#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/clustering/page.h"

namespace telos::clustering {

/// A report with what every page of the lens has: header, provenance, and the definitions of its terms.
inline Report begin_report(const PageContext& context, std::vector<Definition> definitions) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.definitions = std::move(definitions);
  report.provenance = context.provenance;
  return report;
}

inline Cell whole_cell(std::size_t value) {
  return static_cast<std::int64_t>(value);
}

/// The terms of the page of `run`.
std::vector<Definition> hardmax_definitions();
/// The terms of the pages of `simulate` and the phase diagram, all or those named, in this order.
std::vector<Definition> lab_definitions();
std::vector<Definition> lab_definitions(std::initializer_list<std::string_view> terms);

/// “great”, “fun” and “wit”.
std::string quoted_list(const std::vector<std::string>& words);
/// The name of a word on a page: padding is no word.
std::string word_name(const std::string& word, std::int32_t id);
/// At most `bytes` of a text, cut between characters.
std::string excerpt(std::string_view text, std::size_t bytes);
/// "0.97"; "> 0.999" rather than 1.
std::string probability_text(double p);
/// "Positive with probability 0.97".
std::string class_sentence(const SentimentModel& model, double probability);
/// "d 2 · 8 layers · α 2.353 · 121,296 words".
std::string model_line(const SentimentModel& model);

/// The terms of the sentiment pages, all or those named, in this order.
std::vector<Definition> sentiment_definitions();
std::vector<Definition> sentiment_definitions(std::initializer_list<std::string_view> terms);

/// The words of an explained text on their way through the layers; no points for a model without layers.
Player path_player(const Explanation& explanation, const SentimentModel& model);

}  // namespace telos::clustering
