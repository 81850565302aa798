// The Python module: numpy in and out, no logic. What may take long lets other Python threads run meanwhile.

#include <nanobind/eval.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>

#include "module.h"
#include "telos/base/error.h"
#include "telos/base/version.h"
#include "telos/diagnosis/diagnose.h"
#include "telos/io/files.h"

namespace nb = nanobind;

namespace telos::python {
namespace {

// A column of numbers is a float64 array (NaN where the table has nothing), any other a list.
nb::object column_values(const Table& table, std::size_t column) {
  const auto number = [](const Cell& cell) {
    return std::holds_alternative<double>(cell) || std::holds_alternative<std::int64_t>(cell);
  };
  bool any = false, text = false;
  for (const auto& row : table.rows) {
    any = any || number(row[column]);
    text = text || std::holds_alternative<std::string>(row[column]);
  }
  if (any && !text) {
    std::vector<double> values;
    for (const auto& row : table.rows) {
      if (const auto* real = std::get_if<double>(&row[column]))
        values.push_back(*real);
      else if (const auto* whole = std::get_if<std::int64_t>(&row[column]))
        values.push_back(static_cast<double>(*whole));
      else
        values.push_back(smoothing::kNaN);
    }
    return nb::cast(to_numpy(values));
  }
  nb::list values;
  for (const auto& row : table.rows) {
    if (const auto* words = std::get_if<std::string>(&row[column]))
      values.append(*words);
    else if (const auto* real = std::get_if<double>(&row[column]))
      values.append(*real);
    else if (const auto* whole = std::get_if<std::int64_t>(&row[column]))
      values.append(*whole);
    else
      values.append(nb::none());
  }
  return values;
}

void for_each_table(const Report& report, const auto& visit) {
  for (const Figure& figure : report.lead) visit(figure.data);
  for (const Section& section : report.sections) {
    for (const Figure& figure : section.figures) visit(figure.data);
    for (const Table& table : section.tables) visit(table);
  }
}

nb::dict table_columns(const Report& report, const std::string& id) {
  const Table* found = nullptr;
  std::string known;
  for_each_table(report, [&](const Table& table) {
    if (table.id == id && found == nullptr) found = &table;
    known += (known.empty() ? "" : ", ") + table.id;
  });
  if (found == nullptr) throw nb::key_error(("no table '" + id + "'; there are " + known).c_str());
  nb::dict columns;
  for (std::size_t c = 0; c < found->columns.size(); ++c)
    columns[found->columns[c].name.c_str()] = column_values(*found, c);
  return columns;
}

void save(const Report& report, const std::filesystem::path& directory) {
  const Working working;
  RunFolder folder(directory.string());
  for (const auto& [path, content] : report_files(report)) folder.write(path, content);
  folder.finish("");
}

/// Names of the classes by kind; all are telos.Error.
const char* error_class(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kShape:
    case ErrorKind::kBadFormat:
    case ErrorKind::kNotFinite:
      return "InvalidError";
    case ErrorKind::kIo:
      return "FileError";
    case ErrorKind::kMissingFile:
      return "MissingFileError";
    default:
      return "Error";
  }
}

void bind_error(nb::module_& m) {
  // telos.Error carries the fields of the C++ exception: kind, where, message, hint.
  nb::exec(R"(class Error(RuntimeError):
    """What went wrong: kind (a word of a closed set), where, message, hint (what to do next)."""
    kind: str
    where: str
    message: str
    hint: str


class InvalidError(Error, ValueError):
    """A value that is not accepted: kind usage, shape, bad_format or not_finite."""


class FileError(Error, OSError):
    """The system refused a file: kind io, or missing_file."""


class MissingFileError(FileError, FileNotFoundError):
    """A file is not there: kind missing_file."""
)",
           m.attr("__dict__"), m.attr("__dict__"));
  for (const char* name : {"Error", "InvalidError", "FileError", "MissingFileError"})
    m.attr(name).attr("__module__") = "telos";
  nb::register_exception_translator(
      [](const std::exception_ptr& pointer, void* payload) {
        try {
          std::rethrow_exception(pointer);
        } catch (const Error& error) {
          if (error.kind() == ErrorKind::kInterrupted && PyErr_CheckSignals() != 0) return;  // by Ctrl-C
          std::string text = error.what();
          if (!error.hint().empty()) text += "\n→ " + error.hint();
          const nb::object type = nb::handle(static_cast<PyObject*>(payload)).attr(error_class(error.kind()));
          const nb::object value = type(text);
          value.attr("kind") = std::string(to_string(error.kind()));
          value.attr("where") = error.where();
          value.attr("message") = error.message();
          value.attr("hint") = error.hint();
          PyErr_SetObject(type.ptr(), value.ptr());
        }
      },
      m.ptr());
}

