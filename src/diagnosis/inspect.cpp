#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "diagnosis/parts.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/diagnosis/diagnose.h"
#include "telos/linalg/gemm.h"
#include "telos/model/plan.h"
#include "telos/smoothing/page.h"

namespace telos {
namespace {

// Share of the product rate below that the two jobs reach: the forward pass also normalises and
// exponentiates, the spectra spend half of their time in eigenvalue iterations. Both from runs of
// docs/benchmarks.md.
constexpr double kForwardShare = 0.5;
constexpr double kSpectraShare = 0.15;
constexpr double kBytesPerSecond = 1.5e9;  // reading and widening half-precision weights

// Single-precision products on this machine: flops a second, from one product of some milliseconds.
double product_rate(const Arena& arena) {
  const std::size_t n = 384;
  Matrix<float> a(n, n), b(n, n), c(n, n);
  double best = 0;
  for (int repeat = 0; repeat < 4; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    gemm<float>(Op::kPlain, Op::kPlain, 1, a, b, 0, c, arena);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * static_cast<double>(n * n * n) / seconds);
  }
  return best;
}

/// Why a diagnosis cannot run the model on a text, as far as the headers tell; empty if it can.
std::string no_text(const Checkpoint& checkpoint, const Architecture& architecture) {
  std::string why;
  if (!Transformer::supports(architecture, &why)) return why;
  if (Transformer::reads_images(architecture))
    return "the model reads images; a trace of it is read with --acts";
  if (const auto lines = Transformer::contradictions(checkpoint, architecture); !lines.empty())
    return lines.front();
  return {};
}

std::string possible(const Checkpoint& checkpoint, const Architecture& architecture) {
  if (const std::string why = no_text(checkpoint, architecture); !why.empty())
    return "The weights can be diagnosed; a text cannot: " + why + ".";
  return checkpoint.problems().empty()
             ? "A diagnosis on a text is possible."
             : "The weights that are there can be diagnosed; a text can where its forward pass lacks none.";
}

Table work_table(const Checkpoint& checkpoint, const Architecture& architecture,
                 const DiagnoseOptions& options, const Arena& arena) {
  Table table{.id = "work", .title = "What a diagnosis would read, need and take", .in_terminal = true};
  table.columns = {
      {.name = "work"},
      {.name = "reads", .definition = "bytes read from the files"},
      {.name = "memory", .definition = "peak, weights and results"},
      {.name = "Gflop", .digits = 3},
      {.name = "time",
       .definition = "estimate from a product timed on this machine just now; within a factor of two"}};
  const double rate = product_rate(arena);
  const auto row = [&](const std::string& name, const Cost& cost, double share) {
    table.rows.push_back({name, format_bytes(static_cast<double>(cost.bytes)),
                          format_bytes(static_cast<double>(cost.memory)), cost.flops / 1e9,
                          "about " + format_seconds(static_cast<double>(cost.bytes) / kBytesPerSecond +
                                                    cost.flops / (share * rate))});
  };
  row("spectra of all heads (weights)", cost_of_spectra(checkpoint, architecture), kSpectraShare);
  if (std::string why = no_text(checkpoint, architecture); why.empty()) {
    std::size_t length = options.windows.length == 0 ? 128 : options.windows.length;
    if (architecture.context != 0) length = std::min(length, architecture.context);
    row(fmt::format("forward pass, {} windows of {}", options.windows.max_windows, length),
        cost_of_forward(checkpoint, architecture, options.windows.max_windows, length), kForwardShare);
  } else {
    table.rows.push_back(
        {std::string("forward pass"), std::string("–"), std::string("–"), {}, "not available: " + why});
  }
  return table;
}

Table tensor_table(const Checkpoint& checkpoint) {
  Table table{.id = "tensors", .title = "Tensors"};
  table.columns = {{.name = "tensor"}, {.name = "dtype"}, {.name = "shape"},
                   {.name = "bytes"},  {.name = "file"},  {.name = "offset"}};
  for (const TensorInfo& tensor : checkpoint.tensors())
    table.rows.push_back({printable(tensor.name), std::string(to_string(tensor.dtype)), tensor.shape_text(),
                          static_cast<std::int64_t>(tensor.bytes), static_cast<std::int64_t>(tensor.file),
                          static_cast<std::int64_t>(tensor.offset)});
  return table;
}

Table dtype_table(const Checkpoint& checkpoint) {
  struct Sum {
    std::int64_t tensors = 0, elements = 0, bytes = 0;
  };
  std::map<std::string, Sum> sums;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    Sum& sum = sums[std::string(to_string(tensor.dtype))];
    ++sum.tensors;
    sum.elements += static_cast<std::int64_t>(tensor.elements());
    sum.bytes += static_cast<std::int64_t>(tensor.bytes);
  }
  Table table{.id = "dtypes", .title = "What the file holds", .in_terminal = true};
  table.columns = {{.name = "dtype"}, {.name = "tensors"}, {.name = "elements"}, {.name = "size"}};
  for (const auto& [type, sum] : sums)
    table.rows.push_back({type, sum.tensors, sum.elements, format_bytes(static_cast<double>(sum.bytes))});
  return table;
}

}  // namespace

Report inspect(const std::string& model, const DiagnoseOptions& options, const Arena& arena) {
  const Checkpoint checkpoint = Checkpoint::open(model, {.partial = options.partial});
  Report report;
  report.command = "inspect";
  report.subject = subject_of(model);
  report.provenance = provenance(options.command_line, arena);
  report.not_measured = checkpoint.problems();
  report.complete = checkpoint.problems().empty();
  report.facts = {{"file",
                   fmt::format("{} tensors · {}", format_count(checkpoint.tensors().size()),
                               format_bytes(static_cast<double>(checkpoint.file_bytes()))),
                   ""}};
  Section section{.id = "file", .title = "What the file holds"};
  section.tables = {dtype_table(checkpoint)};
  if (checkpoint.find("hidden.0") != nullptr) {
    require_trace_alone(options);
    report.verdict = {.sentence = "A recorded trace; telos smoothing trace measures it.",
                      .basis = "read from the header"};
  } else {
    try {
      const Architecture architecture = identify(checkpoint, options.identify);
      report.facts.insert(report.facts.begin(),
                          {"model", smoothing::architecture_line(architecture), architecture.detected_by});
      for (const std::string& fact : architecture.assumed) report.facts.push_back({"assumed", fact, ""});
      for (const std::string& note : architecture.notes) report.facts.push_back({"note", note, ""});
      for (const std::string& line : Transformer::contradictions(checkpoint, architecture))
        report.facts.push_back({"note", line, ""});
      section.tables.push_back(work_table(checkpoint, architecture, options, arena));
      report.verdict = {.sentence = possible(checkpoint, architecture), .basis = "read from the headers"};
    } catch (const Error& error) {
      // The file is sound but no family telos knows: what it holds is still worth showing.
      report.verdict = {
          .sentence = checkpoint.problems().empty()
                          ? "The file is sound, but a diagnosis is not possible as it stands."
                          : "The file is not whole, and a diagnosis is not possible as it stands.",
          .basis = "read from the headers"};
      report.complete = false;
      report.not_measured.push_back(fmt::format("{}; {}", error.message(), error.hint()));
    }
  }
  section.tables.push_back(tensor_table(checkpoint));
  report.sections = {section};
  return report;
}

}  // namespace telos
