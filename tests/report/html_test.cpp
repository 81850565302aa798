#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "read_back.h"
#include "report/assets.h"
#include "report/text.h"
#include "sample.h"
#include "telos/base/philox.h"
#include "telos/report/charts.h"
#include "tests/repeats.h"

namespace telos {
namespace {

using Json = nlohmann::ordered_json;
using test::between;
using testing::HasSubstr;

/// The page without what is fixed: style, scripts, data. What remains is made from the report's strings.
std::string markup(std::string page) {
  for (const auto& [begin, end] : {std::pair{"<style>", "</style>"}, {"<script", "</script>"}})
    for (std::size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at)) {
      const std::size_t stop = page.find(end, at);
      if (stop == std::string::npos) return page;
      page.erase(at, stop + std::string(end).size() - at);
    }
  return page;
}

Json page_data(const std::string& page) {
  return Json::parse(
      between(page, "<script type=\"application/json\" id=\"telos-data\">", "</script>").at(0));
}

TEST(Html, TagsAreTheRenderersOwn) {
  static const std::set<std::string> kTags = {
      "!doctype", "html",  "head",    "meta",  "title", "body",   "a",   "div",     "nav",    "details",
      "summary",  "ol",    "ul",      "li",    "main",  "header", "p",   "h1",      "h2",     "h3",
      "dl",       "dt",    "dd",      "span",  "i",     "small",  "sub", "section", "figure", "figcaption",
      "noscript", "table", "caption", "thead", "tbody", "tr",     "th",  "td"};
  static const std::set<std::string> kAttributes = {
      "lang",        "charset",       "http-equiv", "content",     "name",     "class",          "href",
      "id",          "aria-label",    "open",       "role",        "tabindex", "scope",          "html",
      "data-figure", "data-promised", "data-table", "data-column", "data-key", "data-stays-open"};
  const std::string page = markup(render_html(test::sample_report()));
  std::size_t tags = 0;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1), ++tags) {
    std::string tag = page.substr(at + 1, page.find('>', at) - at - 1);
    if (tag.front() == '/') tag.erase(0, 1);
    const std::string name = tag.substr(0, tag.find(' '));
    EXPECT_EQ(kTags.count(name), 1u) << tag;
    // Attribute values are quoted and hold no quote, so names are what remains outside quotes.
    std::string outside;
    bool quoted = false;
    for (const char c : tag.substr(name.size())) {
      if (c == '"')
        quoted = !quoted;
      else if (!quoted)
        outside += c == '=' ? ' ' : c;
    }
    EXPECT_FALSE(quoted) << tag;
    std::istringstream words(outside);
    for (std::string word; words >> word;) EXPECT_EQ(kAttributes.count(word), 1u) << tag;
  }
  EXPECT_GT(tags, 500u);
}

TEST(Html, ScriptsAreTheFourOfTheLibraryAndTheData) {
  const std::string page = render_html(test::sample_report());
  const report::Assets assets = report::assets();
  EXPECT_EQ(between(page, "<script>", "</script>"),
            (std::vector<std::string>{std::string(assets.vega), std::string(assets.vega_lite),
                                      std::string(assets.vega_embed), std::string(assets.page_js)}));
  std::size_t ends = 0;
  for (std::size_t at = page.find("</script"); at != std::string::npos; at = page.find("</script", at + 1))
    ++ends;
  EXPECT_EQ(ends, 5u);
}

