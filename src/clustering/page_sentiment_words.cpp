#include <fmt/format.h>

#include <algorithm>

#include "clustering/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/base/utf8.h"

namespace telos::clustering {

std::string quoted_list(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) out += i + 1 == words.size() ? " and " : ", ";
    out += "“" + words[i] + "”";
  }
  return out;
}

std::string word_name(const std::string& word, std::int32_t id) {
  return id == Vocabulary::kPadding ? "padding" : word;
}

std::string excerpt(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  std::size_t end = 0;
  while (end < bytes) {
    const std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(text.substr(end)));
    if (end + length > bytes) break;
    end += length;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string probability_text(double p) {
  constexpr double kMost = 0.9995;
  return p >= kMost ? "> 0.999" : format_number(p, 3);
}

std::string class_sentence(const SentimentModel& model, double probability) {
  const bool positive = probability >= 0.5;
  std::string name = positive ? model.positive : model.negative;
  if (!name.empty() && name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
  return fmt::format("{} with probability {}", name,
                     probability_text(positive ? probability : 1 - probability));
}

std::string model_line(const SentimentModel& model) {
  return fmt::format("d {} · {} · α {} · {} words{}", model.config.dim,
                     count_of(model.config.layers, "layer", "layers"), format_number(model.alpha),
                     format_count(model.vocabulary.size() - 1),
                     model.config.mask_padding ? " · padding masked" : "");
}

std::vector<Definition> sentiment_definitions() {
  return {
      {"leader",
       "A word that attends to itself alone, C_i = {i} with C_i = {j : ⟨z_i, z_j⟩ largest}. It never moves "
       "again; other words move to it: z_i ← z_i + α/(1+α) (m − z_i), m the mean of C_i. arXiv 2407.01602."},
      {"logit",
       "b + v·(1/n) Σ_i z_i^K = b + Σ_i (v·z_i^K)/n over the n positions after K layers; p = 1/(1 + "
       "e^−logit) "
       "is the probability of the positive class."},
      {"contribution",
       "Σ (v·z_i^K)/n over the positions that follow a leader by layer K: its part of the logit, exactly. "
       "Words that follow no single leader by then are a line of their own."},
      {"side", "v·x + b of the leader's vector x: positive in the half-space of the positive class."},
      {"logit without",
       "What the model says of the text with the word deleted wherever it occurs; padding fills its places "
       "where the text is shorter than the model reads, unless padding is masked. For padding: the text "
       "without any."},
      {"soft, hard",
       "Soft: attention by softmax(⟨z_i, z_j⟩/T), as published models are trained. Hard: its limit T → 0, "
       "equal "
       "weights on ties. Explanations are of hard attention."},
      {"without layers", "b + Σ_i (v·z_i^0)/n: each word for itself, a bag of word vectors."},
      {"padding",
       "Texts shorter than the model reads are filled with a padding word, which has a vector, attends, is "
       "attended to, and counts in the mean; models with masked padding have none."},
      {"K = 0", "The same model without layers, trained alike: a bag of word vectors."},
      {"logistic regression", "On counts of words, rows scaled to length 1, L2-regularised."},
      {"agreement", "Share of the test texts that soft and hard attention classify alike."},
      {"accuracy", "Share of the texts whose class is right; classes are separated at p = ½."},
      {"α", "Step of the layers: a word moves α/(1+α) of the way. It is trained, and kept positive."},
  };
}

std::vector<Definition> sentiment_definitions(std::initializer_list<std::string_view> terms) {
  std::vector<Definition> all = sentiment_definitions();
  std::erase_if(all, [&terms](const Definition& definition) {
    return std::find(terms.begin(), terms.end(), definition.term) == terms.end();
  });
  return all;
}

}  // namespace telos::clustering
