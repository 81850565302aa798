#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "telos/io/units.h"

namespace CLI {
class App;
}

namespace telos::cli {

/// A text, or several in a row, and what its tokens are.
struct TextArguments {
  std::vector<std::string> paths;
  std::string unit = "char";
  std::size_t vocabulary = 64;

  /// "notes.txt", "valid.txt and 1 more".
  std::string subject() const;
};
/// `kept` says what --vocab counts.
void add_text_options(CLI::App& command, TextArguments& a, const std::string& kept);
/// At most `vocabulary` tokens, which are read from the files whenever they are asked for. Errors name the
/// first file.
std::unique_ptr<UnitStream> open_units(const TextArguments& a, std::size_t vocabulary);
/// The same in memory.
Corpus load_units(const TextArguments& a, std::size_t vocabulary);

}  // namespace telos::cli