TEST(Html, ReachesForNothingOutside) {
  const std::string page = render_html(test::sample_report());
  const std::string policy = between(page, "Content-Security-Policy\" content=\"", "\"").at(0);
  EXPECT_THAT(policy, testing::StartsWith("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(policy, testing::Not(HasSubstr("unsafe-eval")));
  EXPECT_THAT(policy, testing::Not(HasSubstr("http")));
  for (const std::string& target : between(markup(page), "href=\"", "\""))
    EXPECT_EQ(target.front(), '#') << target;
  EXPECT_THAT(std::string(report::assets().page_css), testing::Not(HasSubstr("url(")));
}

TEST(Html, LinksLeadSomewhereAndIdsAreUnique) {
  const std::string page = markup(render_html(test::sample_report()));
  std::set<std::string> ids;
  for (const std::string& id : between(page, " id=\"", "\"")) EXPECT_TRUE(ids.insert(id).second) << id;
  for (const std::string& target : between(page, "href=\"#", "\""))
    EXPECT_EQ(ids.count(target), 1u) << target;
}

/// Column values of a table in the page's data, as numbers or text.
Json expanded(const Json& column) {
  if (column.contains("values")) return column["values"];
  Json out = Json::array();
  for (const Json& index : column["at"]) out.push_back(column["of"][index.get<std::size_t>()]);
  return out;
}

TEST(Html, CarriesTheSameNumbersAsTheReport) {
  const Report r = test::sample_report();
  const Json data = page_data(render_html(r));
  const std::vector<const Table*> tables = test::tables_of(r);
  ASSERT_EQ(data["tables"].size(), tables.size());
  std::size_t t = 0, compared = 0;
  for (const auto& [name, table] : data["tables"].items()) {
    const Table& source = *tables[t++];
    for (std::size_t c = 0; c < source.columns.size(); ++c) {
      const Json values = expanded(table["columns"][c]);
      std::map<std::size_t, std::string> special;
      if (table["columns"][c].contains("special"))
        for (const Json& entry : table["columns"][c]["special"])
          special[entry[0].get<std::size_t>()] = entry[1];
      ASSERT_EQ(values.size(), source.rows.size());
      for (std::size_t i = 0; i < source.rows.size(); ++i) {
        if (const auto* real = std::get_if<double>(&source.rows[i][c])) {
          if (std::isfinite(*real))
            EXPECT_TRUE(test::same(values[i].get<double>(), *real));
          else
            EXPECT_EQ(special[i], report::exact_number(*real));
          ++compared;
        } else if (const auto* words = std::get_if<std::string>(&source.rows[i][c])) {
          EXPECT_EQ(values[i], report::valid_utf8(*words));
        }
      }
    }
  }
  EXPECT_GT(compared, 1000u);
}

TEST(Html, SpecificationsReferToTheirTables) {
  const Json data = page_data(render_html(test::sample_report()));
  EXPECT_EQ(data["figures"].size(), 11u);
  for (const Json& figure : data["figures"]) {
    EXPECT_FALSE(figure["spec"]["data"].contains("values")) << figure["id"];
    EXPECT_EQ(figure["fields"].size(), data["tables"][figure["table"].get<std::string>()]["columns"].size());
  }
}

TEST(Html, AForeignSpecificationKeepsItsData) {
  Report r = test::calm_report();
  r.lead[0].vega_lite = R"({"mark":"point","data":{"values":[{"x":1}]},"encoding":{"x":{"field":"x"}}})";
  const Json data = page_data(render_html(r));
  EXPECT_EQ(data["figures"][0]["spec"]["data"]["values"][0]["x"], 1);
  r.lead[0].vega_lite = "not JSON";
  EXPECT_FALSE(page_data(render_html(r))["figures"][0].contains("spec"));
}

TEST(Html, EveryTableHasCaptionAndScopes) {
  const std::string page = markup(render_html(test::calm_report()));
  for (const std::string& table : between(page, "<table", "</table>")) {
    EXPECT_THAT(table, HasSubstr("<caption>"));
    EXPECT_THAT(table, HasSubstr("scope=\"col\""));
    EXPECT_THAT(table, HasSubstr("scope=\"row\""));
  }
  EXPECT_EQ(between(page, "<noscript>", "</noscript>").size(), 6u);
}

TEST(Html, HeadsHaveTheirOwnLinks) {
  const std::string page = render_html(test::calm_report());
  EXPECT_THAT(page, HasSubstr("<tr id=\"head-5.7\" data-key=\"5.7\">"));
  EXPECT_THAT(page, HasSubstr("<a href=\"#head-5.7\">5.7</a>"));
}

TEST(Html, AnEmptyReportIsAPage) {
  EXPECT_THAT(render_html({}), testing::EndsWith("</html>\n"));
}

TEST(Html, NeverExceedsTwoMegabytes) {
  if (kSanitized) GTEST_SKIP() << "smaller pages run the same code";
  Report r = test::calm_report();
  Random random(1);
  for (int f = 0; f < 6; ++f) {
    std::vector<ScatterPoint> points;
    for (int i = 0; i < 20000; ++i)
      points.push_back({random.normal(), random.normal(), "g",
                        std::to_string(i / 100) + "." + std::to_string(i % 100), "note"});
    ChartText text;
    text.id = "big";
    r.sections[0].figures.push_back(scatter_chart(text, points, {{0, 1, "d", true}}));
  }
  const std::string page = render_html(r);
  EXPECT_LE(page.size(), 2'000'000u);
  const Json data = page_data(page);
  const std::vector<std::string> promised = between(page, "data-promised=\"", "\"");
  ASSERT_EQ(data["figures"].size(), promised.size());
  for (std::size_t i = 0; i < promised.size(); ++i) {
    const Json& figure = data["figures"][i];
    if (figure["table"].get<std::string>().rfind("big", 0) != 0) continue;
    const std::size_t drawn =
        figure.contains("rows")
            ? figure["rows"].size()
            : data["tables"][figure["table"].get<std::string>()]["rows"].get<std::size_t>();
    EXPECT_GT(drawn, 100u);
    EXPECT_LE(std::stoul(promised[i]), drawn + 1);
  }
}

}  // namespace
}  // namespace telos
