#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "clustering/sentiment_lab_parts.h"

// Bags of words in the shape of a network's inputs.
namespace telos::clustering {

/// The most words that a bag of any set holds.
inline std::size_t widest_bag(const SentimentData& data) {
  std::size_t rows = 1;
  for (const BagSet* set : {&data.train, &data.validation, &data.test})
    for (const WordBag& bag : set->bags) rows = std::max(rows, bag.ids.size());
  return rows;
}

/// Some bags as the network takes them: rows that a bag does not fill have the padding's id and count 0.
class BagBatch {
 public:
  explicit BagBatch(std::size_t rows) : rows_(rows) {}

  template <class Index>
  const nn::Batch<float>& fill(const BagSet& set, std::size_t count, const Index& index) {
    ids_.assign(count * rows_, Vocabulary::kPadding);
    counts_.assign(count * rows_, 0.0f);
    targets_.resize(count);
    for (std::size_t s = 0; s < count; ++s) {
      const std::size_t i = index(s);
      const WordBag& bag = set.bags[i];
      std::copy(bag.ids.begin(), bag.ids.end(), ids_.data() + s * rows_);
      std::copy(bag.counts.begin(), bag.counts.end(), counts_.data() + s * rows_);
      targets_[s] = static_cast<float>(set.labels[i]);
    }
    batch_.samples = count;
    batch_.index = {ids_};
    batch_.real = {{counts_.data(), count * rows_, 1}, {targets_.data(), count, 1}};
    return batch_;
  }

 private:
  std::size_t rows_;
  std::vector<std::int32_t> ids_{};
  std::vector<float> counts_{}, targets_{};
  nn::Batch<float> batch_{};
};

}  // namespace telos::clustering
