#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "bigram/studies/frame.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"

namespace telos::bigram {
namespace {

/// The one of `items` whose name was asked for.
template <class Item, class Name>
const Item& named(const std::vector<Item>& items, std::string_view wanted, const std::string& where,
                  const std::string& kind, const Name& name) {
  std::vector<std::string> known;
  for (const Item& item : items) {
    if (name(item) == wanted) return item;
    known.push_back(name(item));
  }
  throw Error(
      ErrorKind::kUsage, where,
      fmt::format("there is no {} \"{}\"{}", kind, printable(wanted, 40), known.empty() ? " to set" : ""),
      nearest_hint(wanted, known));
}

void check_value(const std::string& where, const StudyParameter& parameter, double value) {
  const bool whole = std::trunc(value) == value;
  if (value >= parameter.low && value <= parameter.high && (whole || !parameter.whole)) return;
  throw Error(ErrorKind::kUsage, where,
              fmt::format("{} is {}, expected a {} from {} to {}", parameter.name, value,
                          parameter.whole ? "whole number" : "number", parameter.low, parameter.high));
}

}  // namespace

std::vector<StudyInfo> study_list() {
  std::vector<StudyInfo> list;
  for (const studies::Study& study : studies::all_studies()) list.push_back(study.info);
  std::ranges::sort(list, {}, &StudyInfo::name);
  return list;
}

StudyResult run_study(std::string_view name, const std::map<std::string, double>& parameters,
                      std::uint64_t seed, const Arena& arena) {
  const std::vector<studies::Study> all = studies::all_studies();
  const studies::Study& study =
      named(all, name, "study", "study", [](const studies::Study& s) { return s.info.name; });
  const std::string where = "study " + study.info.name;
  for (const auto& [set, value] : parameters)
    check_value(where,
                named(study.info.parameters, set, where, "parameter", [](const auto& p) { return p.name; }),
                value);
  StudyResult result;
  result.info = study.info;
  std::map<std::string, double> values;
  for (StudyParameter& parameter : result.info.parameters) {
    if (const auto set = parameters.find(parameter.name); set != parameters.end())
      parameter.value = set->second;
    values[parameter.name] = parameter.value;
  }
  study.run({values, seed, arena}, result);
  result.holds = result.holds && std::ranges::all_of(result.checks, &StudyCheck::holds);
  return result;
}

}  // namespace telos::bigram
