#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/json.h"
#include "io/json_fields.h"
#include "positional/lab_parts.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos::positional {
namespace {

using End = RunResult::End;
constexpr std::pair<const char*, End> kEnds[] = {
    {"finished", End::kFinished}, {"stopped", End::kStopped}, {"diverged", End::kDiverged}};

template <class Visitor, class Row>
void row_fields(Visitor& visit, Row& row) {
  visit("scale", row.scale);
  visit("samples", row.samples);
  visit("length", row.length);
  visit("mse", row.mse);
  visit("mse_sum", row.mse_sum);
  visit("mae", row.mae);
  visit("mape", row.mape);
  visit("max_error", row.max_error);
  visit("within", row.within);
  visit("mse_over_scale2", row.mse_over_scale2);
  visit("overflowed", row.overflowed);
}

template <class Visitor, class Point>
void point_fields(Visitor& visit, Point& point) {
  visit("epoch", point.epoch);
  visit("steps", point.steps);
  visit("rate", point.rate);
  visit("train_loss", point.train_loss);
  visit("train_loss_sum", point.train_loss_sum);
  visit("validation", point.validation);
  visit("test", point.test);
}

template <class Visitor, class Run>
void run_fields(Visitor& visit, Run& run) {
  visit("run", run.run);
  visit("seed", run.seed);
  visit("note", run.note);
  visit("epochs", run.epochs);
  visit("steps", run.steps);
  visit("seconds", run.seconds);
}

nlohmann::ordered_json row_json(const ErrorRow& row) {
  JsonFieldWriter writer;
  row_fields(writer, row);
  writer("split", std::string(row.split == Task::Split::kTest ? "test" : "train"));
  return writer.object();
}

ErrorRow row_of(const nlohmann::ordered_json& json, const std::string& where) {
  JsonFieldReader read(json, where, ErrorKind::kBadFormat, true);
  ErrorRow row;
  row_fields(read, row);
  std::string split = "train";
  read("split", split);
  row.split = split == "test" ? Task::Split::kTest : Task::Split::kTrain;
  read.refuse_unknown();
  return row;
}

/// Calls each(element, where) for the elements of a list.
template <class Each>
void for_each_of(JsonFieldReader& read, const char* name, Each&& each) {
  const nlohmann::ordered_json* list = read.find(name);
  if (list == nullptr || !list->is_array()) read.refuse(name, "expected a list");
  for (std::size_t i = 0; i < list->size(); ++i) each((*list)[i], fmt::format("{}[{}]", read.place(name), i));
}

Band band_of(std::vector<double> values) {
  if (values.empty()) return {NAN, NAN, NAN};
  std::sort(values.begin(), values.end());
  const std::size_t m = values.size();
  return {0.5 * (values[(m - 1) / 2] + values[m / 2]), values.front(), values.back()};
}

/// The band of figure(run) over the runs that did not diverge and have it as a finite number.
template <class Figure>
Band band_over(const TrainResult& result, Figure&& figure) {
  std::vector<double> values;
  for (const RunResult& run : result.runs) {
    if (run.end == End::kDiverged) continue;
    if (const double value = figure(run); std::isfinite(value)) values.push_back(value);
  }
  return band_of(std::move(values));
}

}  // namespace

std::string run_json(const RunResult& run) {
  JsonFieldWriter writer;
  run_fields(writer, run);
  for (const auto& [name, end] : kEnds)
    if (end == run.end) writer("end", std::string(name));
  nlohmann::ordered_json& object = writer.object();
  object["validation"] = row_json(run.validation);
  object["table"] = nlohmann::ordered_json::array();
  for (const ErrorRow& row : run.table) object["table"].push_back(row_json(row));
  object["curve"] = nlohmann::ordered_json::array();
  for (const CurvePoint& point : run.curve) {
    JsonFieldWriter fields;
    point_fields(fields, point);
    object["curve"].push_back(fields.object());
  }
  return object.dump(1) + "\n";
}

RunResult parse_run(std::string_view json, const std::string& where) {
  const nlohmann::ordered_json object = parse_json(json, where);
  JsonFieldReader read(object, where, ErrorKind::kBadFormat, true);
  RunResult run;
  run_fields(read, run);
  std::string end;
  read("end", end);
  const auto known =
      std::find_if(std::begin(kEnds), std::end(kEnds), [&](const auto& e) { return end == e.first; });
  if (known == std::end(kEnds)) read.refuse("end", "expected finished, stopped or diverged");
  run.end = known->second;
  if (const nlohmann::ordered_json* validation = read.find("validation"))
    run.validation = row_of(*validation, read.place("validation"));
  for_each_of(read, "table",
              [&](const auto& row, const std::string& place) { run.table.push_back(row_of(row, place)); });
  for_each_of(read, "curve", [&](const auto& point, const std::string& place) {
    JsonFieldReader fields(point, place, ErrorKind::kBadFormat, true);
    point_fields(fields, run.curve.emplace_back());
    fields.refuse_unknown();
  });
  read.refuse_unknown();
  return run;
}

RunResult read_run(const std::string& path, std::size_t sets) {
  RunResult run = parse_run(read_text(path), path);
  const auto refuse = [&](const char* what, std::size_t found) {
    throw Error(ErrorKind::kBadFormat, path,
                fmt::format("{} {}, expected one for each of the {} test sets", found, what, sets));
  };
  if (run.table.size() != sets) refuse("rows in the table", run.table.size());
  for (const CurvePoint& point : run.curve)
    if (!point.test.empty() && point.test.size() != sets)
      refuse("test errors in the curve", point.test.size());
  return run;
}

void summarise(TrainResult& result, const Task& task) {
  result.exact_program = task.exact_program();
  result.homogeneous = task.homogeneous();
  result.classes = task.shape().classes;
  result.train = band_over(
      result, [](const RunResult& run) { return run.curve.empty() ? NAN : run.curve.back().train_loss; });
  result.validation = band_over(result, [](const RunResult& run) { return run.validation.mse; });
  result.test.clear();
  result.test_over_scale2.clear();
  result.overflow_scale.reset();
  const std::size_t rows = result.runs.empty() ? 0 : result.runs.front().table.size();
  for (std::size_t i = 0; i < rows; ++i) {
    result.test.push_back(band_over(result, [&](const RunResult& run) { return run.table[i].mse; }));
    result.test_over_scale2.push_back(
        band_over(result, [&](const RunResult& run) { return run.table[i].mse_over_scale2; }));
    for (const RunResult& run : result.runs)
      if (run.table[i].overflowed > 0 && !result.overflow_scale) result.overflow_scale = run.table[i].scale;
  }
}

}  // namespace telos::positional
