#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "telos/io/labelled_text.h"

namespace telos {

/// One text of a file or folder before its label is understood.
struct LabelledRow {
  std::string text, label, place;  ///< place: "a.csv, line 7"
};

/// The rows of a text file in any of the formats of read_labelled_text(); `path` decides where content does
/// not.
std::vector<LabelledRow> parse_labelled_rows(std::string_view text, const std::string& path,
                                             const LabelledTextOptions& options);
/// The same of a directory.
std::vector<LabelledRow> read_labelled_folder(const std::string& path);

/// Tells the two classes apart. `where` names the file.
LabelledText label_rows(std::vector<LabelledRow> rows, const std::string& where,
                        const LabelledTextOptions& options);

/// Without white space of ASCII at its ends.
std::string_view trim_space(std::string_view text) noexcept;

}  // namespace telos