void bind_report(nb::module_& m) {
  nb::class_<Report>(m, "Report", "What a command has found; the same numbers in every form.")
      .def_ro("command", &Report::command)
      .def_ro("subject", &Report::subject)
      .def_prop_ro(
          "verdict", [](const Report& r) { return r.verdict.sentence; }, "The verdict, one sentence.")
      .def_prop_ro(
          "basis", [](const Report& r) { return r.verdict.basis; }, "What the verdict rests on.")
      .def_prop_ro(
          "evidence", [](const Report& r) { return r.verdict.evidence; }, "The conditions that were met.")
      .def_prop_ro(
          "keys",
          [](const Report& r) {
            std::vector<std::pair<std::string, std::string>> keys;
            for (const KeyNumber& key : r.keys) keys.emplace_back(key.label, key.value);
            return keys;
          },
          "The key numbers as (label, value).")
      .def_ro("complete", &Report::complete, "False if part of the input could not be used.")
      .def_ro("not_measured", &Report::not_measured, "What could not be used or measured, and why.")
      .def_ro("remarks", &Report::remarks, "What to know of what was measured.")
      .def_prop_ro(
          "tables",
          [](const Report& r) {
            std::vector<std::string> ids;
            for_each_table(r, [&](const Table& table) { ids.push_back(table.id); });
            return ids;
          },
          "Names that table() takes.")
      .def("table", &table_columns, nb::arg("id"), "One table as {column: numpy array or list}.")
      .def("to_json", &render_json, "Everything with all digits, as JSON text.")
      .def("to_markdown", &render_markdown)
      .def("to_html", &render_html, "The self-contained page.")
      .def("save", &save, nb::arg("directory"),
           "Leave report.html, report.json, tables and figures in a directory.")
      .def("__str__", [](const Report& r) { return render_terminal(r); })
      .def("__repr__",
           [](const Report& r) { return "<telos.Report " + r.command + " of " + r.subject + ">"; })
      .def("_repr_markdown_", &render_markdown);
}

}  // namespace

DiagnoseOptions options_of(const std::optional<std::string>& text,
                           const std::optional<std::vector<std::int32_t>>& ids, std::size_t window,
                           std::size_t max_windows) {
  DiagnoseOptions options;
  options.text = text;
  options.ids = ids;
  options.text_name = ids ? "ids" : "text";
  options.windows = {.length = window, .max_windows = max_windows};
  options.command_line = "telos (Python)";
  return options;
}

}  // namespace telos::python

NB_MODULE(_telos, m) {
  using namespace telos;
  using namespace telos::python;
  m.doc() = "What a transformer tends to: theory, measurement and lab on a checkpoint and a text.";
  m.attr("__version__") = std::string(version());
  bind_error(m);
  bind_report(m);
  m.def(
      "diagnose",
      [](const std::filesystem::path& model, const std::optional<std::string>& text,
         const std::optional<std::vector<std::int32_t>>& ids, std::size_t window, std::size_t max_windows,
         int threads) {
        const Working working;
        return diagnose(model.string(), options_of(text, ids, window, max_windows), arena_of(threads));
      },
      nb::arg("model"), nb::arg("text") = nb::none(), nb::kw_only(), nb::arg("ids") = nb::none(),
      nb::arg("window") = 0, nb::arg("max_windows") = 16, nb::arg("threads") = 0,
      "Every lens that applies to a model (a .safetensors file, a model directory or a recorded trace) and a "
      "text.\n\n"
      "window 0 takes 128 tokens, or the model's context if that is shorter; threads 0 takes all cores. "
      "Results do not\n"
      "depend on threads. Raises telos.Error.");
  m.def(
      "inspect",
      [](const std::filesystem::path& model) {
        const Working working;
        return inspect(model.string(), options_of({}, {}, 0, 1), Arena());
      },
      nb::arg("model"), "What a file holds; what a diagnosis would read, need and take. Reads headers only.");
  nb::module_ smoothing_module =
      m.def_submodule("smoothing", "Do the tokens become alike with depth, and which heads do it?");
  bind_smoothing(smoothing_module);
  nb::module_ bigram_module = m.def_submodule(
      "bigram", "What sparse contextual bigram structure is there, and how many samples does it take?");
  bind_bigram(bigram_module);
  bind_bigram_text(bigram_module);
  nb::module_ clustering_module =
      m.def_submodule("clustering", "Which tokens lead, and where do the others end up?");
  bind_clustering(clustering_module);
  nb::module_ positional_module = m.def_submodule(
      "positional", "Which algorithms can position-only attention run, learn and carry out of distribution?");
  bind_positional(positional_module);
  nb::module_ symmetry_module = m.def_submodule(
      "symmetry", "What does an infinitely wide transformer learn first, and how symmetric is the data?");
  bind_symmetry(symmetry_module);
  bind_symmetry_kernels(symmetry_module);
}
