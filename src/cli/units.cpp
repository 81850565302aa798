#include "cli/units.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <utility>

#include "telos/base/error.h"
#include "telos/text/token_units.h"

namespace telos::cli {
namespace {

std::unique_ptr<UnitSource> source_of(const TextArguments& a) {
  for (const std::string& path : a.paths)
    if (path == "-")
      throw Error(ErrorKind::kUnsupported, "stdin",
                  "a text is read twice or more often, and what comes through a pipe only once",
                  "write it to a file first");
  std::unique_ptr<TextParts> text = open_texts(a.paths);
  if (a.unit == "char") return text_units(std::move(text), Unit::kCharacter);
  if (a.unit == "word") return text_units(std::move(text), Unit::kWord);
  if (a.unit == "piece") return text_units(std::move(text), Unit::kPiece);
  if (!std::filesystem::exists(a.unit))
    throw Error(ErrorKind::kUsage, "--unit",
                fmt::format("expected char, word, piece or the path of a tokenizer, found \"{}\"",
                            printable(a.unit, 80)));
  return token_units(Tokenizer::load(a.unit), std::move(text));
}

}  // namespace

std::string TextArguments::subject() const {
  const std::string first = std::filesystem::path(paths.front()).filename().string();
  return paths.size() == 1 ? first : fmt::format("{} and {} more", first, paths.size() - 1);
}

void add_text_options(CLI::App& command, TextArguments& a, const std::string& kept) {
  command
      .add_option("TEXT", a.paths,
                  "A text file (UTF-8 or UTF-16, also as .gz), or several, in this order; no pipe")
      ->required();
  command
      .add_option(
          "--unit", a.unit,
          "What a token is: char, word, piece (between white space, with <eos> for the end of a line), or "
          "the path of a tokenizer (tokenizer.json, vocab.txt, …)")
      ->type_name("UNIT")
      ->capture_default_str();
  command.add_option("--vocab", a.vocabulary, kept)->type_name("V")->capture_default_str();
}

std::unique_ptr<UnitStream> open_units(const TextArguments& a, std::size_t vocabulary) {
  try {
    return std::make_unique<UnitStream>(source_of(a), vocabulary);
  } catch (const Error& error) {
    if (error.where() != "corpus") throw;
    throw Error(error.kind(), a.paths.front(), error.message(), error.hint());
  }
}

Corpus load_units(const TextArguments& a, std::size_t vocabulary) {
  return collect(*open_units(a, vocabulary));
}

}  // namespace telos::cli
