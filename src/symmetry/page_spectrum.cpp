// The page of a kernel's spectrum.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "symmetry/page_learning.h"
#include "telos/base/error.h"
#include "telos/report/charts.h"
#include "telos/symmetry/learning_page.h"

namespace telos::symmetry {
namespace {

constexpr double kSmallestShown = 1e-13;  // of the trace; below, eigenvalues are rounding

/// The largest level of each irrep, but for the largest of all in (L): the constant, or close to it.
struct Summary {
  double constant = 0, rest = 0;  ///< its eigenvalue; the trace without it
  std::map<std::string, double> largest{}, sectors{};
};

Summary summary_of(const Spectrum& s) {
  Summary out;
  for (const Level& level : s.levels)
    if (degree_of(level.irrep) == 0 && level.multiplicity == 1)
      out.constant = std::max(out.constant, level.eigenvalue);
  out.rest = s.trace - out.constant;
  bool skipped = false;
  for (const Level& level : s.levels) {
    if (!skipped && degree_of(level.irrep) == 0 && level.eigenvalue == out.constant) {
      skipped = true;
      continue;
    }
    const std::string name = symbol_of(level.irrep);
    out.sectors[name] += level.multiplicity * level.eigenvalue;
    if (level.eigenvalue > kSmallestShown * s.trace)
      out.largest[name] = std::max(out.largest[name], level.eigenvalue);
  }
  return out;
}

/// The irrep outside (L) with the largest eigenvalue; empty if there is none.
std::string leading_irrep(const Summary& s) {
  std::string best;
  for (const auto& [name, value] : s.largest)
    if (name != "(L)" && (best.empty() || value > s.largest.at(best))) best = name;
  return best;
}

bool is_estimate(const Spectrum& s) {
  return std::any_of(s.levels.begin(), s.levels.end(),
                     [](const Level& l) { return l.known != Known::kExact; });
}

/// Lengths, and largest eigenvalues of an irrep over the trace that is not constant.
std::pair<std::vector<double>, std::vector<double>> decay_of(std::span<const Spectrum> spectra,
                                                             const std::string& irrep) {
  std::pair<std::vector<double>, std::vector<double>> out;
  for (const Spectrum& s : spectra) {
    const Summary summary = summary_of(s);
    const auto found = summary.largest.find(irrep);
    if (found == summary.largest.end() || summary.rest <= 0) continue;
    out.first.push_back(s.length);
    out.second.push_back(found->second / summary.rest);
  }
  return out;
}

/// Whether one irrep outside (L) was estimated, and the others were not.
bool knows_one_irrep(const Spectrum& s) {
  const Summary summary = summary_of(s);
  return is_estimate(s) && summary.largest.size() - summary.largest.count("(L)") == 1;
}

/// Whether the largest eigenvalue falls the faster with the length, the higher the degree.
bool falls_by_degree(std::span<const Spectrum> spectra) {
  std::map<std::uint32_t, std::string> names;  // one irrep a degree
  for (const Level& level : spectra.front().levels) {
    const auto [at, fresh] = names.emplace(degree_of(level.irrep), symbol_of(level.irrep));
    if (!fresh && at->second != symbol_of(level.irrep)) return false;
  }
  std::vector<double> slopes;
  for (const auto& [degree, name] : names) {
    const auto [lengths, values] = decay_of(spectra, name);
    if (lengths.size() < 2) return false;
    slopes.push_back(log_log_slope(lengths, values));
  }
  return slopes.size() > 1 && std::ranges::adjacent_find(slopes, std::less_equal<>()) == slopes.end();
}

Verdict spectrum_verdict(std::span<const Spectrum> spectra) {
  const Spectrum& first = spectra.front();
  const Summary summary = summary_of(first);
  const std::string irrep = leading_irrep(summary);
  Verdict v;
  const auto estimates = std::count_if(spectra.begin(), spectra.end(), is_estimate);
  v.basis = estimates == 0 ? "exact"
            : static_cast<std::size_t>(estimates) == spectra.size()
                ? "estimated from random pairs"
                : "of some lengths exact, of others estimated from random pairs";
  if (irrep.empty()) {
    v.sentence = first.tail() > 0 || is_estimate(first)
                     ? "No eigenvalue outside (L) is known."
                     : "Only functions of counts are ever learned: all of the trace is in (L).";
    return v;
  }
  const auto [lengths, values] = decay_of(spectra, irrep);
  const std::string falls =
      lengths.size() > 1
          ? fmt::format("{} goes as {} of the trace that is not constant; at L = {} its largest", irrep,
                        power_text(log_log_slope(lengths, values)), first.length)
          : fmt::format("Outside (L), {} has the largest", irrep);
  const auto counts = summary.largest.find("(L)");
  if (lengths.size() < 2 && knows_one_irrep(first)) {
    v.sentence = fmt::format("Outside (L), {} alone is estimated", irrep);
    v.sentence += counts == summary.largest.end()
                      ? "."
                      : fmt::format(": {} of the largest eigenvalue in (L) that is not constant.",
                                    format_number(summary.largest.at(irrep) / counts->second, 3));
    return v;
  }
  v.sentence = counts == summary.largest.end()
                   ? falls + " eigenvalue."
                   : fmt::format("{} eigenvalue{} {} of the largest in (L) that is not constant.", falls,
                                 lengths.size() > 1 ? " is" : ",",
                                 format_number(summary.largest.at(irrep) / counts->second, 3));
  return v;
}

/// Also of small shares more than "0 %".
std::string share_of_trace(double share) {
  return share < 0.0995 ? format_number(100 * share, 2) + " %" : percent(share);
}

std::vector<KeyNumber> spectrum_keys(std::span<const Spectrum> spectra) {
  const Spectrum& s = spectra.front();
  const Summary summary = summary_of(s);
  const std::string at = spectra.size() > 1 ? fmt::format(" at L = {}", s.length) : "";
  std::vector<KeyNumber> keys = {{"trace" + at, format_number(s.trace), "", "E k(X,X)"},
                                 {"constant", share_of_trace(summary.constant / s.trace),
                                  "(of the trace; the largest eigenvalue of (L))", ""}};
  for (const auto& [name, sector] : summary.sectors)
    if (sector > kSmallestShown * s.trace && keys.size() < 6)
      keys.push_back({name, share_of_trace(sector / s.trace),
                      name == "(L)" ? "(of the trace, without the constant)" : "(of the trace)", ""});
  if (s.tail() > 5e-3 * s.trace && keys.size() < 6)
    keys.push_back({"tail", share_of_trace(s.tail() / s.trace), "(of the trace)", ""});
  return keys;
}

Table levels_table(std::span<const Spectrum> spectra) {
  Table t{.id = "levels",
          .title = "Eigenvalues by irrep",
          .caption = "",
          .columns = {{"length", "", "positions L"},
                      {"irrep", "", "of S_L"},
                      {"dimension", "", "f^λ", 9},
                      {"eigenvalue", "", "see definitions", 6},
                      {"±", "", "standard error of an estimate", 2},
                      {"multiplicity", "", "eigenfunctions", 9},
                      {"share", "", "multiplicity · eigenvalue over the trace", 3},
                      {"known", "", "exact, or a Rayleigh quotient"}},
          .rows = {},
          .in_terminal = true};
  for (const Spectrum& s : spectra)
    for (const Level& level : s.levels)
      t.rows.push_back({std::int64_t{s.length}, symbol_of(level.irrep), dimension_value(level.irrep),
                        level.eigenvalue, level.known == Known::kExact ? Cell{} : Cell{level.error},
                        level.multiplicity, level.multiplicity * level.eigenvalue / s.trace,
                        known_text(level.known)});
  return t;
}

Table traces_table(std::span<const Spectrum> spectra) {
  Table t{.id = "traces",
          .title = "Trace by sector",
          .caption = "",
          .columns = {{"length", "", "positions L"},
                      {"sector", "", "irrep, the constant apart"},
                      {"trace", "", "Σ multiplicity · eigenvalue", 6},
                      {"share", "", "of E k(X,X)", 4}},
          .rows = {}};
  for (const Spectrum& s : spectra) {
    const Summary summary = summary_of(s);
    const auto add = [&](const std::string& name, double trace) {
      t.rows.push_back({std::int64_t{s.length}, name, trace, trace / s.trace});
    };
    add("constant", summary.constant);
    for (const auto& [name, sector] : summary.sectors) add(name, sector);
    add("tail", s.tail());
  }
  return t;
}

/// Largest eigenvalues by length.
Figure decay_figure(std::span<const Spectrum> spectra) {
  std::map<std::string, Series> lines;
  for (const Spectrum& s : spectra) {
    const Summary summary = summary_of(s);
    for (const auto& [name, value] : summary.largest) {
      Series& line = lines[name];
      line.name = name;
      line.x.push_back(s.length);
      line.y.push_back(value / summary.rest);
    }
  }
  std::vector<Series> series;
  for (auto& [name, line] : lines) series.push_back(std::move(line));
  return line_chart(
      {.id = "spectrum-by-length",
       .title = falls_by_degree(spectra) ? "Each degree falls faster with the length"
                                         : "Largest eigenvalue of each irrep by length",
       .caption = "Largest eigenvalue of each irrep, the constant apart, over the trace that is not "
                  "constant; both axes logarithmic.",
       .alt = "Eigenvalue by length, one line an irrep",
       .x_label = "length L (positions)",
       .y_label = "λ over trace without constant",
       .log_x = true,
       .log_y = true},
      series);
}

/// All eigenvalues of one length in descending order.
Figure ranks_figure(const Spectrum& s) {
  std::vector<Level> levels = s.levels;
  std::erase_if(levels, [&](const Level& l) { return l.eigenvalue <= kSmallestShown * s.trace; });
  std::stable_sort(levels.begin(), levels.end(),
                   [](const Level& a, const Level& b) { return a.eigenvalue > b.eigenvalue; });
  std::map<std::string, Series> lines;
  double rank = 1;
  for (const Level& level : levels) {
    Series& line = lines[symbol_of(level.irrep)];
    line.name = symbol_of(level.irrep);
    std::vector<double> ends{rank};
    if (level.multiplicity > 1) ends.push_back(rank + level.multiplicity - 1);
    for (const double x : ends) {
      line.x.push_back(x);
      line.y.push_back(level.eigenvalue);
      if (level.known == Known::kEstimate) {
        line.low.push_back(level.eigenvalue - level.error);
        line.high.push_back(level.eigenvalue + level.error);
      }
    }
    rank += level.multiplicity;
  }
  std::vector<Series> series;
  for (auto& [name, line] : lines) series.push_back(std::move(line));
  return line_chart(
      {.id = "spectrum",
       .title = fmt::format("Eigenvalues by irrep at L = {}", s.length),
       .caption =
           "Each level from the rank of its first eigenfunction to that of its last; both axes logarithmic.",
       .alt = "Eigenvalue by rank, one line an irrep",
       .x_label = "rank",
       .y_label = "eigenvalue λ",
       .log_x = true,
       .log_y = true},
      series);
}

}  // namespace

Report spectrum_report(std::span<const Spectrum> spectra, const PageContext& context) {
  if (spectra.empty()) throw Error(ErrorKind::kUsage, "spectrum", "expected at least one length");
  Report report = report_frame(context);
  std::vector<double> lengths;
  for (const Spectrum& s : spectra) lengths.push_back(s.length);
  report.facts.push_back(sequences_fact(spectra.front().vocabulary, lengths));
  report.verdict = spectrum_verdict(spectra);
  report.keys = spectrum_keys(spectra);
  Section section{.id = "spectrum", .title = "Eigenvalues by irrep"};
  section.paragraphs = {
      "An eigenvalue λ is learned with about ridge/λ samples or more: what has the larger eigenvalues comes "
      "first. "
      "In an irrep of dimension f it comes f times, so that it is at most 1/f of the trace."};
  if (spectra.size() > 1) section.figures.push_back(decay_figure(spectra));
  section.figures.push_back(ranks_figure(spectra.front()));
  section.tables = {levels_table(spectra), traces_table(spectra)};
  report.sections = {std::move(section)};
  return report;
}

}  // namespace telos::symmetry
