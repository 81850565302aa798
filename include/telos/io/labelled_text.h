#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace telos {

/// Texts of two classes.
struct LabelledText {
  std::vector<std::string> texts{};
  std::vector<std::uint8_t> labels{};  ///< 1 positive, 0 negative
  std::string negative{}, positive{};  ///< the two label names as the file has them: "neg", "pos"
  std::vector<std::string> notes{};    ///< "2 empty texts were left out"
};

struct LabelledTextOptions {
  std::string text_column{};   ///< csv, tsv, jsonl: empty: text, review, sentence or the only other column
  std::string label_column{};  ///< empty: label, sentiment, polarity, class or the first with two values
  std::string positive{};  ///< which of the two labels counts as 1; empty: 1, pos, positive, true, yes, or
                           ///< the later in sorting order
};

/// Reads two-class labelled texts: csv or tsv with a header line; tsv or "label text" lines without one;
/// jsonl with an object a line; or a directory with the folders pos and neg (one text a file, in the order of
/// their names). Throws kMissingFile, kBadFormat naming file, line and column, kUsage (no such column: which
/// there are; one class only; more than two classes: the first three), kLimit.
LabelledText read_labelled_text(const std::string& path, const LabelledTextOptions& options = {});

}  // namespace telos
