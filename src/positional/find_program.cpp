#include <algorithm>
#include <string>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/positional/compiler.h"

namespace telos::positional {

Builtin find_program(const std::string& name, std::size_t n, const std::string& network_path) {
  const auto known = builtin_list();
  const bool built_in =
      std::any_of(known.begin(), known.end(), [&](const BuiltinInfo& b) { return b.name == name; });
  const bool file = name.find('.') != std::string::npos || name.find('/') != std::string::npos;
  if (built_in || !file) {
    BuiltinOptions options;
    if (n != 0) options.n = n;
    if (!network_path.empty()) {
      const bool in_place = network_path.front() == '(';
      options.network = in_place ? network_path : read_text(network_path);
      options.network_name = in_place ? "comparators" : network_path;
      if (options.network.empty())
        throw Error(ErrorKind::kBadFormat, options.network_name, "the file is empty",
                    "comparators are pairs of wires: (0,1)(2,3)(0,2)…");
    }
    return builtin(name, options);
  }
  if (!network_path.empty())
    throw Error(ErrorKind::kUsage, name, "only the built-ins sort and median take a comparator network");
  return {load_program(name, n), {}};
}

}  // namespace telos::positional
