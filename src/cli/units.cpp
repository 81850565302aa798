#include "cli/units.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/text/tokenizer.h"

namespace telos::cli {
namespace {

std::string read_texts(const std::vector<std::string>& paths) {
  std::string all;
  for (const std::string& path : paths) {
    if (!all.empty() && all.back() != '\n') all += '\n';
    all += read_text(path);
  }
  return all;
}

}  // namespace

std::string TextArguments::subject() const {
  const std::string first = std::filesystem::path(paths.front()).filename().string();
  return paths.size() == 1 ? first : fmt::format("{} and {} more", first, paths.size() - 1);
}

void add_text_options(CLI::App& command, TextArguments& a, const std::string& kept) {
  command
      .add_option("TEXT", a.paths, "A text file (UTF-8 or UTF-16, also as .gz), or several, in this order")
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

Corpus load_units(const TextArguments& a, std::size_t vocabulary) {
  const std::string text = read_texts(a.paths);
  try {
    if (a.unit == "char") return read_units(text, Unit::kCharacter, vocabulary);
    if (a.unit == "word") return read_units(text, Unit::kWord, vocabulary);
    if (a.unit == "piece") return read_units(text, Unit::kPiece, vocabulary);
    if (!std::filesystem::exists(a.unit))
      throw Error(ErrorKind::kUsage, "--unit",
                  fmt::format("\"{}\" is neither char, word, piece nor a file", printable(a.unit, 80)));
    const Tokenizer tokenizer = Tokenizer::load(a.unit);
    return keep_frequent(tokenizer.encode(text, false).ids, vocabulary,
                         [&](std::int32_t id) { return std::string(tokenizer.token(id)); });
  } catch (const Error& error) {
    if (error.where() != "corpus") throw;
    throw Error(error.kind(), a.paths.front(), error.message(), error.hint());
  }
}

}  // namespace telos::cli
