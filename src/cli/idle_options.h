#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>

#include "telos/base/error.h"

namespace telos::cli {

/// An option that only some kinds read.
template <class Kind>
struct KindOption {
  const char* name;
  std::initializer_list<Kind> kinds;
};

/// Refuses options of `command` that would do nothing with the kind chosen: throws kUsage naming the kinds
/// that read them.
template <class Kind, std::size_t n>
void refuse_idle_options(const CLI::App& command, Kind kind, const KindOption<Kind> (&options)[n]) {
  for (const KindOption<Kind>& o : options) {
    if (command.count(o.name) == 0 || std::find(o.kinds.begin(), o.kinds.end(), kind) != o.kinds.end())
      continue;
    std::string readers;
    for (const Kind k : o.kinds) readers += (readers.empty() ? "" : ", ") + std::string(to_string(k));
    throw Error(ErrorKind::kUsage, o.name, std::string(to_string(kind)) + " has no use for it",
                "it belongs to " + readers);
  }
}

}  // namespace telos::cli
