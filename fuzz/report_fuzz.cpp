// Reports whose strings and numbers are arbitrary, through all renderers: JSON reads back, CSV and Markdown
// keep their columns, the terminal gets no control characters, and HTML holds only the renderer's own tags.
#include <fuzzer/FuzzedDataProvider.h>

#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include "report/text.h"
#include "support.h"
#include "telos/report/charts.h"
#include "telos/report/report.h"

namespace {

using namespace telos;

class Source {
 public:
  Source(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}
  std::string text() { return bytes_.ConsumeRandomLengthString(48); }
  /// Any 64 bits: subnormal numbers, infinities and NaNs come often.
  double number() {
    const auto kind = bytes_.ConsumeIntegralInRange(0, 3);
    return kind == 0 ? std::bit_cast<double>(bytes_.ConsumeIntegral<std::uint64_t>())
                     : bytes_.ConsumeIntegralInRange(-40, 40) / 8.0;
  }
  std::size_t count() { return bytes_.ConsumeIntegralInRange<std::size_t>(0, 6); }
  std::vector<double> numbers() {
    std::vector<double> out(count());
    for (double& v : out) v = number();
    return out;
  }
  std::vector<std::string> texts() {
    std::vector<std::string> out(count());
    for (std::string& s : out) s = text();
    return out;
  }
  bool flag() { return bytes_.ConsumeBool(); }

 private:
  FuzzedDataProvider bytes_;
};

ChartText chart_text(Source& s) {
  ChartText out{s.text(), s.text(), s.text(), s.text(), s.text(), s.text()};
  out.log_x = s.flag();
  out.log_y = s.flag();
  return out;
}

std::vector<Figure> figures(Source& s) {
  std::vector<Figure> out;
  std::vector<Series> series(s.count() / 2);
  for (Series& one : series) one = {s.text(), s.numbers(), s.numbers(), s.numbers(), s.numbers(), s.flag()};
  out.push_back(line_chart(chart_text(s), series));
  std::vector<ScatterPoint> points(s.count());
  for (ScatterPoint& p : points) p = {s.number(), s.number(), s.text(), s.text(), s.text()};
  std::vector<Disk> disks(s.count() / 3);
  for (Disk& d : disks) d = {s.number(), s.number(), s.text(), s.flag()};
  out.push_back(scatter_chart(chart_text(s), points, disks));
  std::vector<Bar> bars(s.count());
  for (Bar& b : bars) b = {s.text(), s.text(), s.text(), s.number(), s.number()};
  out.push_back(bar_chart(chart_text(s), bars));
  std::vector<std::vector<double>> values(s.count());
  for (auto& row : values) row = s.numbers();
  out.push_back(heat_map(chart_text(s), s.texts(), s.texts(), values, s.text(), s.flag()));
  return out;
}

Table table(Source& s) {
  Table out{s.text(), s.text(), s.text(), {}, {}, s.flag()};
  out.columns.resize(s.count());
  for (Column& c : out.columns) c = {s.text(), s.text(), s.text(), static_cast<int>(s.count())};
  out.rows.resize(s.count());
  for (auto& row : out.rows)
    // Rows may be shorter than the table is wide.
    for (std::size_t c = s.count(); c < out.columns.size(); ++c)
      row.push_back(s.flag() ? Cell(s.number()) : s.flag() ? Cell(s.text()) : Cell());
  return out;
}

Report report_from(Source& s) {
  Report r;
  r.command = s.text();
  r.subject = s.text();
  r.verdict = {s.text(), s.text(), s.texts()};
  r.facts.push_back({s.text(), s.text(), s.text()});
  r.keys.push_back({s.text(), s.text(), s.text(), s.text()});
  Section section{s.text(), s.text(), s.texts(), figures(s), {table(s), table(s)}};
  r.sections.push_back(std::move(section));
  r.definitions.push_back({s.text(), s.text()});
  r.provenance.emplace_back(s.text(), s.text());
  r.not_measured = s.texts();
  return r;
}

void check_html(const std::string& page) {
  static const std::set<std::string> kTags = {
      "!doctype", "html",  "head",    "meta",  "title", "body",   "a",   "div",     "nav",    "details",
      "summary",  "ol",    "ul",      "li",    "main",  "header", "p",   "h1",      "h2",     "h3",
      "dl",       "dt",    "dd",      "span",  "i",     "small",  "sub", "section", "figure", "figcaption",
      "noscript", "table", "caption", "thead", "tbody", "tr",     "th",  "td"};
  // The library's scripts end every page and are the same in all; the style stands in its head.
  static const std::string kTail = [] {
    const std::string empty = render_html({});
    return empty.substr(empty.find("<script>"));
  }();
  fuzz::require(page.ends_with(kTail) && page.find("<script>") == page.size() - kTail.size(),
                "a foreign script");
  const std::string own = page.substr(0, page.size() - kTail.size());
  const std::size_t data = own.find("<script type=\"application/json\""), end = own.find("</script", data);
  fuzz::require(own.find("<script") == data && own.find("</script") == end &&
                    own.find("</script", end + 1) == std::string::npos,
                "the data end elsewhere");
  const std::size_t style = own.find("<style>"), style_end = own.find("</style>");
  const std::string markup = own.substr(0, style) + own.substr(style_end + 8, data - style_end - 8);
  for (std::size_t at = markup.find('<'); at != std::string::npos; at = markup.find('<', at + 1)) {
    const std::size_t name = at + (markup.compare(at, 2, "</") == 0 ? 2 : 1);
    const std::size_t stop = markup.find_first_of(" >", name);
    fuzz::require(stop != std::string::npos && kTags.count(markup.substr(name, stop - name)) == 1,
                  "a foreign tag");
    std::size_t quotes = 0;
    for (std::size_t i = at; i < markup.size() && (markup[i] != '>' || quotes % 2 != 0); ++i) {
      quotes += markup[i] == '"';
      fuzz::require(i == at || markup[i] != '<', "a tag within a tag");
    }
    fuzz::require(quotes % 2 == 0, "an open quote");
  }
  fuzz::require(report::valid_utf8(markup) == markup, "the page is not UTF-8");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Source source(data, size);
  const Report r = report_from(source);
  fuzz::require(nlohmann::json::accept(render_json(r)), "JSON does not read back");
  for (const char c : render_terminal(r, {false, 80}))
    fuzz::require(c == '\n' || static_cast<unsigned char>(c) >= 0x20,
                  "a control character reaches the terminal");
  fuzz::require(render_markdown(r).find('<') == std::string::npos, "Markdown holds HTML");
  for (const auto& [name, content] : report_files(r)) {
    fuzz::require(name.find("..") == std::string::npos && name.front() != '/', "a file leaves the folder");
    if (name.ends_with(".json"))
      fuzz::require(nlohmann::json::accept(content), "a JSON file does not read back");
    if (name == "report.html") check_html(content);
  }
  return 0;
}
