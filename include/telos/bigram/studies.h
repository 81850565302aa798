#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/report/report.h"
#include "telos/report/words.h"

// Systems near to the sparse contextual bigram, one file each in src/bigram/studies: what is learned in
// context, by which attention, and how that is known. Each has its data, its model, an oracle in closed form
// and the one figure that decides.

namespace telos::bigram {

/// A size or rate that a study can be run at.
struct StudyParameter {
  std::string name;  ///< "d", for the command line
  std::string text;  ///< "width of x"
  double value = 0;  ///< default; in a result, what it was run at
  double low = 0, high = 0;
  bool whole = true;  ///< an integer
};

struct StudyInfo {
  std::string name;   ///< "svm", for the command line
  std::string title;  ///< "Attention as a support vector machine"
  std::string paper;  ///< authors, year, arXiv number
  std::string claim;  ///< what is tested, one sentence
  std::vector<StudyParameter> parameters{};
};

/// A number beside what theory says of it.
struct StudyCheck {
  std::string what;
  double expected = 0, found = 0;
  double tolerance = 0;                                                                          ///< absolute
  bool holds() const { return found >= expected - tolerance && found <= expected + tolerance; }  // NaN: no
};

struct StudyResult {
  StudyInfo info{};
  std::string measured{};  ///< one sentence with the numbers
  /// Every check, and the claim on everything that was run.
  bool holds = false;
  std::vector<StudyCheck> checks{};
  Figure figure{};  ///< the one that decides
  std::vector<Table> tables{};
  std::vector<std::string> notes{};
};

/// In alphabetical order of their names.
std::vector<StudyInfo> study_list();
/// Runs one of them, at its default sizes in at most some ten seconds on a core. Same numbers for any number
/// of threads. Throws kUsage naming the nearest study or parameter, or the range of a value.
StudyResult run_study(std::string_view name, const std::map<std::string, double>& parameters,
                      std::uint64_t seed, const Arena& arena);

/// Claims, checks and figures of what was run.
Report studies_report(std::span<const StudyResult> results, const PageContext& context);
/// What can be run, and with which parameters.
Report study_list_report(const PageContext& context);

}  // namespace telos::bigram
