#pragma once

#include <string>
#include <vector>

// Files that commands write are not files that they read, nor somebody's.

namespace telos::cli {

/// Refuses to write `path`, which `option` names, over one of the files read. Paths that are no files (empty,
/// a program's name) are none. Throws kUsage.
void require_no_input(const std::string& option, const std::string& path,
                      const std::vector<std::string>& inputs);
/// The same for a model, and refuses to replace what is not a safetensors file.
void require_model_target(const std::string& option, const std::string& path,
                          const std::vector<std::string>& inputs);
/// Refuses a run in `folder` (may be empty: none) that would write its file `name` over one of those read.
void require_inputs_stay(const std::string& folder, const std::vector<std::string>& names,
                         const std::vector<std::string>& inputs);

/// Refuses to replace a file `names` in `folder` (may be empty: none) that another command than `command`
/// left there: a model is not a report, which is had again in seconds. Throws kUsage.
void require_own_results(const std::string& folder, const std::vector<std::string>& command,
                         const std::vector<std::string>& names);

}  // namespace telos::cli
