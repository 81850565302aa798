#include <fmt/format.h>

#include <string>
#include <utility>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/clustering/page.h"

namespace telos {

void add_clusters(Report& report, const Trace& trace, const std::vector<std::uint8_t>& exclude,
                  const std::vector<std::string>& labels, const Arena& arena) {
  clustering::ClusterMeasureOptions options;
  options.exclude = exclude;
  options.labels = labels;
  clustering::ClusterMeasures measures;
  try {
    measures = measure_clusters(trace, options, arena);
  } catch (const Error& error) {
    // A trace may hold windows of padding alone; what the other lenses say of it is not lost for that.
    if (error.kind() != ErrorKind::kUsage) throw;
    report.not_measured.push_back(fmt::format("clusters: {}", error.message()));
    return;
  }
  Section section = clusters_section(measures, "cluster-");
  for (Table& table : section.tables) table.in_terminal = false;
  for (const std::string& note : measures.notes) section.paragraphs.push_back(fmt::format("Note: {}.", note));
  report.sections.push_back(std::move(section));
  report.keys.push_back(clusters_key(measures));
  for (Definition& d : clustering::measure_definitions()) report.definitions.push_back(std::move(d));
}

Report clustering_heads(const std::string& model, const DiagnoseOptions& options,
                        clustering::ClusterMeasureOptions clusters, const Arena& arena) {
  TracedText traced = trace_of(model, options, {.hidden = true, .attention = true}, arena);
  const PageContext page{.command = "clustering heads",
                         .subject = subject_of(model),
                         .facts = std::move(traced.facts),
                         .provenance = provenance(options.command_line, arena)};
  if (!traced.special.empty()) clusters.exclude = std::move(traced.special);
  if (!traced.labels.empty()) clusters.labels = std::move(traced.labels);
  Report report = clusters_report(measure_clusters(traced.trace, clusters, arena), page);
  append(report.not_measured, traced.left_out);
  return report;
}

}  // namespace telos
