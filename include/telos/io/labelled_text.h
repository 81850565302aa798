#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace telos {

/// Texts of two classes.
struct LabelledText {
  std::vector<std::string> texts{};    ///< without white space at their ends
  std::vector<std::uint8_t> labels{};  ///< 1 positive, 0 negative
  std::string negative{}, positive{};  ///< the two label names as the file has them: "neg", "pos"
  std::vector<std::size_t> rows{};     ///< which text of the input each is, from 0; those left out count
  std::vector<std::string> notes{};    ///< "2 empty texts were left out, the first at a.tsv, line 7"
};

struct LabelledTextOptions {
  /// csv, tsv, jsonl: a column's name, or its number from 1 where columns have no names. Empty: text, review,
  /// sentence, content, comment, tweet or phrase; or the only column that is not the label.
  std::string text_column{};
  /// Empty: label, sentiment, polarity, class or target; or (csv, tsv) the only column with two values.
  std::string label_column{};
  /// Which of the two labels counts as 1. Empty: the larger of two numbers; pos, positive, true, yes or good,
  /// or the one that is not neg, negative, false, no or bad; or the later in sorting order.
  std::string positive{};
};

/// Reads two-class labelled texts, plain or compressed with gzip:
/// - csv (name *.csv; RFC 4180), with a line of column names or without: the first line has names if one of
///   them is among those above or in the options;
/// - tsv (the first line has a tab), likewise; quotes are characters;
/// - jsonl (the first character is {): an object a line;
/// - lines "label text" (all else); fastText's prefix __label__ is dropped from the labels;
/// - a directory with the folders pos and neg, or with two folders of any names: one text a file, in the
///   order of their names;
/// - a directory with a file *.pos and a file *.neg: one text a line.
/// Rows keep their order; of a directory the folder whose name sorts first comes first. Empty texts are left
/// out with a note. Throws kMissingFile, kBadFormat naming file, line and column, kUsage (no such column:
/// which there are; one class only; more than two classes: the first three), kUnsupported, kLimit.
LabelledText read_labelled_text(const std::string& path, const LabelledTextOptions& options = {});

}  // namespace telos
