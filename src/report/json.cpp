#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "collect.h"
#include "telos/base/version.h"
#include "telos/report/report.h"
#include "text.h"

namespace telos {
namespace {

using Json = nlohmann::ordered_json;

Json text(const std::string& value) {
  return report::valid_utf8(value);
}

/// JSON has no NaN: such a cell becomes null, and `not_finite` says where it stands and what it was.
Json cell(const Cell& value, std::size_t row, const std::string& column, Json& not_finite) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  if (const auto* words = std::get_if<std::string>(&value)) return text(*words);
  const auto* real = std::get_if<double>(&value);
  if (real == nullptr) return nullptr;
  if (std::isfinite(*real)) return *real;
  not_finite.push_back({{"row", row}, {"column", text(column)}, {"value", report::exact_number(*real)}});
  return nullptr;
}

Json table(const Table& source) {
  Json columns = Json::array(), rows = Json::array(), not_finite = Json::array();
  for (const Column& column : source.columns)
    columns.push_back({{"name", text(column.name)},
                       {"unit", text(column.unit)},
                       {"definition", text(column.definition)},
                       {"digits", column.digits}});
  for (std::size_t r = 0; r < source.rows.size(); ++r) {
    Json row = Json::array();
    for (std::size_t c = 0; c < source.columns.size(); ++c)
      row.push_back(c < source.rows[r].size() ? cell(source.rows[r][c], r, source.columns[c].name, not_finite)
                                              : nullptr);
    rows.push_back(std::move(row));
  }
  Json out = {{"id", text(source.id)},
              {"title", text(source.title)},
              {"caption", text(source.caption)},
              {"columns", std::move(columns)},
              {"rows", std::move(rows)}};
  if (!not_finite.empty()) out["not_finite"] = std::move(not_finite);
  return out;
}

Json figure(const Figure& source) {
  return {{"id", text(source.id)},   {"title", text(source.title)}, {"caption", text(source.caption)},
          {"alt", text(source.alt)}, {"marks", source.marks},       {"data", table(source.data)}};
}

/// What the picture shows; its numbers are those of the tables that come with it.
Json player(const Player& source) {
  return {{"id", text(source.id)},   {"title", text(source.title)},    {"caption", text(source.caption)},
          {"alt", text(source.alt)}, {"frames", source.frames.size()}, {"points", source.points.size()}};
}

template <class Range, class Make>
Json array(const Range& range, Make&& make) {
  Json out = Json::array();
  for (const auto& item : range) out.push_back(make(item));
  return out;
}

Json section(const Section& source) {
  Json out = {{"id", text(source.id)},
              {"title", text(source.title)},
              {"paragraphs", array(source.paragraphs, text)},
              {"figures", array(source.figures, figure)},
              {"tables", array(source.tables, table)}};
  if (!source.players.empty()) out["players"] = array(source.players, player);
  return out;
}

}  // namespace

std::string render_json(const Report& report) {
  const Json out = {
      {"schema", "telos.report/1"},
      {"telos", version()},
      {"command", text(report.command)},
      {"subject", text(report.subject)},
      {"verdict",
       {{"sentence", text(report.verdict.sentence)},
        {"basis", text(report.verdict.basis)},
        {"evidence", array(report.verdict.evidence, text)}}},
      {"keys", array(report.keys,
                     [](const KeyNumber& key) -> Json {
                       return {{"label", text(key.label)},
                               {"value", text(key.value)},
                               {"note", text(key.note)},
                               {"definition", text(key.definition)}};
                     })},
      {"facts",
       array(report.facts,
             [](const Report::Fact& fact) -> Json {
               return {{"label", text(fact.label)}, {"text", text(fact.text)}, {"remark", text(fact.remark)}};
             })},
      {"lead", array(report.lead, figure)},
      {"sections", array(report.sections, section)},
      {"definitions", array(report.definitions,
                            [](const Definition& definition) -> Json {
                              return {{"term", text(definition.term)}, {"text", text(definition.text)}};
                            })},
      {"provenance", array(report.provenance,
                           [](const auto& entry) -> Json {
                             return {{"name", text(entry.first)}, {"value", text(entry.second)}};
                           })},
      {"complete", report.complete},
      {"not_measured", array(report.not_measured, text)},
      {"remarks", array(report.remarks, text)}};
  return out.dump() + "\n";
}

}  // namespace telos
