#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "read_back.h"
#include "report/text.h"
#include "sample.h"
#include "telos/base/error.h"
#include "telos/report/report.h"

namespace telos {
namespace {

using Json = nlohmann::ordered_json;
using test::calm_report;
using test::sample_report;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(Terminal, IsOneScreenInTheDocumentedOrder) {
  const std::string text = render_terminal(calm_report());
  const std::vector<std::string> screen = lines(text);
  EXPECT_LE(screen.size(), 40u);
  EXPECT_THAT(screen[0], testing::MatchesRegex("telos [0-9.]+  diagnose  all-MiniLM-L6-v2"));
  const std::size_t verdict = text.find("  Tokens grow alike"), key = text.find("  mean cosine"),
                    table = text.find(" layer ");
  EXPECT_LT(text.find("model   BERT"), verdict);
  EXPECT_LT(verdict, key);
  EXPECT_LT(key, table);
  EXPECT_LT(table, text.find("not measured: perplexity"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(Terminal, RemarksStandInOneColumn) {
  const std::vector<std::string> screen = lines(render_terminal(calm_report(), {false, 140}));
  const auto column = [](const std::string& line, const char* word) {
    return report::display_width(line.substr(0, line.find(word)));
  };
  EXPECT_EQ(column(screen[1], "model.safetensors"), column(screen[2], "forward"));
  EXPECT_EQ(column(screen[2], "forward"), column(screen[4], "measured on"));
}

TEST(Terminal, NumbersEndInOneColumn) {
  Report r;
  Table t{"t", "t", "", {{"name", "", "", 4}, {"value", "", "", 3}}, {}, true};
  for (const double v : {0.5, -1.0 / 3, 12345.0, std::nan("")})
    t.rows.push_back({std::string(v < 0 ? "日本" : "é"), v});
  r.sections = {{"s", "s", {}, {}, {t}}};
  const std::vector<std::string> screen = lines(render_terminal(r));
  const std::size_t width = report::display_width(screen.back());
  for (std::size_t i = screen.size() - 5; i < screen.size(); ++i)
    EXPECT_EQ(report::display_width(screen[i]), width) << screen[i];
}

TEST(Terminal, KeepsToItsWidth) {
  const Report r = calm_report();
  for (const std::size_t width : {60u, 80u, 100u, 120u, 160u})
    for (const std::string& line : lines(render_terminal(r, {false, width})))
      EXPECT_LE(report::display_width(line), width) << line;
}

TEST(Terminal, ALongTableSaysWhatItLeavesOut) {
  Report r;
  Table t{"t", "t", "", {{"n", "", "", 4}}, {}, true};
  for (std::int64_t i = 0; i < 1000; ++i) t.rows.push_back({i});
  r.sections = {{"s", "s", {}, {}, {t}}};
  const std::string text = render_terminal(r);
  EXPECT_LE(lines(text).size(), 40u);
  EXPECT_THAT(text, HasSubstr("976 rows more"));
  EXPECT_THAT(text, HasSubstr("999"));
}

TEST(Terminal, AListThatWasAskedForIsWhole) {
  Report r;
  Table t{"t", "t", "", {{"n", "", "", 4}, {"what", "", ""}, {"claim", "", ""}}, {}, true, true};
  for (std::int64_t i = 0; i < 100; ++i) t.rows.push_back({i, std::string(80, 'w'), std::string(90, 'c')});
  r.sections = {{"s", "s", {}, {}, {t}}};
  const std::string text = render_terminal(r);
  EXPECT_THAT(text, Not(HasSubstr("more")));
  EXPECT_THAT(text, Not(HasSubstr("…")));
  EXPECT_THAT(text, HasSubstr(" 57   " + std::string(80, 'w') + "   " + std::string(90, 'c') + "\n"));
}

TEST(Terminal, NotesOfKeysStandInOneColumn) {
  Report r;
  std::string words = "(";
  for (int i = 0; i < 30; ++i) words += "word ";
  r.keys = {{"short", "11", words + "end)", ""}, {"a longer label", "after 100,000 layers", "(why)", ""}};
  const std::vector<std::string> screen = lines(render_terminal(r));
  ASSERT_EQ(screen.size(), 4u);
  EXPECT_EQ(screen[1].find('('), screen[3].find('('));
  EXPECT_EQ(screen[2].find_first_not_of(' '), screen[3].find("after"));
}

TEST(Terminal, ARemarkIsNotSomethingUnmeasured) {
  Report r;
  r.remarks = {"the bound is vacuous"};
  EXPECT_THAT(render_terminal(r), HasSubstr("\n  note: the bound is vacuous\n"));
  EXPECT_THAT(render_terminal(r), Not(HasSubstr("not measured")));
}

TEST(Terminal, ColourIsForTheVerdictOnly) {
  const std::string plain = render_terminal(calm_report(), {false, 120}),
                    colored = render_terminal(calm_report(), {true, 120});
  EXPECT_EQ(test::between(colored, "\x1b[1m", "\x1b[0m"),
            (std::vector<std::string>{"  Tokens grow alike through depth, but do not collapse."}));
  std::string stripped = colored;
  for (const std::string code : {"\x1b[1m", "\x1b[0m"}) stripped.erase(stripped.find(code), code.size());
  EXPECT_EQ(stripped, plain);
}

TEST(Terminal, HostileStringsCannotSteerIt) {
  const std::string text = render_terminal(sample_report(), {false, 100});
  for (const char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int{c};
  EXPECT_EQ(report::valid_utf8(text), text);
}

TEST(Markdown, EveryTableRowHasItsColumns) {
  std::size_t columns = 0, rows = 0;
  for (const std::string& line : lines(render_markdown(sample_report()))) {
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    if (bars == 0) {
      columns = 0;
      continue;
    }
    EXPECT_EQ(line.front(), '|');
    EXPECT_EQ(line.back(), '|');
    if (columns == 0) columns = bars;
    EXPECT_EQ(bars, columns) << line;
    ++rows;
  }
  EXPECT_GT(rows, 10u);
}

TEST(Markdown, HoldsNoRawHtml) {
  EXPECT_THAT(render_markdown(sample_report()), Not(HasSubstr("<")));
}

void expect_same_numbers(const Table& table, const Json& json) {
  ASSERT_EQ(json["rows"].size(), table.rows.size());
  std::size_t special = 0;
  for (std::size_t r = 0; r < table.rows.size(); ++r)
    for (std::size_t c = 0; c < table.rows[r].size(); ++c) {
      const Json& cell = json["rows"][r][c];
      if (const auto* real = std::get_if<double>(&table.rows[r][c])) {
        if (std::isfinite(*real)) {
          EXPECT_TRUE(test::same(cell.get<double>(), *real));
        } else {
          EXPECT_TRUE(cell.is_null());
          EXPECT_EQ(json["not_finite"][special]["row"], r);
          EXPECT_EQ(json["not_finite"][special]["value"], report::exact_number(*real));
          ++special;
        }
      } else if (const auto* whole = std::get_if<std::int64_t>(&table.rows[r][c])) {
        EXPECT_EQ(cell.get<std::int64_t>(), *whole);
      }
    }
}

TEST(JsonOutput, HoldsEveryNumberWithAllItsDigits) {
  const Report r = sample_report();
  const Json json = Json::parse(render_json(r));
  EXPECT_EQ(json["schema"], "telos.report/1");
  std::vector<Json> tables;
  for (const Json& figure : json["lead"]) tables.push_back(figure["data"]);
  for (const Json& section : json["sections"]) {
    for (const Json& figure : section["figures"]) tables.push_back(figure["data"]);
    for (const Json& table : section["tables"]) tables.push_back(table);
  }
  const std::vector<const Table*> expected = test::tables_of(r);
  ASSERT_EQ(tables.size(), expected.size());
  for (std::size_t i = 0; i < tables.size(); ++i) expect_same_numbers(*expected[i], tables[i]);
}

TEST(JsonOutput, KeysKeepTheirOrder) {
  std::vector<std::string> keys;
  const Json json = Json::parse(render_json(calm_report()));
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"schema", "telos", "command", "subject", "verdict", "keys",
                                            "facts", "lead", "sections", "definitions", "provenance",
                                            "complete", "not_measured", "remarks"}));
  EXPECT_EQ(render_json(calm_report()), render_json(calm_report()));
}

TEST(JsonOutput, StringsComeBack) {
  const Json json = Json::parse(render_json(sample_report()));
  const auto& hostile = test::hostile_strings();
  for (std::size_t i = 0; i < hostile.size(); ++i)
    EXPECT_EQ(json["not_measured"][i], report::valid_utf8(hostile[i]));
}

TEST(Csv, ReadsBackAsTheSameCells) {
  const Report r = sample_report();
  for (const Table* table : test::tables_of(r)) {
    const auto rows = test::parse_csv(render_csv(*table));
    ASSERT_EQ(rows.size(), table->rows.size() + 1);
    for (std::size_t c = 0; c < table->columns.size(); ++c)
      EXPECT_EQ(rows[0][c], report::valid_utf8(table->columns[c].name));
    for (std::size_t i = 0; i < table->rows.size(); ++i) {
      ASSERT_EQ(rows[i + 1].size(), table->columns.size());
      for (std::size_t c = 0; c < table->rows[i].size(); ++c) {
        const Cell& cell = table->rows[i][c];
        if (const auto* real = std::get_if<double>(&cell)) {
          EXPECT_TRUE(test::same(std::strtod(rows[i + 1][c].c_str(), nullptr), *real)) << rows[i + 1][c];
        } else if (const auto* words = std::get_if<std::string>(&cell)) {
          EXPECT_EQ(rows[i + 1][c], report::valid_utf8(*words));
        }
      }
    }
  }
}

TEST(Csv, ChoosesATable) {
  const Report r = calm_report();
  EXPECT_THAT(render_csv(r), testing::StartsWith("layer,cos,hfc/lfc"));
  EXPECT_THAT(render_csv(r, "heads"), testing::StartsWith("head,gain"));
  EXPECT_THAT(render_csv(r, "spectrum"), testing::StartsWith("group,key"));
  EXPECT_EQ(render_csv(Report{}), "");
  try {
    render_csv(r, "nothing");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.hint(), HasSubstr("heads"));
  }
}

TEST(ReportFiles, HaveDistinctNamesInsideTheFolder) {
  std::set<std::string> names;
  for (const auto& [name, content] : report_files(sample_report())) {
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_THAT(
        name, testing::MatchesRegex(
                  "(report\\.(html|json)|tables/[A-Za-z0-9._-]+\\.csv|figures/[A-Za-z0-9._-]+\\.vl\\.json)"));
    EXPECT_FALSE(content.empty());
  }
  EXPECT_TRUE(names.count("report.html") && names.count("report.json") && names.count("tables/heads.csv") &&
              names.count("figures/gain-map.vl.json"));
}

}  // namespace
}  // namespace telos
