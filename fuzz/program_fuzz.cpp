// The program language: any text is read or refused with places; what is read is sound, prints to text that
// reads the same, and runs or is refused.
#include <algorithm>
#include <vector>

#include "support.h"
#include "telos/positional/program.h"

namespace {

using namespace telos;
using namespace telos::positional;

void check_problem(const Problem& problem) {
  fuzz::require(problem.line >= 1 && problem.column >= 1, "a problem has no place");
  for (const std::string& part : {problem.message, problem.hint})
    fuzz::require(std::all_of(part.begin(), part.end(),
                              [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; }),
                  "a problem holds a control character");
}

void check_sound(const Program& program, const ParseOptions& options) {
  fuzz::require(check_program(program).empty(), "what was read is not sound");
  const ParseResult again = parse_program(print_program(program), options);
  // Explicit lists are longer than formulas: the printed text may exceed the limits.
  fuzz::require(!again.problems.empty() || again.program == program, "written and read again, it differs");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ParseOptions options;
  // The sizes that a text asks for are what a user allows; here little is.
  options.max_entries = 4096;
  options.read_file = [](const std::string&) { return std::string("1 0 3 2"); };
  const ParseResult result = parse_program(fuzz::as_text(data, size), options);
  for (const Problem& problem : result.problems) check_problem(problem);
  fuzz::require(fuzz::accepts([&] { read_program(fuzz::as_text(data, size), "a.pco", options); }) ==
                    result.problems.empty(),
                "read_program and parse_program disagree");
  if (!result.problems.empty()) return 0;

  const Program& program = result.program;
  check_sound(program, options);
  std::vector<std::int64_t> whole(program.n * program.given());
  for (std::size_t k = 0; k < whole.size(); ++k)
    whole[k] = k % program.given() < program.inputs.size() ? static_cast<std::int64_t>(k * 7 % 11) - 5
                                                           : static_cast<std::int64_t>(k % 2);
  std::vector<std::int64_t> wanted;
  if (!fuzz::accepts([&] { wanted = interpret<std::int64_t>(program, whole); })) return 0;
  const std::vector<double> real(whole.begin(), whole.end());
  std::vector<double> found;
  if (fuzz::accepts([&] { found = interpret<double>(program, real); }))
    fuzz::require(found.size() == wanted.size(), "results of different sizes");
  return 0;
}
