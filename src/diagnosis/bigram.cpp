#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/quantity.h"
#include "telos/bigram/page.h"
#include "telos/text/tokenizer.h"

namespace telos {
namespace {

/// Tokens of a text that the sparse contextual bigram is fitted to.
constexpr std::size_t kMostTokens = 200'000;

/// The text, and where its next token is informed.
struct ReadText {
  bigram::HeadCorpus corpus;
  std::unordered_map<std::int32_t, std::uint16_t> token_of;  // by id
  std::size_t tokens = 0;
};

std::optional<ReadText> read_text(const std::string& model, const DiagnoseOptions& options,
                                  std::size_t max_offset, std::size_t vocabulary, const Arena& arena) {
  if (!options.text && !options.ids) return std::nullopt;
  std::vector<std::int32_t> ids;
  std::optional<Tokenizer> tokenizer;
  if (options.ids) {
    ids = *options.ids;
  } else {
    tokenizer = Tokenizer::load(tokenizer_of(Checkpoint::open(model, {.partial = options.partial}), options));
    ids = tokenizer->encode(*options.text, false).ids;
  }
  ids.resize(std::min(ids.size(), kMostTokens));
  const Corpus corpus = keep_frequent(ids, vocabulary, [&](std::int32_t id) {
    return tokenizer ? std::string(tokenizer->token(id)) : std::to_string(id);
  });
  bigram::MixtureOptions mixture;
  mixture.max_offset = max_offset;
  ReadText text{
      {corpus.names, fit_mixture(corpus.tokens, corpus.vocabulary(), mixture, arena).q}, {}, ids.size()};
  for (std::size_t i = 0; i < ids.size(); ++i) text.token_of[ids[i]] = corpus.tokens[i];
  return text;
}

/// The tokens of the corpus at the rows of a trace. Tokens beyond kMostTokens may be new: the last one stands
/// for the rare ones.
std::vector<std::uint16_t> tokens_at(const std::vector<std::int32_t>& ids, const ReadText& text) {
  const auto rest = static_cast<std::uint16_t>(text.corpus.names.size() - 1);
  std::vector<std::uint16_t> tokens;
  for (const std::int32_t id : ids) {
    const auto known = text.token_of.find(id);
    tokens.push_back(known == text.token_of.end() ? rest : known->second);
  }
  return tokens;
}

}  // namespace

void add_offsets(Report& report, const Trace& trace, const std::vector<std::int32_t>& ids,
                 const std::vector<std::uint8_t>& exclude, const Arena& arena) {
  if (trace.attention.empty() || trace.tokens < 8) return;
  bigram::HeadOptions options;
  options.exclude = exclude;
  const bigram::HeadText text{ids, {}, {}};
  const bigram::HeadMeasures measures = measure_heads(trace, ids.empty() ? nullptr : &text, options, arena);
  report.sections.push_back(heads_section(measures, nullptr, "look-"));
  for (const Definition& d : bigram::bigram_definitions())
    if (d.term == "offset of attention" || d.term == "induction-like") report.definitions.push_back(d);
}

Report bigram_heads(const std::string& model, const DiagnoseOptions& options, bigram::HeadOptions heads,
                    std::size_t vocabulary, const Arena& arena) {
  const TracedText traced = trace_of(model, options, {.hidden = false, .attention = true}, arena);
  if (!traced.special.empty()) heads.exclude = traced.special;
  PageContext page{.command = "bigram heads",
                   .subject = subject_of(model),
                   .facts = traced.facts,
                   .provenance = provenance(options.command_line, arena)};
  if (traced.ids.empty())
    return heads_report(measure_heads(traced.trace, nullptr, heads, arena), nullptr, page);
  // The offsets that the windows tell apart: further ones of the text's q have no attention beside them.
  const std::size_t offsets = bigram::usable_offset(traced.trace, heads);
  const std::optional<ReadText> text = read_text(model, options, offsets, vocabulary, arena);
  const std::vector<std::uint16_t> tokens = tokens_at(traced.ids, *text);
  const bigram::HeadText rows{traced.ids, tokens, text->corpus.q};
  page.facts.push_back({"bigram",
                        fmt::format("{} tokens · the {} most frequent told apart · offsets 0 to {}",
                                    text->tokens, text->corpus.names.size(), offsets),
                        "the most likely sparse contextual bigram of the text"});
  Report report = heads_report(measure_heads(traced.trace, &rows, heads, arena), &text->corpus, page);
  append(report.not_measured, traced.left_out);
  return report;
}

}  // namespace telos
