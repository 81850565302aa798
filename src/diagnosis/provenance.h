#pragma once

#include <string>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/io/checkpoint.h"
#include "telos/report/report.h"

namespace telos {

/// "all-MiniLM-L6-v2": the last part of a path that says something.
std::string subject_of(const std::string& path);
/// "model.safetensors  91 MB F32  53aa5117…": file, size, types, and hash where reading it all is cheap.
std::string file_remark(const Checkpoint& checkpoint);
/// Command line, version, build, processor features, LAPACK, threads; the file's hash where known.
std::vector<std::pair<std::string, std::string>> provenance(const std::string& command_line,
                                                            const Arena& arena);

}  // namespace telos
