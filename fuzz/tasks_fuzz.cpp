// Texts that describe tasks and trainings; the first byte chooses. 0: an expression, which evaluates and
// whose degree, where it has one, is what scaling by two shows. 1, 2: data files in CSV and JSON lines, whose
// samples are finite. 3: a published parameter file. 4: a spec, which is written and read back as it was.
#include <cmath>
#include <vector>

#include "positional/tasks_parts.h"
#include "support.h"
#include "telos/positional/lab.h"

namespace {

using namespace telos;
using namespace telos::positional;

bool moderate(double value) {
  return value == 0 || (std::abs(value) > 1e-200 && std::abs(value) < 1e200);
}

void check_degree(const Expression& expression) {
  const std::optional<int> degree = expression.degree();
  if (!degree || *degree > 8) return;
  const double once = expression(1.5, -0.75), twice = expression(3, -1.5);
  if (moderate(once) && moderate(twice))
    fuzz::require(twice == std::ldexp(once, *degree), "the degree is not that of the function");
}

void check_rule(std::string_view text) {
  const ListRule rule = parse_list_rule(text);
  std::vector<double> x{1, -2, 3.5}, y(3);
  rule.apply(x, y);
  fuzz::require(rule.target.has_value() != rule.expression.has_value(), "a rule is a name or an expression");
  if (rule.expression) check_degree(*rule.expression);
}

void check_data(std::string_view text, bool jsonl) {
  const std::unique_ptr<Task> task = parse_data_task(text, "a", jsonl);
  const std::size_t n = task->shape().nodes;
  std::vector<double> x(n), y(n);
  for (std::size_t i = 0; i < task->given_samples(); ++i) {
    task->given(i, x, y);
    for (std::size_t j = 0; j < n; ++j)
      fuzz::require(std::isfinite(x[j]) && std::isfinite(y[j]), "a number that is not finite");
  }
}

void check_params(std::string_view text) {
  for (const TrainSpec& spec : parse_params(text, "a.json", {})) {
    fuzz::require(spec.task_options.nodes > 0 && !spec.scales.empty(), "a spec that cannot run");
    for (const double scale : spec.scales) fuzz::require(scale >= 1, "a scale below 1");
  }
}

void check_spec_text(std::string_view text) {
  const std::string written = spec_json(parse_spec(text, "a.json"));
  fuzz::require(spec_json(parse_spec(written, "b.json")) == written, "a spec changes when it is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::as_text(data + 1, size - 1);
  fuzz::accepts([&] {
    switch (data[0] % 5) {
      case 0:
        return check_rule(text);
      case 3:
        return check_params(text);
      case 4:
        return check_spec_text(text);
      default:
        return check_data(text, data[0] % 5 == 2);
    }
  });
  return 0;
}
