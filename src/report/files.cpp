#include "collect.h"
#include "telos/report/report.h"

namespace telos {

std::vector<std::pair<std::string, std::string>> report_files(const Report& report) {
  std::vector<std::pair<std::string, std::string>> files = {{"report.html", render_html(report)},
                                                            {"report.json", render_json(report)}};
  for (const report::NamedTable& named : report::all_tables(report))
    files.emplace_back("tables/" + named.name + ".csv", render_csv(*named.table));
  for (const report::NamedFigure& named : report::all_figures(report))
    files.emplace_back("figures/" + named.name + ".vl.json", named.figure->vega_lite);
  return files;
}

}  // namespace telos
