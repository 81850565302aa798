#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "telos/bigram/studies.h"

// What a study is made of. A file of this folder is a study: NAME.cpp defines `Study NAME_study()`, and the
// build lists it by its file name, so that adding one is adding a file.

namespace telos::bigram::studies {

/// The values of a run: defaults and what the user set, each checked against its range.
struct StudySetting {
  const std::map<std::string, double>& values;
  std::uint64_t seed;
  const Arena& arena;

  double real(const std::string& name) const { return values.at(name); }
  std::size_t whole(const std::string& name) const { return static_cast<std::size_t>(values.at(name)); }
};

struct Study {
  StudyInfo info;
  /// Fills everything but `info`. `holds` must be set from the claim; run_study() clears it where a check
  /// fails.
  void (*run)(const StudySetting& setting, StudyResult& result);
};

/// Every file's study, in the order of the files' names. Made by the build.
std::vector<Study> all_studies();

}  // namespace telos::bigram::studies
