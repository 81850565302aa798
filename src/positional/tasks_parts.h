#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "positional/expression.h"
#include "telos/positional/tasks.h"

namespace telos::positional {

/// Entries of one sample from the law of `distribution` at a scale, rounded to float, so that targets are
/// those of the numbers that a model sees.
void draw_entries(const Distribution& distribution, Random& rng, double scale, std::span<double> x);

/// Throws kUsage for low ≥ high and numbers that are not finite.
void check_distribution(const Distribution& distribution);

std::unique_ptr<Task> make_list_task(std::string name, ListTarget target, const TaskOptions& options);
std::unique_ptr<Task> make_minsum_task(const TaskOptions& options);
std::unique_ptr<Task> make_path_task(const TaskOptions& options);
std::unique_ptr<Task> make_expression_task(std::string_view text, const TaskOptions& options);
std::unique_ptr<Task> make_hop_task(const TaskOptions& options);
enum class MixedQuestion { kMin, kMax, kSum, kMulti };
std::unique_ptr<Task> make_mixed_task(std::string name, MixedQuestion question, const TaskOptions& options);
/// A file's rows; `jsonl`: JSON lines instead of CSV.
std::unique_ptr<Task> make_data_task(const std::string& path, bool jsonl);
std::unique_ptr<Task> parse_data_task(std::string_view text, const std::string& where, bool jsonl);

/// A text of token ids of the mixed tasks, categories as "<0>" … "<39>".
std::string mixed_text(std::span<const double> tokens);

}  // namespace telos::positional
