#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/clustering/explain.h"

namespace telos::clustering {

/// v·x.
template <class Real>
double decode(const SentimentModel& model, const Real* x) {
  double sum = 0;
  for (std::size_t c = 0; c < model.v.size(); ++c)
    sum += static_cast<double>(model.v[c]) * static_cast<double>(x[c]);
  return sum;
}
/// v·x of a word's own vector.
inline double decode_word(const SentimentModel& model, std::int32_t id) {
  return decode(model, model.embedding.row(static_cast<std::size_t>(id)));
}

/// The system of a text: a row for each word of the bag, then one for each further copy, in the words' order.
Matrix<double> tokens_of(const SentimentModel& model, const WordBag& bag);

/// A text after the model's K hard layers, by word of the bag.
struct ResolvedText {
  struct Lead {
    std::size_t word = 0, emergence = 0;
  };
  std::vector<Lead> leaders;        ///< by emergence, then word
  std::vector<std::size_t> leader;  ///< of each word: index into `leaders`, kNone
  std::vector<double> says;         ///< copies·(v·z^K)/n
  double logit = 0;                 ///< b + Σ says; b alone for an empty bag
};
ResolvedText resolve(const SentimentModel& model, const WordBag& bag, const Arena& arena);

}  // namespace telos::clustering
