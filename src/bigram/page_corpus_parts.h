#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bigram/page_parts.h"

// What the pages of a text share. (page_corpus.cpp)

namespace telos::bigram {

/// Rows and columns of a figure by last token and offset.
inline constexpr std::size_t kMostLast = 32, kMostOffsets = 64;

/// By sigmas(blocks) standard errors: of one block nothing is known.
bool is_above(const BlockMean& mean, double value);

/// Of the tokens that a figure has room for, the most frequent; and the sentence that says so.
std::vector<std::string> shown_names(const Corpus& corpus, std::size_t most);
std::string shown_text(const Corpus& corpus, std::size_t most);
std::vector<std::string> offset_names(std::size_t first, std::size_t last);
/// The first rows and columns of a matrix, for a heat map.
std::vector<std::vector<double>> rows_of(ConstMatrixView<double> m, std::size_t rows, std::size_t cols);

/// Header, text and windows; validation 0: nothing is chosen.
Report begin_corpus_report(const Corpus& corpus, const PageContext& context, std::uint64_t train,
                           std::uint64_t validation, std::uint64_t held_out);

}  // namespace telos::bigram
