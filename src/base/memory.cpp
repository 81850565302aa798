#include "telos/base/memory.h"

#include <unistd.h>

#include <limits>

#include "telos/base/error.h"
#include "telos/base/quantity.h"

namespace telos {

double machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || page <= 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(pages) * static_cast<double>(page);
}

void require_memory(double bytes, const std::string& where, const std::string& hint) {
  if (const double present = machine_memory(); !(bytes <= present))
    throw Error(ErrorKind::kLimit, where,
                "needs " + format_bytes(bytes) + " of memory, this machine has " + format_bytes(present),
                hint);
}

}  // namespace telos
